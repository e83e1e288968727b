"""Planted defects and good datasets: what `robotrain data check` finds, and what it says about nothing.

    ./uvw run python bench/data_check.py [--places 10] [--good 150] [--seed 900000] [--quick] [--json]

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
MOST_MISSED, MOST_WARNED = 5.0, 10.0
"""Percent of the planted defects, and of the good datasets."""


def measure(options: argparse.Namespace) -> Iterator[Row]:
    """Yield what is missed of each kind and of all, and what is said about good datasets."""
    places, good = (1, 5) if options.quick else (options.places, options.good)
    missed, planted = Counter[str](), Counter[str]()
    severities = Counter[str]()
    for one in _try_datasets(places, good, options.seed):
        if name := one["defect"]:
            planted[name] += 1
            missed[name] += not one["found"]
            if not one["found"]:
                rows.log(f"missed: {name}, seed {one['seed']}, episodes {one['episodes']}: {one['findings']}")
        else:
            severities.update({finding[0] for finding in one["findings"]})
            for finding in one["findings"]:
                rows.log(f"good dataset, seed {one['seed']}: {finding}")
    for name, count in planted.items():
        yield Row(name=f"missed: {name} ({count})", ours=missed[name], unit="")
    share = 100 * missed.total() / max(planted.total(), 1)
    yield Row(name=f"missed of {planted.total()} planted defects", ours=share, unit="%", ceiling=MOST_MISSED)
    yield Row(name=f"{good} good datasets with errors", ours=severities["error"], unit="", ceiling=0)
    share = 100 * severities["warning"] / max(good, 1)
    yield Row(name=f"{good} good datasets with warnings", ours=share, unit="%", ceiling=MOST_WARNED)


def _try_datasets(places: int, good: int, seed: int) -> Iterator[dict[str, Any]]:
    program = ROOT / "tests/workloads/planted_defects.py"
    amounts = ("--places", str(places), "--good", str(good), "--seed", str(seed))
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / one) for one in ("workloads", "runtime"))}
    with subprocess.Popen(
        [find_python("lerobot_versions/v0_6_1/train.txt"), program, *amounts],
        stdout=subprocess.PIPE,
        text=True,
        env=environ,
    ) as process:
        assert process.stdout
        yield from map(json.loads, process.stdout)
    if process.returncode:
        raise SystemExit(f"planted_defects.py: exit code {process.returncode}")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add how much is tried."""
    parser.add_argument("--places", type=int, default=10)
    parser.add_argument("--good", type=int, default=150)
    parser.add_argument("--seed", type=int, default=900_000, help="other ones than the tests have")


def main() -> int:
    """Print the rows."""
    return rows.run(measure, __doc__, add_options)


if __name__ == "__main__":
    raise SystemExit(main())
