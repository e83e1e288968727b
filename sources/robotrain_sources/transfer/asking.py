"""Requests for files, each pinned to the state that was listed, and given up when nothing comes."""

import importlib
from collections.abc import AsyncIterator, Iterable
from typing import Any

from robotrain_sources.transfer.origin import Entry, Origin
from robotrain_sources.transfer.watch import Watch

PIECE = 1 << 16
"""What is waited for at a time, at least: as long as so much comes, a request does not stall."""
CHUNK = 1 << 20


class Asking:
    """Of the stores of `origins`. Raises Refused where there is none."""

    def __init__(self, origins: Iterable[Origin], watch: Watch) -> None:
        self._get: Any = importlib.import_module("obstore").get_async
        self._stores = {id(origin): _store(origin) for origin in origins}
        self._watch = watch

    async def whole(self, origin: Origin, entry: Entry) -> Any:
        """All bytes of a file."""
        return await self._watch.bytes_of((await self._asked(origin, entry, {})).bytes_async())

    async def span(self, origin: Origin, entry: Entry, start: int, stop: int) -> AsyncIterator[list[bytes]]:
        """The bytes from `start` to `stop`, some `CHUNK` at a time; what came before a failure, too."""
        stream = (await self._asked(origin, entry, {"range": (start, stop)})).stream(min_chunk_size=PIECE)
        pieces: list[bytes] = []
        held = 0
        failure: Exception | None = None
        while not failure:
            try:
                pieces.append(await self._watch.bytes_of(stream.__anext__()))
                held += len(pieces[-1])
            except Exception as error:
                failure = error
            if pieces and (failure or held >= CHUNK):
                yield pieces
                pieces, held = [], 0
        if not isinstance(failure, StopAsyncIteration):
            raise failure

    async def _asked(self, origin: Origin, entry: Entry, options: dict[str, Any]) -> Any:
        if entry.version:
            options["if_match"] = entry.version
        store, path = self._stores[id(origin)], origin.path(entry.name)
        return await self._watch.bytes_of(self._get(store, path, options=options))


def _store(origin: Origin) -> Any:
    try:
        return origin.store()
    except Exception as error:
        raise origin.refused(error) from error
