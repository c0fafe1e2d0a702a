"""`catfs proof`: the verdicts on a run or a mounted session, or the proof of what one path was."""

import argparse
import os
from pathlib import Path

from catfs.cli.output import print_json, print_result, tell
from catfs.cli.words import add_json, add_subject
from catfs.errors import UsageError, counted, printable
from catfs.ledger import RunReader
from catfs.proof import explain, explain_leftovers
from catfs.records import Proof, RestoreDiff, describe_entry
from catfs.runtime.live import LiveExamination, ask_examination
from catfs.runtime.path_proofs import make_path_proof
from catfs.runtime.runs import checked_difference, domain_of_path, domain_trees
from catfs.runtime.sessions import SessionFacts
from catfs.runtime.subject import check_word, find_subject

_ROOT_DIGITS = 16

_EPILOG = """\
Without DOMAIN or RUN the mounted session is judged as it is now, or, if there is none, the proof of the last
run is shown. The proof of a run is believed here; `catfs verify` computes it again.

With --path the proof of one path is printed as JSON: what it was before the run, in the view and afterwards,
with the nodes that lead there from each root. `catfs verify FILE` checks it without domain and ledger.

examples:
  catfs proof
  catfs proof last --json
  catfs proof 20260131T120000Z-1a2b3c --path src/main.c > main.c.proof
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_subject(parser)
    parser.add_argument(
        "--path", metavar="P", help="prove what a path was: relative to the domain, or absolute"
    )
    add_json(parser, "print proof and all differences as JSON; the proof of a path always is")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    if arguments.path is not None:
        check_word(arguments.path, "path")
    subject = find_subject(arguments.subject, Path.cwd())
    if not isinstance(subject, RunReader):
        return _prove_session(subject, arguments)
    proof = subject.proof()
    if arguments.path is not None:
        _prove_path(subject, proof, os.fsencode(arguments.path))
        return 0
    difference = checked_difference(subject, proof)
    if arguments.json:
        print_json(_run_fields(proof, difference))
    else:
        print_result("\n".join(explain(proof, difference)))
    return 0


def _prove_session(session: SessionFacts, arguments: argparse.Namespace) -> int:
    """Judge a mounted session as it is now."""
    if arguments.path is not None:
        raise UsageError(
            "a path can be proven of a finished run only, and this session is mounted",
            hint="name a run, for example: catfs proof last --path P",
        )
    examination = ask_examination(session)
    if arguments.json:
        print_json(_session_fields(session, examination))
    else:
        print_result("\n".join(_explain_session(session, examination)))
    return 0


def _prove_path(run: RunReader, proof: Proof, path: bytes) -> None:
    """Print the proof of a path, and say on stderr what it proves."""
    domain, relative = domain_of_path(path, [domain.roots.path for domain in proof.domains])
    trees = next(trees for trees in domain_trees(run, proof) if trees.path == domain)
    file = make_path_proof(proof, trees, relative)
    print_json(file.to_dict())
    place = printable(relative) or "the domain itself"
    for statement in file.statements:
        tell(f"{place} under the {statement.under.value} root: {describe_entry(statement.entry)}")


def _explain_session(session: SessionFacts, found: LiveExamination) -> list[str]:
    """Give the judgement on a session as lines of text."""
    lines = [
        f"session {session.identity}, as it is now: {found.outcome.value} - {found.sentence}",
        f"  isolated: {_yes_or_no(found.isolated)}",
        f"  self_restored: {_yes_or_no(found.self_restored)}",
    ]
    for domain, roots in zip(found.difference.domains, found.roots, strict=True):
        lines.append(f"  domain {printable(domain.path)}")
        lines.append(f"    base {roots.base.hex[:_ROOT_DIGITS]}")
        lines.append(f"    view {roots.view.hex[:_ROOT_DIGITS]}")
        if roots.replay == roots.view:
            lines.append("    the write log leads from base to view")
        else:
            lines.append(f"    THE WRITE LOG LEADS TO {roots.replay.hex[:_ROOT_DIGITS]} INSTEAD")
        declared, left = len(domain.declared), len(domain.leftovers)
        lines.append(f"    {counted(declared, 'declared change')}, {counted(left, 'leftover')}")
        lines += explain_leftovers(domain.leftovers)
    return lines


def _run_fields(proof: Proof, difference: RestoreDiff) -> dict[str, object]:
    return {
        "schema": "cli-proof.v2",
        "live": False,
        "run_id": proof.run_id,
        "outcome": proof.outcome.value,
        "exit_status": proof.exit_status,
        "verdicts": {"isolated": proof.isolated, "self_restored": proof.self_restored},
        "roots": [
            {
                "base": domain.roots.base_root.hex,
                "view": domain.roots.view_root.hex,
                "replay": domain.roots.replay_root.hex,
            }
            for domain in proof.domains
        ],
        "domains": [domain.to_dict() for domain in difference.domains],
        "proof": proof.to_dict(),
    }


def _session_fields(session: SessionFacts, found: LiveExamination) -> dict[str, object]:
    return {
        "schema": "cli-proof.v2",
        "live": True,
        "run_id": session.identity,
        "outcome": found.outcome.value,
        "exit_status": found.exit_status,
        "verdicts": {"isolated": found.isolated, "self_restored": found.self_restored},
        "roots": [
            {"base": roots.base.hex, "view": roots.view.hex, "replay": roots.replay.hex}
            for roots in found.roots
        ],
        "domains": [domain.to_dict() for domain in found.difference.domains],
        "proof": None,
    }


def _yes_or_no(value: bool) -> str:
    return "yes" if value else "no"
