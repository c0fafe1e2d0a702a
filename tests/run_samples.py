"""A small finished run in memory: every file of a run folder, as catfs writes it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson
import zstandard

from catfs.digest import Digest
from catfs.merkle import LogTree, MemoryNodes, Tree, diff
from catfs.proof import (
    DomainEvidence,
    Evidence,
    ProofFacts,
    assemble_proof,
    base_manifest,
    domain_manifest,
    domain_roots,
    missing_outputs,
    outputs_record,
    post_manifest,
    post_tree,
    prove,
    restore_diff,
    status_record,
)
from catfs.records import (
    DOMAIN_ROOTS_FILE,
    JOBSPEC_FILE,
    OUTPUTS_FILE,
    POST_MANIFEST_FILE,
    PRE_MANIFEST_FILE,
    PROOF_FILE,
    RESTORE_DIFF_FILE,
    RUN_INFO_FILE,
    STATUS_FILE,
    WRITE_LOG_FILE,
    BaseConflict,
    BaseKind,
    BaseNote,
    Confine,
    DomainManifest,
    DomainTree,
    Entry,
    EntryCounts,
    FileRecord,
    JobSpec,
    JobStep,
    Kind,
    Leftovers,
    LogSummary,
    Manifest,
    Moment,
    OutputNote,
    Phase,
    Proof,
    RunInfo,
    StepResult,
    Stream,
    canonical_digest,
    file_bytes,
    step_file,
)

DOMAIN = b"/home/ann/tree"
START = 1_770_000_000_123_456_789
DIRECTORY = Entry(Kind.DIRECTORY, 0o755)

BASE: Mapping[bytes, Entry] = {
    b"": DIRECTORY,
    b"a": DIRECTORY,
    b"a/one": Entry(Kind.FILE, 0o644, 3, Digest.of(b"one")),
    b"a/two\xff": Entry(Kind.FILE, 0o600, 3, Digest.of(b"two")),
    b"a-b": Entry(Kind.SYMLINK, 0o777, 5, Digest.of(b"a/one")),
    b"empty": Entry(Kind.DIRECTORY, 0o700),
    b"huge": Entry(Kind.FILE, 0o644, 2**60, Digest.of(b"huge")),
    b"pipe": Entry(Kind.FIFO, 0o644),
    b"new\nline": Entry(Kind.FILE, 0o644),
}
"""A domain with names and kinds of every sort."""

OUTPUT_CHANGES: Mapping[bytes, Entry | None] = {
    b"dist": DIRECTORY,
    b"dist/it.whl": Entry(Kind.FILE, 0o4755, 9, Digest.of(b"the wheel")),
}
"""What a tidy program makes: its output and nothing else."""

LEFTOVERS: Mapping[bytes, Entry | None] = {
    b"a/one": Entry(Kind.FILE, 0o644, 3, Digest.of(b"ONE")),
    b"a/two\xff": None,
    b"build": DIRECTORY,
    b"build/x.o": Entry(Kind.FILE, 0o644, 1, Digest.of(b"x")),
    b"pipe": Entry(Kind.FIFO, 0o600),
}
"""What an untidy one changes besides."""

LOG: tuple[Mapping[str, object], ...] = (
    {
        "op": "process",
        "t": START,
        "pid": 7,
        "process": 7,
        "parent": 1,
        "start": 99,
        "uid": 1000,
        "exe": "/usr/bin/cc",
        "cwd": "/home/ann/tree",
        "argv": ["cc", "-c"],
    },
    {"op": "mkdir", "t": START + 1, "path": "dist", "mode": 0o40755, "uid": 1, "gid": 1, "ino": 20, "pid": 7},
    {"op": "unlink", "t": START + 2, "path_base64": "YS90d2//", "ino": 21, "pid": 7},
)


@dataclass(frozen=True)
class Sample:
    """A run and its files.

    Args:
        job: Its declaration.
        proof: Its proof.
        files: Name to content, the proof too.
    """

    job: JobSpec
    proof: Proof
    files: Mapping[str, bytes]


def log_bytes(records: Iterable[Mapping[str, object]] = LOG) -> bytes:
    """Give a plain write log."""
    lines = [orjson.dumps({"seq": seq, **record}) + b"\n" for seq, record in enumerate(records)]
    return b"".join(lines)


def summary_of(log: bytes) -> LogSummary:
    """Give what a proof says of a plain write log."""
    tree = LogTree()
    for line in log.splitlines():
        tree.append(line)
    return LogSummary(tree.size, len(log), tree.root)


def sample_job(
    run_id: str = "run-1", leftovers: Leftovers = Leftovers.FAIL, outputs: bytes = b"dist"
) -> JobSpec:
    """Give a declaration of one domain and one output."""
    return JobSpec(
        run_id=run_id,
        intent="build the wheel",
        domains=(DOMAIN,),
        outputs=(DOMAIN + b"/" + outputs,),
        allowed_roots=(),
        steps=(JobStep(1, "", (b"make", b"x\xfe")), JobStep(2, "check", (b"true",))),
        leftovers=leftovers,
        confine=Confine.ON,
        allow_write=(b"/var/cache/cc",),
        transport="pyfuse3",
    )


def sample_run(
    changes: Mapping[bytes, Entry | None] = OUTPUT_CHANGES,
    *,
    job: JobSpec | None = None,
    statuses: tuple[int, ...] = (0, 0),
    conflicts: tuple[BaseConflict, ...] = (),
    commit_problem: str | None = None,
    log: bytes | None = None,
    flat: bool = False,
    first: bool = False,
) -> Sample:
    """Give a finished run.

    Args:
        changes: How the view differs from BASE.
        job: Its declaration.
        statuses: Exit status of each step that ran.
        conflicts: What changed underneath.
        commit_problem: Why the commit was given up.
        log: The plain write log.
        flat: Whether the manifests list every path.
        first: Whether the proof is of the first version, which counts paths.
    """
    job = job or sample_job()
    log = log_bytes() if log is None else log
    base = Tree.from_entries(MemoryNodes(), BASE)
    view = base.update(changes)
    outputs = job.outputs_of(DOMAIN)
    domain = DomainEvidence(
        path=DOMAIN,
        base_root=base.root,
        view_root=view.root,
        replay_root=view.root,
        changes=tuple(diff(base, view)),
        outputs=outputs,
        missing=missing_outputs(view, outputs),
        conflicts=conflicts,
    )
    status = next((status for status in statuses if status), 0)
    evidence = Evidence((domain,), status, job.leftovers, commit_problem)
    verdict = prove(evidence)
    post = post_tree(base, verdict.domains[0].declared) if verdict.commits else base
    before: DomainManifest | DomainTree = domain_manifest(DOMAIN, base)
    after: DomainManifest | DomainTree = domain_manifest(DOMAIN, post)
    if not flat:
        before = base_manifest(DOMAIN, base, domain.changes, verdict.domains[0].declared, outputs)
        after = post_manifest(DOMAIN, post)
    notes = {(DOMAIN, output): (OutputNote("set_id_dropped", b"dist/it.whl", "04000"),) for output in outputs}
    records: dict[str, FileRecord] = {
        JOBSPEC_FILE: job,
        RUN_INFO_FILE: sample_info(job),
        PRE_MANIFEST_FILE: Manifest(job.run_id, Moment.PRE, (before,)),
        POST_MANIFEST_FILE: Manifest(job.run_id, Moment.POST, (after,)),
        RESTORE_DIFF_FILE: restore_diff(job.run_id, verdict),
        OUTPUTS_FILE: outputs_record(job.run_id, evidence, verdict, [view], notes),
        DOMAIN_ROOTS_FILE: domain_roots(job.run_id, evidence, [post.root]),
        STATUS_FILE: status_record(job.run_id, evidence, verdict, [Phase("execute", START, START + 5)]),
    }
    files = {name: file_bytes(record) for name, record in records.items()}
    files |= _step_files(job, statuses)
    files[WRITE_LOG_FILE] = zstandard.ZstdCompressor(level=3, write_checksum=True).compress(log)
    known: BaseNote | EntryCounts = BaseNote(BaseKind.FULL, START, len(BASE) - 1)
    if first:
        known = EntryCounts(sum(1 for _ in base.items()), sum(1 for _ in view.items()))
    facts = ProofFacts(START + 10**9, 12, (known,), summary_of(log))
    digests = {name: Digest.of(data) for name, data in files.items()}
    proof = assemble_proof(job, evidence, verdict, [post.root], facts, digests)
    return Sample(job, proof, {**files, PROOF_FILE: file_bytes(proof)})


def sample_info(job: JobSpec) -> RunInfo:
    """Give where, when and by whom the sample was made."""
    return RunInfo(
        run_id=job.run_id,
        catfs="0.1",
        python="3.11.2",
        kernel="6.1.0",
        host="box",
        uid=1000,
        user="ann",
        cwd=b"/home/ann",
        argv=(b"catfs", b"run"),
        started=START,
        ended=START + 10**9,
        transport=job.transport,
        session="s-1",
    )


def _step_files(job: JobSpec, statuses: tuple[int, ...]) -> dict[str, bytes]:
    files = {}
    for step, status in zip(job.steps, statuses, strict=False):
        stdout, stderr = b"built\n", b""
        result = StepResult(
            index=step.index,
            argv=step.argv,
            status=status,
            started=START,
            ended=START + 4,
            stdout=Stream(len(stdout), Digest.of(stdout)),
            stderr=Stream(len(stderr), Digest.of(stderr)),
        )
        files[step_file(step.index, "json")] = file_bytes(result)
        files[step_file(step.index, "stdout")] = stdout
        files[step_file(step.index, "stderr")] = stderr
    return files


def reseal(files: Mapping[str, bytes], **changed: Any) -> dict[str, bytes]:
    """Give files with a proof whose digests fit them again, as a forger would make it.

    Args:
        files: The files, some of them edited.
        changed: Fields of the JSON form of the proof that are edited too.
    """
    proof = orjson.loads(files[PROOF_FILE]) | changed
    proof["files"] = {name: Digest.of(data).hex for name, data in files.items() if name != PROOF_FILE}
    del proof["digest"]
    proof["digest"] = canonical_digest(proof).hex
    return {**files, PROOF_FILE: orjson.dumps(proof, option=orjson.OPT_SORT_KEYS)}


def edited(files: Mapping[str, bytes], name: str, **changed: Any) -> dict[str, bytes]:
    """Give files with some fields of one JSON file changed and its spelling canonical."""
    record = orjson.loads(files[name]) | changed
    return {**files, name: orjson.dumps(record, option=orjson.OPT_SORT_KEYS)}


def conflict(path: bytes = b"a/one") -> BaseConflict:
    """Give a change of the original underneath a run."""
    return BaseConflict(DOMAIN, path, "a file of 3 bytes", "nothing")


def with_run_id(job: JobSpec, run_id: str) -> JobSpec:
    """Give a declaration under another run id."""
    return replace(job, run_id=run_id)
