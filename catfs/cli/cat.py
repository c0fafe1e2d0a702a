"""`catfs cat`: what a file of a session or a run held at any moment."""

import argparse
import hashlib
import os
import stat
import sys
from pathlib import Path

from catfs.cli.output import print_json
from catfs.cli.words import add_json, add_subject
from catfs.errors import UsageError, printable
from catfs.limits import HASH_CHUNK_BYTES
from catfs.overlay import View
from catfs.overlay.nodes import Directory, File, Node, Symlink
from catfs.records import put_bytes
from catfs.records.entry import kind_of_mode
from catfs.runtime.moments import END, moment_of
from catfs.runtime.past import open_past
from catfs.runtime.runs import domain_of_path

_EPILOG = """\
SEQ is the number of a record of the write log (`catfs log --json` shows them): the file is printed as it was
right after that record. `base` is the moment before the first record, `end` that after the last; without @SEQ
the end is meant. PATH is relative to the domain, or absolute.

Session or run must have been begun with --history. With --json the facts of the file are printed
instead of its content.

examples:
  catfs cat src/main.c@4711
  catfs cat out/report.txt@base last
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("file", metavar="PATH@SEQ", help="a path in the domain, and the moment")
    add_subject(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    word, moment = _split(arguments.file)
    with open_past(arguments.subject, Path.cwd()) as past:
        domain, path = domain_of_path(os.fsencode(word), past.paths)
        end = moment_of(moment, past.log.size)
        view = past.view_at(end)
        node = view.resolve(past.paths.index(domain), path)
        if node is None:
            raise UsageError(f"there is no {printable(path) or 'path'} at that moment of {past.name}")
        if arguments.json:
            record = {"schema": "cli-cat.v1", "of": past.name, "records": end, **_facts(view, node)}
            put_bytes(record, "domain", domain)
            put_bytes(record, "path", path)
            print_json(record)
        else:
            _print(view, node, path)
    return 0


def _split(word: str) -> tuple[str, str]:
    """Split PATH@SEQ; without a moment the end is meant."""
    path, separator, moment = word.rpartition("@")
    if not separator:
        return word, END
    if not path:
        raise UsageError(f"expected a path before the @, got {printable(os.fsencode(word))!r}")
    return path, moment


def _print(view: View, node: Node, path: bytes) -> None:
    """Print the content of a file.

    Raises:
        UsageError: when it is none.
    """
    if isinstance(node, Symlink):
        target = printable(view.link_target(node))
        raise UsageError(f"{printable(path)} is a symlink to {target}", hint="ask for that")
    if not isinstance(node, File):
        kind = "directory" if isinstance(node, Directory) else "special file"
        raise UsageError(f"expected a file, got the {kind} {printable(path) or '.'}")
    sys.stdout.flush()
    for offset in range(0, node.size, HASH_CHUNK_BYTES):
        sys.stdout.buffer.write(view.read_content(node, offset, HASH_CHUNK_BYTES))


def _facts(view: View, node: Node) -> dict[str, object]:
    facts: dict[str, object] = {
        "kind": kind_of_mode(node.mode).value,
        "mode": f"{stat.S_IMODE(node.mode):04o}",
        "size": node.size,
        "digest": None,
    }
    if isinstance(node, File):
        hasher = hashlib.sha256()
        for offset in range(0, node.size, HASH_CHUNK_BYTES):
            hasher.update(view.read_content(node, offset, HASH_CHUNK_BYTES))
        facts["digest"] = hasher.hexdigest()
    return facts
