"""Pipelines: steps one after the other in one view, one proof at the end."""

import json
import signal
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from catfs.ledger import RunReader
from catfs.records import Outcome, StepResult
from tests.support.commands import CATFS, Project, Started, processes_with, run_catfs

pytestmark = pytest.mark.fuse


def _results(run: RunReader) -> list[StepResult]:
    """Give how each step of a run went."""
    count = sum(name.endswith(".stdout") for name in run.files)
    return [run.step(index) for index in range(1, count + 1)]


def test_later_steps_see_what_earlier_ones_left_and_one_proof_stands_at_the_end(project: Project) -> None:
    """Each step has its log, its status and its times; the scratch of the first is gone in the end."""
    project.write("input", "input\n")
    before = project.seen()
    result = project.catfs(
        "run",
        *("--output", "result"),
        *("--step", "collect::mkdir scratch && cat input input > scratch/data && echo collected"),
        *("--step", "count::wc -l < scratch/data > result; echo counted >&2"),
        *("--step", "tidy::rm -r scratch"),
    )
    assert result.status == 0, result.stderr
    assert result.stdout == b"collected\n"
    assert "counted\n" in result.stderr
    after = project.seen()
    assert (project.path / "result").read_text().strip() == "2"
    assert {name: found for name, found in after.items() if name not in (b"result", b"")} == {
        name: found for name, found in before.items() if name
    }
    run = project.last_run()
    steps = _results(run)
    assert [step.status for step in steps] == [0, 0, 0]
    assert all(one.ended <= other.started for one, other in pairwise(steps))
    assert run.files["steps/01.stdout"] == b"collected\n"
    assert run.files["steps/02.stderr"] == b"counted\n"
    assert [step.intent for step in run.job().steps] == ["collect", "count", "tidy"]
    ledger = json.loads(run.files["LEDGER.json"])
    roots = [step["view_roots"] for step in ledger["steps"]]
    assert len({root for (root,) in roots}) == 3
    assert roots[-1] == [domain.roots.view_root.hex for domain in run.proof().domains]
    assert [line["phase"] for line in ledger["decision_log"]] == [
        "validate",
        "snapshot",
        *["execute"] * 3,
        "post-snapshot",
        "verify",
        "record",
    ]
    assert project.catfs("verify", "last").status == 0


def test_failing_step_stops_the_rest_and_commits_nothing(project: Project) -> None:
    """The run ends with the step's status; steps behind it never ran."""
    steps = ("--step", "a::echo x > out", "--step", "b::exit 7", "--step", "c::echo never > c")
    result = project.catfs("run", "--output", "out", *steps)
    assert result.status == 7
    run = project.last_run()
    assert [step.status for step in _results(run)] == [0, 7]
    assert run.proof().outcome is Outcome.FAILED
    assert not (project.path / "out").exists()
    assert project.catfs("verify", "last").status == 0
    assert b"(+ 2 steps)" in project.catfs("runs").stdout


def test_keep_going_runs_all_steps_and_has_failed_all_the_same(project: Project) -> None:
    """Every step ran, the first failing status counts, nothing is committed, and the ledger holds."""
    steps = ("--step", "a::exit 3", "--step", "b::echo b", "--step", "c::exit 4")
    result = project.catfs("run", "--keep-going", *steps)
    assert (result.status, result.stdout) == (3, b"b\n")
    assert [step.status for step in _results(project.last_run())] == [3, 0, 4]
    assert project.catfs("verify", "last").status == 0


@pytest.mark.parametrize("confine", ["on", "off"])
def test_step_that_takes_too_long_is_ended(project: Project, confine: str) -> None:
    """Its status is 124, its processes are gone, and the ledger says that its time was over."""
    options = ("--confine", confine, "--step-timeout", "1")
    mark = f"CATFS_TEST_MARK={project.path}"
    result = run_catfs(
        ("run", *options, "--step", "slow::sleep 300", "--step", "next::echo never"),
        project.path,
        environment=dict([mark.split("=", 1)]),
    )
    assert (result.status, result.stdout) == (124, b"")
    assert processes_with(mark) == []
    (step,) = json.loads(project.last_run().files["LEDGER.json"])["steps"]
    assert (step["timed_out"], step["timeout_ns"]) == (True, 10**9)


def test_step_that_ignores_its_end_is_killed(project: Project) -> None:
    """A step that does not heed the request to end is ended without mercy."""
    script = "slow::trap '' TERM; while :; do sleep 1; done"
    result = project.catfs("run", "--confine", "off", "--step-timeout", "0.5", "--step", script)
    assert result.status == 124


def test_single_command_has_a_limit_too(project: Project) -> None:
    """`--step-timeout` holds for a command behind `--`."""
    assert project.catfs("run", "--step-timeout", "1", "--", "sleep", "300").status == 124


def test_each_step_stands_behind_its_own_wall(project: Project, tmp_path: Path) -> None:
    """What one step leaves in its private /tmp the next one does not see, and nothing outside is written."""
    outside = tmp_path / "outside"
    outside.mkdir()
    result = project.catfs(
        "run",
        *("--step", "one::echo x > /tmp/left-by-one; echo $$"),
        *("--step", "two::test ! -e /tmp/left-by-one"),
        *("--step", f"three::echo x > {outside}/x"),
    )
    assert result.status != 0
    assert [step.status == 0 for step in _results(project.last_run())] == [True, True, False]
    assert list(outside.iterdir()) == []


def test_writes_are_traced_to_the_processes_of_their_step(project: Project) -> None:
    """The log tells the processes of two steps apart, and replaying it gives the view."""
    steps = ("--step", "a::echo a > a", "--step", "b::echo b > b")
    assert project.catfs("run", "--output", "a", "--output", "b", *steps).status == 0
    said = project.catfs("log", "last", "--op", "create", "--json").stdout.decode()
    records = [json.loads(line) for line in said.splitlines()]
    pids = {record["path"]: record["pid"] for record in records if record.get("op") == "create"}
    assert pids["a"] != pids["b"]


def test_run_that_is_asked_to_end_ends_its_step_and_starts_no_other(project: Project) -> None:
    """The signal reaches the step; the status says which it was; nothing is committed."""
    words = ["run", "--output", "o", "--step", "a::echo x > o; echo ready; sleep 300", "--step", "b::echo no"]
    process = subprocess.Popen(
        [CATFS, *words],
        cwd=project.path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    with Started(process) as started:
        assert started.read_line() == b"ready"
        started.signal(signal.SIGTERM)
        result = started.end()
    assert result.status == 128 + signal.SIGTERM
    assert b"no" not in result.stdout
    assert not (project.path / "o").exists()
    assert project.sessions() == []


def test_program_that_is_not_there_is_told(place: Project) -> None:
    """A missing program is 127, as a shell says it; a step needs a separator and a command."""
    for confine in ("on", "off"):
        job = _job(steps=[{"intent": "x", "argv": ["no-such-program-at-all"]}], confine=confine)
        assert _run_job(place, job, "--run-id", f"confine-{confine}") == 127
    for word in ("no separator", "intent::", "intent::  "):
        result = place.catfs("run", "--step", word)
        assert result.status == 2
        assert "expected a step as INTENT::COMMAND" in result.stderr


def _job(**changed: object) -> dict[str, object]:
    """Give a job whose domain is the folder `tree`."""
    return {
        "schema": "jobspec.v2",
        "job_id": "job-1",
        "phase": 0,
        "task_type": "build",
        "intent": "make it",
        "inputs": [],
        "catalytic_domains": ["tree"],
        "durable_outputs": [],
        "steps": [{"intent": "nothing", "command": "true"}],
        "determinism": "deterministic",
        "swarm_parallel": False,
        "metadata": {"priority": 5, "timeout_seconds": 60, "governance_check": False},
        **changed,
    }


@pytest.fixture
def place(project: Project) -> Project:
    """Give a project with a folder `tree` that is a domain of jobs."""
    project.write("tree/a", "a\n")
    return project


def _run_job(place: Project, job: dict[str, object], *options: str) -> int:
    place.write("job.json", json.dumps(job))
    return place.catfs("run", "--jobspec", "job.json", *options).status


def test_job_runs_from_its_specification_and_is_kept_in_the_ledger(place: Project) -> None:
    """Domains, outputs and steps come from the file; the ledger has it as it was given."""
    job = _job(
        durable_outputs=[{"path": "tree/out", "validation": {"kind": "file", "media": "json"}}],
        steps=[{"intent": "write", "command": "echo '{}' > tree/out", "timeout_seconds": 50}],
    )
    assert _run_job(place, job) == 0
    run = place.last_run()
    assert run.run_id == "job-1"
    assert json.loads(run.files["LEDGER.json"])["declared"] == job
    assert b"meets its criteria" in run.files["steps/02.stdout"]
    assert place.catfs("verify", "job-1").status == 0
    assert _run_job(place, job) == 2, "the id is taken"
    assert _run_job(place, job, "--run-id", "again") == 0


def test_output_that_does_not_meet_its_criteria_is_not_committed(place: Project) -> None:
    """The check is a step that fails and says each reason; nothing is committed and the ledger holds."""
    wrong: list[tuple[dict[str, object], str]] = [
        ({"kind": "directory"}, "expected a directory"),
        ({"bytes_min": 99}, "expected at least 99 bytes"),
        ({"bytes_max": 1}, "expected at most 1 bytes"),
        ({"sha256": "0" * 64}, "expected the SHA-256"),
        ({"media": "json"}, "cannot be read as json"),
    ]
    outputs = [{"path": f"tree/{n}", "validation": criteria} for n, (criteria, _) in enumerate(wrong)]
    command = "for n in 0 1 2 3 4; do echo no json > tree/$n; done"
    place.write(
        "job.json", json.dumps(_job(durable_outputs=outputs, steps=[{"intent": "w", "command": command}]))
    )
    result = place.catfs("run", "--jobspec", "job.json")
    assert result.status == 1
    assert all(said in result.stderr for _, said in wrong)
    assert not (place.path / "tree" / "0").exists()
    assert place.catfs("verify", "job-1").status == 0


def test_job_has_one_limit_for_all_its_steps(place: Project) -> None:
    """The time of the job is over for whichever step it meets."""
    steps = [{"intent": "short", "command": "true"}, {"intent": "long", "command": "sleep 300"}]
    job = _job(steps=steps, metadata={"priority": 5, "timeout_seconds": 2, "governance_check": False})
    assert _run_job(place, job) == 124
    assert [step.status for step in _results(place.last_run())] == [0, 124]


def test_bad_job_is_refused_before_anything_happens(place: Project) -> None:
    """Exit status 2, the code and the place are told, and no run begins."""
    place.write("job.json", json.dumps(_job(catalytic_domains=["tree", "tree/a"])))
    result = place.catfs("run", "--jobspec", "job.json")
    assert result.status == 2
    assert "DOMAIN_OVERLAPS_DOMAIN at /catalytic_domains/1" in result.stderr
    assert place.catfs("run", "--jobspec", "job.json", "--domain", "tree").status == 2
    assert place.catfs("run", "--jobspec", "job.json", "--", "true").status == 2
    assert not list((place.path / ".catfs" / "runs").glob("*"))


def test_output_outside_every_domain_appears_only_after_the_proof(place: Project) -> None:
    """An allowed root outside the domains is captured too: what fails leaves nothing there."""
    outputs = [{"path": "dist/deep/out"}]
    command = "mkdir -p dist/deep && echo x > dist/deep/out"
    steps = [{"intent": "write", "command": command}]
    job = _job(
        allowed_roots=["dist"], durable_outputs=outputs, steps=[*steps, {"intent": "f", "command": "false"}]
    )
    assert _run_job(place, job, "--run-id", "failing") == 1
    assert not (place.path / "dist").exists()
    assert _run_job(place, {**job, "steps": steps}) == 0
    assert (place.path / "dist" / "deep" / "out").read_text() == "x\n"
