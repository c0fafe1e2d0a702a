"""What the contract is for: whole stories with real tools, and forgeries of each kind refused by name."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from catfs.digest import Digest
from catfs.ledger import RunReader
from catfs.records import PROOF_FILE, canonical_digest, file_bytes
from catfs.runtime.ledger_validation import validate_ledger
from tests.support.commands import Project, Result
from tests.support.walk import walk

pytestmark = pytest.mark.fuse

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / "tools"

INDEX = """
import pathlib, sqlite3
base = sqlite3.connect("scratch/index.db")
base.execute("create virtual table source using fts5(path, body)")
for path in sorted(pathlib.Path("tree").rglob("*.py")):
    base.execute("insert into source values (?, ?)", (str(path), path.read_text("utf-8")))
base.commit()
print(base.execute("select count(*) from source").fetchone()[0])
"""
TRANSFORM = """
import json, sqlite3
base = sqlite3.connect("scratch/index.db")
rows = base.execute("select path from source where source match 'dataclass' order by path").fetchall()
json.dump([path for (path,) in rows], open("scratch/found.json", "w"))
"""
EMIT = """
import json, os, shutil
found = json.load(open("scratch/found.json"))
assert found and all(os.path.exists(path) for path in found)
os.makedirs("tree/out", exist_ok=True)
json.dump({"count": len(found), "paths": found}, open("tree/out/report.json", "w"), sort_keys=True)
shutil.rmtree("scratch/work", ignore_errors=True)
for name in os.listdir("scratch"):
    os.unlink(f"scratch/{name}")
"""


def _pipeline_job() -> dict[str, object]:
    """Give the job of three steps: a full-text index, a query, a checked report."""
    steps = [
        {"intent": "index the sources with SQLite FTS", "command": "python3 index.py"},
        {"intent": "find the classes", "command": "python3 transform.py"},
        {"intent": "check, report and tidy", "command": "python3 emit.py"},
    ]
    return {
        "schema": "jobspec.v2",
        "job_id": "three-steps",
        "phase": 1,
        "task_type": "analysis",
        "intent": "Which sources define data classes?",
        "inputs": ["tree"],
        "catalytic_domains": ["tree", "scratch"],
        "durable_outputs": [
            {"path": "tree/out/report.json", "validation": {"kind": "file", "media": "json"}}
        ],
        "allowed_roots": ["tree/out"],
        "forbidden_paths": ["secrets"],
        "steps": steps,
        "determinism": "deterministic",
        "swarm_parallel": False,
        "metadata": {"priority": 5, "timeout_seconds": 60, "governance_check": True},
    }


@pytest.fixture
def sources(project: Project) -> Project:
    """Give a project with a copy of real sources in `tree`, an empty `scratch`, and the three programs."""
    shutil.copytree(
        ROOT / "catfs" / "records",
        project.path / "tree",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    (project.path / "scratch").mkdir()
    for name, program in (("index", INDEX), ("transform", TRANSFORM), ("emit", EMIT)):
        project.write(f"{name}.py", program)
    project.write("job.json", json.dumps(_pipeline_job()))
    return project


def _run_job(project: Project, *options: str) -> Result:
    result = project.catfs("run", "--jobspec", "job.json", *options)
    assert result.status == 0, result.stderr
    return result


def test_three_steps_with_a_real_index_leave_the_report_alone(sources: Project) -> None:
    """SQLite indexes, a query transforms, a check emits: one proof, no scratch, the output committed."""
    before = sources.seen()
    _run_job(sources)
    after = sources.seen()
    new = {b"tree/out", b"tree/out/report.json"}
    assert after.keys() - before.keys() == new
    changed = {name for name in before if before[name] != after[name]}
    assert changed <= {b"", b"tree"}, "only the times of the folders above the output"
    report = json.loads((sources.path / "tree" / "out" / "report.json").read_bytes())
    assert report["count"] > 5
    assert report["count"] == len(report["paths"])
    run = sources.last_run()
    proof = run.proof()
    assert (proof.isolated, proof.self_restored, len(proof.domains)) == (True, True, 2)
    assert int(run.files["steps/01.stdout"]) > 10
    ledger = json.loads(run.files["LEDGER.json"])
    assert ledger["restoration_verified"] is True
    assert len({tuple(step["view_roots"]) for step in ledger["steps"][:3]}) == 3
    verified = sources.catfs("verify", "--all", "--restored")
    assert verified.status == 0, verified.stdout
    assert b"check of chain of runs: holds" in verified.stdout


def test_two_runs_of_one_deterministic_job_are_equal(sources: Project) -> None:
    """Equal but for times and ids; another report is found and told where it differs."""
    _run_job(sources, "--run-id", "monday")
    shutil.rmtree(sources.path / "tree" / "out")
    _run_job(sources, "--run-id", "tuesday")
    shutil.rmtree(sources.path / "tree" / "out")
    equal = sources.catfs("verify", "--compare", "monday", "tuesday")
    assert equal.status == 0, equal.stdout
    assert equal.stdout == b"runs monday and tuesday are equal but for times and ids\n"
    sources.write("emit.py", EMIT + "print('more')\n")
    sources.write("tree/late.py", "from dataclasses import dataclass\n")
    _run_job(sources, "--run-id", "wednesday")
    other = sources.catfs("verify", "--compare", "monday", "wednesday", "--json")
    record = json.loads(other.stdout)
    assert (other.status, record["equal"]) == (1, False)
    places = {difference["file"] for difference in record["differences"]}
    assert places >= {"steps/03.stdout", "OUTPUTS.json", "PRE_MANIFEST.json", "DOMAIN_ROOTS.json"}


def test_whole_repository_as_domain_keeps_the_proposal_of_a_refactoring_tool_only(project: Project) -> None:
    """Ruff rewrites the tree, git makes a patch of it; the patch survives and the tree is what it was."""
    shutil.copytree(
        ROOT / "catfs" / "store", project.path / "src", ignore=shutil.ignore_patterns("__pycache__")
    )
    project.write("src/unused.py", "import os\nimport sys\n\nprint(sys.argv)\n")
    for words in (["init", "-q"], ["add", "src"], ["commit", "-q", "-m", "begin"]):
        _git(project.path, *words)
    before = walk(project.path, leave_out=b".catfs")
    ruff = Path(sys.executable).with_name("ruff")
    refactor = f"{ruff} check --no-cache --quiet --isolated --select F401 --fix src"
    result = project.catfs(
        "run",
        *("--output", "proposal.patch", "--leftovers", "fail"),
        *("--step", f"refactor::{refactor}"),
        *("--step", "propose::git --no-optional-locks diff > proposal.patch; test -s proposal.patch"),
        *("--step", "put everything back::git --no-optional-locks apply -R proposal.patch"),
    )
    assert result.status == 0, result.stderr
    patch = (project.path / "proposal.patch").read_text()
    assert "-import os" in patch
    (project.path / "proposal.patch").unlink()
    after = walk(project.path, leave_out=b".catfs")
    assert {name: found for name, found in after.items() if name} == {
        name: found for name, found in before.items() if name
    }
    assert project.last_run().proof().self_restored


def _git(place: Path, *words: str) -> None:
    command = [
        "git",
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@example.org",
        "-c",
        "commit.gpgsign=false",
        *words,
    ]
    subprocess.run(command, cwd=place, check=True, capture_output=True)


Forge = Callable[[Project, Path], None]


def _edit_file(name: str, old: bytes, new: bytes) -> Forge:
    def forge(_project: Project, folder: Path) -> None:
        data = (folder / name).read_bytes()
        assert old in data
        (folder / name).write_bytes(data.replace(old, new, 1))

    return forge


def _edit_and_reseal(name: str, edit: Callable[[dict[str, object]], object], **proof: object) -> Forge:
    """Give a forger who knows the format: every digest of the folder fits again."""

    def forge(_project: Project, folder: Path) -> None:
        record = orjson.loads((folder / name).read_bytes())
        edit(record)
        (folder / name).write_bytes(orjson.dumps(record, option=orjson.OPT_SORT_KEYS))
        _refer_again(folder)
        sealed = orjson.loads((folder / "PROOF.json").read_bytes()) | proof
        for file in sealed["files"]:
            sealed["files"][file] = Digest.of((folder / file).read_bytes()).hex
        del sealed["digest"]
        sealed["digest"] = canonical_digest(sealed).hex
        (folder / "PROOF.json").write_bytes(orjson.dumps(sealed, option=orjson.OPT_SORT_KEYS))

    return forge


def _refer_again(folder: Path) -> None:
    ledger = orjson.loads((folder / "LEDGER.json").read_bytes())
    for value in ledger.values():
        if isinstance(value, dict) and "file" in value:
            value["digest"] = Digest.of((folder / value["file"]).read_bytes()).hex
    (folder / "LEDGER.json").write_bytes(orjson.dumps(ledger, option=orjson.OPT_SORT_KEYS))


def _clear(key: str) -> Callable[[dict[str, object]], object]:
    return lambda record: record.update({key: []})


def _remove_output(project: Project, _folder: Path) -> None:
    (project.path / "out").unlink()


def _change_output(project: Project, _folder: Path) -> None:
    (project.path / "out").write_text("other\n")


def _remove_file(name: str) -> Forge:
    return lambda _project, folder: (folder / name).unlink()


def _forget_declared(record: dict[str, object]) -> None:
    domains = record["domains"]
    assert isinstance(domains, list)
    domains[0]["declared"] = []


FORGERIES: dict[str, tuple[Forge, str]] = {
    "edited difference": (_edit_file("RESTORE_DIFF.json", b'"changed"', b'"removed"'), "RESTORE_DIFF_EDITED"),
    "edited difference, sealed again": (
        _edit_and_reseal("RESTORE_DIFF.json", _forget_declared),
        "RESTORE_DIFF_FORGED",
    ),
    "edited outputs": (_edit_file("OUTPUTS.json", b'"size":', b'"sise":'), "OUTPUTS_EDITED"),
    "missing output in the record, sealed again": (
        _edit_and_reseal("OUTPUTS.json", _clear("outputs")),
        "OUTPUTS_FORGED",
    ),
    "missing output": (_remove_output, "OUTPUT_MISSING"),
    "edited output": (_change_output, "OUTPUT_CHANGED"),
    "swapped run id": (
        _edit_and_reseal("STATUS.json", lambda record: record.update(run_id="other")),
        "RUN_ID_SWAPPED",
    ),
    "removed file": (_remove_file("steps/01.stdout"), "FILE_REMOVED"),
    "removed proof": (_remove_file("PROOF.json"), "LEDGER_INCOMPLETE"),
    "claim of success, sealed again": (
        _edit_and_reseal("LEDGER.json", lambda record: record.update(restoration_verified=False)),
        "VERDICT_FORGED",
    ),
    "another outcome, sealed again": (
        _edit_and_reseal("STATUS.json", lambda record: record.update(outcome="failed")),
        "VERDICT_FORGED",
    ),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Give a project with three runs, which the tests copy."""
    domain = tmp_path_factory.mktemp("finished") / "domain"
    domain.mkdir()
    project = Project(domain)
    for number in range(3):
        script = f"echo {number} > out; echo said"
        assert project.run(script, "--output", "out", "--run-id", f"run-{number}").status == 0
    return project


def _validate(folder: Path) -> list[str]:
    """Give the codes of what is wrong with a ledger; a second look gives the same."""
    first, again = (validate_ledger(RunReader(folder), clock=lambda: 1) for _ in range(2))
    assert first == again
    return [finding.code.value for finding in first.errors]


def test_every_kind_of_forgery_is_refused_with_its_own_code(finished: Project, tmp_path: Path) -> None:
    """Each forged ledger gives its code first; the same forgery gives the same codes again."""
    out = finished.path / "out"
    content = out.read_bytes()
    run = finished.path / ".catfs" / "runs" / "run-2"
    assert _validate(run) == []
    for name, (forge, code) in FORGERIES.items():
        copy = tmp_path / name.replace(" ", "-") / "run-2"
        shutil.copytree(run, copy)
        forge(finished, copy)
        codes = _validate(copy)
        out.write_bytes(content)
        assert codes[:1] == [code], name
    told = finished.catfs("validate", "ledger", copy)
    assert (told.status, f"error {code} at " in told.stdout.decode()) == (1, True)


def test_changes_of_the_chain_are_refused_with_their_own_codes(finished: Project) -> None:
    """A dropped record, a dropped last record, a removed run and a swapped proof each have a code."""
    chain = finished.path / ".catfs" / "chain.jsonl"
    runs = finished.path / ".catfs" / "runs"
    whole = chain.read_bytes()
    first, second, third = whole.splitlines(keepends=True)
    for data, code in (
        (first + third, "CHAIN_RECORD_DROPPED"),
        (first + second, "RUN_NOT_IN_CHAIN"),
        (first + second[:-9] + b"x" + second[-8:] + third, "CHAIN_RECORD_INVALID"),
    ):
        chain.write_bytes(data)
        result = finished.catfs("verify", "--all", "--offline")
        assert (result.status, code in result.stdout.decode()) == (1, True), code
    chain.write_bytes(whole + b'{"adop')
    warned = finished.catfs("verify", "--all", "--offline")
    assert (warned.status, b"warning CHAIN_TAIL_TRUNCATED" in warned.stdout) == (0, True)
    chain.write_bytes(whole)
    (runs / "run-1").rename(finished.path / ".catfs" / "away")
    gone = finished.catfs("verify", "--all", "--offline")
    (finished.path / ".catfs" / "away").rename(runs / "run-1")
    assert (gone.status, b"CHAIN_RUN_REMOVED" in gone.stdout) == (1, True)
    assert finished.catfs("verify", "--all", "--offline").status == 0


def test_proof_in_place_of_the_one_in_the_chain_is_found(finished: Project) -> None:
    """A proof that was made anew holds in itself, seal and all; only the chain tells that it is another."""
    run = finished.path / ".catfs" / "runs" / "run-1"
    proof = RunReader(run).proof()
    (run / PROOF_FILE).write_bytes(file_bytes(replace(proof, created=proof.created + 1)))
    assert finished.catfs("verify", "run-1", "--offline").status == 0
    result = finished.catfs("verify", "--all", "--offline")
    assert result.status == 1
    assert b"error CHAIN_PROOF_SWAPPED at chain.jsonl#/1" in result.stdout
    (run / PROOF_FILE).write_bytes(file_bytes(proof))
    assert finished.catfs("verify", "--all", "--offline").status == 0


@pytest.fixture
def older(project: Project) -> Project:
    """Give a project with two domains A and B."""
    project.write("A/a", "a\n")
    project.write("B/b", "b\n")
    return project


def _tool(project: Project, name: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, os.fspath(TOOLS / name), *words]
    return subprocess.run(command, cwd=project.path, capture_output=True, text=True, check=False, timeout=60)


def test_older_command_lines_work_as_written(older: Project) -> None:
    """Phases are told, the outputs appear outside of both domains, the flat files have their shapes."""
    options = ("--run-id", "X", "--catalytic-domains", "A", "B", "--durable-outputs", "P", "Q/q")
    script = "echo t > A/t; cat A/a B/b > P; mkdir Q; cp P Q/q; rm A/t"
    ended = _tool(older, "catalytic_runtime.py", *options, "--intent", "join", "--", "sh", "-c", script)
    assert ended.returncode == 0, ended.stderr
    for phase in ("validate", "snapshot", "execute", "post-snapshot", "verify", "record"):
        assert f" {phase}: " in ended.stdout
    folder = older.path / ".catfs" / "catalytic" / "X"
    flat = {path.name: json.loads(path.read_bytes()) for path in folder.iterdir()}
    digest = Digest.of(b"a\nb\n").hex
    assert (older.path / "P").read_text() == "a\nb\n"
    assert flat["RUN_INFO.json"]["domains"] == ["A", "B"]
    assert (flat["RUN_INFO.json"]["intent"], flat["RUN_INFO.json"]["exit_code"]) == ("join", 0)
    manifest = {"A": {"a": Digest.of(b"a\n").hex}, "B": {"b": Digest.of(b"b\n").hex}}
    assert flat["PRE_MANIFEST.json"] == flat["POST_MANIFEST.json"] == manifest
    nothing: dict[str, list[str]] = {"added": [], "removed": [], "changed": []}
    assert flat["RESTORE_DIFF.json"] == {"A": nothing, "B": nothing}
    assert flat["OUTPUTS.json"][0] == {"path": "P", "type": "file", "sha256": digest}
    assert flat["STATUS.json"] == {"status": "restored", "restoration_verified": True}
    passed = _tool(older, "catalytic_validator.py", "--run-dir", os.fspath(folder))
    assert (passed.returncode, passed.stdout.splitlines()[0]) == (0, "[catalytic-validator] PASS: X")
    for line in ("  intent: join", "  exit code: 0", f"  output: P (file, sha256 {digest})"):
        assert line in passed.stdout.splitlines()
    (older.path / "P").write_text("other\n")
    failed = _tool(older, "catalytic_validator.py", "--run-dir", os.fspath(folder))
    assert (failed.returncode, "OUTPUT_CHANGED" in failed.stdout) == (1, True)


def test_older_command_line_fails_hard_with_the_difference(older: Project) -> None:
    """What was left behind is listed, nothing appears, and no edit of the flat files makes it pass."""
    options = ("--run-id", "Y", "--catalytic-domains", "A", "B", "--durable-outputs", "P", "--intent", "i")
    ended = _tool(older, "catalytic_runtime.py", *options, "--", "sh", "-c", "echo t > A/t; rm B/b; echo > P")
    assert ended.returncode == 1
    assert "added 'A/t'" in ended.stdout
    assert not (older.path / "P").exists()
    folder = older.path / ".catfs" / "catalytic" / "Y"
    difference = json.loads((folder / "RESTORE_DIFF.json").read_bytes())
    assert (difference["A"]["added"], difference["B"]["removed"]) == (["t"], ["b"])
    assert json.loads((folder / "STATUS.json").read_bytes())["status"] == "dirty"
    (folder / "STATUS.json").write_text('{"restoration_verified": true, "status": "restored"}\n')
    failed = _tool(older, "catalytic_validator.py", "--run-dir", os.fspath(folder))
    assert failed.returncode == 1
    assert "VERDICT_FORGED" in failed.stdout
    assert "RESTORATION_FAILED" in failed.stdout


def test_what_git_says_was_changed_must_be_what_its_run_made(project: Project) -> None:
    """As a hook before commits: an output as committed by its run passes, an edited one is refused."""
    project.write("input", "input\n")
    for words in (["init", "-q"], ["add", "input"], ["commit", "-q", "-m", "begin"]):
        _git(project.path, *words)
    assert project.run("cp input out", "--output", "out", "--run-id", "made").status == 0
    passed = project.catfs("verify", "--changed", "--restored")
    assert (passed.status, b"run made: holds" in passed.stdout) == (0, True)
    project.write("out", "by hand\n")
    refused = project.catfs("verify", "--changed", "--offline", "--report", "junit", ".catfs/report.xml")
    assert (refused.status, b"OUTPUT_CHANGED" in refused.stdout) == (1, True)
    assert b'failures="1"' in (project.path / ".catfs" / "report.xml").read_bytes()
