"""Workspaces with finished runs, made through the library and without any mount."""

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

import orjson

from catfs.digest import Digest
from catfs.ledger import RunWriter, publish_proof
from catfs.merkle import MemoryNodes, Tree, diff
from catfs.proof import (
    DomainEvidence,
    Evidence,
    ProofFacts,
    Verdict,
    assemble_proof,
    capture,
    domain_manifest,
    domain_roots,
    missing_outputs,
    outputs_record,
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
    RESTORE_DIFF_FILE,
    RUN_INFO_FILE,
    STATUS_FILE,
    BaseKind,
    BaseNote,
    Confine,
    Entry,
    JobSpec,
    JobStep,
    Kind,
    Leftovers,
    LogSummary,
    Manifest,
    Moment,
    Phase,
    Proof,
    RunInfo,
    StepResult,
    Stream,
    step_file,
)
from catfs.runtime.workspace import Workspace

START = 1_770_000_000_123_456_789
"""When the first run began, in nanoseconds since 1970."""

TIDY: Mapping[bytes, bytes | None] = {b"out/it.whl": b"the wheel"}
"""What a tidy program makes: its output and nothing else."""

UNTIDY: Mapping[bytes, bytes | None] = {
    **TIDY,
    b"build/x.o": b"x",
    b"src/main.c": b"int main;",
    b"old\xff": None,
}
"""What an untidy one changes besides."""

LOG: tuple[Mapping[str, object], ...] = (
    {
        "op": "process",
        "pid": 70,
        "process": 70,
        "parent": 1,
        "start": 99,
        "uid": 1000,
        "exe": "/usr/bin/make",
        "cwd": "/",
        "argv": ["make", "all"],
    },
    {"op": "mkdir", "path": "out", "mode": 0o40755, "uid": 1, "gid": 1, "ino": 20, "pid": 70},
    {
        "op": "process",
        "pid": 72,
        "process": 71,
        "parent": 70,
        "start": 100,
        "uid": 1000,
        "exe": "/usr/bin/cc1",
        "cwd": "/",
        "argv": ["cc1", "-O2"],
    },
    {"op": "create", "path": "build/x.o", "mode": 0o100644, "uid": 1, "gid": 1, "ino": 21, "pid": 72},
    {"op": "write", "path": "build/x.o", "offset": 0, "length": 1, "data": 0, "ino": 21, "pid": 72},
    {"op": "create", "path": "out/tmp", "mode": 0o100644, "uid": 1, "gid": 1, "ino": 22, "pid": 70},
    {"op": "write", "path": "out/tmp", "offset": 4096, "length": 9, "data": 1, "ino": 22, "pid": 70},
    {"op": "rename", "path": "out/tmp", "path2": "out/it.whl", "flags": 0, "ino": 22, "pid": 70},
    {"op": "unlink", "path_base64": "b2xk/w==", "ino": 23, "pid": 70},
)
"""A write log in which two programs work; the numbers and times are added."""


def log_bytes(records: Iterable[Mapping[str, object]] = LOG) -> bytes:
    """Give a plain write log, one record a millisecond."""
    lines = [
        orjson.dumps({"seq": seq, "t": START + seq * 10**6, **record}) + b"\n"
        for seq, record in enumerate(records)
    ]
    return b"".join(lines)


class SampleWorkspace:
    """A workspace with one domain in it.

    Args:
        root: An existing folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.domain = root / "domain"
        (self.domain / "src").mkdir(parents=True)
        (self.domain / "src" / "main.c").write_bytes(b"int main(void) { return 0; }\n")
        (self.domain / "new\nline").write_bytes(b"")
        Path(os.fsdecode(os.fsencode(self.domain) + b"/old\xff")).write_bytes(b"old")
        # Made here first: a workspace that somebody left above the folders of tests must not be found.
        (root / ".catfs").mkdir()
        self.workspace = Workspace.find_or_create(root)

    @property
    def domain_bytes(self) -> bytes:
        """The path of the domain."""
        return os.fsencode(self.domain)

    def run_folder(self, run_id: str) -> Path:
        """Give the folder of a run."""
        return self.workspace.runs / run_id

    def add_run(
        self,
        run_id: str = "run-1",
        changes: Mapping[bytes, bytes | None] = TIDY,
        *,
        discard: bool = False,
        status: int = 0,
        log: bytes | None = None,
    ) -> Proof:
        """Record a run, and let the domain hold what it committed.

        Args:
            run_id: Its id.
            changes: Path to new content, or to None for what was deleted.
            discard: Whether leftovers are dropped.
            status: Exit status of its command.
            log: Its plain write log.
        """
        job = self._job(run_id, discard=discard)
        base = self._capture()
        view = base.update(_entries(base, changes))
        evidence, verdict = self._judge(job, base, view, status)
        post = post_tree(base, verdict.domains[0].declared) if verdict.commits else base
        folder = self.run_folder(run_id)
        with RunWriter(folder) as writer:
            writer.write_record(JOBSPEC_FILE, job)
            summary = self._write(writer, job, base, view, post, evidence, verdict, status, log)
            note = BaseNote(BaseKind.FULL, START, sum(1 for _ in base.items()) - 1)
            facts = ProofFacts(START + 10**9, 3, (note,), summary)
            proof = assemble_proof(job, evidence, verdict, [post.root], facts, writer.files)
            writer.prepare(proof)
        publish_proof(folder)
        if verdict.commits:
            self._publish(changes)
        self._set_age(folder)
        return proof

    def add_incomplete_run(self, run_id: str = "stopped") -> Path:
        """Record the beginning of a run that never ended, long ago."""
        with RunWriter(self.run_folder(run_id)) as writer:
            writer.write_record(JOBSPEC_FILE, self._job(run_id, discard=False))
        folder = self.run_folder(run_id)
        self._set_age(folder)
        return folder

    def add_dead_session(
        self, identity: str = "dead", kind: str = "run", domains: tuple[Path, ...] | None = None
    ) -> Path:
        """Make the folder of a session whose server is gone."""
        folder = self.workspace.sessions / identity
        folder.mkdir()
        places = (self.domain,) if domains is None else domains
        facts = {
            "session": identity,
            "kind": kind,
            "pid": 2**22 + 1,
            "started": START,
            "domains": [str(place) for place in places],
        }
        (folder / "session.json").write_bytes(orjson.dumps(facts))
        (folder / "lock").touch()
        (folder / "data").write_bytes(b"new content")
        (folder / "log.jsonl").write_bytes(log_bytes())
        (folder / "mount").mkdir()
        return folder

    def _set_age(self, folder: Path) -> None:
        """Let each folder be a second younger than the one before: runs are listed by their times."""
        count = len(list(self.workspace.runs.iterdir()))
        os.utime(folder, ns=(START + count * 10**9, START + count * 10**9))

    def _job(self, run_id: str, *, discard: bool) -> JobSpec:
        return JobSpec(
            run_id=run_id,
            intent="build the wheel",
            domains=(self.domain_bytes,),
            outputs=(self.domain_bytes + b"/out",),
            allowed_roots=(),
            steps=(JobStep(1, "", (b"make", b"all it's")),),
            leftovers=Leftovers.DISCARD if discard else Leftovers.FAIL,
            confine=Confine.ON,
            allow_write=(),
            transport="pyfuse3",
        )

    def _capture(self) -> Tree:
        nodes = MemoryNodes()
        root = os.open(self.domain, os.O_RDONLY | os.O_DIRECTORY)
        try:
            return Tree(nodes, capture(root, nodes).root_entry)
        finally:
            os.close(root)

    def _judge(self, job: JobSpec, base: Tree, view: Tree, status: int) -> tuple[Evidence, Verdict]:
        outputs = job.outputs_of(self.domain_bytes)
        domain = DomainEvidence(
            path=self.domain_bytes,
            base_root=base.root,
            view_root=view.root,
            replay_root=view.root,
            changes=tuple(diff(base, view)),
            outputs=outputs,
            missing=missing_outputs(view, outputs),
        )
        evidence = Evidence((domain,), status, job.leftovers)
        return evidence, prove(evidence)

    def _write(
        self,
        writer: RunWriter,
        job: JobSpec,
        base: Tree,
        view: Tree,
        post: Tree,
        evidence: Evidence,
        verdict: Verdict,
        status: int,
        log: bytes | None,
    ) -> LogSummary:
        """Write everything but declaration and proof."""
        run_id = job.run_id
        before, after = (domain_manifest(self.domain_bytes, tree) for tree in (base, post))
        writer.write_record(PRE_MANIFEST_FILE, Manifest(run_id, Moment.PRE, (before,)))
        writer.write_record(POST_MANIFEST_FILE, Manifest(run_id, Moment.POST, (after,)))
        writer.write_record(RESTORE_DIFF_FILE, restore_diff(run_id, verdict))
        writer.write_record(OUTPUTS_FILE, outputs_record(run_id, evidence, verdict, [view], {}))
        writer.write_record(DOMAIN_ROOTS_FILE, domain_roots(run_id, evidence, [post.root]))
        stream = Stream(6, Digest.of(b"built\n"))
        argv = job.steps[0].argv
        writer.write_record(
            step_file(1, "json"), StepResult(1, argv, status, START, START + 4, stream, stream)
        )
        writer.write_bytes(step_file(1, "stdout"), b"built\n")
        writer.write_bytes(step_file(1, "stderr"), b"built\n")
        plain = self.root / "plain-log"
        plain.write_bytes(log_bytes() if log is None else log)
        summary = writer.add_log(plain)
        plain.unlink()
        writer.write_record(RUN_INFO_FILE, _info(job))
        phases = [Phase("execute", START, START + 5)]
        writer.write_record(STATUS_FILE, status_record(run_id, evidence, verdict, phases))
        return summary

    def _publish(self, changes: Mapping[bytes, bytes | None]) -> None:
        for path, content in changes.items():
            if path.startswith(b"out/") and content is not None:
                place = self.domain / os.fsdecode(path)
                place.parent.mkdir(exist_ok=True)
                place.parent.chmod(0o755)
                place.write_bytes(content)
                place.chmod(0o644)


def _entries(base: Tree, changes: Mapping[bytes, bytes | None]) -> dict[bytes, Entry | None]:
    """Give the entries of changes, with the directories above what is new."""
    found: dict[bytes, Entry | None] = {}
    for path, content in changes.items():
        parent = path.rpartition(b"/")[0]
        if content is not None and parent and base.entry(parent) is None:
            found[parent] = Entry(Kind.DIRECTORY, 0o755)
        before = base.entry(path)
        mode = stat.S_IMODE(0o644 if before is None else before.mode)
        found[path] = None if content is None else Entry(Kind.FILE, mode, len(content), Digest.of(content))
    return found


def _info(job: JobSpec) -> RunInfo:
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
        ended=START + 1_500_000_000,
        transport=job.transport,
        session=job.run_id,
    )
