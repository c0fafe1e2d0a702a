"""The older command line for checking a run: `catalytic_validator.py --run-dir DIR`.

DIR is what catalytic_runtime.py said. Everything is made again from the ledger; exit status 0 when it holds,
1 when it does not, 2 for bad arguments.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from catfs.errors import CatfsError
from catfs.runtime.flat import check_flat_files

_NAME = "[catalytic-validator]"


def main(arguments: Sequence[str] | None = None) -> int:
    """Check a run with the older command line, and give the exit status.

    Args:
        arguments: Without the program's name; None means those of the process.
    """
    parser = argparse.ArgumentParser(prog="catalytic_validator.py", allow_abbrev=False)
    parser.add_argument("--run-dir", required=True, type=Path, help="the folder that the runtime named")
    folder: Path = parser.parse_args(arguments).run_dir
    try:
        findings = check_flat_files(folder)
    except CatfsError as error:
        print(f"{_NAME} FAIL: {error}", file=sys.stderr)
        return int(error.exit_status)
    info = json.loads((folder / "RUN_INFO.json").read_bytes())
    if findings:
        print(f"{_NAME} FAIL: {info['run_id']}")
        for finding in findings:
            print(f"  {finding.code.value} at {finding.pointer}: {finding.message}")
        return 1
    print(f"{_NAME} PASS: {info['run_id']}")
    print(f"  intent: {info['intent']}")
    print(f"  exit code: {info['exit_code']}")
    for output in json.loads((folder / "OUTPUTS.json").read_bytes()):
        print(f"  output: {output['path']} ({output['type']}, sha256 {output['sha256']})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
