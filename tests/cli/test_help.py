"""The help of every command: complete, and the same in the documentation."""

import argparse
import importlib
import re

import pytest

from catfs.cli.main import COMMANDS, main
from tests.support.commands_page import help_text, texts_of_page


def _options(command: str) -> list[str]:
    parser = argparse.ArgumentParser(add_help=False)
    importlib.import_module(f"catfs.cli.{command}").add_arguments(parser)
    return [option for action in parser._actions for option in action.option_strings]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_every_option(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` exits 0 and tells of each option."""
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for option in _options(command):
        assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", text), option


@pytest.mark.parametrize("command", COMMANDS)
def test_the_documentation_has_the_help_as_it_is(command: str) -> None:
    """docs/commands.md shows what `--help` prints; `python -m tests.support.commands_page` renews it."""
    assert texts_of_page().get(command) == help_text(command)


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_option_is_bad_input(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit status is 2 and the usage is shown."""
    with pytest.raises(SystemExit) as ended:
        main([command, "--no-such-option"])
    assert ended.value.code == 2
    assert re.search(r"^catfs.*: error: ", capsys.readouterr().err, re.MULTILINE)


def test_general_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """`catfs --help` lists the commands; without any, the same goes to stderr with exit status 2."""
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert all(re.search(rf"^ +{command} ", text, re.MULTILINE) for command in COMMANDS)
    assert main([]) == 2
    assert "commands:" in capsys.readouterr().err
