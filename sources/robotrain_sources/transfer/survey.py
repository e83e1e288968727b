"""The survey of all sources at once: listing, cached data, and whether they can be read."""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, cast

from robotrain_runtime.contract.deadline import DeadlineFuture
from robotrain_runtime.contract.event import Fault
from robotrain_runtime.contract.problem import Problem, make_data_problem

from robotrain_sources.fetching import errors
from robotrain_sources.fetching.errors import FetchError
from robotrain_sources.transfer import cache_store
from robotrain_sources.transfer.origin import (
    DataOrigin,
    OriginModule,
    SourceFile,
    SourceRequest,
    TransferRequest,
    compute_data_digest,
    find_name_problem,
)
from robotrain_sources.transfer.requests import RemoteReader


def open_origin(request: SourceRequest) -> DataOrigin:
    """Open the source of a request. Raise FetchError."""
    try:
        module = cast(OriginModule, importlib.import_module(request.origin))
    except ImportError as error:
        raise FetchError(f"{request.origin} cannot be imported: {error}", "code") from error
    return module.open(request.uri, request.pin, request.role, request.credential, request.way)


BLOCK_SIZE = 4096
"""Files take whole blocks on a disk."""


@dataclass(slots=True, kw_only=True)
class SourceSurvey:
    """What the survey found about one source."""

    request: SourceRequest
    described: Path
    """The folder for the files that describe the data."""
    problems: list[Problem] = field(default_factory=list)
    fault: Fault = ""
    files: Sequence[SourceFile] | None = None
    """By name; None if the data was found in the cache by its pin."""
    file_count: int = 0
    size: int = 0
    missing: int = 0
    digest: str = ""
    folder: Path | None = None
    """The cache folder of the data, whether it exists or not."""
    cached_files: Path | None = None
    """The complete files in the cache."""
    origin: DataOrigin | None = None
    needed: Sequence[str] = ()
    """Patterns of the files that are fetched; empty for all."""

    @property
    def name(self) -> str:
        """What the cache calls it: its address, and which part of it."""
        return f"{self.request.uri} ({', '.join(self.needed)})" if self.needed else self.request.uri

    def add_error(self, error: FetchError) -> None:
        """Record why the source cannot be fetched."""
        self.problems.append(make_data_problem(error.sentence, error.way))
        self.fault = error.fault


def survey_origin(survey: SourceSurvey, origin: DataOrigin, cache: Path) -> None:
    """Fill in what the source holds, without network if its pinned data is cached. Raise FetchError, OSError."""
    survey.origin = origin
    if origin.can_leave_out and survey.request.needed:
        survey.needed = (*survey.request.needed, *survey.request.described)
    parent = cache_store.get_cache_folder(cache, origin.place, "")
    source_names = dict.fromkeys((survey.name, survey.request.uri))  # all of it has every part
    pinned_folders = (cache_store.find_pinned_folder(parent, name, survey.request.pin) for name in source_names)
    if cached := next(filter(None, pinned_folders), None):
        survey.folder, survey.digest, survey.cached_files = cached, cached.name, cached / cache_store.FILES
        survey.file_count, survey.size = cache_store.read_size(cached)
        return
    survey.files = list_source(origin, survey.needed)
    survey.file_count, survey.size = len(survey.files), sum(file.size for file in survey.files)
    survey.digest = compute_data_digest(survey.files)
    if mismatch := origin.find_pin_mismatch(survey.digest):
        raise mismatch
    survey.folder = cache_store.get_cache_folder(cache, origin.place, survey.digest)
    survey.cached_files = cache_store.find_complete_files(survey.folder)
    if not survey.cached_files:
        disk_bytes = sum(-(-file.size // BLOCK_SIZE) * BLOCK_SIZE for file in survey.files)
        survey.missing = disk_bytes - cache_store.count_arrived_bytes(survey.folder)


def list_source(origin: DataOrigin, needed_patterns: Sequence[str] = ()) -> Sequence[SourceFile]:
    """Return the files of a source, by name. Raise FetchError, also if they cannot all be written below one folder.

    :param needed_patterns: patterns of the files that are returned; empty for all.
    """
    try:
        files = sorted(origin.list_files(), key=lambda file: file.name)
    except FetchError:
        raise
    except Exception as error:
        raise origin.explain_error(error) from error
    if needed_patterns:
        files = [file for file in files if any(fnmatchcase(file.name, pattern) for pattern in needed_patterns)]
    if not files and needed_patterns:
        raise FetchError(f"it has none of the files that the work needs: {', '.join(needed_patterns)}", "data")
    if not files:
        raise origin.explain_empty()
    file_names = {file.name for file in files}
    for file in files:
        if problem := find_name_problem(file.name):
            raise FetchError(problem, "data")
        if file.size < 0 or not file.identity:
            reason = "the listing has no size, or neither a digest nor a version"
            raise FetchError(f"{reason}, of {file.name!r}", "data")
        parts = file.name.split("/")
        for folder in ("/".join(parts[:depth]) for depth in range(1, len(parts))):
            if folder in file_names:
                reason = f"{folder!r} is both a file and the folder of {file.name!r}, so both cannot be written"
                raise FetchError(reason, "data")
    if len(file_names) < len(files):
        raise FetchError("one name is listed twice, so its files cannot both be written", "data")
    return files


PARALLEL_SOURCES = 16
LARGEST_DESCRIBED = 16 << 20


def survey_sources(request: TransferRequest) -> Sequence[SourceSurvey]:
    """Survey every source; problems are recorded, not raised."""
    surveys = [
        SourceSurvey(request=source, described=request.scratch / f"{number}")
        for number, source in enumerate(request.sources)
    ]
    waiting_surveys = iter(surveys)

    def work() -> None:
        for survey in waiting_surveys:
            _survey_source(survey, request)

    for thread in [DeadlineFuture(work) for _ in range(min(PARALLEL_SOURCES, len(surveys)))]:
        thread.result()
    return surveys


def _survey_source(survey: SourceSurvey, request: TransferRequest) -> None:
    try:
        origin = open_origin(survey.request)
        survey_origin(survey, origin, request.cache)
        if origin.remark:
            request.log_line(origin.remark)
        if survey.cached_files:
            for path in survey.request.described:
                if (survey.cached_files / path).is_file():
                    _write_file(survey.described / path, (survey.cached_files / path).read_bytes())
        else:
            _read_described(survey, origin, request.patience.asking)
    except Exception as error:
        survey.add_error(errors.make_fetch_error(error, request.cache))


def _read_described(survey: SourceSurvey, origin: DataOrigin, stall_seconds: float) -> None:
    """Read the describing files, else one byte: who may list may not always read."""
    files = survey.files or ()
    describing_files = [
        file for file in files if file.name in survey.request.described and file.size <= LARGEST_DESCRIBED
    ]
    reader = RemoteReader((origin,), stall_seconds)
    try:
        for file in describing_files:
            _write_file(survey.described / file.name, reader.read_file(origin, file))
        if not describing_files and (nonempty_files := [file for file in files if file.size]):
            next(reader.read_range(origin, min(nonempty_files, key=lambda file: file.size), 0, 1), None)
    except Exception as error:
        raise origin.explain_error(error) from error


def _write_file(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
