"""A random program on a real mount ends as on a plain directory, for every user and over each transport.

Whatever the program does, both sides answer with the same errno, and the trees agree in the end. At last
a full walk of the mount, the view and the replay of its log have one root, and the lower is what it was.
"""

from pathlib import Path

import pytest

from tests.support.mount_machine import COPIES_SPARE, fill_with_samples, run_random_programs
from tests.support.workbench import TRANSPORTS, open_workbench

pytestmark = [pytest.mark.fuse, pytest.mark.timeout(110)]

EXAMPLES = 15
STEPS = 60


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_random_programs_end_as_on_a_plain_directory(transport: str, tmp_path: Path) -> None:
    """Names, content, modes, owners, attributes, errnos and open files are those of a plain directory."""

    def fill(lower: Path) -> None:
        fill_with_samples(lower, EXAMPLES + COPIES_SPARE)

    for bench in open_workbench(transport, tmp_path, fill):
        run_random_programs(bench.server, bench.plain, EXAMPLES, STEPS)
