"""Limits of concurrent requests: by memory, fewer when the service is overloaded, fair to all sources."""

import asyncio

from robotrain_sources.transfer import requests


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
