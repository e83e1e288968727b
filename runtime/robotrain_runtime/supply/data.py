"""The data of a run: fetched into the cache, held there to the end of the run, made ready for the work."""

import re
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from robotrain_runtime import faults, halves, mounts
from robotrain_runtime.document import JobDocument, Source
from robotrain_runtime.environments import environment
from robotrain_runtime.failure import PREFLIGHT, Failed
from robotrain_runtime.half import Environment, Preparation
from robotrain_runtime.holding import Holding
from robotrain_runtime.relay import Relay
from robotrain_runtime.stop import Stop
from robotrain_runtime.supply import eviction, mounted, prepared
from robotrain_runtime.supply.deliveries import Deliveries, place_of


class Data:
    """Brings the sources of a document. deliveries: those that carriers bring, which may be looked at first."""

    def __init__(self, document: JobDocument, relay: Relay, stop: Stop, holding: Holding) -> None:
        self._document = document
        self._cache = Path(document.placement.cache)
        self._relay = relay
        self._stop = stop
        self._holding = holding
        self._half = halves.workload(document)
        self.deliveries = Deliveries(document, stop, relay.log.line, self.python)

    def python(self, wanted: Environment) -> Path:
        """The interpreter of an environment that data is fetched in, built when it is not there."""
        say = self._relay.log.line
        built = self._kept(lambda: environment.build(wanted.lock, wanted.python, self._cache, say, self._stop))
        return environment.python_of(built)

    @property
    def waits(self) -> bool:
        """Whether all of it has to wait for the run's own environment, or is here."""
        return not any(self._own(source) for source in self._document.sources)

    def fetch(self, python: Callable[[], Path]) -> dict[Source, Path]:
        """The folder of each source, in their order. Raises Failed, Stopped.

        python: waits for the interpreter of the run's environment. Only sources that have no other are fetched in it.
        """
        data = self._brought(python)
        if wrong := list(self._half.inspect(self._document, data)):
            sentences = "; ".join(sentence.rstrip(".").replace("\n", ": ") for sentence in wrong)
            raise Failed(sentences, PREFLIGHT, "data")
        return data

    def beside(self, source: Source, half: str, python: Callable[[], Path]) -> Path:
        """The folder of a source that is none of the document's, complete. half: its module. Raises Failed, Stopped."""
        named = {**self._document.halves, f"source.{source.kind}": half}
        placement = replace(self._document.placement, mounts=())
        document = replace(self._document, sources=(source,), halves=named, placement=placement)
        other = Data(document, self._relay, self._stop, self._holding)
        with closing(other.deliveries) as deliveries:
            for found in deliveries.survey().values():
                if found.wrong:
                    raise Failed("; ".join(found.wrong).replace("\n", ": "), fault=found.fault)
            return other._brought(python)[source]

    def preparation(self, data: Mapping[Source, Path]) -> Preparation | None:
        """What the workload wants to be made of the data first; None for nothing."""
        found = self.deliveries.found
        digests = {source: found[source].digest if source in found else source.pin for source in data}
        ask = getattr(self._half, "prepare", None)
        asked: Preparation | None = ask(self._document, data, digests) if ask else None
        if asked is not None and not re.fullmatch(r"[\w.-]*", asked.key):
            raise Failed(f"{self._document.workload} names prepared data {asked.key!r}, which is no name of a folder")
        return asked

    def prepared(self, asked: Preparation, python: Path) -> tuple[Path, bool]:
        """The folder of what is asked for, and whether it was made before. Raises Failed, Stopped."""
        place, say = prepared.folder(self._document, asked), self._relay.log.line
        before = bool(asked.key) and prepared.find(place) is not None
        if not before and asked.key:
            found = self.deliveries.found
            self._make_room(sum(found[source].size for source in asked.sources if source in found))
        make = prepared.program(self._document, asked, python, self._stop, say, self._relay.take)
        try:
            made = self._kept(lambda: prepared.land(place, make, self._stop, say, again=not asked.key))
        except OSError as error:
            raise _failed(error) from error
        return made, before

    def _brought(self, python: Callable[[], Path]) -> dict[Source, Path]:
        """The folder of each source, in their order, once the deliveries have been surveyed."""
        self._make_room(self.deliveries.missing)
        data = self._delivered()
        for source in sorted(self._document.sources, key=self._own, reverse=True):
            if source not in data:
                data[source] = self._fetched(source, python)
        self._make_room(0)
        return {source: data[source] for source in self._document.sources}

    def _own(self, source: Source) -> bool:
        """Whether it has to be brought, and needs no environment of the run for that."""
        if mounts.of(self._document, source):
            return False
        half = halves.source(self._document, source)
        return bool(halves.carrier(half) or halves.environment(half))

    def _delivered(self) -> dict[Source, Path]:
        while True:
            data = self.deliveries.fetch(self._relay.emit)
            if all([self._holding.keep(folder) for folder in data.values()]):
                self.deliveries.close()
                return data
            self.deliveries.close()  # removed in the moment before it was held
            self.deliveries.survey()

    def _fetched(self, source: Source, python: Callable[[], Path]) -> Path:
        if mounts.of(self._document, source):
            return self._mounted(source)
        half = halves.source(self._document, source)
        wanted = halves.environment(half)
        place = place_of(self._document, self.python(wanted) if wanted else python(), self._relay.log.line)
        try:
            with self._stop.armed():
                return self._kept(partial(half.fetch, source, place))
        except OSError as error:
            raise _failed(error) from error

    def _mounted(self, source: Source) -> Path:
        """Where the platform brought it, as preflight saw it."""
        folder, place = self.deliveries.mounted[source], place_of(self._document, None, self._relay.log.line)
        try:
            with self._stop.armed():
                return mounted.used(self._document, source, folder, place)
        except OSError as error:
            raise _failed(error) from error

    def _kept(self, make: Callable[[], Path]) -> Path:
        """What `make` makes or finds in the cache, held to the end of the run; made again if it was just removed."""
        while not self._holding.keep(made := make()):
            pass
        return made

    def _make_room(self, coming: int) -> None:
        """Within the cache's limit, if it has one. What this run uses is held, or known by its digest."""
        if (limit := self._document.placement.cache_gib) is not None:
            eviction.make_room(self._cache, limit, coming, self._relay.log.line, self.deliveries.digests)


def _failed(error: OSError) -> Failed:
    return Failed(str(error), fault=faults.of_text(str(error)))
