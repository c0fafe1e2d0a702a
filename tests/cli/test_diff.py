"""`catfs diff` on finished runs."""

import json

from catfs.records.schema import validate
from tests.support.commands import run_catfs
from tests.support.workspaces import UNTIDY, SampleWorkspace


def test_leftovers_and_declared_changes_stand_apart(sample: SampleWorkspace) -> None:
    """Signs say added, removed or changed; what changed stands behind the path."""
    sample.add_run(changes=UNTIDY)
    result = run_catfs(["diff"], sample.root)
    assert result.status == 0
    assert result.stdout.decode().splitlines() == [
        f"leftovers in {sample.domain}: 4",
        "+ build/",
        "+ build/x.o",
        "- old\\xff",
        "~ src/main.c  (29 -> 9 bytes, content)",
        f"declared in {sample.domain}: 2",
        "+ out/",
        "+ out/it.whl",
    ]


def test_json_lists_every_change_with_both_entries(sample: SampleWorkspace) -> None:
    """`--json` gives the changes as RESTORE_DIFF.json has them."""
    sample.add_run(changes=UNTIDY)
    record = json.loads(run_catfs(["diff", "run-1", "--json"], sample.root).stdout)
    validate(record, "cli-diff.v1")
    leftovers = record["domains"][0]["leftovers"]
    assert [change["change"] for change in leftovers] == ["added", "added", "removed", "changed"]
    assert leftovers[2]["path_base64"] == "b2xk/w=="


def test_no_difference_is_said_on_stderr(sample: SampleWorkspace) -> None:
    """A run that changed nothing prints nothing."""
    sample.add_run(changes={}, status=1)
    result = run_catfs(["diff"], sample.root)
    assert (result.status, result.stdout) == (0, b"")
    assert "nothing differs" in result.stderr


def test_a_domain_stands_for_its_last_run(sample: SampleWorkspace) -> None:
    """From anywhere, the name of a domain finds the workspace above it; an unknown one is bad input."""
    sample.add_run(changes=UNTIDY)
    assert run_catfs(["diff", sample.domain], sample.root.parent).stdout.startswith(b"leftovers")
    other = sample.root / "other"
    other.mkdir()
    result = run_catfs(["diff", "other"], sample.root)
    assert result.status == 2
    assert "there is no session and no run of the domain" in result.stderr
