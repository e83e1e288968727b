"""Fetching: small and large blobs with and without a long line, against the reference's way and the floor."""

import itertools
import os
import shutil
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from azure_stand_in.sign_in import token

from plane.figure import Figure
from plane.machine import Machine

BOX = "bench"
PREFIX, ONE = "data/", "one/"
FAR = 0.015


@dataclass(frozen=True)
class Amount:
    """small files of 64 KiB, large ones of so many MiB."""

    small: int
    large: int
    mib: int

    @property
    def files(self) -> Iterator[tuple[str, int]]:
        """Names and sizes, the largest first."""
        yield from ((f"large-{number}.bin", self.mib << 20) for number in range(self.large))
        yield from ((f"small/{number // 100:03d}/{number:05d}.bin", 64 << 10) for number in range(self.small))


def figures(machine: Machine, amount: Amount, pairs: int) -> Iterator[Figure]:
    """Fill the account, and fetch it in each way in turn."""
    for name, size in amount.files:
        machine.azure.blobs.put(BOX, {PREFIX + name: os.urandom(size)})
    machine.azure.blobs.put(BOX, {f"{ONE}small.bin": os.urandom(1000)})
    total = sum(size for _, size in amount.files) >> 20
    print(
        f"fetching {amount.small} × 64 KiB + {amount.large} × {amount.mib} MiB ({total} MiB), {pairs} pairs", flush=True
    )
    for latency in (FAR, 0.0):
        with machine.azure.directly(latency):
            turns = [_turn(machine, amount, latency) for _ in range(pairs)]
        yield from _compared(turns, latency)


def _turn(machine: Machine, amount: Amount, latency: float) -> dict[str, float]:
    """Each way once; the two programs before on one blob, which tells what their start, sign-in and listing take."""
    names = machine.folder / "names"
    names.write_text("".join(f"/{BOX}/{PREFIX}{name}\n" for name, _ in amount.files))
    start = {"reference": _reference(machine, ONE)["whole"], "ours": _ours(machine, ONE)["whole"]}
    reference, ours = _reference(machine, PREFIX), _ours(machine, PREFIX)
    host = f"{machine.azure.account}.blob.core.windows.net"
    floor = machine.measure("floor.py", host, names, _emptied(machine.folder / "floor"), token())
    _compare(amount, machine.folder / "reference", machine.folder / "ours")
    told = {"reference": reference["whole"], "its start": start["reference"], "ours": ours["whole"]}
    told |= {"our start": start["ours"], "our fetch": ours["fetch"], "floor": floor["seconds"]}
    shown = "   ".join(f"{name} {value:.2f}" for name, value in told.items())
    print(f"  {latency * 1000:2.0f} ms   {shown}", flush=True)
    return {**told, "reference MiB": reference["mib"], "our MiB": ours["mib"]}


def _reference(machine: Machine, prefix: str) -> dict[str, float]:
    box = machine.azure.url(BOX, "").rstrip("/")
    return machine.measure("reference.py", box, prefix, _emptied(machine.folder / "reference"))


def _ours(machine: Machine, prefix: str) -> dict[str, float]:
    given = (_emptied(machine.folder / "ours"), machine.data_python, machine.azure.url(BOX, prefix))
    return machine.measure("ours.py", "fetch", *given, python=Path(sys.executable))


def _compared(turns: list[dict[str, float]], latency: float) -> Iterator[Figure]:
    def ratio(above: str, below: str) -> float:
        return statistics.median(turn[above] / turn[below] for turn in turns)

    far = f"with {latency * 1000:.0f} ms" if latency else "on loopback"
    least, most = (8, None) if latency else (None, 1.6)
    without = statistics.median(
        (turn["reference"] - turn["its start"]) / (turn["ours"] - turn["our start"]) for turn in turns
    )
    yield Figure(f"{far}: the reference's method / ours, each without its start", without, least=least)
    yield Figure(f"{far}: the reference's method / ours, whole programs", ratio("reference", "ours"))
    yield Figure(f"{far}: ours, fetching and verifying / raw GETs", ratio("our fetch", "floor"), most=most)
    yield Figure(f"{far}: ours, the whole program / raw GETs", ratio("ours", "floor"))
    yield Figure(f"{far}: memory of ours at its peak", max(turn["our MiB"] for turn in turns), "MiB", most=300)
    yield Figure(f"{far}: memory of the reference at its peak", max(turn["reference MiB"] for turn in turns), "MiB")


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def _compare(amount: Amount, reference: Path, ours: Path) -> None:
    """Both have the same files with the same bytes: a figure of something else would be worth nothing."""
    (files,) = (path.parent for path in ours.rglob("large-0.bin"))
    for name, size in itertools.islice(amount.files, 50):
        content = (files / name).read_bytes()
        assert len(content) == size, name
        assert content == (reference / name).read_bytes(), name
