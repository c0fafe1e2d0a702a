"""Tools that keep and change sources do in a mount what they do outside: git, patch, sed, editors."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.workbench import TRANSPORTS, Workbench, open_workbench

pytestmark = [pytest.mark.fuse, pytest.mark.timeout(100)]

GIT = """\
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@b
export GIT_AUTHOR_DATE='1700000000 +0000' GIT_COMMITTER_DATE='1700000000 +0000'
git() { command git -c gc.auto=0 -c maintenance.auto=false -c pack.threads=1 -c core.fsync=all "$@"; }
"""

REBASE = """\
git init -q -b main repo
cd repo
mkdir -p source/deep
for i in $(seq 40); do seq $i $((i + 30)) > source/$i; done
ln -s ../1 source/deep/link
printf 'all:\\n' > Makefile
git add .
git commit -q -m first
git checkout -q -b side
for i in 3 4 5; do sed -i "1s/^/side /" source/$i; git commit -q -a -m "side $i"; done
git rm -q source/9
git mv source/8 source/deep/moved
chmod +x Makefile
git commit -q -a -m names
git checkout -q main
for i in 3 4 5; do echo main >> source/$i; done
git commit -q -a -m main
git checkout -q side
git rebase -q main
git merge-base --is-ancestor main side
git stash list
echo more >> source/1
git stash -q
git stash pop -q
git commit -q -a -m more
git tag -a -m tagged v1
git status --porcelain
"""

CLONE_AND_PACK = """\
git clone -q ../repo clone
git -C clone fsck --strict
git -C ../repo gc -q --prune=now
git -C ../repo fsck --strict --no-dangling
git clone -q --no-hardlinks ../repo copy
git -C copy checkout -q HEAD~2
git -C copy clean -q -d -f
git -C copy status --porcelain
git -C clone worktree add -q ../tree HEAD~1
git -C ../repo count-objects -v
git -C ../repo log --oneline --stat --all
"""

LOWER_REPOSITORY = """\
git status --porcelain
echo changed >> source/file7
git add source/file7
git commit -q -m changed
git reset -q --hard HEAD~1
git checkout -q HEAD@{1}
git gc -q --prune=now
git fsck --strict
git log --oneline --stat
"""

EDITOR = """\
import os, stat, sys

def save(path, content, backup_by_link):
    status = os.stat(path)
    new = f".{path}.swp"
    descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    os.write(descriptor, content)
    os.fsync(descriptor)
    os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
    os.fchown(descriptor, status.st_uid, status.st_gid)
    os.close(descriptor)
    if backup_by_link:
        os.link(path, path + "~")
    else:
        os.rename(path, path + "~")
    os.rename(new, path)
    folder = os.open(".", os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
    assert os.stat(path).st_ino != os.stat(path + "~").st_ino
    if content.startswith(b"0"):
        os.unlink(path + "~")

for round in range(3):
    for index, path in enumerate(sys.argv[1:]):
        if os.path.exists(path + "~"):
            os.unlink(path + "~")
        save(path, b"%d %d\\n" % (index, round) * 500, index % 2 == 0)
"""


def fill(lower: Path) -> None:
    """Put a few sources into the lower."""
    for folder in ("git", "repository", "edited", "patched", "saved"):
        (lower / folder / "source").mkdir(parents=True)
    for index in range(20):
        text = "".join(f"line {line} of file {index}\n" for line in range(60))
        for folder in ("repository", "edited", "patched"):
            (lower / folder / f"source/file{index}").write_text(text)
        (lower / f"saved/{index}").write_text(text)
    (lower / "edited/source/file1").chmod(0o755)
    (lower / "edited/source/twin").hardlink_to(lower / "edited/source/file2")
    (lower / "saved/4").chmod(0o640)


@pytest.fixture(scope="module", params=TRANSPORTS)
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    """Give a mount with sources and the plain directory beside it."""
    yield from open_workbench(request.param, tmp_path_factory.mktemp("bench"), fill)


def test_git_makes_the_same_repository(bench: Workbench) -> None:
    """Init, commit, rebase, stash, clone, gc, worktree and fsck leave the same objects, refs and files."""
    bench.run(GIT + REBASE, "git")
    bench.run(GIT + CLONE_AND_PACK, "git/source")
    # An index remembers inode numbers and times; what it says of the content is in `status` above.
    indexes = ["repo/.git/index", *(f"source/{name}/.git/index" for name in ("clone", "copy"))]
    found = bench.compare("git", [*indexes, "source/clone/.git/worktrees/tree/index"])
    assert b"repo/source/deep/moved" in found
    assert any(path.endswith(b".pack") for path in found)


def test_git_works_on_in_a_repository_of_the_lower(bench: Workbench) -> None:
    """A repository that was there before is committed to, reset and packed."""
    begin = "git init -q -b main .\ngit add .\ngit commit -q -m first\n"
    bench.run(GIT + begin + LOWER_REPOSITORY, "repository")
    bench.compare("repository", [".git/index"])


def test_sed_edits_in_place(bench: Workbench) -> None:
    """With sed -i, files of the lower change, keep modes, leave their hard links, and get backups."""
    bench.run("sed -i 's/^line 7 /changed &/; 3d' source/*; sed -i.kept -e '$a end' source/file1", "edited")
    found = bench.compare("edited")
    assert found[b"source/twin"].names == (b"source/twin",)
    assert found[b"source/file1"].mode & 0o777 == 0o755


def test_patch_applies_reverts_and_rejects(bench: Workbench) -> None:
    """A patch changes, makes and removes files, goes back, and leaves rejects and backups."""
    script = """\
    cp -r source new
    sed -i '5s/line/LINE/; 40d' new/file1 new/file2
    echo made > new/made
    rm new/file3
    find source new -type f -exec touch -d @1700000000 {} +
    diff -ruN source new > change.patch || test $? = 1
    patch -s -p1 -d source < change.patch
    diff -r source new
    patch -s -R -p1 -d source < change.patch
    sed -i '4,6s/line/other/' source/file1
    patch -s -b -p1 -d source < change.patch || test $? = 1
    """
    bench.run(script, "patched")
    found = bench.compare("patched")
    assert {b"source/file1.rej", b"source/file2.orig", b"source/made"} <= found.keys()
    assert b"source/file3" not in found


def test_editors_save_atomically(bench: Workbench) -> None:
    """A save by temporary file, fsync, backup by link or rename, and rename keeps modes and all bytes."""
    bench.run('"$PYTHON" -c "$1" $(seq 0 9)', "saved", EDITOR)
    found = bench.compare("saved")
    assert found[b"4"].mode & 0o777 == 0o640
    assert not any(path.endswith(b".swp") for path in found)
