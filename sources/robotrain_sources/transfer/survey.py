"""A look at every source at once: its listing, what lies in the cache, and whether it can be read."""

import asyncio
import importlib
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
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
    """The source. Raises Refused."""
    try:
        kind = cast(OriginModule, importlib.import_module(request.origin))
    except ImportError as error:
        raise FetchError(f"{request.origin} cannot be imported: {error}", "code") from error
    way = {"way": request.way} if request.way else {}
    return kind.open(request.uri, request.pin, request.role, request.credential, **way)


EMPTY = DataSize(0, 0, 0)


@dataclass(slots=True, kw_only=True)
class SourceSurvey:
    """At one source. listing: the catalog's file. described: a folder. folder: where the data lies, or will.

    here: its files, when they are there already.
    """

    request: SourceRequest
    listing: Path
    described: Path
    problems: list[str] = field(default_factory=list)
    fault: Fault = ""
    size: DataSize = EMPTY
    missing: int = 0
    digest: str = ""
    folder: Path | None = None
    cached_files: Path | None = None
    origin: DataOrigin | None = None

    def add_error(self, error: FetchError) -> None:
        """It cannot be fetched."""
        self.problems.append(str(error))
        self.fault = error.fault

    def to_answer(self) -> dict[str, Any]:
        """What the other side is told, in `Found`'s words."""
        described = str(self.described) if self.described.exists() else None
        size = {"files": self.size.files, "size": self.size.size, "missing": self.missing}
        return {"wrong": self.problems, "fault": self.fault, **size, "digest": self.digest, "described": described}


def survey_origin(survey: SourceSurvey, origin: DataOrigin, cache: Path) -> None:
    """Fill in what the source is; nobody is asked for what is pinned and lies here. Raises Refused, OSError."""
    survey.origin = origin
    here = cache_store.find_pinned_folder(
        cache_store.get_cache_folder(cache, origin.place, ""), survey.request.uri, survey.request.pin
    )
    if here and cache_store.are_files_intact(here, survey.request.described):
        survey.folder, survey.digest, survey.size = here, here.name, cache_store.read_size(here)
        survey.cached_files = here / cache_store.FILES
        return
    survey.size, survey.digest = write_listing(origin, survey.listing)
    if why := origin.find_pin_mismatch(survey.digest):
        raise FetchError(why, "data")
    survey.folder = cache_store.get_cache_folder(cache, origin.place, survey.digest)
    survey.cached_files = (
        cache_store.find_complete_files(survey.folder)
        if cache_store.are_files_intact(survey.folder, survey.request.described)
        else None
    )
    survey.missing = 0 if survey.cached_files else survey.size.disk_bytes - _count_arrived_bytes(survey.folder)


def write_listing(origin: DataOrigin, path: Path) -> tuple[DataSize, str]:
    """List a source into a catalog on the disk of the cache; how much it is, its digest. Raises Refused, OSError."""
    catalog = Catalog(path)
    try:
        catalog.add_files(_list_files(origin), transfer_catalog.is_folding_disk(path.parent))
        total = catalog.measure()
        if not total.files:
            raise origin.explain_empty()
        return total, catalog.compute_digest()
    finally:
        catalog.close()


def _list_files(origin: DataOrigin) -> Iterator[SourceFile]:
    """The listing; what a library raises becomes a sentence. Raises Refused."""
    try:
        yield from origin.list_files()
    except FetchError:
        raise
    except Exception as error:
        raise origin.explain_error(error) from error


def _count_arrived_bytes(folder: Path) -> int:
    """The bytes of it that an earlier try left, or that are whole of it where some are damaged."""
    path = cache_store.get_partial_folder(folder) / cache_store.CATALOG
    if not path.parent.exists():
        return sum(
            kept.size
            for kept in cache_store.read_damaged_manifest(folder)
            if cache_store.has_expected_length(folder / cache_store.FILES, kept)
        )
    if not path.exists():
        return 0
    try:
        catalog = Catalog(path)
        try:
            return catalog.count_arrived_bytes()
        finally:
            catalog.close()
    except sqlite3.Error:
        return 0


PARALLEL_SOURCES = 16
LARGEST_DESCRIBED = 16 << 20
MAX_TRIES = 2

T = TypeVar("T")


class Survey:
    """Of the sources of a request."""

    def __init__(self, request: TransferRequest) -> None:
        self._request = request
        self._cache = Path(request.cache)
        self._pool = ThreadPoolExecutor(PARALLEL_SOURCES)
        self._stall_detector = StallDetector(request.patience.asking)

    async def run(self) -> Sequence[SourceSurvey]:
        """What every source is, in their order; raises nothing."""
        scratch = Path(self._request.scratch)
        looks = [
            SourceSurvey(request=asked, listing=scratch / f"{number}.sqlite", described=scratch / f"{number}")
            for number, asked in enumerate(self._request.sources)
        ]
        watching = asyncio.ensure_future(self._stall_detector.run())
        await asyncio.gather(*map(self._survey_source, looks))
        watching.cancel()
        return looks

    async def _survey_source(self, survey: SourceSurvey) -> None:
        try:
            origin = open_origin(survey.request)
            await asyncio.get_running_loop().run_in_executor(self._pool, survey_origin, survey, origin, self._cache)
            if survey.cached_files:
                _copy_described(survey, survey.cached_files)
            else:
                await self._read_described(survey, origin)
        except Exception as error:
            survey.add_error(errors.make_fetch_error(error, self._cache))

    async def _read_described(self, survey: SourceSurvey, origin: DataOrigin) -> None:
        """What describes the source, else a byte of it: whoever may list may not always read."""
        catalog = Catalog(survey.listing)
        try:
            entries = [entry for path in survey.request.described if (entry := catalog.find_file(path))]
            described = [entry for entry in entries if entry.size <= LARGEST_DESCRIBED]
            for entry in described:
                content = await self._retry_once(origin, partial(_read_whole_file, origin, entry))
                _write_file(survey.described / entry.name, content)
            if not described and (entry := catalog.find_smallest_file()):
                await self._retry_once(origin, partial(_read_first_byte, origin, entry))
        finally:
            catalog.close()

    async def _retry_once(self, origin: DataOrigin, request: Callable[[RemoteReader], Awaitable[T]]) -> T:
        """What is asked, at the second try if need be. Raises Refused."""
        for tries in range(MAX_TRIES):
            try:
                return await request(RemoteReader((origin,), self._stall_detector))
            except Exception as error:
                if tries + 1 == MAX_TRIES or not is_transient(error):
                    raise origin.explain_error(error) from error
            await asyncio.sleep(self._request.patience.first)
        raise AssertionError


def _copy_described(survey: SourceSurvey, files: Path) -> None:
    for path in survey.request.described:
        if (files / path).is_file():
            _write_file(survey.described / path, (files / path).read_bytes())


def _write_file(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


async def _read_whole_file(origin: DataOrigin, entry: SourceFile, reader: RemoteReader) -> bytes:
    return bytes(await reader.read_file(origin, entry))


async def _read_first_byte(origin: DataOrigin, entry: SourceFile, reader: RemoteReader) -> None:
    async for _ in reader.read_range(origin, entry, 0, 1):
        return
