"""How many bytes of a file are waited for at a time."""

import asyncio
import itertools
from types import SimpleNamespace

import pytest
from robotrain_sources.transfer import requests
from robotrain_sources.transfer.origin import SourceFile
from robotrain_sources.transfer.requests import CHUNK_SIZE, FAST, MIN_CHUNK_SIZE, RemoteReader, StallDetector

FILE = SourceFile(name="a", size=FAST)
QUICK, SLOW, BROKEN = 0.5, 2.0, -1.0
"""Seconds that all of the file takes; one that breaks off."""


def read(monkeypatch: pytest.MonkeyPatch, *requested: float, origins: int = 1) -> list[int]:
    """Read a file several times, from each of `origins` in turn; return how many bytes each request waited for."""
    now, sizes = 0.0, []

    async def arrive(seconds: float):
        nonlocal now
        yield b"x" * (FAST // 2)
        if seconds == BROKEN:
            raise ConnectionError
        now += seconds
        yield b"x" * (FAST // 2)

    async def get_async(store: object, path: str, options: dict[str, object]) -> object:
        seconds = next(coming)
        return SimpleNamespace(stream=lambda min_chunk_size: sizes.append(min_chunk_size) or arrive(seconds))

    async def run() -> None:
        places = [SimpleNamespace(has_ranges=True, open_store=lambda: None, get_store_path=str) for _ in range(origins)]
        reader = RemoteReader(places, StallDetector(20.0))
        for seconds, origin in zip(requested, itertools.cycle(places), strict=False):
            try:
                content = [b"".join(pieces) async for pieces in reader.read_range(origin, FILE, 0, FAST)]
            except ConnectionError:
                assert seconds == BROKEN
            else:
                assert sum(map(len, content)) == FAST

    coming = iter(requested)
    monkeypatch.setattr(
        requests, "importlib", SimpleNamespace(import_module=lambda name: SimpleNamespace(get_async=get_async))
    )
    monkeypatch.setattr(requests, "time", SimpleNamespace(monotonic=lambda: now))
    asyncio.run(run())
    return sizes


def test_more_is_waited_for_once_a_request_was_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, QUICK, QUICK, SLOW, QUICK, QUICK, BROKEN, QUICK) == [
        MIN_CHUNK_SIZE,
        CHUNK_SIZE,
        CHUNK_SIZE,
        MIN_CHUNK_SIZE,
        CHUNK_SIZE,
        CHUNK_SIZE,
        MIN_CHUNK_SIZE,
    ]


def test_a_slow_source_beside_a_fast_one_is_read_in_small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = read(monkeypatch, QUICK, SLOW, QUICK, SLOW, QUICK, SLOW, origins=2)
    assert sizes[1::2] == [MIN_CHUNK_SIZE] * 3
    assert sizes[0::2] == [MIN_CHUNK_SIZE, CHUNK_SIZE, CHUNK_SIZE]
