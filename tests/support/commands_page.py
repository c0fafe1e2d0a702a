"""The page docs/commands.md: the help of every command, as `--help` prints it.

`python -m tests.support.commands_page` writes the help texts into the page anew.
"""

import re
import sys
from pathlib import Path

from catfs.cli.main import COMMANDS
from tests.support.commands import run_catfs

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"

_COLUMNS = "100"
_BLOCK = re.compile(r"^## catfs (\w+)\n\n```text\n(.*?)```\n", re.MULTILINE | re.DOTALL)


def help_text(command: str) -> str:
    """Give what `catfs COMMAND --help` prints on a terminal of a hundred columns."""
    result = run_catfs([command, "--help"], PAGE.parent, environment={"COLUMNS": _COLUMNS, "NO_COLOR": "1"})
    assert result.status == 0, result.stderr
    return result.stdout.decode()


def texts_of_page() -> dict[str, str]:
    """Give the help texts in the page, by command."""
    return dict(_BLOCK.findall(PAGE.read_text("utf-8")))


def write_page() -> None:
    """Write the help texts of all commands into the page."""
    text = PAGE.read_text("utf-8")
    head = text.partition("\n## ")[0].rstrip("\n")
    blocks = [f"\n## catfs {command}\n\n```text\n{help_text(command)}```\n" for command in COMMANDS]
    PAGE.write_text("\n".join([head, *(block.rstrip("\n") for block in blocks)]) + "\n", "utf-8")


if __name__ == "__main__":
    write_page()
    sys.stdout.write(f"{PAGE.name} has the help of {len(COMMANDS)} commands\n")
