"""Rows on whole programs inside a mount: find, cat, cp, rm, git, tar, pip, npm, SQLite."""

import functools
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

from tools.bench.inside import Step, Work
from tools.bench.material import (
    Scale,
    make_archive,
    make_npm_package,
    make_repository,
    make_tree,
    make_wheel,
    run_git,
)
from tools.bench.model import NATIVE, Promise, Row, UnavailableError
from tools.bench.rows_files import AS_FAST, TWICE, expect

_MODULES = 400
"""Modules of the wheel, and of the package for npm."""
_NPM = (
    "npm",
    "--offline",
    "--no-audit",
    "--no-fund",
    "--no-update-notifier",
    "--logs-max=0",
    "--loglevel=error",
)


def program_rows(scale: Scale) -> list[Row]:
    """Give the rows on whole programs.

    Args:
        scale: How much of everything.
    """
    return [*_tree_rows(scale), *_git_rows(scale), *_install_rows(scale), _database_row(scale)]


def run_program(root: Path, *command: str) -> None:
    """Run a program in a folder; what it prints is dropped.

    Raises:
        subprocess.CalledProcessError: when it fails.
    """
    subprocess.run(command, cwd=root, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def _tree_rows(scale: Scale) -> list[Row]:
    count = scale.tree_folders * scale.tree_files
    prepare = _tree(scale)
    copy = _program("cp", "-r", "tree", "copy")
    return [
        Row(
            "find",
            f"find over {count} files, with the size of each",
            prepare,
            Work(_program("find", "tree", "-type", "f", "-size", "+1"), cold=True).measure,
            promises=(AS_FAST,),
        ),
        Row(
            "cat",
            f"cat of all {count} files",
            prepare,
            Work(_program("find", "tree", "-type", "f", "-exec", "cat", "{}", "+"), cold=True).measure,
            promises=(AS_FAST,),
        ),
        Row(
            "cp",
            f"cp -r of a tree of {count} files",
            prepare,
            Work(copy, functools.partial(_has_files, folder="copy", count=count)).measure,
            promises=(TWICE,),
        ),
        Row(
            "rm",
            f"rm -rf of {count} files made in the mount",
            prepare,
            Work(_program("rm", "-rf", "copy"), functools.partial(_is_gone, folder="copy"), copy).measure,
            promises=(TWICE,),
        ),
        Row(
            "rm-lower",
            f"rm -rf of {count} files that were there before",
            prepare,
            Work(_program("rm", "-rf", "tree"), functools.partial(_is_gone, folder="tree")).measure,
            promises=(TWICE,),
        ),
    ]


def _git_rows(scale: Scale) -> list[Row]:
    count = scale.tree_folders * scale.tree_files
    prepare = _repository(scale)
    return [
        Row(
            "git-status-first",
            f"the first git status on {count} files: git looks into each",
            prepare,
            Work(_git_status).measure,
            promises=(AS_FAST,),
        ),
        Row(
            "git-status",
            f"git status on {count} files, when git knows them",
            prepare,
            Work(_git_status, warm=_settle_git).measure,
            promises=(AS_FAST,),
        ),
        Row(
            "git-checkout",
            f"git checkout of a branch in which {count // 4} of {count} files differ",
            prepare,
            Work(_git_checkout, _is_other, _settle_git).measure,
            promises=(AS_FAST,),
        ),
    ]


def _install_rows(scale: Scale) -> list[Row]:
    return [
        Row(
            "untar",
            f"tar -x of {scale.archive_files} files",
            functools.partial(_prepare_archive, files=scale.archive_files),
            Work(_untar, functools.partial(_has_files, folder="tree", count=scale.archive_files)).measure,
            promises=(AS_FAST,),
        ),
        Row(
            "pip",
            f"pip install of a wheel with {_MODULES} modules",
            _prepare_wheel,
            Work(_pip_install, _is_installed).measure,
            promises=(AS_FAST,),
        ),
        Row(
            "npm",
            f"npm install of a package with {_MODULES} modules",
            _prepare_npm,
            Work(_npm_install, _is_installed_by_npm).measure,
            promises=(AS_FAST,),
        ),
    ]


def _database_row(scale: Scale) -> Row:
    return Row(
        "sqlite",
        f"SQLite, {scale.inserts} inserts, each a transaction of its own",
        _prepare_database,
        Work(
            functools.partial(_insert, count=scale.inserts),
            functools.partial(_inserted, count=scale.inserts),
        ).measure,
        promises=(Promise(0.2, peer=NATIVE),),
    )


def _tree(scale: Scale) -> Step:
    def prepare(lower: Path, assets: Path) -> None:
        del assets
        make_tree(lower / "tree", scale.tree_folders, scale.tree_files, 4096)

    return prepare


def _repository(scale: Scale) -> Step:
    def prepare(lower: Path, assets: Path) -> None:
        del assets
        make_repository(lower, scale.tree_folders, scale.tree_files)

    return prepare


def _program(*command: str) -> Step:
    def run(root: Path, assets: Path) -> None:
        del assets
        run_program(root, *command)

    return run


def _has_files(root: Path, assets: Path, *, folder: str, count: int) -> None:
    del assets
    got = sum(len(names) for _, _, names in os.walk(root / folder))
    expect(got == count, f"{folder}: expected {count} files, got {got}")


def _is_gone(root: Path, assets: Path, *, folder: str) -> None:
    del assets
    expect(not (root / folder).exists(), f"{folder} is still there")


def _git_status(root: Path, assets: Path) -> None:
    del assets
    said = run_git(root, "status", "--porcelain")
    expect(not said, f"git status: expected nothing, got {said[:60]!r}")


def _settle_git(root: Path, assets: Path) -> None:
    """Let git look into all files, so that its index fits this file system."""
    del assets
    run_git(root, "update-index", "-q", "--really-refresh")
    run_git(root, "status", "--porcelain")


def _git_checkout(root: Path, assets: Path) -> None:
    del assets
    run_git(root, "checkout", "-q", "other")


def _is_other(root: Path, assets: Path) -> None:
    _git_status(root, assets)
    branch = run_git(root, "branch", "--show-current").strip()
    expect(branch == "other", f"git checkout: expected the branch other, got {branch}")


def _prepare_archive(lower: Path, assets: Path, *, files: int) -> None:
    lower.mkdir(exist_ok=True)
    make_archive(assets, files)


def _untar(root: Path, assets: Path) -> None:
    run_program(root, "tar", "-xf", str(assets / "tree.tar"))


def _prepare_wheel(lower: Path, assets: Path) -> None:
    lower.mkdir(exist_ok=True)
    make_wheel(assets, _MODULES)


def _pip_install(root: Path, assets: Path) -> None:
    command = [sys.executable, "-I", "-m", "pip", "--isolated", "--disable-pip-version-check", "install"]
    options = ["--quiet", "--no-index", "--no-deps", "--no-cache-dir", "--root-user-action", "ignore"]
    wheel = next(assets.glob("*.whl"))
    run_program(root, *command, *options, "--prefix", str(root / "site"), str(wheel))


def _is_installed(root: Path, assets: Path) -> None:
    del assets
    got = len(list((root / "site").rglob("bench_material/part*/module*.py")))
    expect(got == _MODULES, f"pip: expected {_MODULES} modules, got {got}")


def _prepare_npm(lower: Path, assets: Path) -> None:
    """Make a project and the package, and install it once elsewhere, so that npm has it in its cache."""
    make_npm_package(assets, _MODULES)
    for project in (lower, assets / "elsewhere"):
        project.mkdir(exist_ok=True)
        (project / "package.json").write_text('{"name": "project", "version": "1.0.0", "private": true}\n')
    _npm_install(assets / "elsewhere", assets)


def _npm_install(root: Path, assets: Path) -> None:
    if shutil.which(_NPM[0]) is None:
        raise UnavailableError("npm is not installed")
    package = next(assets.glob("*.tgz"))
    run_program(root, *_NPM, f"--cache={assets / 'npm-cache'}", "install", str(package))


def _is_installed_by_npm(root: Path, assets: Path) -> None:
    del assets
    got = len(list((root / "node_modules/bench-material").glob("part*/module*.js")))
    expect(got == _MODULES, f"npm: expected {_MODULES} modules, got {got}")


def _prepare_database(lower: Path, assets: Path) -> None:
    del assets
    lower.mkdir(exist_ok=True)
    connection = sqlite3.connect(lower / "data.db")
    connection.execute("CREATE TABLE item (number INTEGER PRIMARY KEY, text TEXT)")
    connection.commit()
    connection.close()


def _insert(root: Path, assets: Path, *, count: int) -> None:
    del assets
    connection = sqlite3.connect(root / "data.db", isolation_level=None)
    for index in range(count):
        connection.execute("INSERT INTO item (text) VALUES (?)", (f"item {index}",))
    connection.close()


def _inserted(root: Path, assets: Path, *, count: int) -> None:
    del assets
    connection = sqlite3.connect(root / "data.db")
    (got,) = connection.execute("SELECT count(*) FROM item").fetchone()
    connection.close()
    expect(got == count, f"SQLite: expected {count} rows, got {got}")
