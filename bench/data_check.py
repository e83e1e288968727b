"""Planted defects and good datasets: what `robotrain data check` finds, and what it says about nothing.

    ./uvw run python bench/data_check.py [--places 10] [--good 200] [--seed N] [--quick] [--json]

tests/workloads/made_datasets.py makes datasets of many shapes from a seed, and planted_defects.py plants each kind of
defect into some. One counts as found if its code is said, of all episodes that have it.
"""

import argparse
import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import rows
from environments import find_python
from rows import Row

ROOT = Path(__file__).parents[1]
MOST_MISSED, MOST_WARNED, MOST_BLAMED = 5.0, 10.0, 1.0
"""Percent of the planted defects, of the good datasets, and of those of unusual shapes."""
SIZES = {(1_000, 100): 1.0, (3_333, 300): 5.0}
"""Seconds of the comparison of tables, by episodes and the frames of each."""
MANY, MOST_MEMORY = (100_000, 60), 500.0
"""Episodes and frames of each whose check takes at most so many megabytes."""


def measure(options: argparse.Namespace) -> Iterator[Row]:
    """Yield what is missed of each kind and of all, and what is said about good datasets."""
    places, good = (1, 5) if options.quick else (options.places, options.good)
    yield from _measure_sizes(options.quick)
    missed, planted = Counter[str](), Counter[str]()
    severities = Counter[str]()
    blamed = 0
    for trial in _try_datasets(places, good, options.seed):
        if trial.get("is_unusual"):
            blamed += bool(trial["findings"])
            for finding in trial["findings"]:
                rows.log(f"unusual dataset, seed {trial['seed']}: {finding}")
        elif name := trial["defect"]:
            planted[name] += 1
            missed[name] += not trial["found"]
            if not trial["found"]:
                rows.log(f"missed: {name}, seed {trial['seed']}, episodes {trial['episodes']}: {trial['findings']}")
        else:
            severities.update({finding[0] for finding in trial["findings"]})
            for finding in trial["findings"]:
                rows.log(f"good dataset, seed {trial['seed']}: {finding}")
    for name, count in planted.items():
        yield Row(name=f"missed: {name} ({count})", ours=missed[name], unit="")
    share = 100 * missed.total() / max(planted.total(), 1)
    yield Row(name=f"missed of {planted.total()} planted defects", ours=share, unit="%", ceiling=MOST_MISSED)
    yield Row(name=f"{good} good datasets with errors", ours=severities["error"], unit="", ceiling=0)
    share = 100 * severities["warning"] / max(good, 1)
    yield Row(name=f"{good} good datasets with warnings", ours=share, unit="%", ceiling=MOST_WARNED)
    share = 100 * blamed / max(good, 1)
    name = f"{good} unusual datasets blamed for units, signs, order or time"
    yield Row(name=name, ours=share, unit="%", ceiling=MOST_BLAMED)


def _measure_sizes(is_quick: bool) -> Iterator[Row]:
    for (episodes, frames), most in SIZES.items():
        took = _check_size(episodes, frames)
        yield Row(name=f"tables of {episodes * frames:,} frames", ours=took["seconds"], unit="s", ceiling=most)
    episodes, frames = (MANY[0] // 10, MANY[1]) if is_quick else MANY
    took = _check_size(episodes, frames, "--quality")
    yield Row(name=f"check of {episodes:,} episodes, memory", ours=took["megabytes"], unit="MB", ceiling=MOST_MEMORY)


def _check_size(episodes: int, frames: int, *words: str) -> dict[str, Any]:
    command = [_find_python(), str(ROOT / "bench/data_sizes.py"), str(episodes), str(frames), *words]
    printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=_make_environ()).stdout
    return dict(json.loads(printed))


def _find_python() -> Path:
    return find_python("lerobot_versions/v0_6_1/train.txt")


def _make_environ() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / folder) for folder in ("workloads", "runtime"))}


def _try_datasets(places: int, good: int, seed: int) -> Iterator[dict[str, Any]]:
    program = ROOT / "tests/workloads/planted_defects.py"
    amounts = ("--places", str(places), "--good", str(good), "--unusual", str(good), "--seed", str(seed))
    with subprocess.Popen(
        [_find_python(), program, *amounts],
        stdout=subprocess.PIPE,
        text=True,
        env=_make_environ(),
    ) as process:
        assert process.stdout
        yield from map(json.loads, process.stdout)
    if process.returncode:
        raise SystemExit(f"planted_defects.py: exit code {process.returncode}")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add how much is tried."""
    parser.add_argument("--places", type=int, default=10)
    parser.add_argument("--good", type=int, default=200)
    parser.add_argument("--seed", type=int, default=410_000, help="other ones than the tests have")


def main() -> int:
    """Print the rows."""
    return rows.run(measure, __doc__, add_options)


if __name__ == "__main__":
    raise SystemExit(main())
