"""The data of a run: fetched into the cache, leased to the end of the run, prepared for the work."""

import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from robotrain_runtime.contract import document, failure, files, plugin_loader
from robotrain_runtime.contract.container_plugin import (
    PREPARED_FILE,
    RUN_PYTHON_VARIABLE,
    DataPreparation,
    PythonEnvironment,
    get_prepared_folder,
)
from robotrain_runtime.contract.document import Folders, JobDocument, JobSource
from robotrain_runtime.contract.failure import EXIT_PREFLIGHT, JobFailed
from robotrain_runtime.contract.plugin_loader import make_container_context
from robotrain_runtime.contract.problem import summarize_problem
from robotrain_runtime.contract.staged_data import StagedMount
from robotrain_runtime.data import sources
from robotrain_runtime.data.sources import SourceBatches
from robotrain_runtime.environments import environment, run_environment
from robotrain_runtime.machine import disk_cache
from robotrain_runtime.machine.disk_cache import CacheLease
from robotrain_runtime.process import child
from robotrain_runtime.process.event_relay import EventRelay
from robotrain_runtime.process.stop import StopSignal


class RunData:
    """The data of a job's sources: fetched, and leased for the run."""

    def __init__(self, document: JobDocument, relay: EventRelay, stop: StopSignal, lease: CacheLease) -> None:
        self._cache = Path(document.placement.cache)
        self._relay = relay
        self._stop = stop
        self._lease = lease
        self._plugin = plugin_loader.load_workload_plugin(document)
        self.batches = SourceBatches(document, stop, relay.write_line, self.build_python)

    @property
    def document(self) -> JobDocument:
        """The job's document."""
        return self.batches.document

    def build_python(self, required: PythonEnvironment) -> Path:
        """Return the interpreter of an environment that fetches data; build it if necessary."""
        log_line = self._relay.write_line
        return self._make_leased(partial(environment.build_python, required, self._cache, log_line, self._stop))

    @property
    def needs_run_environment(self) -> bool:
        """Whether every source either exists here or needs the run's own environment."""
        return not any(self._has_own_environment(source) for source in self.document.sources)

    def fetch(self, python: Callable[[], Path]) -> dict[JobSource, Path]:
        """Return the folder of each source, in order. Raise JobFailed or StopRequested.

        `python` waits for the interpreter of the run's environment, for sources without an environment of their own.
        """
        data_folders = self._fetch_all(python)
        if problems := list(self._plugin.inspect(self.document, data_folders)):
            raise JobFailed("; ".join(map(summarize_problem, problems)), EXIT_PREFLIGHT, "data")
        return data_folders

    @property
    def lists_later_mounts(self) -> bool:
        """Whether the platform mounts a source later: its folder does not exist yet."""
        return not all(Path(mount.folder).is_dir() for mount in self.document.placement.mounts)

    def fetch_unmounted(self, python: Callable[[], Path]) -> list[StagedMount]:
        """Fetch the sources that are not mounted, whatever the others are. Raise JobFailed or StopRequested."""
        placement = replace(self.document.placement, mounts=())
        document_part = replace(
            self.document, sources=document.list_fetched_sources(self.document), placement=placement
        )
        unmounted_run_data = RunData(document_part, self._relay, self._stop, self._lease)
        return unmounted_run_data.list_staged(unmounted_run_data._survey_and_fetch(python))

    def fetch_extra(self, source: JobSource, plugin: str, python: Callable[[], Path]) -> Path:
        """Return the folder of a source that is not in the document. `plugin` is its container plugin's module.

        Raise JobFailed or StopRequested.
        """
        container_plugins = {**self.document.container_plugins, f"source.{source.kind}": plugin}
        placement = replace(self.document.placement, mounts=())
        document = replace(self.document, sources=(source,), container_plugins=container_plugins, placement=placement)
        return RunData(document, self._relay, self._stop, self._lease)._survey_and_fetch(python)[source]

    def get_preparation(self, data_folders: Folders) -> DataPreparation | None:
        """Return what the workload prepares from the data before the work; None for nothing."""
        return self._plugin.prepare(
            self.document, data_folders, {source: self._get_digest(source) for source in data_folders}
        )

    def list_staged(self, data_folders: Folders) -> list[StagedMount]:
        """Return the sources that are in the cache now, for a run that uses them as they are."""
        cache = Path(os.path.abspath(self._cache))
        return [
            StagedMount(
                role=source.role, uri=source.uri, folder=str(data_folders[source]), digest=self._get_digest(source)
            )
            for source in document.list_fetched_sources(self.document)
            if source in data_folders and cache in data_folders[source].parents
        ]

    def _get_digest(self, source: JobSource) -> str:
        """Return what identifies the content of a source; empty if unknown."""
        mount = document.find_mount(self.document, source)
        if isinstance(mount, StagedMount):
            return mount.digest
        survey = self.batches.surveys.get(source)
        return survey.digest if survey else source.pin

    def prepare(self, preparation: DataPreparation, python: Path) -> tuple[Path, bool]:
        """Return the prepared data, and whether it was in the cache. Raise JobFailed or StopRequested."""
        log_line = self._relay.write_line
        if preparation.key:
            folder = get_prepared_folder(self.document, preparation.key)
        else:
            folder = Path(self.document.placement.work) / "prepared"
        is_cached = bool(preparation.key) and files.find_complete_files(folder, PREPARED_FILE) is not None
        if not is_cached and preparation.key:
            surveys = self.batches.surveys
            self._make_room(sum(surveys[source].size for source in preparation.sources if source in surveys))

        def fill_folder(to: Path) -> None:
            python_environment = preparation.environment
            command_python = self.build_python(python_environment) if python_environment else python
            command = [str(command_python), *preparation.arguments, str(to)]
            extra_variables = {**preparation.environ, RUN_PYTHON_VARIABLE: str(python)}
            environ = run_environment.make_program_environ(self.document, extra_variables)
            try:
                program = child.Program(command, environ=environ, on_line=log_line, on_event=self._relay.forward)
                program.wait_successfully(self._stop)
            except JobFailed as failed:  # its exit code says nothing about the run
                raise JobFailed(failed.reason, fault=failed.fault) from failed
            if not to.is_dir():
                raise JobFailed(f"the preparation of the data did not create {to}")
            os.sync()  # after a power cut, files of the right size must have the right content

        prepare = partial(
            files.fill_cache_folder,
            folder,
            PREPARED_FILE,
            fill_folder,
            on_wait=lambda: log_line(f"another run is preparing {folder}: waiting"),
            waiting=self._stop.interruptible,
            rebuild=not preparation.key,
        )
        with failure.convert_os_errors():
            return self._make_leased(prepare), is_cached

    def _survey_and_fetch(self, python: Callable[[], Path]) -> dict[JobSource, Path]:
        with closing(self.batches) as batches:
            for survey in batches.survey().values():
                if survey.problems:
                    raise JobFailed("; ".join(map(summarize_problem, survey.problems)), fault=survey.fault)
            return self._fetch_all(python)

    def _fetch_all(self, python: Callable[[], Path]) -> dict[JobSource, Path]:
        """Return the folder of each source, in order, after the survey."""
        self._make_room(self.batches.missing_bytes)
        while True:
            data_folders = self.batches.fetch(self._relay.emit)
            is_leased = all([self._lease.acquire(folder) for folder in data_folders.values()])
            self.batches.close()
            if is_leased:
                break
            self.batches.survey()  # another process removed some of it before the lease
        for source in sorted(self.document.sources, key=self._has_own_environment, reverse=True):
            if source not in data_folders:
                data_folders[source] = self._fetch_source(source, python)
        self._make_room(0)
        for source, folder in data_folders.items():
            sources.record_tags(self.document, source, folder)
        return {source: data_folders[source] for source in self.document.sources if source in data_folders}

    def _has_own_environment(self, source: JobSource) -> bool:
        """Whether the source is fetched in another environment than the run's."""
        if document.find_mount(self.document, source):
            return False
        plugin = plugin_loader.load_source_plugin(self.document, source)
        return bool(plugin.CARRIER or plugin.ENVIRONMENT)

    def _fetch_source(self, source: JobSource, python: Callable[[], Path]) -> Path:
        log_line = self._relay.write_line
        if document.find_mount(self.document, source):
            folder = self.batches.mounted[source]  # as preflight found it
            context = make_container_context(self.document, None, log_line)
            with failure.convert_os_errors(), self._stop.interruptible():
                source_folder = sources.fetch_from_mount(self.document, source, folder, context)
            if not self._lease.acquire(source_folder):
                raise JobFailed(f"{source_folder} was removed after the run had begun")
            return source_folder
        plugin = plugin_loader.load_source_plugin(self.document, source)
        source_python = self.build_python(plugin.ENVIRONMENT) if plugin.ENVIRONMENT else python()
        context = make_container_context(self.document, source_python, log_line)
        with failure.convert_os_errors(), self._stop.interruptible():
            return self._make_leased(partial(plugin.fetch, source, context))

    def _make_leased(self, make_path: Callable[[], Path]) -> Path:
        """Return what `make_path` creates or finds, leased for the run; repeat if another process just removed it."""
        while not self._lease.acquire(path := make_path()):
            pass
        return path

    def _make_room(self, incoming_bytes: int) -> None:
        """Evict data from the cache to stay within its limit; data of this run is leased or known by its digest."""
        if (limit := self.document.placement.cache_gib) is not None:
            disk_cache.evict_data(self._cache, limit, incoming_bytes, self._relay.write_line, self.batches.digests)
