"""POSIX access control lists on a real mount, beside the same steps in a plain directory."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from catfs.overlay.access_list import ACCESS_LIST, DEFAULT_LIST, Tag, pack_access_list
from tests.support.access_lists import access_list
from tests.support.workbench import Workbench, open_workbench

pytestmark = [pytest.mark.fuse, pytest.mark.timeout(60)]

_NOBODY = 65534
_READER = access_list(6, 0, 0, (Tag.USER, _NOBODY, 4, 7))
_WRITERS = access_list(7, 5, 0, (Tag.GROUP, _NOBODY, 7, 7))
_AS_NOBODY = "setpriv --reuid 65534 --regid 65534 --clear-groups sh -c"


def fill(lower: Path) -> None:
    """Make files and folders that have lists, and some that have none."""
    (lower / "top/team").mkdir(parents=True)
    for name in ("listed", "plain", "changed"):
        (lower / "top" / name).write_text(f"{name}\n")
        (lower / "top" / name).chmod(0o600)
    lower.chmod(0o755)
    (lower / "top").chmod(0o755)
    os.setxattr(lower / "top/listed", ACCESS_LIST, pack_access_list(_READER))
    os.setxattr(lower / "top/team", ACCESS_LIST, pack_access_list(_WRITERS))
    os.setxattr(lower / "top/team", DEFAULT_LIST, pack_access_list(_WRITERS))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    """Give a mount over the transport that lets the kernel check lists."""
    folder = tmp_path_factory.mktemp("lists")
    for above in (folder, *folder.parents[:3]):
        if above.stat().st_uid == os.geteuid() and above != Path("/"):
            above.chmod(above.stat().st_mode | 0o111)
    yield from open_workbench("devfuse", folder, fill)


def test_lists_of_the_original_are_enforced(bench: Workbench) -> None:
    """Somebody whom a list names may read, and no more than that; everybody else is shut out."""
    script = (
        f'{_AS_NOBODY} "cat listed; echo x 2>/dev/null >> listed || echo refused; cat plain || echo refused"'
    )
    assert bench.run(script + " 2>/dev/null", "top") == b"listed\nrefused\nrefused\n"


def test_new_files_inherit_and_are_used_by_the_group(bench: Workbench) -> None:
    """What is made below a default list has it, whatever the umask says, and its members may write."""
    script = (
        "umask 077; mkdir team/sub; echo made > team/sub/file; mkfifo team/sub/pipe; cp plain team/copy;"
        "install -m 750 plain team/sub/tool;"
        f'{_AS_NOBODY} "echo more >> team/sub/file; cat team/sub/file; echo own > team/sub/own"'
    )
    assert bench.run(script, "top") == b"made\nmore\n"
    found = bench.compare("top/team")
    assert dict(found[b"sub"].xattrs)[DEFAULT_LIST.decode()] == pack_access_list(_WRITERS)


def test_lists_and_modes_move_together(bench: Workbench) -> None:
    """Setting a list shows in the mode, a chmod in the mask; removing it leaves the mode."""
    script = (
        "$PYTHON -c 'import os, sys; os.setxattr(\"changed\", sys.argv[1], bytes.fromhex(sys.argv[2]))' "
        '"$1" "$2"; stat -c %a changed; chmod 640 changed; stat -c %a changed;'
        '$PYTHON -c \'import os, sys; print(os.getxattr("changed", sys.argv[1]).hex())\' "$1";'
        "cp -p changed copied; mv copied moved; tar --acls -cf - changed | tar --acls -xf - -C team;"
        '$PYTHON -c \'import os, sys; os.removexattr("changed", sys.argv[1])\' "$1"; stat -c %a changed'
    )
    shown = bench.run(script, "top", ACCESS_LIST.decode(), pack_access_list(_READER).hex())
    masked = pack_access_list(access_list(6, 0, 0, (Tag.USER, _NOBODY, 4, 4))).hex()
    assert shown.split() == [b"670", b"640", masked.encode(), b"640"]
    bench.compare("top")
