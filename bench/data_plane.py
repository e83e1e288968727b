"""The data plane's figures: fetching, looking, and from a container's start to its first step; each with its ceiling.

    ./uvw run python bench/data_plane.py [--quick] [--only fetch look start] [--pairs 3]

All of it runs on this machine: Azurite stands for blob storage, and a line of 15 ms for the way there. Ratios are of
runs that took turns, in medians. The exit code says whether all ceilings hold. Needs Node.js with npm, and OpenSSL.
"""

import argparse
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from plane import getting, looking, starting
from plane.figure import Figure
from plane.machine import Machine, ready

PARTS = ("fetch", "look", "start")


def main() -> int:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a fifth of the data, one pair each")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--pairs", type=int, default=3)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # nothing that was started goes on alone
    found: list[Figure] = []
    with tempfile.TemporaryDirectory() as name, ready(Path(name)) as machine:
        for part in given.only:
            found += _figures(part, machine, given.quick, 1 if given.quick else given.pairs)
    print("\n" + "\n".join(map(str, found)))
    return 0 if all(figure.holds for figure in found) else 1


def _figures(part: str, machine: Machine, quick: bool, pairs: int) -> Iterator[Figure]:
    amount = getting.Amount(400, 2, 40) if quick else getting.Amount(2000, 4, 100)
    if part == "fetch":
        return getting.figures(machine, amount, pairs)
    if part == "look":
        counts = (1000, 10_000) if quick else (1000, 10_000, 100_000)
        return looking.figures(machine, counts, (1, 4, 16) if quick else (1, 4, 16, 64), pairs)
    return starting.figures(machine, amount, pairs)


if __name__ == "__main__":
    sys.exit(main())
