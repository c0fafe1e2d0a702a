"""A proof is told in sentences."""

from catfs.digest import Digest
from catfs.proof import explain, explain_leftovers
from catfs.records import (
    RESTORE_DIFF_FILE,
    Change,
    Confine,
    Entry,
    JobSpec,
    Kind,
    RestoreDiff,
    parse_canonical,
)
from tests.run_samples import LEFTOVERS, OUTPUT_CHANGES, Sample, conflict, sample_job, sample_run


def _text(sample: Sample) -> str:
    difference = RestoreDiff.from_dict(parse_canonical(sample.files[RESTORE_DIFF_FILE], "x"))
    return "\n".join(explain(sample.proof, difference))


def test_a_tidy_run_reads_well() -> None:
    """Verdicts, roots, outputs, log and confinement are told."""
    sample = sample_run()
    text = _text(sample)
    assert "run run-1: restored, exit status 0" in text
    assert "isolated: yes - 12 paths" in text
    assert "self_restored: yes - the program left nothing undeclared behind" in text
    base = sample.proof.domains[0].roots.base_root.hex[:16]
    assert f"base {base} (all of it was looked at: 8 names)" in text
    assert "output /home/ann/tree/dist: committed" in text
    assert "write log: 3 records" in text
    assert "could write to: /var/cache/cc" in text


def test_a_dirty_run_lists_what_is_left() -> None:
    """Each leftover is told by what happened to it."""
    text = _text(sample_run({**OUTPUT_CHANGES, **LEFTOVERS, b"empty": LEFTOVERS[b"build/x.o"]}))
    assert "self_restored: no - the program left 6 undeclared changes behind; policy: fail" in text
    for line in (
        "changed a/one: other content of the same size",
        r"removed a/two\xff",
        "added build/\n",
        "added build/x.o",
        "changed pipe: mode 0644 became 0600",
        "changed empty: directory became file, mode 0700 became 0644, 0 bytes became 1",
        "output /home/ann/tree/dist: not committed",
    ):
        assert line in text


def test_conflicts_and_given_up_commits_are_told() -> None:
    """What kept a run from its commit is told."""
    text = _text(sample_run(conflicts=(conflict(),)))
    assert "isolated: no - 1 path changed underneath; a/one: expected a file of 3 bytes, got nothing" in text
    assert "commit: the disk is full" in _text(sample_run(commit_problem="the disk is full"))
    assert "output /home/ann/tree/dist: missing" in _text(sample_run({}))


def test_an_unconfined_run_says_so() -> None:
    """Nobody overlooks that a command could write anywhere."""
    job = sample_job()
    fields = {name: getattr(job, name) for name in JobSpec.__slots__}
    text = _text(sample_run(job=JobSpec(**{**fields, "confine": Confine.OFF})))
    assert "confinement: OFF: the command could write anywhere" in text


def test_many_leftovers_are_counted() -> None:
    """The first twenty are listed, the rest is counted."""
    entry = Entry(Kind.FILE, 0o644, 1, Digest.of(b"x"))
    lines = explain_leftovers(Change(b"f%d" % number, None, entry) for number in range(23))
    assert len(lines) == 21
    assert lines[0] == "    added f0"
    assert lines[20] == "    and 3 more, 23 in all"
    assert explain_leftovers([]) == []
