"""Requests of a transfer: how many at a time, how many bytes are waited for, and what is asked again for how long."""

import asyncio
import itertools
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from robotrain_sources.fetching.errors import FetchError
from robotrain_sources.transfer import requests
from robotrain_sources.transfer.origin import SourceFile, TransferTimeouts
from robotrain_sources.transfer.requests import (
    CHUNK_SIZE,
    FAST,
    MIN_CHUNK_SIZE,
    ProgressMeter,
    RemoteReader,
    RequestLimiter,
    RetryPolicy,
    StallDetector,
)

PATIENT = TransferTimeouts(giving_up=5.0, first=0.001, longest=0.002)
HASTY = TransferTimeouts(giving_up=0.05, first=0.001, longest=0.002)
AT_ONCE = TransferTimeouts(giving_up=-1.0)


class BaseError(Exception):
    """As obstore's are named."""


class UnauthenticatedError(BaseError):
    pass


class GenericError(BaseError):
    pass


def count_attempts(errors: Iterator[Exception], fault: str, timeouts: TransferTimeouts) -> tuple[int, str, str]:
    """How often a file is requested that fails so, or arrives when no error is left; the result, and its fault."""
    attempts = 0

    async def request() -> str:
        nonlocal attempts
        attempts += 1
        if error := next(errors, None):
            raise error
        return "the file"

    async def run() -> str:
        policy = RetryPolicy(timeouts, RequestLimiter(1), ProgressMeter(0, 1, lambda *progress: None))
        origin = SimpleNamespace(explain_error=lambda error: FetchError("no", fault))
        return await policy.retry(
            SimpleNamespace(name="the data", origin=origin), SourceFile(name="a", size=1), request
        )

    try:
        result = asyncio.run(run())
        return attempts, result, ""
    except FetchError as refused:
        return attempts, str(refused), refused.fault


REFUSED, EXPIRED, BUSY = GenericError("the SAS has ended"), UnauthenticatedError("401"), GenericError("503")


@pytest.mark.parametrize(
    ("errors", "timeouts", "expected"),
    [
        pytest.param(itertools.repeat(REFUSED), PATIENT, (1, "no"), id="a refusal is not repeated"),
        pytest.param(iter([EXPIRED]), PATIENT, (2, "the file"), id="an expired token is renewed"),
        pytest.param(itertools.repeat(EXPIRED), PATIENT, (2, "no"), id="a token is renewed once"),
        pytest.param(itertools.repeat(EXPIRED), AT_ONCE, (1, "no data for"), id="an unknown identity, without time"),
    ],
)
def test_requests_with_a_rejected_identity_are_repeated_once_at_most(errors, timeouts, expected):
    attempts, result, fault = count_attempts(errors, "configuration", timeouts)
    assert (attempts, result[: len(expected[1])]) == expected
    assert result == "the file" or fault == "configuration"


def test_a_busy_service_is_asked_until_nothing_has_arrived_for_too_long():
    attempts, result, fault = count_attempts(itertools.repeat(BUSY), "network", HASTY)
    assert (result.startswith("no data for"), fault) == (True, "network")
    assert attempts > 1


def test_a_lack_of_memory_is_not_waited_for():
    with pytest.raises(MemoryError):
        count_attempts(itertools.repeat(MemoryError()), "network", PATIENT)


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


def test_memory_is_bounded_and_who_waits_enters_in_order():
    async def enter() -> list[str]:
        there, entered = requests.RequestLimiter(100), []

        async def one(name: str, size: int) -> None:
            await there.acquire(size)
            entered.append(name)

        waiting = [asyncio.create_task(one(name, size)) for name, size in (("a", 60), ("b", 60), ("c", 1))]
        await asyncio.sleep(0)
        assert entered == ["a"]  # c would fit, but b came first
        there.release(60)
        await asyncio.gather(*waiting)
        return entered

    assert asyncio.run(enter()) == ["a", "b", "c"]


def test_what_is_larger_than_all_memory_goes_alone():
    async def enter() -> None:
        there = requests.RequestLimiter(10)
        await there.acquire(1000)
        there.release(1000)
        await there.acquire(1000)

    asyncio.run(enter())


def test_requests_become_fewer_when_a_service_asks_for_that_and_slowly_more_again():
    async def under_way(there: requests.RequestLimiter) -> int:
        entered = 0

        async def one() -> None:
            nonlocal entered
            await there.acquire(0)
            entered += 1

        waiting = [asyncio.create_task(one()) for _ in range(100)]
        await asyncio.sleep(0)
        for task in waiting:
            task.cancel()
        for _ in range(entered):
            there.release(0)
        return entered

    async def crowd() -> None:
        there = requests.RequestLimiter(1)
        assert await under_way(there) == requests.MAX_REQUESTS
        there.slow_down()
        there.slow_down()  # of the same moment
        assert await under_way(there) == requests.MAX_REQUESTS // 2
        await under_way(there)
        assert requests.MAX_REQUESTS // 2 < await under_way(there) < requests.MAX_REQUESTS

    asyncio.run(crowd())
