"""The survey of all sources at once: listing, cached data, and whether they can be read."""

import asyncio
import importlib
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from robotrain_runtime.contract.event import Fault

from robotrain_sources.fetching import errors
from robotrain_sources.fetching.errors import FetchError, is_transient
from robotrain_sources.transfer import cache_store
from robotrain_sources.transfer import catalog as transfer_catalog
from robotrain_sources.transfer.catalog import Catalog, DataSize
from robotrain_sources.transfer.origin import DataOrigin, OriginModule, SourceFile, SourceRequest, TransferRequest
from robotrain_sources.transfer.requests import RemoteReader, StallDetector


def open_origin(request: SourceRequest) -> DataOrigin:
    """Open the source of a request. Raise FetchError."""
    try:
        module = cast(OriginModule, importlib.import_module(request.origin))
    except ImportError as error:
        raise FetchError(f"{request.origin} cannot be imported: {error}", "code") from error
    return module.open(request.uri, request.pin, request.role, request.credential, request.way)


EMPTY = DataSize(0, 0, 0)


@dataclass(slots=True, kw_only=True)
class SourceSurvey:
    """What the survey found about one source."""

    request: SourceRequest
    listing: Path
    """The file of the catalog."""
    described: Path
    """The folder for the files that describe the data."""
    problems: list[str] = field(default_factory=list)
    fault: Fault = ""
    size: DataSize = EMPTY
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
        self.problems.append(str(error))
        self.fault = error.fault

    def to_answer(self) -> dict[str, Any]:
        """Return the answer for the container plugin."""
        described = str(self.described) if self.described.exists() else None
        size = {"files": self.size.files, "size": self.size.size, "missing": self.missing}
        return {"wrong": self.problems, "fault": self.fault, **size, "digest": self.digest, "described": described}


def survey_origin(survey: SourceSurvey, origin: DataOrigin, cache: Path) -> None:
    """Fill in what the source holds, without network if its pinned data is cached. Raise FetchError, OSError."""
    survey.origin = origin
    if origin.can_leave_out and survey.request.needed:
        survey.needed = (*survey.request.needed, *survey.request.described)
    parent = cache_store.get_cache_folder(cache, origin.place, "")
    names = dict.fromkeys((survey.name, survey.request.uri))  # all of it has every part
    pinned = (cache_store.find_pinned_folder(parent, name, survey.request.pin) for name in names)
    cached = next(filter(None, pinned), None)
    if cached and cache_store.are_files_intact(cached, survey.request.described):
        survey.folder, survey.digest, survey.size = cached, cached.name, cache_store.read_size(cached)
        survey.cached_files = cached / cache_store.FILES
        return
    survey.size, survey.digest = write_listing(origin, survey.listing, survey.needed)
    if why := origin.find_pin_mismatch(survey.digest):
        raise FetchError(why, "data")
    survey.folder = cache_store.get_cache_folder(cache, origin.place, survey.digest)
    survey.cached_files = (
        cache_store.find_complete_files(survey.folder)
        if cache_store.are_files_intact(survey.folder, survey.request.described)
        else None
    )
    survey.missing = 0 if survey.cached_files else survey.size.disk_bytes - _count_arrived_bytes(survey.folder)


def write_listing(origin: DataOrigin, path: Path, needed: Sequence[str] = ()) -> tuple[DataSize, str]:
    """List a source into a catalog on the disk of the cache; return size and digest. Raise FetchError, OSError.

    :param needed: patterns of the files that are listed; empty for all.
    """
    files = _list_files(origin)
    if needed:
        files = (file for file in files if any(fnmatchcase(file.name, pattern) for pattern in needed))
    with closing(Catalog(path)) as catalog:
        catalog.add_files(files, transfer_catalog.is_folding_disk(path.parent))
        size = catalog.measure()
        if not size.files and needed:
            raise FetchError(f"it has none of the files that the work needs: {', '.join(needed)}", "data")
        if not size.files:
            raise origin.explain_empty()
        return size, catalog.compute_digest()


def _list_files(origin: DataOrigin) -> Iterator[SourceFile]:
    try:
        yield from origin.list_files()
    except FetchError:
        raise
    except Exception as error:
        raise origin.explain_error(error) from error


def _count_arrived_bytes(folder: Path) -> int:
    """Return the bytes that an interrupted download left, or that are intact in a damaged folder."""
    path = cache_store.get_partial_folder(folder) / cache_store.CATALOG
    if not path.parent.exists():
        return sum(
            file.size
            for file in cache_store.read_damaged_manifest(folder)
            if cache_store.has_length(folder / cache_store.FILES / file.name, file.size)
        )
    if not path.exists():
        return 0
    try:
        with closing(Catalog(path)) as catalog:
            return catalog.count_arrived_bytes()
    except sqlite3.Error:
        return 0


PARALLEL_SOURCES = 16
LARGEST_DESCRIBED = 16 << 20
MAX_TRIES = 2

T = TypeVar("T")


class Survey:
    """The survey of the sources of a request."""

    def __init__(self, request: TransferRequest) -> None:
        self._request = request
        self._cache = Path(request.cache)
        self._pool = ThreadPoolExecutor(PARALLEL_SOURCES)
        self._stall_detector = StallDetector(request.patience.asking)

    async def run(self) -> Sequence[SourceSurvey]:
        """Survey every source; problems are recorded, not raised."""
        scratch = Path(self._request.scratch)
        surveys = [
            SourceSurvey(request=source, listing=scratch / f"{number}.sqlite", described=scratch / f"{number}")
            for number, source in enumerate(self._request.sources)
        ]
        stall_watch = asyncio.ensure_future(self._stall_detector.run())
        await asyncio.gather(*map(self._survey_source, surveys))
        stall_watch.cancel()
        return surveys

    async def _survey_source(self, survey: SourceSurvey) -> None:
        try:
            origin = open_origin(survey.request)
            await asyncio.get_running_loop().run_in_executor(self._pool, survey_origin, survey, origin, self._cache)
            if survey.cached_files:
                for path in survey.request.described:
                    if (survey.cached_files / path).is_file():
                        _write_file(survey.described / path, (survey.cached_files / path).read_bytes())
            else:
                await self._read_described(survey, origin)
        except Exception as error:
            survey.add_error(errors.make_fetch_error(error, self._cache))

    async def _read_described(self, survey: SourceSurvey, origin: DataOrigin) -> None:
        """Read the describing files, else one byte: who may list may not always read."""
        with closing(Catalog(survey.listing)) as catalog:
            entries = [entry for path in survey.request.described if (entry := catalog.find_file(path))]
            described = [entry for entry in entries if entry.size <= LARGEST_DESCRIBED]
            for entry in described:
                content = await self._retry_once(origin, partial(_read_whole_file, origin, entry))
                _write_file(survey.described / entry.name, content)
            if not described and (entry := catalog.find_smallest_file()):
                await self._retry_once(origin, partial(_read_first_byte, origin, entry))

    async def _retry_once(self, origin: DataOrigin, request: Callable[[RemoteReader], Awaitable[T]]) -> T:
        """Return the answer of the first or second try. Raise FetchError."""
        for tries in range(MAX_TRIES):
            try:
                return await request(RemoteReader((origin,), self._stall_detector))
            except Exception as error:
                if tries + 1 == MAX_TRIES or not is_transient(error):
                    raise origin.explain_error(error) from error
            await asyncio.sleep(self._request.patience.first)
        raise AssertionError


def _write_file(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


async def _read_whole_file(origin: DataOrigin, entry: SourceFile, reader: RemoteReader) -> bytes:
    return bytes(await reader.read_file(origin, entry))


async def _read_first_byte(origin: DataOrigin, entry: SourceFile, reader: RemoteReader) -> None:
    async for _ in reader.read_range(origin, entry, 0, 1):
        return
