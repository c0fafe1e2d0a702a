"""A real browser without a screen, for tests of the report page: what it complains of fails the test."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, Request, sync_playwright

CHROMIUM = "/usr/bin/chromium"
"""From Debian's package `chromium`, which `scripts/setup --tools` installs."""

ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def started_browser() -> Iterator[Browser]:
    """Give a browser that has just started, and end it afterwards."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened_page(browser: Browser, file: Path, fragment: str = "", scheme: str = "light") -> Iterator[Page]:
    """Give a page that has loaded, from a file alone; errors, messages, dialogs and requests fail the test.

    Args:
        browser: The browser.
        file: The page.
        fragment: What follows `#` in its address.
        scheme: light or dark.
    """
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    complaints: list[str] = []
    address = file.as_uri()
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    page.on("console", lambda message: complaints.append(f"message: {message.text}"))
    page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))

    def watch(request: Request) -> None:
        """Note a request for anything but the page."""
        if not request.url.startswith(address):
            complaints.append(f"request: {request.url}")

    page.on("request", watch)
    try:
        page.goto(f"{address}#{fragment}" if fragment else address)
        page.wait_for_selector("html[data-ready]", timeout=60_000)
        yield page
        assert not complaints, complaints
    finally:
        page.close()
