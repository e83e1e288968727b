"""A look at every source at once: what it has, whether it can be read, and what describes it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from robotrain_sources.transfer import failure, opening
from robotrain_sources.transfer.asking import Asking
from robotrain_sources.transfer.catalog import Catalog
from robotrain_sources.transfer.look import Look, at
from robotrain_sources.transfer.origin import Entry, Origin
from robotrain_sources.transfer.request import Request
from robotrain_sources.transfer.trouble import may_pass
from robotrain_sources.transfer.watch import Watch

AT_ONCE = 16
LARGEST_DESCRIBED = 16 << 20
TRIES = 2

T = TypeVar("T")


class Survey:
    """Of the sources of a request."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._cache = Path(request.cache)
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._watch = Watch(request.patience.asking)

    async def run(self) -> Sequence[Look]:
        """What every source is, in their order; raises nothing."""
        scratch = Path(self._request.scratch)
        looks = [
            Look(asked=asked, listing=scratch / f"{number}.sqlite", described=scratch / f"{number}")
            for number, asked in enumerate(self._request.sources)
        ]
        watching = asyncio.ensure_future(self._watch.look())
        await asyncio.gather(*map(self._one, looks))
        watching.cancel()
        return looks

    async def _one(self, look: Look) -> None:
        try:
            origin = opening.opened(look.asked)
            await asyncio.get_running_loop().run_in_executor(self._pool, at, look, origin, self._cache)
            if look.here:
                _copy(look, look.here)
            else:
                await self._read(look, origin)
        except Exception as error:
            look.refused(failure.of(error, self._cache))

    async def _read(self, look: Look, origin: Origin) -> None:
        """What describes the source, else a byte of it: whoever may list may not always read."""
        catalog = Catalog(look.listing)
        try:
            entries = [entry for path in look.asked.described if (entry := catalog.find(path))]
            described = [entry for entry in entries if entry.size <= LARGEST_DESCRIBED]
            for entry in described:
                content = await self._twice(origin, partial(_whole, origin, entry))
                _write(look.described / entry.name, content)
            if not described and (entry := catalog.smallest()):
                await self._twice(origin, partial(_first, origin, entry))
        finally:
            catalog.close()

    async def _twice(self, origin: Origin, ask: Callable[[Asking], Awaitable[T]]) -> T:
        """What is asked, at the second try if need be. Raises Refused."""
        for tries in range(TRIES):
            try:
                return await ask(Asking((origin,), self._watch))
            except Exception as error:
                if tries + 1 == TRIES or not may_pass(error):
                    raise origin.refused(error) from error
            await asyncio.sleep(self._request.patience.first)
        raise AssertionError


def _copy(look: Look, here: Path) -> None:
    for path in look.asked.described:
        if (here / path).is_file():
            _write(look.described / path, (here / path).read_bytes())


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


async def _whole(origin: Origin, entry: Entry, asking: Asking) -> bytes:
    return bytes(await asking.whole(origin, entry))


async def _first(origin: Origin, entry: Entry, asking: Asking) -> None:
    async for _ in asking.span(origin, entry, 0, 1):
        return
