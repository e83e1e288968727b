"""A sweep of trainings, two at a time, against the same trainings submitted two at a time by hand.

    ./uvw run python bench/sweep.py [--trials 8] [--steps 100] [--pairs 1]

By hand: two shells that each submit the next training with `--wait` when theirs has ended. The clock runs from the
first submit to the end of the last training. --quick: 4 trainings of 10 steps.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import rows
from first_step import ROBOTRAIN, ROOT, make_environ
from rows import Row

CEILING = 1.1
AT_ONCE = 2
JOB = (str(ROOT / "examples/pusht-mini/job.yaml"), "--platform", "local", "--device", "cpu", "--tracking-uri", "none")


def sweep(state: Path, trials: int, steps: int) -> float:
    """The seconds of a sweep."""
    return _time(
        lambda: _run(state, "sweep", steps, "--over", f"seed=1..{trials}", "--at-most", str(AT_ONCE), "--wait")
    )


def by_hand(state: Path, trials: int, steps: int) -> float:
    """The seconds of the same trainings, each submitted on its own."""

    def train_all() -> None:
        with ThreadPoolExecutor(AT_ONCE) as shells:
            list(
                shells.map(
                    lambda seed: _run(state, "submit", steps, "--seed", str(seed), "--wait"), range(1, trials + 1)
                )
            )

    return _time(train_all)


def _time(act) -> float:
    began = time.monotonic()
    act()
    return time.monotonic() - began


def _run(state: Path, command: str, steps: int, *words: str) -> None:
    options = ("--training-steps", str(steps), "--save-freq", str(steps))
    environ = make_environ(ROBOTRAIN_STATE=str(state))
    subprocess.run([ROBOTRAIN, command, *JOB, *options, *words], env=environ, capture_output=True, check=True)


def measure(options: argparse.Namespace) -> Iterator[Row]:
    """Yield the row of the best pair: others use the machine too."""
    trials, steps = (4, 10) if options.quick else (options.trials, options.steps)
    pairs = []
    with tempfile.TemporaryDirectory() as name:
        by_hand(Path(name, "first"), AT_ONCE, 1)  # fills caches
        for number in range(options.pairs):
            hand = by_hand(Path(name, f"hand-{number}"), trials, steps)
            pairs.append((sweep(Path(name, f"sweep-{number}"), trials, steps), hand))
            rows.log(f"sweep {pairs[-1][0]:.1f} s, by hand {pairs[-1][1]:.1f} s")
    ours, floor = min(pairs, key=lambda pair: pair[0] / pair[1])
    what = f"sweep of {trials} trainings, {AT_ONCE} at a time"
    yield Row(name=what, ours=ours, unit="s", floor=floor, floor_name="by hand", ceiling=CEILING)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--pairs", type=int, default=1)


def main() -> int:
    """Print the figure."""
    return rows.run(measure, __doc__, add_options)


if __name__ == "__main__":
    sys.exit(main())
