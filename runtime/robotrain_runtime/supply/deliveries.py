"""The sources that carriers bring: looked at together, then fetched together."""

from collections.abc import Callable, Mapping
from pathlib import Path

from robotrain_runtime import halves, mounts, surroundings
from robotrain_runtime.document import JobDocument, Source
from robotrain_runtime.event import Download
from robotrain_runtime.half import Delivery, Environment, Found, Place
from robotrain_runtime.stop import Stop


class Deliveries:
    """Those of a document. found: what `survey` saw, by source. mounted: the folder of each that needs none, once
    somebody looked.

    python: the interpreter of an environment that a carrier needs, built when it is not there.
    """

    def __init__(
        self, document: JobDocument, stop: Stop, say: Callable[[str], None], python: Callable[[Environment], Path]
    ) -> None:
        self.found: dict[Source, Found] = {}
        self.mounted: dict[Source, Path] = {}
        self.python = python
        self._document = document
        self._stop = stop
        self._say = say
        self._going: list[tuple[Delivery, list[Source]]] = []

    @property
    def missing(self) -> int:
        """The bytes that still have to be fetched, after the survey."""
        return sum(found.missing for found in self.found.values())

    @property
    def digests(self) -> frozenset[str]:
        """What identifies the data that the survey saw."""
        return frozenset(found.digest for found in self.found.values() if found.digest)

    def survey(self) -> Mapping[Source, Found]:
        """What the sources are, all of them. Raises Failed when nobody can tell, Stopped."""
        described = getattr(halves.workload(self._document), "DESCRIBED", {})
        for name, carried in groups(self._document).items():
            carrier = halves.load_carrier(name)
            kinds = {source.kind: halves.source(self._document, source) for source in carried}
            place = place_of(self._document, self.python(carrier.ENVIRONMENT), self._say)
            delivery = carrier.deliver(carried, kinds, place, described)
            self._going.append((delivery, carried))
            with self._stop.armed():
                self.found.update({found.source: found for found in delivery.survey()})
        return self.found

    def fetch(self, progress: Callable[[Download], None]) -> dict[Source, Path]:
        """The folder of each source; after the survey. Raises Failed, Stopped."""
        data: dict[Source, Path] = {}
        for delivery, carried in self._going:
            others = [found for source, found in self.found.items() if source not in carried]
            before, after = (
                sum(found.missing for found in others if (found.source in data) is there) for there in (True, False)
            )
            with self._stop.armed():
                data.update(delivery.fetch(_among(progress, before, after)))
        return data

    def close(self) -> None:
        """End what still goes on; nothing of the survey's files is there any more."""
        while self._going:
            self._going.pop()[0].close()


def groups(document: JobDocument) -> dict[str, list[Source]]:
    """The sources that a carrier brings, by its module, in their order. Raises Failed."""
    found: dict[str, list[Source]] = {}
    for source in mounts.fetched(document):
        if name := halves.carrier(halves.source(document, source)):
            found.setdefault(name, []).append(source)
    return found


def place_of(document: JobDocument, python: Path | None, say: Callable[[str], None] = lambda line: None) -> Place:
    """Where a half works."""
    placement = document.placement
    return Place(
        cache=Path(placement.cache),
        python=python,
        tracking_uri=placement.tracking_uri,
        say=say,
        credentials=placement.credentials,
        download_mib=placement.download_mib,
        ways=placement.ways,
        tracking_environ=surroundings.tracking(document),
    )


def _among(progress: Callable[[Download], None], before: int, after: int) -> Callable[[Download], None]:
    """That of one delivery as a part of all. before, after: the bytes of the others, fetched and still to come."""
    return lambda one: progress(Download(done=one.done + before, total=one.total + before + after, rate=one.rate))
