"""What a page says of a run besides its log, and its form in the data of the page."""

from catfs.errors import printable
from catfs.forensics.report.collect import Fate, Fates
from catfs.forensics.report.diffs import TextDiff
from catfs.records import JobSpec, Proof, RestoreDiff, RunInfo, Status, StepResult
from catfs.values import dataclass


@dataclass(frozen=True, slots=True)
class StepFacts:
    """One step and the end of what it printed.

    Args:
        result: How it went.
        stdout: The last bytes of its standard output.
        stderr: The last bytes of its standard error.
    """

    result: StepResult
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What is known of a run; everything but its name may be missing of one that was stopped.

    Args:
        run_id: The run.
        job: Its declaration.
        info: Where, when and by whom it was made.
        proof: What was proven.
        status: How it ended.
        difference: What its program changed.
        steps: Its steps, as far as they ran.
        diffs: How declared outputs that are text differ from what they were.
    """

    run_id: str
    job: JobSpec | None
    info: RunInfo | None
    proof: Proof | None
    status: Status | None
    difference: RestoreDiff | None
    steps: tuple[StepFacts, ...]
    diffs: tuple[TextDiff, ...]

    def fates(self) -> Fates | None:
        """Give what became of each changed path; None of a run without a proof."""
        if self.difference is None:
            return None
        return {
            (place, change.path): Fate(change.kind.value, declared)
            for place, domain in enumerate(self.difference.domains)
            for declared, changes in ((True, domain.declared), (False, domain.leftovers))
            for change in changes
        }

    def head(self) -> dict[str, object]:
        """Give the fields of the head."""
        return {
            "run_id": self.run_id,
            "job": None if self.job is None else _job_fields(self.job),
            "info": None if self.info is None else _info_fields(self.info),
            "proof": None if self.proof is None else _proof_fields(self.proof),
            "sentence": "" if self.status is None else self.status.sentence,
            "phases": [
                {"name": phase.name, "started": phase.started, "ended": phase.ended}
                for phase in (() if self.status is None else self.status.phases)
            ],
            "difference": [] if self.difference is None else _difference_fields(self.difference),
            "steps": [_step_fields(step) for step in self.steps],
            "diffs": [_diff_fields(diff) for diff in self.diffs],
        }


def _words(arguments: tuple[bytes, ...]) -> list[str]:
    return [printable(word) for word in arguments]


def _job_fields(job: JobSpec) -> dict[str, object]:
    return {
        "intent": printable(job.intent.encode("utf-8", "surrogatepass")),
        "domains": _words(job.domains),
        "outputs": _words(job.outputs),
        "leftovers": job.leftovers.value,
        "confine": job.confine.value,
        "allow_write": _words(job.allow_write),
        "steps": [_words(step.argv) for step in job.steps],
    }


def _info_fields(info: RunInfo) -> dict[str, object]:
    return {
        "catfs": info.catfs,
        "kernel": info.kernel,
        "host": info.host,
        "user": info.user or str(info.uid),
        "cwd": printable(info.cwd),
        "started": info.started,
        "ended": info.ended,
        "transport": info.transport,
    }


def _proof_fields(proof: Proof) -> dict[str, object]:
    return {
        "outcome": proof.outcome.value,
        "exit_status": proof.exit_status,
        "isolated": proof.isolated,
        "self_restored": proof.self_restored,
        "fold_equal": proof.fold_equal,
        "digest": proof.digest.hex,
        "rechecked_paths": proof.rechecked_paths,
        "commit_problem": proof.commit_problem,
        "conflicts": [printable(conflict.domain + b"/" + conflict.path) for conflict in proof.conflicts],
        "log": {"records": proof.log.records, "size": proof.log.size, "root": proof.log.root.hex},
        "domains": [
            {
                "path": printable(domain.roots.path),
                "base": domain.roots.base_root.hex,
                "view": domain.roots.view_root.hex,
                "replay": domain.roots.replay_root.hex,
                "post": domain.roots.post_root.hex,
                "declared": domain.declared,
                "leftovers": domain.leftovers,
            }
            for domain in proof.domains
        ],
        "outputs": [
            {
                "path": printable(output.domain + b"/" + output.path),
                "present": output.present,
                "committed": output.committed,
            }
            for output in proof.outputs
        ],
    }


def _difference_fields(difference: RestoreDiff) -> list[dict[str, object]]:
    return [
        {"change": change.kind.value, "declared": declared, "domain": place, "path": printable(change.path)}
        for place, domain in enumerate(difference.domains)
        for declared, changes in ((False, domain.leftovers), (True, domain.declared))
        for change in changes
    ]


def _step_fields(step: StepFacts) -> dict[str, object]:
    result = step.result
    return {
        "index": result.index,
        "argv": _words(result.argv),
        "status": result.status,
        "started": result.started,
        "ended": result.ended,
        "stdout": step.stdout.decode("utf-8", "replace"),
        "stdout_size": result.stdout.size,
        "stderr": step.stderr.decode("utf-8", "replace"),
        "stderr_size": result.stderr.size,
    }


def _diff_fields(diff: TextDiff) -> dict[str, object]:
    return {
        "domain": diff.domain,
        "path": printable(diff.path),
        "change": diff.change,
        "lines": diff.lines,
        "added": diff.added,
        "removed": diff.removed,
        "note": diff.note,
    }
