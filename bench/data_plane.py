"""The data plane's figures: fetching and looking; each with its ceiling.

    ./uvw run python bench/data_plane.py [--quick] [--only fetch look] [--pairs 3]

All of it runs on this machine: Azurite stands for blob storage, and a line of 15 ms for the way there. Ratios are of
runs that took turns: the least time of each. Needs Node.js and OpenSSL.
"""

import argparse
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import rows
from plane import download, survey
from plane.machine import Machine, start_machine
from rows import Row

PARTS = ("fetch", "look")


def measure(options: argparse.Namespace) -> Iterator[Row]:
    """Yield the rows of each part."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # nothing that was started goes on alone
    with tempfile.TemporaryDirectory() as name, start_machine(Path(name)) as machine:
        for part in options.only:
            yield from _measure_part(part, machine, options.quick, 1 if options.quick else options.pairs)


def _measure_part(part: str, machine: Machine, quick: bool, pairs: int) -> Iterator[Row]:
    if part == "fetch":
        amount = download.Amount(400, 2, 40) if quick else download.Amount(2000, 4, 100)
        return download.measure_downloads(machine, amount, pairs)
    counts = (1000, 10_000) if quick else (1000, 10_000, survey.LISTED)
    return survey.measure_surveys(machine, counts, (1, 4, 16) if quick else (1, 4, 16, 64), pairs)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--pairs", type=int, default=3)


def main() -> int:
    """Print the rows."""
    return rows.run(measure, __doc__, _add_options)


if __name__ == "__main__":
    sys.exit(main())
