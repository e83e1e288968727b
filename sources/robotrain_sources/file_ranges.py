"""Parts of the files of a source, read on the submit side by what transfers them: near ones with one request."""

import importlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence

from robotrain.model.source import FileRange, SourceError

from robotrain_sources import parallel
from robotrain_sources.transfer.origin import CLIENT_OPTIONS, DataOrigin

LIST_SECONDS, READ_SECONDS = 20.0, 60.0
THREADS = 16
LARGEST_GAP, LARGEST_PART = 1 << 14, 1 << 23
"""Between ranges that are read with one request, and of what one request reads."""


def list_sizes(open_origin: Callable[[], DataOrigin], service: str) -> Mapping[str, int]:
    """Return the size of each file. Raise SourceError."""

    def list_files() -> Mapping[str, int]:
        origin = open_origin()
        try:
            return {file.name: file.size for file in origin.list_files()}
        except Exception as error:
            raise SourceError(f"{origin.explain_error(error)}.") from None

    return parallel.run_with_deadline(LIST_SECONDS, list_files, service)


def read_ranges(open_origin: Callable[[], DataOrigin], ranges: Sequence[FileRange], service: str) -> Sequence[bytes]:
    """Return parts of files. Raise SourceError."""
    joined_ranges, contents_by_range = [*join_ranges(ranges)], dict[FileRange, bytes]()

    def read() -> Sequence[bytes]:
        origin = open_origin()
        library, store = importlib.import_module("obstore"), origin.open_store(CLIENT_OPTIONS)

        def read_part(part: FileRange, stopped: threading.Event) -> None:
            path, start, stop = part
            contents_by_range[part] = bytes(
                library.get_range(store, origin.get_store_path(path), start=start, end=stop)
            )

        try:
            parallel.run_parallel(read_part, joined_ranges, min(THREADS, len(joined_ranges)))
        except Exception as error:
            raise SourceError(f"{origin.explain_error(error)}.") from None
        return [_cut(contents_by_range, file_range) for file_range in ranges]

    return parallel.run_with_deadline(READ_SECONDS, read, service)


def join_ranges(ranges: Sequence[FileRange]) -> Iterator[FileRange]:
    """Yield what to read for some ranges: near ones of a file together."""
    joined_range: FileRange | None = None
    for path, start, stop in sorted(ranges):
        if (
            joined_range
            and joined_range[0] == path
            and start <= joined_range[2] + LARGEST_GAP
            and stop - joined_range[1] <= LARGEST_PART
        ):
            joined_range = (path, joined_range[1], max(joined_range[2], stop))
            continue
        if joined_range:
            yield joined_range
        joined_range = (path, start, stop)
    if joined_range:
        yield joined_range


def _cut(contents_by_range: Mapping[FileRange, bytes], file_range: FileRange) -> bytes:
    path, start, stop = file_range
    offset, range_bytes = next(
        (range_start, range_bytes)
        for (name, range_start, range_stop), range_bytes in contents_by_range.items()
        if name == path and range_start <= start and stop <= range_stop
    )
    return range_bytes[start - offset : stop - offset]
