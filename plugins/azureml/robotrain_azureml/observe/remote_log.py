"""One log in Azure ML's storage, read from where the last reading ended, or its last lines.

The SDK's function fails in workspaces that use identities, and rereads everything each time.
"""

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from robotrain_azure.arm import StorageError
from robotrain_runtime.contract.deadline import DeadlineFuture, read_pieces

from robotrain_azureml.service import datastore
from robotrain_azureml.service.datastore import NOT_FOUND, RANGE_NOT_SATISFIABLE

WINDOW_BYTES = 1 << 16
"""Bytes of a log's end that are read first."""
FULL_CONTENT, EXPIRED_STATUSES = 200, (401, 403)
CLOSE_SECONDS = 1.0
MAX_TRIES, RETRY_PAUSE = 3, 0.5
"""For a connection that breaks without any bytes, and the pause in seconds."""

GetAddress = Callable[[bool], str]
"""Returns the log's URL; with True, a renewed one."""


class RemoteLogReader:
    """A reader of one log in storage.

    `offset`: bytes that were read. `restarted`: whether the log was replaced since the caller reset it.
    """

    def __init__(self, address: GetAddress) -> None:
        self._address = address
        self._unfinished = b""
        self.offset = 0
        self.restarted = False

    def read_new(self) -> Iterator[str]:
        """Yield the complete lines that were not read yet. Raises StorageError."""
        for piece in self._read_bytes(self.offset):
            self.offset += len(piece)
            *byte_lines, self._unfinished = (self._unfinished + piece).split(b"\n")
            yield from map(_decode_line, byte_lines)

    def read_last(self, count: int) -> list[str]:
        """Return the last complete lines; `read_new` continues after them. Raises StorageError."""
        with contextlib.closing(self._send_request("HEAD")) as response:
            start = 0 if response.status_code == NOT_FOUND else int(response.headers.get("Content-Length") or 0)
        content_bytes = b""
        while start and content_bytes.count(b"\n") <= count:
            window_start = max(0, start - max(WINDOW_BYTES, 3 * len(content_bytes)))
            content_bytes = b"".join(self._read_bytes(window_start, start)) + content_bytes
            start = window_start
        byte_lines = content_bytes.split(b"\n")
        self.offset, self._unfinished = start + len(content_bytes), byte_lines.pop()
        return (
            [_decode_line(line) for line in byte_lines[-count:]] if count else []
        )  # an incomplete first line is dropped

    def read_unfinished(self) -> list[str]:
        """Return the last line if it has no end yet; it counts as read."""
        unfinished_line, self._unfinished = self._unfinished, b""
        return [_decode_line(unfinished_line)] if unfinished_line else []

    def _read_bytes(self, start: int, end: int | None = None) -> Iterator[bytes]:
        """Yield the present bytes of a range; a broken connection is resumed."""
        tries, last_byte = MAX_TRIES, "" if end is None else end - 1
        while end is None or start < end:
            try:
                with _close_in_time(self._send_request("GET", {"Range": f"bytes={start}-{last_byte}"})) as response:
                    length = _parse_length(response)
                    if length is not None and length < self.offset:
                        self.offset, self._unfinished, self.restarted = 0, b"", True
                        return
                    for piece in _iterate_pieces(response, start):
                        start, tries = start + len(piece), MAX_TRIES
                        yield piece
                return
            except StorageError as error:
                tries -= 1
                if not tries or not error.is_transient:
                    raise
                time.sleep(RETRY_PAUSE)

    def _send_request(self, method: str, headers: Mapping[str, str] | None = None) -> Any:
        """Return the answer for the log's URL; if it is denied, it may have expired, so it is renewed once."""
        try:
            return datastore.send_signed_request(method, self._address(False), headers)
        except StorageError as error:
            if error.status not in EXPIRED_STATUSES:
                raise
        return datastore.send_signed_request(method, self._address(True), headers)


@contextlib.contextmanager
def _close_in_time(answer: Any) -> Iterator[Any]:
    """Close an answer at the end of the block; that would wait for a thread which still reads it."""
    try:
        yield answer
    finally:
        DeadlineFuture(answer.close).is_running(CLOSE_SECONDS)


def _parse_length(response: Any) -> int | None:
    """Return the bytes of a whole blob of which a part was requested; None if that is not known."""
    match = re.fullmatch(r"bytes .*/(\d+)", response.headers.get("Content-Range") or "")
    full_length = response.headers.get("Content-Length") if response.status_code == FULL_CONTENT else None
    return int(match[1]) if match else int(full_length) if full_length else None


def _iterate_pieces(response: Any, start: int) -> Iterator[bytes]:
    """Yield the bytes of an answer from `start`; none if there are no such bytes. Raises StorageError."""
    if response.status_code in (NOT_FOUND, RANGE_NOT_SATISFIABLE):
        return
    if response.status_code == FULL_CONTENT and start:
        raise StorageError("storage sent the whole log instead of the requested range", FULL_CONTENT, signed=True)
    try:
        yield from read_pieces(response.iter_raw(), datastore.BLOCK_BYTES)
    except Exception as error:  # of any underlying library
        raise datastore.make_connection_error(error, response.request.url) from None


def _decode_line(line: bytes) -> str:
    return line.rstrip(b"\r").decode(errors="replace")
