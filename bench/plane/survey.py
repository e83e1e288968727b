"""Looking: many sources, and sources with many blobs; the time grows as they do, and the memory does not.

What is compared are the two largest: below 10,000 blobs a page of the listing is not full, and below 16 sources not as
many are listed at once as ever are.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import rows
from rows import Row

from plane.large_account import large_account, make_url
from plane.machine import Machine

SLACK = 1.25
FLAT = 1.5
EACH = 1000
LISTED, LISTING_SECONDS = 100_000, 20


def measure_surveys(machine: Machine, counts: Sequence[int], sources: Sequence[int], runs: int) -> Iterator[Row]:
    """Of one source with so many blobs, and of so many sources with a thousand each."""

    def blobs(count: int) -> list[str]:
        return [make_url(count, "set")]

    def folders(count: int) -> list[str]:
        return [make_url(EACH, f"set-{number}") for number in range(count)]

    with large_account(machine.azure):
        yield from _measure_growth(machine, "blobs", counts, blobs, runs)
        yield from _measure_growth(machine, "sources", sources, folders, runs)


def _measure_growth(
    machine: Machine, what: str, counts: Sequence[int], urls: Callable[[int], list[str]], runs: int
) -> Iterator[Row]:
    rows.log(f"looking at {', '.join(map(str, counts))} {what}, best of {runs}")
    measured: dict[int, tuple[float, float]] = {}
    for count in counts:
        surveys = [_measure_survey(machine, urls(count)) for _ in range(runs)]
        measured[count] = (min(survey["look"] for survey in surveys), max(survey["mib"] for survey in surveys))
        rows.log(f"  {count:>6} {what}   {measured[count][0]:.2f} s   {measured[count][1]:.0f} MiB")
    few, many = counts[-2:]
    seconds, mib = measured[many]
    limit = LISTING_SECONDS if many == LISTED else None
    yield Row(name=f"look at {many} {what}", ours=seconds, unit="s", ceiling=limit)
    linear = measured[few][0] * many / few
    name = f"the time of {few}, as many times"
    yield Row(name=f"{many} {what}: time", ours=seconds, unit="s", floor=linear, floor_name=name, ceiling=SLACK)
    name = f"of {few}"
    yield Row(
        name=f"{many} {what}: memory", ours=mib, unit="MiB", floor=measured[few][1], floor_name=name, ceiling=FLAT
    )


def _measure_survey(machine: Machine, urls: list[str]) -> dict[str, float]:
    cache = machine.folder / "looked"
    return machine.measure("robotrain_transfer.py", "look", cache, *urls, python=Path(sys.executable))
