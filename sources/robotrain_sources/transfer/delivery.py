"""The carrier of kinds that are listed and fetched over the network: one program in the data environment for all.

A half that names this module as its `CARRIER` says in `ORIGIN` which module opens its sources there. It may have
`asked(source, place)` as well: what that module is asked for, where the printed form alone would not do.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from robotrain_runtime.document import Source
from robotrain_runtime.event import Download
from robotrain_runtime.failure import Failed
from robotrain_runtime.half import Delivery, Found, Place, SourceHalf

from robotrain_sources.data_environment import ENVIRONMENT
from robotrain_sources.transfer import failure, request
from robotrain_sources.transfer.program import Program
from robotrain_sources.transfer.scratch import Scratch

__all__ = ["ENVIRONMENT", "deliver"]

PATIENCE = request.Patience()


def deliver(
    sources: Sequence[Source],
    halves: Mapping[str, SourceHalf],
    place: Place,
    described: Mapping[str, Sequence[str]],
) -> Delivery:
    """Bring `sources`, with one scheduler over all of them."""
    asked = [
        request.Asked(
            uri=_uri(source, halves[source.kind], place),
            pin=source.pin,
            role=source.role,
            origin=str(getattr(halves[source.kind], "ORIGIN")),  # noqa: B009
            credential=place.credentials.get(source.kind, ""),
            described=tuple(described.get(source.role, ())),
            way=place.ways.get(source.kind, ""),
        )
        for source in sources
    ]
    modules = [str(getattr(half, "__name__")) for half in halves.values()]  # noqa: B009
    return Transfer(sources, asked, Program(place, modules), place)


class Transfer:
    """Sources on their way."""

    def __init__(
        self, sources: Sequence[Source], asked: Sequence[request.Asked], program: Program, place: Place
    ) -> None:
        self._sources = sources
        self._asked = asked
        self._place = place
        self._program = program
        self._scratch: Scratch | None = None
        self._closing = threading.Lock()

    def survey(self) -> Sequence[Found]:
        """What each source is, in their order. Raises Failed when the program cannot be run, or write to the cache."""
        self._scratch = scratch = self._made()
        wanted = request.Request(
            sources=self._asked,
            cache=str(self._place.cache),
            scratch=str(scratch.path),
            download_mib=self._place.download_mib,
            patience=PATIENCE,
        )
        try:
            self._program.start(request.dump(wanted))
            found = self._answer("surveyed")
        except BaseException:
            self.close()
            raise
        return [_found(source, told) for source, told in zip(self._sources, found, strict=True)]

    def fetch(self, progress: Callable[[Download], None]) -> Mapping[Source, Path]:
        """The folder of each source, complete and verified; held until `close`. Raises Failed."""

        def told(far: Sequence[float]) -> None:
            progress(Download(done=int(far[0]), total=int(far[1]), rate=far[2]))

        try:
            self._program.say(request.GO)
            folders = self._answer("delivered", told)
        except BaseException:
            self.close()
            raise
        return dict(zip(self._sources, map(Path, folders), strict=True))

    def close(self) -> None:
        """End the program; what it has fetched so far stays for the next try."""
        with self._closing:
            self._program.end()
            if self._scratch is not None:
                self._scratch.close()

    def _made(self) -> Scratch:
        try:
            return Scratch(self._place.cache)
        except OSError as error:
            why = failure.of(error, self._place.cache)
            raise Failed(str(why), fault=why.fault) from error

    def _answer(self, wanted: str, progress: Callable[[Any], None] = lambda far: None) -> Any:
        name, content = self._program.answer(wanted, "failed", progress=progress)
        if name == "failed":
            raise Failed(content["reason"], fault=content["fault"])
        return content


def _uri(source: Source, half: SourceHalf, place: Place) -> str:
    asked: Callable[[Source, Place], str] | None = getattr(half, "asked", None)
    return asked(source, place) if asked else source.uri


def _found(source: Source, told: Mapping[str, Any]) -> Found:
    described = Path(told["described"]) if told["described"] else None
    return Found(source=source, **{**told, "wrong": tuple(told["wrong"]), "described": described})
