"""The sources of a run: surveyed and fetched in batches, or mounted by the platform."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from robotrain_runtime.contract import document as contract_document
from robotrain_runtime.contract import plugin_loader
from robotrain_runtime.contract.checkpoint import MANIFEST
from robotrain_runtime.contract.container_plugin import (
    BatchFetch,
    ContainerContext,
    PythonEnvironment,
    SourceContainerPlugin,
    SurveyedSource,
)
from robotrain_runtime.contract.document import JobDocument, JobSource, Mount
from robotrain_runtime.contract.event import Download
from robotrain_runtime.contract.failure import Finding, make_finding
from robotrain_runtime.contract.plugin_loader import make_container_context
from robotrain_runtime.process.stop import StopSignal


class SourceBatches:
    """Those of a document. found: what `survey` saw, by source. mounted: the folder of each that needs none, once
    somebody looked.

    python: the interpreter of an environment that a carrier needs, built when it is not there.
    """

    def __init__(
        self,
        document: JobDocument,
        stop: StopSignal,
        log_line: Callable[[str], None],
        python: Callable[[PythonEnvironment], Path],
    ) -> None:
        self.surveys: dict[JobSource, SurveyedSource] = {}
        self.mounted: dict[JobSource, Path] = {}
        self.python = python
        self._document = document
        self._stop = stop
        self._log_line = log_line
        self._started: list[tuple[BatchFetch, list[JobSource]]] = []

    @property
    def missing_bytes(self) -> int:
        """The bytes that still have to be fetched, after the survey."""
        return sum(found.missing for found in self.surveys.values())

    @property
    def digests(self) -> frozenset[str]:
        """What identifies the data that the survey saw."""
        return frozenset(found.digest for found in self.surveys.values() if found.digest)

    def survey(self) -> Mapping[JobSource, SurveyedSource]:
        """What the sources are, all of them. Raises JobFailed when nobody can tell, StopRequested."""
        described = plugin_loader.load_workload_plugin(self._document).DESCRIBED
        for name, carried in group_by_fetcher(self._document).items():
            carrier = plugin_loader.load_batch_fetcher(name)
            kinds = {source.kind: plugin_loader.load_source_plugin(self._document, source) for source in carried}
            place = make_container_context(self._document, self.python(carrier.ENVIRONMENT), self._log_line)
            delivery = carrier.deliver(carried, kinds, place, described)
            self._started.append((delivery, carried))
            with self._stop.interruptible():
                self.surveys.update({found.source: found for found in delivery.survey()})
        return self.surveys

    def fetch(self, progress: Callable[[Download], None]) -> dict[JobSource, Path]:
        """The folder of each source; after the survey. Raises JobFailed, StopRequested."""
        data: dict[JobSource, Path] = {}
        for delivery, carried in self._started:
            others = [found for source, found in self.surveys.items() if source not in carried]
            before, after = (
                sum(found.missing for found in others if (found.source in data) is there) for there in (True, False)
            )
            with self._stop.interruptible():
                data.update(delivery.fetch(_add_other_bytes(progress, before, after)))
        return data

    def close(self) -> None:
        """End what still goes on; nothing of the survey's files is there any more."""
        while self._started:
            self._started.pop()[0].close()


def group_by_fetcher(document: JobDocument) -> dict[str, list[JobSource]]:
    """The sources that a carrier brings, by its module, in their order. Raises JobFailed."""
    found: dict[str, list[JobSource]] = {}
    for source in contract_document.list_fetched_sources(document):
        if name := plugin_loader.get_batch_fetcher_name(plugin_loader.load_source_plugin(document, source)):
            found.setdefault(name, []).append(source)
    return found


def _add_other_bytes(progress: Callable[[Download], None], before: int, after: int) -> Callable[[Download], None]:
    """That of one delivery as a part of all. before, after: the bytes of the others, fetched and still to come."""
    return lambda one: progress(Download(done=one.done + before, total=one.total + before + after, rate=one.rate))


def inspect_mount(
    document: JobDocument, source: JobSource, mount: Mount, context: ContainerContext
) -> tuple[Path | None, list[Finding]]:
    """The folder that a mounted source lies in, None for nowhere; and what is wrong with it. Raises JobFailed."""
    origin = mount.origin or source.uri
    try:
        outer = contract_document.resolve_folder(mount.folder)
    except contract_document.UnsetVariable as name:
        title = f"{name} is not set, so nobody knows where {origin} lies"
        return None, [Finding(code="mount-missing", title=title, given=source.uri)]
    try:
        folders = _find_data_folders(outer, _list_marker_paths(document, source))
    except OSError as error:
        title = f"{origin} cannot be read in {error.filename or outer}: {error.strerror}"
        return None, [Finding(code="mount-missing", title=title, given=source.uri)]
    if not folders:
        title = f"{origin} was brought to the machine empty: nothing lies in {outer}"
        return None, [Finding(code="mount-empty", title=title, given=source.uri, fault="data")]
    said: list[str] = []
    for folder in folders:
        if not (wrong := list(_find_mount_problems(document, source, folder, context))):
            return folder, []
        said = said or wrong
    return None, [make_finding("source-unreachable", one, source.uri) for one in said]


def fetch_from_mount(document: JobDocument, source: JobSource, folder: Path, context: ContainerContext) -> Path:
    """What of the folder is used: its half may want a part of it. Its pin was compared before. Raises OSError."""
    half = _load_reader(document, source)
    return half.fetch(replace(source, uri=str(folder), pin=""), context) if half else folder


def _list_marker_paths(document: JobDocument, source: JobSource) -> Sequence[str]:
    """Paths that show that the data begins where one of them is."""
    described = plugin_loader.load_workload_plugin(document).DESCRIBED
    return (*described.get(source.role, ()), MANIFEST)


def _find_data_folders(outer: Path, begins: Iterable[str]) -> list[Path]:
    """Where the data may lie, the likeliest first: an upload keeps the name of the folder that was uploaded.

    Empty when there is nothing. Raises OSError.
    """
    found: list[Path] = []
    folder: Path | None = outer
    while folder is not None:
        seen = _list_visible(folder)
        if not seen:
            break
        found.insert(0, folder)
        begun = any((folder / path).exists() for path in begins)
        folder = Path(seen[0].path) if len(seen) == 1 and seen[0].is_dir() and not begun else None
    return found if folder is None else []


def _list_visible(folder: Path) -> list["os.DirEntry[str]"]:
    """What lies in a folder, hidden things apart; nothing in one that is not there. Raises OSError."""
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except FileNotFoundError:
        return []


def _find_mount_problems(
    document: JobDocument, source: JobSource, folder: Path, context: ContainerContext
) -> Iterator[str]:
    """What the half of its kind says, where there is one that looks itself."""
    if half := _load_reader(document, source):
        yield from half.mounted(replace(source, uri=str(folder)), context)


def _load_reader(document: JobDocument, source: JobSource) -> SourceContainerPlugin | None:
    """The half that reads it where it lies; None for a kind that has none, or that a carrier brings."""
    half = (
        plugin_loader.load_source_plugin(document, source)
        if plugin_loader.has_source_plugin(document, source)
        else None
    )
    return None if half is None or plugin_loader.get_batch_fetcher_name(half) else half
