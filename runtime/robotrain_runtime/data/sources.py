"""The sources of a run: surveyed and fetched in batches, or mounted by the platform."""

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from robotrain_runtime.checkpoints import model_lineage
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
from robotrain_runtime.contract.failure import convert_os_errors
from robotrain_runtime.contract.plugin_loader import make_container_context
from robotrain_runtime.contract.problem import Problem, make_data_problem
from robotrain_runtime.contract.staged_data import StagedMount
from robotrain_runtime.process.stop import StopSignal


class SourceBatches:
    """The sources of a job that are fetched in batches. `python` returns the interpreter of an environment."""

    def __init__(
        self,
        document: JobDocument,
        stop: StopSignal,
        log_line: Callable[[str], None],
        python: Callable[[PythonEnvironment], Path],
    ) -> None:
        self.document = document
        self.surveys: dict[JobSource, SurveyedSource] = {}
        """The results of `survey`."""
        self.mounted: dict[JobSource, Path] = {}
        """The folders of mounted sources, which preflight adds."""
        self.python = python
        self._stop = stop
        self._log_line = log_line
        self._started: list[tuple[BatchFetch, list[JobSource]]] = []

    @property
    def missing_bytes(self) -> int:
        """The bytes that still have to be fetched, after the survey."""
        return sum(survey.missing for survey in self.surveys.values())

    @property
    def digests(self) -> frozenset[str]:
        """The digests of the surveyed data."""
        return frozenset(survey.digest for survey in self.surveys.values() if survey.digest)

    def survey(self) -> Mapping[JobSource, SurveyedSource]:
        """Return a survey of each source that has none yet.

        Raise JobFailed if a survey fails, StopRequested.
        """
        workload = plugin_loader.load_workload_plugin(self.document)
        describing_patterns = workload.DESCRIBED
        new_surveys = dict[JobSource, SurveyedSource]()
        skipped_sources = [source for _, sources in self._started for source in sources]
        for name, sources in group_by_fetcher(self.document, skipped_sources).items():
            patterns = {source: workload.needed_files(self.document, source) for source in sources}
            needed_files = {
                source: tuple(source_patterns) for source, source_patterns in patterns.items() if source_patterns
            }
            fetcher = plugin_loader.load_batch_fetcher(name)
            plugins = {source.kind: plugin_loader.load_source_plugin(self.document, source) for source in sources}
            context = make_container_context(self.document, self.python(fetcher.ENVIRONMENT), self._log_line)
            batch = fetcher.deliver(sources, plugins, replace(context, needed_files=needed_files), describing_patterns)
            self._started.append((batch, sources))
            with self._stop.interruptible():
                new_surveys.update({survey.source: survey for survey in batch.survey()})
        self.surveys.update(new_surveys)
        return new_surveys

    def fetch(self, progress: Callable[[Download], None]) -> dict[JobSource, Path]:
        """Return the folder of each source, after the survey. Raise JobFailed or StopRequested."""
        data_folders: dict[JobSource, Path] = {}
        for batch, batch_sources in self._started:
            other_surveys = [survey for source, survey in self.surveys.items() if source not in batch_sources]
            done_bytes = sum(survey.missing for survey in other_surveys if survey.source in data_folders)
            remaining_bytes = sum(survey.missing for survey in other_surveys) - done_bytes
            with self._stop.interruptible():
                data_folders.update(batch.fetch(partial(_report_total, progress, done_bytes, remaining_bytes)))
        return data_folders

    def close(self) -> None:
        """End running fetches, and remove the files of the surveys."""
        while self._started:
            self._started.pop()[0].close()


def group_by_fetcher(document: JobDocument, skipped_sources: Collection[JobSource]) -> dict[str, list[JobSource]]:
    """Return the sources of each batch fetcher, by its module, in order. Raise JobFailed."""
    batches: dict[str, list[JobSource]] = {}
    for source in contract_document.list_fetched_sources(document):
        if source not in skipped_sources and (name := plugin_loader.load_source_plugin(document, source).CARRIER):
            batches.setdefault(name, []).append(source)
    return batches


def _report_total(progress: Callable[[Download], None], done_bytes: int, remaining_bytes: int, batch: Download) -> None:
    """Report a batch's progress as that of all, given the bytes of the other batches."""
    progress(Download(done=batch.done + done_bytes, total=batch.total + done_bytes + remaining_bytes, rate=batch.rate))


def inspect_mount(
    document: JobDocument, source: JobSource, mount: Mount, context: ContainerContext
) -> tuple[Path | None, list[Problem]]:
    """Return the folder of a mounted source, if it is usable, and the findings about it. Raise JobFailed."""
    origin = mount.origin or source.uri
    try:
        outer = contract_document.resolve_folder(mount.folder)
    except contract_document.UnsetVariable as name:
        title = f"{name} is not set: it should name the folder of {origin}"
        return None, [Problem(code="mount-missing", title=title, given=source.uri)]
    if isinstance(mount, StagedMount):
        return outer, []
    try:
        describing_patterns = plugin_loader.load_workload_plugin(document).DESCRIBED
        folders = _find_data_folders(outer, (*describing_patterns.get(source.role, ()), MANIFEST))
    except OSError as error:
        title = f"{origin} cannot be read in {error.filename or outer}: {error.strerror}"
        return None, [Problem(code="mount-missing", title=title, given=source.uri)]
    if not folders:
        title = f"{origin} was mounted empty: there are no files in {outer}"
        return None, [Problem(code="mount-empty", title=title, given=source.uri, fault="data")]
    first_problems: list[Problem | str] = []
    reader = _load_reader(document, source)
    for folder in folders:
        problems = list(reader.mounted(replace(source, uri=str(folder)), context)) if reader else []
        if not problems:
            record_tags(document, source, folder)
            return folder, []
        first_problems = first_problems or problems
    return None, [make_data_problem(problem, code="source-unreachable", given=source.uri) for problem in first_problems]


def record_tags(document: JobDocument, source: JobSource, folder: Path) -> None:
    """Record the tags of the model in `folder`, in place of earlier ones; a plugin that reads it does so itself.

    Raise JobFailed.
    """
    if _load_reader(document, source) is None:
        with convert_os_errors():
            model_lineage.write_policy_lineage(Path(document.placement.cache), folder, {}, source.tag_values)


def fetch_from_mount(document: JobDocument, source: JobSource, folder: Path, context: ContainerContext) -> Path:
    """Return the part of a mounted folder that its plugin uses; the pin was checked before. Raise OSError."""
    is_staged = isinstance(contract_document.find_mount(document, source), StagedMount)
    plugin = None if is_staged else _load_reader(document, source)
    return plugin.fetch(replace(source, uri=str(folder), pin=""), context) if plugin else folder


def _find_data_folders(outer: Path, markers: Iterable[str]) -> list[Path]:
    """Return folders that may be the data, likeliest first: an upload keeps the name of the uploaded folder.

    Empty if there are no files. Raise OSError.
    """
    candidates: list[Path] = []
    folder: Path | None = outer
    while folder is not None:
        visible_entries = []
        with suppress(FileNotFoundError), os.scandir(folder) as children:
            visible_entries = [entry for entry in children if not entry.name.startswith(".")]
        if not visible_entries:
            break
        candidates.insert(0, folder)
        is_marked = any((folder / path).exists() for path in markers)
        folder = (
            Path(visible_entries[0].path)
            if len(visible_entries) == 1 and visible_entries[0].is_dir() and not is_marked
            else None
        )
    return candidates if folder is None else []


def _load_reader(document: JobDocument, source: JobSource) -> SourceContainerPlugin | None:
    """Return the plugin that reads a mounted source; None for a kind without one, or with a batch fetcher."""
    if not plugin_loader.has_source_plugin(document, source):
        return None
    plugin = plugin_loader.load_source_plugin(document, source)
    return None if plugin.CARRIER else plugin
