"""Parameters, arguments and paths of jobs of `command` that a shell, YAML or a template would change: none may.

    ./uvw run python bench/command_values.py [--quick]

It runs tests/workloads/test_command_values.py, which CI runs with a tenth of the values: rendered for local, OSMO and
Azure ML, read from what is sent, and given to a real program.
"""

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import rows
from rows import Row

TEST = Path(__file__).parents[1] / "tests/workloads/test_command_values.py"
VALUES, QUICK_VALUES = 5000, 50


def measure(options: argparse.Namespace) -> Iterator[Row]:
    """Count the groups of 50 values of which one was changed."""
    count = QUICK_VALUES if options.quick else VALUES
    command = [sys.executable, "-m", "pytest", "-n", "0", "-q", "-m", "slow", str(TEST)]
    environ = {**os.environ, "ROBOTRAIN_TEST_VALUES": str(count)}
    done = subprocess.run(command, cwd=TEST.parents[2], env=environ, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(done.stdout + done.stderr)
    failed = re.findall(r"(\d+) failed", done.stdout)
    changed = int(failed[0]) if failed else 0
    yield Row(name=f"groups of {count} odd values with a changed one", ours=changed, unit="", ceiling=0)


def main() -> int:
    """Print the rows."""
    return rows.run(measure, __doc__)


if __name__ == "__main__":
    sys.exit(main())
