"""How much a transfer has under way: bounded by memory, fewer requests when a service asks, nobody forgotten."""

import asyncio

from robotrain_sources.transfer import room


def test_memory_is_bounded_and_who_waits_enters_in_order():
    async def enter() -> list[str]:
        there, entered = room.Room(100), []

        async def one(name: str, size: int) -> None:
            await there.enter(size)
            entered.append(name)

        waiting = [asyncio.create_task(one(name, size)) for name, size in (("a", 60), ("b", 60), ("c", 1))]
        await asyncio.sleep(0)
        assert entered == ["a"]  # c would fit, but b came first
        there.leave(60)
        await asyncio.gather(*waiting)
        return entered

    assert asyncio.run(enter()) == ["a", "b", "c"]


def test_what_is_larger_than_all_memory_goes_alone():
    async def enter() -> None:
        there = room.Room(10)
        await there.enter(1000)
        there.leave(1000)
        await there.enter(1000)

    asyncio.run(enter())


def test_requests_become_fewer_when_a_service_asks_for_that_and_slowly_more_again():
    async def under_way(there: room.Room) -> int:
        entered = 0

        async def one() -> None:
            nonlocal entered
            await there.enter(0)
            entered += 1

        waiting = [asyncio.create_task(one()) for _ in range(100)]
        await asyncio.sleep(0)
        for task in waiting:
            task.cancel()
        for _ in range(entered):
            there.leave(0)
        return entered

    async def crowd() -> None:
        there = room.Room(1)
        assert await under_way(there) == room.REQUESTS
        there.crowded()
        there.crowded()  # of the same moment
        assert await under_way(there) == room.REQUESTS // 2
        await under_way(there)
        assert room.REQUESTS // 2 < await under_way(there) < room.REQUESTS

    asyncio.run(crowd())
