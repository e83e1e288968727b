"""Large datasets: the time and the memory that `robotrain data check` takes.

    ./uvw run python bench/data_check.py [--quick] [--json]

What it finds in planted defects, and says about good datasets, tests/workloads/test_data_quality.py tries.
"""

import argparse
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import rows
from environments import find_python
from rows import Row

ROOT = Path(__file__).parents[1]
SIZES = {(1_000, 100): 1.0, (3_333, 300): 5.0}
"""Seconds of the comparison of tables, by episodes and the frames of each."""
MANY, MOST_MEMORY = (100_000, 60), 500.0
"""Episodes and frames of each whose check takes at most so many megabytes."""


def measure(options: argparse.Namespace) -> Iterator[Row]:
    """Yield the time of tables of some sizes, and the memory of a check."""
    for (episodes, frames), most in SIZES.items():
        took = _check_size(episodes, frames)
        yield Row(name=f"tables of {episodes * frames:,} frames", ours=took["seconds"], unit="s", ceiling=most)
    episodes, frames = (MANY[0] // 10, MANY[1]) if options.quick else MANY
    took = _check_size(episodes, frames, "--quality")
    yield Row(name=f"check of {episodes:,} episodes, memory", ours=took["megabytes"], unit="MB", ceiling=MOST_MEMORY)


def _check_size(episodes: int, frames: int, *words: str) -> dict[str, Any]:
    command = [
        find_python("lerobot_versions/v0_6_1/train.txt"),
        ROOT / "bench/data_sizes.py",
        *(str(episodes), str(frames), *words),
    ]
    paths = os.pathsep.join(str(ROOT / folder) for folder in ("workloads", "runtime"))
    environ = {**os.environ, "PYTHONPATH": paths}
    printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environ).stdout
    return dict(json.loads(printed))


def main() -> int:
    """Print the rows."""
    return rows.run(measure, __doc__)


if __name__ == "__main__":
    raise SystemExit(main())
