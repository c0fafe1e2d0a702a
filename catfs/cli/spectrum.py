"""`catfs spectrum`: a directory as path and content hash, back again, and compared."""

import argparse
import os
from collections.abc import Iterable
from pathlib import Path

from catfs.cli.output import Progress, human_bytes, print_json, print_result, tell
from catfs.cli.words import add_json, detailed_change_line, path_argument
from catfs.errors import UsageError, counted, printable
from catfs.records import Change, put_bytes
from catfs.records.difference import change_fields
from catfs.runtime.spectra import Told, decode_place, encode_place, find_spectrum, read_place
from catfs.runtime.stores import open_store
from catfs.runtime.workspace import Workspace
from catfs.spectral import (
    SPECTRUM_FILE,
    ContentProblem,
    DomainCheck,
    Permitted,
    diff,
    read_spectrum,
    read_structure,
    verify_contents,
    verify_domain,
)

_EPILOG = """\
  catfs spectrum encode DIR               put all contents into a store, and write SPECTRUM.json and the like
  catfs spectrum decode SPECTRUM TARGET   make a new directory of a spectrum, whole or not at all
  catfs spectrum verify SPECTRUM [DIR]    check its files, its contents in the store, and that DIR is still so
  catfs spectrum diff SPECTRUM SPECTRUM   list every path in which two of them differ

`catfs spectrum ACTION --help` explains an action. SPECTRUM is a folder with SPECTRUM.json in it, or the first
digits of the root of one that the workspace keeps. Contents are in the store of the workspace, which keeps
them as long as it keeps the spectrum in .catfs/spectra/ROOT/: remove that folder when you need it no more.
--store FOLDER names another store, with which no workspace is needed; then --into FOLDER says where the files
of the spectrum go. docs/formats/spectrum.md describes them.

exit status: 0 done, or equal; 1 something is damaged, or differs; 2 bad arguments; 3 changed meanwhile

examples:
  catfs spectrum encode project --into project.spectrum
  catfs spectrum decode project.spectrum copy
  catfs spectrum verify project.spectrum project
  catfs spectrum encode project --store /backup/store --into /backup/monday
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    encode = actions.add_parser("encode", help="make a spectrum of a directory", allow_abbrev=False)
    encode.add_argument("directory", type=path_argument, metavar="DIR", help="what to encode")
    encode.add_argument("--into", type=path_argument, metavar="FOLDER", help="write its files there too")
    encode.add_argument(
        "--no-structure", action="store_true", help="do not describe sources (STRUCTURE.json)"
    )
    decode = actions.add_parser("decode", help="make a directory of a spectrum", allow_abbrev=False)
    decode.add_argument("spectrum", metavar="SPECTRUM", help="its folder, or the beginning of its root")
    decode.add_argument(
        "target", type=path_argument, metavar="TARGET", help="a directory that is not there yet"
    )
    decode.add_argument("--set-id", action="store_true", help="files with set-id bits are made with them")
    decode.add_argument("--devices", action="store_true", help="devices are made, which only root can")
    verify = actions.add_parser("verify", help="check a spectrum", allow_abbrev=False)
    verify.add_argument("spectrum", metavar="SPECTRUM", help="its folder, or the beginning of its root")
    verify.add_argument(
        "directory", nargs="?", type=path_argument, metavar="DIR", help="what should still be so"
    )
    compare = actions.add_parser("diff", help="compare two spectra", allow_abbrev=False)
    compare.add_argument("first", metavar="SPECTRUM", help="from this one")
    compare.add_argument("second", metavar="SPECTRUM", help="to this one")
    for action in (encode, decode, verify):
        action.add_argument(
            "--store",
            type=path_argument,
            metavar="FOLDER",
            help="a store elsewhere (default: the workspace's)",
        )
    for action in (encode, decode, verify, compare):
        add_json(action)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    match arguments.action:
        case "encode":
            return _encode(arguments)
        case "decode":
            return _decode(arguments)
        case "verify":
            return _verify(arguments)
        case _:
            return _diff(arguments)


def _encode(arguments: argparse.Namespace) -> int:
    place: Path = arguments.directory
    if not place.is_dir():
        raise UsageError(f"there is no directory {printable(os.fsencode(place))}")
    if arguments.store is not None and arguments.into is None:
        raise UsageError("with --store, --into must say where the files of the spectrum go")
    workspace = Workspace.find_or_create(Path.cwd()) if arguments.store is None else None
    store = open_store(arguments.store, Path.cwd(), make=True)
    with Progress() as progress:
        told = Told(
            progress.show_reading,
            lambda done, of: progress.show(f"describing: {done} of {counted(of, 'source')}"),
        )
        done = encode_place(
            place, store, workspace, arguments.into, structure=not arguments.no_structure, told=told
        )
    spectrum = done.spectrum
    files = sum(1 for _ in spectrum.files())
    size = sum(entry.size for _, entry in spectrum.files())
    for language, problem in sorted(done.unread.items()):
        tell(f"files in {language} are not described: {problem}")
    if arguments.json:
        record: dict[str, object] = {
            "schema": "cli-spectrum-encode.v1",
            "root": spectrum.root.hex,
            "files": files,
            "size": size,
            "written": done.written,
        }
        put_bytes(record, "directory", os.fsencode(place))
        put_bytes(record, "folder", os.fsencode(done.folders[-1]))
        print_json(record)
        return 0
    print_result(f"root {spectrum.root.hex}")
    own = done.written[SPECTRUM_FILE]
    ratio = f", {own / size:.2%} of it" if own < size else ""
    print_result(
        f"{counted(files, 'file')}, {human_bytes(size)}; {SPECTRUM_FILE} has {human_bytes(own)}{ratio}"
    )
    for folder in done.folders:
        print_result(f"written to {printable(os.fsencode(folder))}")
    return 0


def _decode(arguments: argparse.Namespace) -> int:
    workspace = Workspace.find(Path.cwd())
    spectrum = read_spectrum(find_spectrum(arguments.spectrum, workspace))
    store = open_store(arguments.store, Path.cwd(), make=False)
    target: Path = arguments.target
    if not target.parent.is_dir():
        raise UsageError(f"there is no directory {printable(os.fsencode(target.parent))}")
    with Progress() as progress:
        done = decode_place(
            spectrum,
            store,
            target,
            Permitted(arguments.set_id, arguments.devices),
            lambda files, size: progress.show(f"writing: {counted(files, 'file')}, {human_bytes(size)}"),
        )
    if arguments.json:
        record: dict[str, object] = {
            "schema": "cli-spectrum-decode.v1",
            "root": done.root.hex,
            "files": done.files,
            "size": done.size,
        }
        put_bytes(record, "target", os.fsencode(target))
        print_json(record)
    else:
        print_result(f"root {done.root.hex}")
        print_result(f"{counted(done.files, 'file')}, {human_bytes(done.size)}: read again, and the same")
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    workspace = Workspace.find(Path.cwd())
    folder = find_spectrum(arguments.spectrum, workspace)
    spectrum = read_spectrum(folder)
    read_structure(folder, spectrum)
    store = open_store(arguments.store, Path.cwd(), make=False)
    check = None
    with Progress() as progress:
        problems = verify_contents(
            spectrum, store, lambda done, of: progress.show(f"contents: {done} of {of}")
        )
        if arguments.directory is not None:
            tree = read_place(arguments.directory, workspace, progress.show_reading)
            check = verify_domain(spectrum, tree)
    ok = not problems and (check is None or check.ok)
    if arguments.json:
        print_json(
            {
                "schema": "cli-spectrum-verify.v1",
                "ok": ok,
                "root": spectrum.root.hex,
                "contents": len(spectrum.contents()),
                "problems": [_problem_fields(problem) for problem in problems],
                "directory": None if check is None else _check_fields(arguments.directory, check),
            }
        )
        return 0 if ok else 1
    print_result(f"root {spectrum.root.hex}: the files of the spectrum hold")
    for problem in problems:
        print_result(f"  {printable(problem.path)}: {problem.problem}")
    verdict = counted(len(problems), "problem") if problems else "all in the store, undamaged"
    print_result(f"{counted(len(spectrum.contents()), 'content')}: {verdict}")
    if check is not None:
        place = printable(os.fsencode(arguments.directory))
        print_result(f"{place} {'is the same' if check.ok else f'DIFFERS: its root is {check.got.hex}'}")
        _show(check.changes)
    return 0 if ok else 1


def _diff(arguments: argparse.Namespace) -> int:
    workspace = Workspace.find(Path.cwd())
    first, second = (
        read_spectrum(find_spectrum(word, workspace)) for word in (arguments.first, arguments.second)
    )
    changes = list(diff(first, second))
    if arguments.json:
        print_json(
            {
                "schema": "cli-spectrum-diff.v1",
                "equal": not changes,
                "first": first.root.hex,
                "second": second.root.hex,
                "changes": [change_fields(change) for change in changes],
            }
        )
    elif changes:
        _show(changes)
    else:
        tell("the two are equal")
    return 1 if changes else 0


def _show(changes: Iterable[Change]) -> None:
    for change in changes:
        print_result(detailed_change_line(change))


def _problem_fields(problem: ContentProblem) -> dict[str, object]:
    record: dict[str, object] = {"digest": problem.digest.hex, "problem": problem.problem}
    put_bytes(record, "path", problem.path)
    return record


def _check_fields(place: Path, check: DomainCheck) -> dict[str, object]:
    record: dict[str, object] = {
        "ok": check.ok,
        "root": check.got.hex,
        "changes": [change_fields(change) for change in check.changes],
    }
    put_bytes(record, "path", os.fsencode(place))
    return record
