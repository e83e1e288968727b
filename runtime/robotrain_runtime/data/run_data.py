"""The data of a run: fetched into the cache, leased to the end of the run, prepared for the work."""

import contextlib
import json
import os
import re
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from robotrain_runtime.contract import document, failure, plugin_loader
from robotrain_runtime.contract.container_plugin import DataPreparation, PythonEnvironment
from robotrain_runtime.contract.document import JobDocument, JobSource
from robotrain_runtime.contract.event import EventRecord
from robotrain_runtime.contract.failure import EXIT_PREFLIGHT, JobFailed
from robotrain_runtime.contract.plugin_loader import make_container_context
from robotrain_runtime.data import sources
from robotrain_runtime.data.sources import SourceBatches
from robotrain_runtime.environments import environment, run_environment
from robotrain_runtime.machine import disk_cache
from robotrain_runtime.machine.disk_cache import CacheLease
from robotrain_runtime.process import child
from robotrain_runtime.process import stop as process_stop
from robotrain_runtime.process.event_relay import EventRelay
from robotrain_runtime.process.stop import StopSignal

FILES_FOLDER = "files"
PREPARED_FILE = "prepared.json"
REMEMBERED_LINES = 200

MakeFolder = Callable[[Path], None]


def get_prepared_folder(document: JobDocument, preparation: DataPreparation) -> Path:
    """Return the folder of prepared data: in the cache, or in the run's folder if the preparation has no key."""
    if not preparation.key:
        return Path(document.placement.work) / "prepared"
    return Path(document.placement.cache) / "prepared" / document.workload / preparation.key


def find_prepared(place: Path) -> Path | None:
    """Return the prepared data at `place`; None if it is absent or incomplete."""
    try:
        expected = json.loads((place / PREPARED_FILE).read_text(encoding="utf-8"))["files"]
        is_complete = all((place / FILES_FOLDER / name).stat().st_size == size for name, size in expected.items())
    except (OSError, ValueError, KeyError, AttributeError):
        return None
    return place / FILES_FOLDER if is_complete else None


def ensure_prepared(
    place: Path, fill_folder: MakeFolder, stop: StopSignal, log_line: Callable[[str], None], rebuild: bool = False
) -> Path:
    """Return the prepared data at `place`; let `fill_folder` create it if it is absent, or with `rebuild`.

    One process creates it, others wait. Incomplete data of an interrupted process is removed. Raise JobFailed,
    StopRequested or OSError.
    """
    if not rebuild and (prepared := find_prepared(place)):  # without the lock: a run that uses it may hold it for days
        return prepared
    lock = place.with_name(place.name + ".lock")
    with process_stop.hold_lock(lock, stop, lambda: log_line(f"another run is preparing {place}: waiting")):
        if not rebuild and (prepared := find_prepared(place)):
            return prepared
        with _open_scratch(place) as scratch:
            fill_folder(scratch / FILES_FOLDER)
            _write_sizes(scratch)
            os.sync()  # after a power cut, files of the right size must have the right content
            if place.exists():
                shutil.rmtree(place)
            os.rename(scratch, place)
    return place / FILES_FOLDER


def make_preparation_program(
    document: JobDocument,
    preparation: DataPreparation,
    python: Path,
    stop: StopSignal,
    on_line: Callable[[str], None],
    on_event: Callable[[EventRecord], None],
) -> MakeFolder:
    """Return a function that runs the preparation's program to fill a folder."""

    def fill_folder(to: Path) -> None:
        output: deque[str] = deque(maxlen=REMEMBERED_LINES)

        def take_line(line: str) -> None:
            output.append(line)
            on_line(line)


        kills = failure.count_oom_kills()
        command = [str(python), *preparation.arguments, str(to)]
        environ = run_environment.make_program_environ(document, preparation.environ)
        code = child.run_program(command, environ=environ, stop=stop, on_line=heard, on_event=on_event)
        if code:
            why = failure.explain_exit(code, told)
            raise JobFailed(why, fault=failure.classify_exit(code, why, told, failure.count_oom_kills() > kills))
        if not to.is_dir():
            raise JobFailed("the data was to be prepared, and nothing was made")

    return make


@contextlib.contextmanager
def _open_scratch(place: Path) -> Iterator[Path]:
    """A new folder beside `place`, which is gone in the end unless it was renamed."""
    scratch = place.with_name(place.name + ".part")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _write_sizes(folder: Path) -> None:
    files = folder / FILES_FOLDER
    sizes = {
        path.relative_to(files).as_posix(): path.stat().st_size for path in sorted(files.rglob("*")) if path.is_file()
    }
    (folder / PREPARED_FILE).write_text(json.dumps({"files": sizes}, indent=1) + "\n", encoding="utf-8")


class RunData:
    """Brings the sources of a document. deliveries: those that carriers bring, which may be looked at first."""

    def __init__(self, document: JobDocument, relay: EventRelay, stop: StopSignal, holding: CacheLease) -> None:
        self._document = document
        self._cache = Path(document.placement.cache)
        self._relay = relay
        self._stop = stop
        self._lease = holding
        self._plugin = plugin_loader.load_workload_plugin(document)
        self.batches = SourceBatches(document, stop, relay.log.write_line, self.build_python)

    def build_python(self, required: PythonEnvironment) -> Path:
        """The interpreter of an environment that data is fetched in, built when it is not there."""
        say = self._relay.log.write_line
        built = self._make_leased(
            lambda: environment.build_environment(required.lock, required.python, self._cache, say, self._stop)
        )
        return environment.get_python(built)

    @property
    def needs_run_environment(self) -> bool:
        """Whether all of it has to wait for the run's own environment, or is here."""
        return not any(self._has_own_environment(source) for source in self._document.sources)

    def fetch(self, python: Callable[[], Path]) -> dict[JobSource, Path]:
        """The folder of each source, in their order. Raises JobFailed, StopRequested.

        python: waits for the interpreter of the run's environment. Only sources that have no other are fetched in it.
        """
        data = self._fetch_all(python)
        if wrong := list(self._plugin.inspect(self._document, data)):
            sentences = "; ".join(sentence.rstrip(".").replace("\n", ": ") for sentence in wrong)
            raise JobFailed(sentences, EXIT_PREFLIGHT, "data")
        return data

    def fetch_extra(self, source: JobSource, plugin: str, python: Callable[[], Path]) -> Path:
        """The folder of a source that is none of the document's, complete. half: its module. Raises JobFailed, StopRequested."""
        named = {**self._document.halves, f"source.{source.kind}": plugin}
        placement = replace(self._document.placement, mounts=())
        document = replace(self._document, sources=(source,), halves=named, placement=placement)
        other = RunData(document, self._relay, self._stop, self._lease)
        with closing(other.batches) as deliveries:
            for found in deliveries.survey().values():
                if found.problems:
                    raise JobFailed("; ".join(found.problems).replace("\n", ": "), fault=found.fault)
            return other._fetch_all(python)[source]

    def get_preparation(self, data: Mapping[JobSource, Path]) -> DataPreparation | None:
        """What the workload wants to be made of the data first; None for nothing."""
        found = self.batches.surveys
        digests = {source: found[source].digest if source in found else source.pin for source in data}
        asked = self._plugin.prepare(self._document, data, digests)
        if asked is not None and not re.fullmatch(r"[\w.-]*", asked.key):
            raise JobFailed(
                f"{self._document.workload} names prepared data {asked.key!r}, which is no name of a folder"
            )
        return asked

    def prepare(self, preparation: DataPreparation, python: Path) -> tuple[Path, bool]:
        """The folder of what is asked for, and whether it was made before. Raises JobFailed, StopRequested."""
        place, say = get_prepared_folder(self._document, preparation), self._relay.log.write_line
        before = bool(preparation.key) and find_prepared(place) is not None
        if not before and preparation.key:
            found = self.batches.surveys
            self._make_room(sum(found[source].size for source in preparation.sources if source in found))
        make = make_preparation_program(self._document, preparation, python, self._stop, say, self._relay.forward)
        try:
            made = self._make_leased(lambda: ensure_prepared(place, make, self._stop, say, rebuild=not preparation.key))
        except OSError as error:
            raise _make_failure(error) from error
        return made, before

    def _fetch_all(self, python: Callable[[], Path]) -> dict[JobSource, Path]:
        """The folder of each source, in their order, once the deliveries have been surveyed."""
        self._make_room(self.batches.missing_bytes)
        data = self._fetch_batches()
        for source in sorted(self._document.sources, key=self._has_own_environment, reverse=True):
            if source not in data:
                data[source] = self._fetch_source(source, python)
        self._make_room(0)
        return {source: data[source] for source in self._document.sources}

    def _has_own_environment(self, source: JobSource) -> bool:
        """Whether it has to be brought, and needs no environment of the run for that."""
        if document.find_mount(self._document, source):
            return False
        half = plugin_loader.load_source_plugin(self._document, source)
        return bool(plugin_loader.get_batch_fetcher_name(half) or plugin_loader.get_source_environment(half))

    def _fetch_batches(self) -> dict[JobSource, Path]:
        while True:
            data = self.batches.fetch(self._relay.emit)
            if all([self._lease.acquire(folder) for folder in data.values()]):
                self.batches.close()
                return data
            self.batches.close()  # removed in the moment before it was held
            self.batches.survey()

    def _fetch_source(self, source: JobSource, python: Callable[[], Path]) -> Path:
        if document.find_mount(self._document, source):
            return self._fetch_mounted(source)
        half = plugin_loader.load_source_plugin(self._document, source)
        wanted = plugin_loader.get_source_environment(half)
        place = make_container_context(
            self._document, self.build_python(wanted) if wanted else python(), self._relay.log.write_line
        )
        try:
            with self._stop.interruptible():
                return self._make_leased(partial(half.fetch, source, place))
        except OSError as error:
            raise _make_failure(error) from error

    def _fetch_mounted(self, source: JobSource) -> Path:
        """Where the platform brought it, as preflight saw it."""
        folder, place = (
            self.batches.mounted[source],
            make_container_context(self._document, None, self._relay.log.write_line),
        )
        try:
            with self._stop.interruptible():
                return sources.fetch_from_mount(self._document, source, folder, place)
        except OSError as error:
            raise _make_failure(error) from error

    def _make_leased(self, make_path: Callable[[], Path]) -> Path:
        """What `make` makes or finds in the cache, held to the end of the run; made again if it was just removed."""
        while not self._lease.acquire(made := make_path()):
            pass
        return made

    def _make_room(self, coming: int) -> None:
        """Within the cache's limit, if it has one. What this run uses is held, or known by its digest."""
        if (limit := self._document.placement.cache_gib) is not None:
            disk_cache.evict_data(self._cache, limit, coming, self._relay.log.write_line, self.batches.digests)


def _make_failure(error: OSError) -> JobFailed:
    return JobFailed(str(error), fault=failure.classify_error(str(error)))
