"""Package managers do in a mount what they do outside: pip with an environment, npm where there is one."""

import json
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest

from tests.support.workbench import TRANSPORTS, Workbench, absent, open_workbench

pytestmark = [pytest.mark.fuse, pytest.mark.timeout(100)]

WHEEL = "sample-1.0-py3-none-any.whl"
_WHEEL_FILES = {
    "sample/__init__.py": "def main():\n    print('sample runs')\n",
    "sample/data/table.csv": "1,2,3\n" * 1000,
    "sample-1.0.data/scripts/sample-script": "#!python\nprint('script runs')\n",
    "sample-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: sample\nVersion: 1.0\n",
    "sample-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "sample-1.0.dist-info/entry_points.txt": "[console_scripts]\nsample = sample:main\n",
}
_NPM_FILES = {
    "package.json": json.dumps(
        {
            "name": "sample",
            "version": "1.0.0",
            "bin": {"sample": "cli.js"},
            "scripts": {"postinstall": "node -e \"fs.writeFileSync('built', 'by the install script')\""},
        }
    ),
    "cli.js": "#!/usr/bin/env node\nconsole.log('sample runs')\n",
    **{f"lib/part{index}.js": f"module.exports = {index}\n" * 20 for index in range(60)},
}


def _write_wheel(path: Path) -> None:
    files = dict(_WHEEL_FILES)
    files |= {f"sample/part{index}.py": f"VALUE = {index}\n" * 20 for index in range(40)}
    record = "sample-1.0.dist-info/RECORD"
    files[record] = "".join(f"{name},,\n" for name in [*files, record])
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            member = zipfile.ZipInfo(name, (2023, 1, 1, 0, 0, 0))
            member.external_attr = (0o100755 if "/scripts/" in name else 0o100644) << 16
            archive.writestr(member, content)


def _write_npm_package(path: Path) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in _NPM_FILES.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size, member.mtime = len(content), 1_600_000_000
            archive.addfile(member, BytesIO(content.encode()))


def fill(lower: Path) -> None:
    """Put packages into the lower."""
    for name in ("pip", "npm"):
        (lower / name).mkdir()
    _write_wheel(lower / "pip" / WHEEL)
    _write_npm_package(lower / "npm/sample.tgz")
    (lower / "npm/package.json").write_text('{"name": "top", "version": "1.0.0", "private": true}\n')


@pytest.fixture(scope="module", params=TRANSPORTS)
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    """Give a mount with packages and the plain directory beside it."""
    yield from open_workbench(request.param, tmp_path_factory.mktemp("bench"), fill)


def test_pip_installs_into_a_virtual_environment(bench: Workbench) -> None:
    """A wheel installed offline into a new virtual environment runs, is the same, and is removed again."""
    script = f"""\
    export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_QUIET=1
    pip() {{ "$PYTHON" -m pip --python env/bin/python "$@"; }}
    "$PYTHON" -m venv --without-pip env
    pip install --no-index --no-deps ./{WHEEL}
    env/bin/sample
    env/bin/sample-script
    cp -r --preserve=mode,links env installed
    pip uninstall --yes sample
    test ! -e env/bin/sample
    """
    assert bench.run(script, "pip").splitlines() == [b"sample runs", b"script runs"]
    found = bench.compare("pip")
    assert any(path.endswith(b"site-packages/sample/part39.py") for path in found)
    assert any(path.endswith(b".pyc") for path in found)


def test_npm_installs_a_local_package(
    bench: Workbench, record_property: Callable[[str, object], None]
) -> None:
    """A package installed from an archive runs its install script and its command, and is the same."""
    if missing := absent("npm", "node"):
        record_property("absent", f"{' '.join(missing)}: no package was installed with npm")
        return
    script = """\
    options="--offline --no-audit --no-fund --no-update-notifier --loglevel=error"
    npm() { command npm $options --cache="$TMPDIR/npm" "$@"; }
    npm install ./sample.tgz > /dev/null
    node_modules/.bin/sample
    cat node_modules/sample/built
    cp -r --preserve=mode,links node_modules kept
    npm uninstall sample > /dev/null
    test ! -e node_modules/sample
    """
    assert bench.run(script, "npm") == b"sample runs\nby the install script"
    found = bench.compare("npm")
    assert b"kept/sample/lib/part59.js" in found
    assert b"package-lock.json" in found
