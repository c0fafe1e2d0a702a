"""The flat files of a run, for programs that were written before there were ledgers: made from the ledger.

`.catfs/catalytic/<run_id>/` holds RUN_INFO, PRE_MANIFEST, POST_MANIFEST, RESTORE_DIFF, OUTPUTS and STATUS as
plain JSON, with domains and outputs under the names that they had on the command line. Nothing in them is
believed: checking them makes them again from the ledger, which is verified first.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from catfs.durable import publish
from catfs.errors import FormatError, UsageError
from catfs.ledger import RunReader
from catfs.records import Change, ChangeKind, Kind, Outcome, Outputs, check_run_id
from catfs.records.validation import Finding
from catfs.records.validation_codes import Code
from catfs.runtime.ledger_validation import output_findings, report_findings
from catfs.runtime.manifests import manifest_trees
from catfs.runtime.verification import verify_target
from catfs.runtime.workspace import Workspace
from catfs.values import dataclass

FLAT_FOLDER: Final = "catalytic"
"""Folder of a workspace that holds the flat files, one folder for each run."""

_CODES: Final[Mapping[str, Code]] = {
    "RUN_INFO.json": Code.RECORDS_DISAGREE,
    "PRE_MANIFEST.json": Code.MANIFEST_FORGED,
    "POST_MANIFEST.json": Code.MANIFEST_FORGED,
    "RESTORE_DIFF.json": Code.RESTORE_DIFF_FORGED,
    "OUTPUTS.json": Code.OUTPUTS_FORGED,
    "STATUS.json": Code.VERDICT_FORGED,
}
"""File to the code of it being another than the ledger gives."""

_WITH_DIGEST: Final = frozenset({Kind.FILE, Kind.SYMLINK})


@dataclass(frozen=True, slots=True)
class FlatNames:
    """What the command line called things: name to absolute path.

    Args:
        domains: The domains.
        outputs: The outputs.
    """

    domains: Mapping[str, str]
    outputs: Mapping[str, str]


def write_flat_files(run: RunReader, workspace: Workspace, names: FlatNames) -> Path:
    """Write the flat files of a run, and give their folder.

    Args:
        run: The run.
        workspace: Its workspace.
        names: What the command line called domains and outputs.

    Raises:
        FormatError: when the ledger is not what it should be.
        OSError: when a file cannot be written.
    """
    folder = workspace.folder / FLAT_FOLDER / run.run_id
    folder.mkdir(parents=True)
    for name, value in flat_files(run, names).items():
        publish(folder, name.encode(), _encoded(value), durable=False)
    return folder


def flat_files(run: RunReader, names: FlatNames) -> dict[str, object]:
    """Make the flat files of a run: name to JSON value.

    Raises:
        FormatError: when the ledger is not what it should be.
    """
    proof, job, info = run.proof(), run.job(), run.info()
    restored = proof.outcome is Outcome.RESTORED
    before = {name: _digests(run, path) for name, path in names.domains.items()}
    after = {name: _after(run, path, before[name]) for name, path in names.domains.items()}
    return {
        "RUN_INFO.json": {
            "run_id": proof.run_id,
            "intent": job.intent,
            "exit_code": proof.command_status,
            "domains": list(names.domains),
            "durable_outputs": list(names.outputs),
            "domain_paths": dict(names.domains),
            "output_paths": dict(names.outputs),
            "outcome": proof.outcome.value,
            "proof": proof.digest.hex,
            "cwd": os.fsdecode(info.cwd),
        },
        "PRE_MANIFEST.json": before,
        "POST_MANIFEST.json": after,
        "RESTORE_DIFF.json": {name: _difference(run, path) for name, path in names.domains.items()},
        "OUTPUTS.json": [_output(name, path, run.outputs()) for name, path in names.outputs.items()]
        if restored
        else [],
        "STATUS.json": {"status": "restored" if restored else "dirty", "restoration_verified": restored},
    }


def check_flat_files(folder: Path) -> list[Finding]:
    """Check flat files against the ledger that they were made from, and that ledger by itself.

    Args:
        folder: The folder of the flat files, in its workspace.

    Raises:
        UsageError: when the folder has no RUN_INFO.json that can be read.
        OSError: when a file cannot be read.
    """
    info = _read_info(folder)
    ledger = folder.resolve().parent.parent / "runs" / info["run_id"]
    if not ledger.is_dir() or folder.resolve().name != info["run_id"]:
        text = f"there is no ledger of run {info['run_id']} for the folder {folder.name}"
        return [Finding(Code.RUN_ID_SWAPPED, "RUN_INFO.json#/run_id", text)]
    run = RunReader(ledger)
    report = verify_target(run, None, None)
    found = report_findings(report)
    if not report.ok:
        return found
    expected = flat_files(run, FlatNames(info["domain_paths"], info["output_paths"]))
    for name, value in expected.items():
        path = folder / name
        if not path.is_file():
            found.append(Finding(Code.FILE_REMOVED, f"{name}#", "expected the file, got nothing"))
        elif path.read_bytes() != _encoded(value):
            found.append(
                Finding(_CODES[name], f"{name}#", "expected what the ledger says, got something else")
            )
    if run.proof().outcome is not Outcome.RESTORED:
        text = f"the run ended as {run.proof().outcome.value}: nothing was committed"
        found.append(Finding(Code.RESTORATION_FAILED, "STATUS.json#/status", text))
    return found + output_findings(run)


def _read_info(folder: Path) -> dict[str, Any]:
    try:
        info = json.loads((folder / "RUN_INFO.json").read_bytes())
        check_run_id(info["run_id"])
        names = [info[key] for key in ("domain_paths", "output_paths")]
    except (OSError, ValueError, KeyError, TypeError, FormatError) as error:
        raise UsageError(f"{folder} holds no RUN_INFO.json of a run: {error}") from error
    if not all(isinstance(paths, dict) and all(map(_is_absolute, paths.values())) for paths in names):
        raise UsageError(f"{folder} holds a RUN_INFO.json whose paths are not absolute")
    return dict(info)


def _is_absolute(path: object) -> bool:
    return isinstance(path, str) and path.startswith("/")


def _encoded(value: object) -> bytes:
    """Give the bytes of a flat file: indented, keys sorted, names that are not UTF-8 as escapes."""
    return json.dumps(value, indent=2, sort_keys=True).encode() + b"\n"


def _relative(path: str, domain: bytes) -> bytes | None:
    """Give where a path lies in a domain of the ledger; None when it lies elsewhere."""
    whole = os.fsencode(path)
    if whole == domain:
        return b""
    return whole[len(domain) + 1 :] if whole.startswith(domain + b"/") else None


def _inside(path: bytes, top: bytes) -> bytes | None:
    """Give a path relative to a folder above it; None when it is not below."""
    if not top:
        return path
    return path[len(top) + 1 :] if path.startswith(top + b"/") else None


def _digests(run: RunReader, path: str) -> dict[str, str]:
    """Give the files and links below a path before the run: relative path to SHA-256."""
    found = {}
    before = run.pre_manifest()
    for domain, tree in zip(before.domains, manifest_trees(run, before), strict=True):
        top = _relative(path, domain.path)
        for row_path, entry in tree.items() if top is not None else ():
            name = _inside(row_path, top or b"")
            if name and entry.kind in _WITH_DIGEST:
                found[os.fsdecode(name)] = entry.digest.hex
    return found


def _changes(run: RunReader, path: str) -> Iterator[tuple[str, Change, bool]]:
    """Give the changes below a path: its relative path, the change, and whether it was declared."""
    for domain in run.restore_diff().domains:
        top = _relative(path, domain.path)
        if top is None:
            continue
        for changes, declared in ((domain.leftovers, False), (domain.declared, True)):
            for change in changes:
                name = _inside(change.path, top)
                if name is not None:
                    yield os.fsdecode(name), change, declared


def _after(run: RunReader, path: str, before: Mapping[str, str]) -> dict[str, str]:
    """Give the files and links below a path as the program left them."""
    found = dict(before)
    for name, change, _ in _changes(run, path):
        found.pop(name, None)
        if change.after is not None and change.after.kind in _WITH_DIGEST:
            found[name] = change.after.digest.hex
    return found


def _difference(run: RunReader, path: str) -> dict[str, list[str]]:
    """Give what the program left undeclared below a path."""
    found: dict[str, list[str]] = {kind.value: [] for kind in ChangeKind}
    for name, change, declared in _changes(run, path):
        if not declared:
            found[change.kind.value].append(name)
    return {kind: sorted(names) for kind, names in found.items()}


def _output(name: str, path: str, outputs: Outputs) -> dict[str, str]:
    """Give a committed output: a directory's digest is that of the lines `SHA-256  path` of what is in it."""
    for output in outputs.outputs:
        top = _relative(path, output.domain)
        first = next((row for row in output.entries if row.path == top), None)
        if first is None:
            continue
        if first.entry.kind is not Kind.DIRECTORY:
            return {"path": name, "type": first.entry.kind.value, "sha256": first.entry.digest.hex}
        lines = [
            f"{row.entry.digest.hex}  ".encode() + row.path[len(first.path) + 1 :] + b"\n"
            for row in output.entries
            if row.entry.kind in _WITH_DIGEST and row.path.startswith(first.path + b"/")
        ]
        return {"path": name, "type": "directory", "sha256": hashlib.sha256(b"".join(lines)).hexdigest()}
    raise FormatError("ledger", f"the output {name} is not in it")
