"""`catfs cas`: contents by their SHA-256, in the store of the workspace or in a folder."""

import argparse
import os
import sys
from pathlib import Path

from catfs.cli.output import Progress, human_bytes, print_json, print_result, tell
from catfs.cli.words import add_json, find_workspace, path_argument
from catfs.digest import Digest
from catfs.errors import FormatError, UsageError, counted, printable
from catfs.records import put_bytes
from catfs.runtime.stores import open_store, reachable_objects
from catfs.spectral import read_hash
from catfs.store import (
    GRACE_NS,
    DamagedObjectError,
    LocalStore,
    MissingObjectError,
    StoreProblem,
    check_store,
    collect_garbage,
    store_statistics,
)

_EPILOG = """\
  catfs cas put [FILE]...       keep files, or what stdin gives, and print their SHA-256
  catfs cas get HASH            write a content to stdout; with --range START:END only those bytes
  catfs cas verify [HASH]...    read contents, all by default, and hold them against their SHA-256
  catfs cas stats               say how much the store holds
  catfs cas gc [--dry-run]      remove what no run, session or spectrum needs, when it is a day old

`catfs cas ACTION --help` explains an action. The store is that of the workspace; --store FOLDER names another
one. Only the first is cleaned, for nobody knows what others need. What `put` keeps, nobody else needs: `gc`
removes it after a day, or --grace SECONDS.

exit status: 0 done; 1 something is damaged, or cannot be followed; 2 bad arguments, or not there

examples:
  catfs cas put model.bin
  catfs cas get 5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03 --range 0:4
  catfs cas gc --dry-run
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    put = actions.add_parser("put", help="keep files", allow_abbrev=False)
    put.add_argument("files", nargs="*", type=path_argument, metavar="FILE", help="default: stdin")
    get = actions.add_parser("get", help="give a content", allow_abbrev=False)
    get.add_argument("hash", metavar="HASH", help="64 hexadecimal digits")
    get.add_argument("--range", metavar="START:END", help="first byte and the one behind the last, from 0")
    verify = actions.add_parser("verify", help="find damage", allow_abbrev=False)
    verify.add_argument("hashes", nargs="*", metavar="HASH", help="default: everything")
    stats = actions.add_parser("stats", help="say how much is held", allow_abbrev=False)
    collect = actions.add_parser("gc", help="remove what nobody needs", allow_abbrev=False)
    collect.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    collect.add_argument(
        "--grace",
        type=_seconds,
        default=GRACE_NS // 10**9,
        metavar="SECONDS",
        help="age below which nothing is removed (default: a day)",
    )
    for action in (put, get, verify, stats):
        action.add_argument(
            "--store",
            type=path_argument,
            metavar="FOLDER",
            help="a store elsewhere (default: the workspace's)",
        )
    for action in (put, get, verify, stats, collect):
        add_json(action)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    match arguments.action:
        case "put":
            return _put(arguments)
        case "get":
            return _get(arguments)
        case "verify":
            return _verify(arguments)
        case "stats":
            return _stats(arguments)
        case _:
            return _collect(arguments)


def _seconds(word: str) -> int:
    if not (word.isascii() and word.isdigit() and len(word) <= 10):
        raise argparse.ArgumentTypeError(f"expected whole seconds from 0 on, got {word!r}")
    return int(word)


def _put(arguments: argparse.Namespace) -> int:
    """Keep files; with one that cannot be read, nothing is kept."""
    files: list[Path] = arguments.files
    for path in files:
        if not path.is_file():
            raise UsageError(f"expected a file at {printable(os.fsencode(path))}", hint="nothing was kept")
    store = open_store(arguments.store, Path.cwd(), make=True)
    kept: list[tuple[bytes, Digest]] = []
    with store.batch() as batch:
        for path in files:
            with path.open("rb") as stream:
                kept.append((os.fsencode(path), batch.put_stream(stream.fileno())))
        if not files:
            kept.append((b"-", batch.put_stream(sys.stdin.fileno())))
    if arguments.json:
        print_json({"schema": "cli-cas-put.v1", "objects": [_kept_fields(store, *item) for item in kept]})
    else:
        for path_bytes, digest in kept:
            print_result(f"{digest.hex}  {printable(path_bytes)}")
    return 0


def _kept_fields(store: LocalStore, path: bytes, digest: Digest) -> dict[str, object]:
    record: dict[str, object] = {"digest": digest.hex, "size": store.size(digest)}
    put_bytes(record, "path", path)
    return record


def _get(arguments: argparse.Namespace) -> int:
    store = open_store(arguments.store, Path.cwd(), make=False)
    digest = _digest(arguments.hash)
    _require(store, digest)
    wanted = None if arguments.range is None else _range(arguments.range)
    try:
        if arguments.json:
            data = read_hash(store, digest, wanted)
            record: dict[str, object] = {
                "schema": "cli-cas-get.v1",
                "digest": digest.hex,
                "size": store.size(digest),
                "offset": 0 if wanted is None else wanted[0],
            }
            put_bytes(record, "content", data)
            print_json(record)
        elif wanted is None:
            sys.stdout.flush()
            store.copy_to(digest, sys.stdout.fileno())
        else:
            sys.stdout.buffer.write(read_hash(store, digest, wanted))
    except DamagedObjectError as error:
        tell(str(error))
        return 1
    return 0


def _range(word: str) -> tuple[int, int]:
    start, colon, end = word.partition(":")
    if not (colon and all(part.isascii() and part.isdigit() and len(part) < 20 for part in (start, end))):
        raise UsageError(
            f"expected START:END for --range, got {word!r}", hint="such as 0:4, the first four bytes"
        )
    return int(start), int(end)


def _digest(word: str) -> Digest:
    try:
        return Digest.from_hex(word)
    except FormatError as error:
        raise UsageError(error.message) from error


def _require(store: LocalStore, digest: Digest) -> None:
    if not store.has(digest):
        raise UsageError(f"the store {store.root} does not hold {digest.hex}")


def _verify(arguments: argparse.Namespace) -> int:
    store = open_store(arguments.store, Path.cwd(), make=False)
    if arguments.hashes:
        objects, size, problems = _verify_named(store, [_digest(word) for word in arguments.hashes])
    else:
        with Progress() as progress:
            check = check_store(
                store,
                progress=lambda count, held: progress.show(
                    f"read {counted(count, 'object')}, {human_bytes(held)}"
                ),
            )
        objects, size, problems = check.objects, check.size, list(check.problems)
    if arguments.json:
        print_json(
            {
                "schema": "cli-cas-verify.v1",
                "ok": not problems,
                "objects": objects,
                "size": size,
                "problems": [_problem_fields(problem) for problem in problems],
            }
        )
    else:
        for problem in problems:
            print_result(f"{printable(os.fsencode(problem.place))}: {problem.problem}")
        verdict = counted(len(problems), "problem") if problems else "all hold"
        print_result(f"{counted(objects, 'object')}, {human_bytes(size)}: {verdict}")
    return 1 if problems else 0


def _verify_named(store: LocalStore, digests: list[Digest]) -> tuple[int, int, list[StoreProblem]]:
    """Verify some objects; give how many, their size, and what is wrong."""
    size = 0
    problems = []
    for digest in digests:
        try:
            store.verify(digest)
            size += store.size(digest)
        except MissingObjectError as error:
            problems.append(StoreProblem("store", digest, error.message))
        except DamagedObjectError as error:
            problems.append(StoreProblem(os.path.relpath(error.place, store.root), digest, error.problem))
    return len(digests), size, problems


def _problem_fields(problem: StoreProblem) -> dict[str, object]:
    record: dict[str, object] = {
        "digest": None if problem.digest is None else problem.digest.hex,
        "problem": problem.problem.encode("utf-8", "backslashreplace").decode(),
    }
    put_bytes(record, "place", os.fsencode(problem.place))
    return record


def _stats(arguments: argparse.Namespace) -> int:
    store = open_store(arguments.store, Path.cwd(), make=False)
    found = store_statistics(store)
    if arguments.json:
        record: dict[str, object] = {
            "schema": "cli-cas-stats.v1",
            "packed": found.packed,
            "loose": found.loose,
            "packs": found.packs,
            "size": found.size,
            "stored": found.stored,
            "temporaries": found.temporaries,
            "unreadable": found.unreadable,
        }
        put_bytes(record, "store", os.fsencode(store.root))
        print_json(record)
        return 0
    print_result(f"store {printable(os.fsencode(store.root))}")
    print_result(f"  {counted(found.packed, 'object')} in {counted(found.packs, 'pack')}")
    print_result(f"  {counted(found.loose, 'object')} in files of their own")
    print_result(f"  {human_bytes(found.size)} of content in {human_bytes(found.stored)} on the disk")
    if found.temporaries:
        print_result(f"  {counted(found.temporaries, 'file')} being written, or left by a writer that died")
    if found.unreadable:
        print_result(f"  {counted(found.unreadable, 'file')} unreadable; `catfs cas verify` says why")
    return 0


def _collect(arguments: argparse.Namespace) -> int:
    workspace = find_workspace()
    store = open_store(None, workspace.root, make=False)
    done = collect_garbage(
        store,
        reachable_objects(workspace, store),
        grace_ns=arguments.grace * 10**9,
        dry_run=arguments.dry_run,
    )
    if arguments.json:
        print_json(
            {
                "schema": "cli-cas-gc.v1",
                "dry_run": done.dry_run,
                "removed": [digest.hex for digest in done.removed],
                "size": done.size,
                "young": done.young,
                "temporaries": done.temporaries,
            }
        )
        return 0
    word = "would remove" if done.dry_run else "removed"
    print_result(f"{word} {counted(len(done.removed), 'object')}, {human_bytes(done.size)}")
    if done.temporaries:
        print_result(f"{word} {counted(done.temporaries, 'file')} that writers left behind")
    if done.young:
        tell(f"{counted(done.young, 'object')} that nobody needs stay because they are young")
    return 0
