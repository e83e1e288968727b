"""Fetching: small and large blobs with and without a long line, against the reference's way and the floor."""

import itertools
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import rows
from azure_stand_in.sign_in import token
from rows import Row

from plane.machine import Machine

CONTAINER = "bench"
PREFIX, SINGLE = "data/", "one/"
LINE_SECONDS = 0.015


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


def measure_downloads(machine: Machine, amount: Amount, pairs: int) -> Iterator[Row]:
    """Fill the account, and fetch it in each way in turn."""
    for name, size in amount.files:
        machine.azure.blobs.put(CONTAINER, {PREFIX + name: os.urandom(size)})
    machine.azure.blobs.put(CONTAINER, {f"{SINGLE}small.bin": os.urandom(1000)})
    total = sum(size for _, size in amount.files) >> 20
    rows.log(f"fetching {amount.small} × 64 KiB + {amount.large} × {amount.mib} MiB ({total} MiB), {pairs} pairs")
    for latency in (LINE_SECONDS, 0.0):
        with machine.azure.directly(latency):
            turns = [_measure_turn(machine, amount, latency) for _ in range(pairs)]
        yield from _make_rows(turns, latency)


def _measure_turn(machine: Machine, amount: Amount, latency: float) -> dict[str, float]:
    """Each way once; the two programs before on one blob, which tells what their start, sign-in and listing take."""
    names = machine.folder / "names"
    names.write_text("".join(f"/{CONTAINER}/{PREFIX}{name}\n" for name, _ in amount.files))
    start = {"reference": _measure_reference(machine, SINGLE)["whole"], "ours": _measure_ours(machine, SINGLE)["whole"]}
    reference, ours = _measure_reference(machine, PREFIX), _measure_ours(machine, PREFIX)
    host = f"{machine.azure.account}.blob.core.windows.net"
    floor = machine.measure("raw_gets.py", host, names, _make_empty_folder(machine.folder / "floor"), token())
    _check_same_files(amount, machine.folder / "reference", machine.folder / "ours")
    seconds = {"reference": reference["whole"], "its start": start["reference"], "ours": ours["whole"]}
    seconds |= {"our start": start["ours"], "our fetch": ours["fetch"], "floor": floor["seconds"]}
    seconds |= {"our CPU": ours["cpu"], "floor's CPU": floor["cpu"], "reference's CPU": reference["cpu"]}
    shown = "   ".join(f"{name} {value:.2f}" for name, value in seconds.items())
    rows.log(f"  {latency * 1000:2.0f} ms   {shown}")
    return {**seconds, "reference MiB": reference["mib"], "our MiB": ours["mib"]}


def _measure_reference(machine: Machine, prefix: str) -> dict[str, float]:
    box = machine.azure.url(CONTAINER, "").rstrip("/")
    return machine.measure("azure_sdk.py", box, prefix, _make_empty_folder(machine.folder / "reference"))


def _measure_ours(machine: Machine, prefix: str) -> dict[str, float]:
    arguments = (_make_empty_folder(machine.folder / "ours"), machine.azure.url(CONTAINER, prefix))
    return machine.measure("robotrain_transfer.py", "fetch", *arguments, python=Path(sys.executable))


def _make_rows(turns: list[dict[str, float]], latency: float) -> Iterator[Row]:
    far = f"{latency * 1000:.0f} ms away" if latency else "loopback"
    most, least = (2.0, 1 / 5) if latency else (2.4, None)

    def compare(name: str, ours: str, floor: str, floor_name: str, ceiling: float | None) -> Row:
        values = {"ours": min(turn[ours] for turn in turns), "floor": min(turn[floor] for turn in turns)}
        return Row(name=f"fetch, {far}: {name}", unit="s", floor_name=floor_name, ceiling=ceiling, **values)

    yield compare("whole program", "ours", "floor", "raw GETs, unverified", most)
    yield compare("without its start", "our fetch", "floor", "raw GETs, unverified", None)
    yield compare("against the SDK's loop", "ours", "reference", "SDK, one by one", least)
    yield compare("processor time", "our CPU", "floor's CPU", "raw GETs, unverified", None)
    yield compare("processor time against the SDK's loop", "our CPU", "reference's CPU", "SDK, one by one", None)
    peak, theirs = (max(turn[name] for turn in turns) for name in ("our MiB", "reference MiB"))
    yield Row(name=f"fetch, {far}: memory", ours=peak, unit="MiB", ceiling=300, peers={"SDK, one by one": theirs})


def _make_empty_folder(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def _check_same_files(amount: Amount, reference: Path, ours: Path) -> None:
    """Check that both have the same files with the same bytes: a figure of something else would be worth nothing."""
    (files,) = (path.parent for path in ours.rglob("large-0.bin"))
    for name, size in itertools.islice(amount.files, 50):
        content = (files / name).read_bytes()
        assert len(content) == size, name
        assert content == (reference / name).read_bytes(), name
