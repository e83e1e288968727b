"""A blob at a signed URL: its size, and its bytes from any position. Messages never contain the URL."""

import contextlib
import functools
import importlib
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from robotrain_azure.arm import UNREACHABLE

TIMEOUTS = {"connection_timeout": 5, "read_timeout": 20}
FULL_CONTENT, NOT_FOUND, RANGE_NOT_SATISFIABLE, EXPIRED_STATUSES = 200, 404, 416, (401, 403)
PIECE_BYTES = 1 << 18


class SignedBlobError(OSError):
    """A failed request for a signed blob, with the fields of StorageError."""

    signed = True

    def __init__(self, url: str, reason: str, status: int = 0, code: str = "") -> None:
        self.account = (urlsplit(url).hostname or "").partition(".")[0]
        super().__init__(f"the storage account {self.account} {reason}")
        self.status = status
        self.code = code


def fetch_blob_size(url: str) -> int:
    """Return the size of a blob in bytes; 0 if it does not exist yet. Raises SignedBlobError."""
    with contextlib.closing(_send_request("HEAD", url)) as answer:
        return 0 if answer.status_code == NOT_FOUND else int(answer.headers.get("Content-Length") or 0)


def open_blob_range(url: str, start: int, end: int | None = None) -> "BlobRange":
    """Open the bytes from `start` to `end`, exclusive; close it after use. Raises SignedBlobError."""
    header = f"bytes={start}-" if end is None else f"bytes={start}-{end - 1}"
    answer = _send_request("GET", url, {"Range": header})
    if answer.status_code == FULL_CONTENT and start:
        answer.close()
        raise SignedBlobError(url, "sent the whole blob instead of the requested range", FULL_CONTENT)
    return BlobRange(answer, url)


class BlobRange:
    """A part of a blob. `length` is that of the whole blob; None if it is not known."""

    def __init__(self, answer: Any, url: str) -> None:
        self._answer, self._url = answer, url
        match = re.fullmatch(r"bytes .*/(\d+)", answer.headers.get("Content-Range") or "")
        full_length = answer.headers.get("Content-Length") if answer.status_code == FULL_CONTENT else None
        self.length = int(match[1]) if match else int(full_length) if full_length else None

    def iterate_pieces(self) -> Iterator[bytes]:
        """Yield the bytes; nothing if the range is empty. Raises SignedBlobError."""
        if self._answer.status_code in (NOT_FOUND, RANGE_NOT_SATISFIABLE):
            return
        try:
            yield from self._answer.iter_raw()
        except Exception as error:  # of any underlying library
            raise _make_connection_error(error, self._url) from None

    def close(self) -> None:
        """Close the connection."""
        self._answer.close()


def _send_request(method: str, url: str, headers: dict[str, str] | None = None) -> Any:
    request = importlib.import_module("azure.core.rest").HttpRequest(method, url, headers=headers)
    try:
        answer = _get_pipeline().send_request(request, stream=True, **TIMEOUTS)
    except Exception as error:
        raise _make_connection_error(error, url) from None  # its text contains the URL
    if answer.status_code < 400 or answer.status_code in (NOT_FOUND, RANGE_NOT_SATISFIABLE):
        return answer
    answer.close()
    code = str(answer.headers.get("x-ms-error-code") or "")
    words = f"HTTP {answer.status_code} {code}".rstrip()
    raise SignedBlobError(url, f"refused the request ({words})", answer.status_code, code)


@functools.cache
def _get_pipeline() -> Any:
    """Return the process-wide client, which reuses connections. It adds no sign-in: the URL is signed."""
    policies: Any = importlib.import_module("azure.core.pipeline.policies")
    steps = [policies.UserAgentPolicy("robotrain"), policies.ProxyPolicy()]
    core: Any = importlib.import_module("azure.core")
    return core.PipelineClient("https://blob", policies=steps, connection_data_block_size=PIECE_BYTES)


def _make_connection_error(error: Exception, url: str) -> SignedBlobError:
    return SignedBlobError(url, f"cannot be reached ({type(error).__name__})", code=UNREACHABLE)
