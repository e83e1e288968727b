"""Asking LeRobot about the options of a training before it is sent: processor time, and time when it was asked before.

    ./uvw run python bench/trainer_check.py [--quick]

The environment of the training must be built. The time is that of `submit --dry-run` without that of `--checker none`.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import rows
from environments import find_python
from rows import ROBOTRAIN, Row

ROOT = Path(__file__).parents[1]
LOCK = "lerobot_versions/v0_6_1/train.txt"
CEILING, KEPT_CEILING = 8.0, 0.1
"""Seconds: of processors, and of the clock for a line that was checked before."""
LINES = {
    "an accepted line": (),
    "a refused one": ("--policy.normalization_mapping={VISUAL: FOO}", "--policy.dim_model=64"),
}


def try_submit(environ: dict[str, str], checker: str, *words: str) -> tuple[float, float]:
    """Run `submit --dry-run`; return its seconds of the clock, and of processors."""
    job = ("--platform", "local", "--dataset-path", str(ROOT / "examples/pusht-camera/dataset"), "--policy-type", "act")
    began, before = time.perf_counter(), _get_children_time()
    subprocess.run(
        [ROBOTRAIN, "submit", "--dry-run", "--checker", checker, *job, *words],
        env=environ,
        capture_output=True,
        check=False,
    )
    return time.perf_counter() - began, _get_children_time() - before


def _get_children_time() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measure(options: argparse.Namespace) -> Iterator[Row]:
    """Measure each line the first time, and the accepted one again."""
    python = str(find_python(LOCK))
    environ = {**os.environ, "OMP_NUM_THREADS": "1"}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    attempts = 1 if options.quick else 3
    plain = [try_submit(environ, "none") for _ in range(attempts)]
    durations: list[float] = []
    for name, words in LINES.items():
        arguments = ("--", *words) if words else ()
        used = []
        for _ in range(attempts):
            with tempfile.TemporaryDirectory() as cache:
                fresh = {**environ, "ROBOTRAIN_CACHE": cache}
                used.append(try_submit(fresh, python, *arguments)[1])
                again = [try_submit(fresh, python)[0] for _ in range(0 if words else attempts + 1)][1:]
                durations += again
        own = min(used) - min(seconds for _, seconds in plain)
        yield Row(name=f"ask LeRobot about {name}, processors", ours=own, unit="s", ceiling=CEILING)
    more = min(durations) - min(seconds for seconds, _ in plain)
    yield Row(name="the same line again", ours=more, unit="s", ceiling=KEPT_CEILING)


def main() -> int:
    """Print the rows."""
    return rows.run(measure, __doc__)


if __name__ == "__main__":
    sys.exit(main())
