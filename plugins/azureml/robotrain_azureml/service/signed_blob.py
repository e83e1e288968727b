"""A blob at an address that is signed for a while: how long it is, and its bytes from any place on. The address is
never part of what is said.
"""

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
    """It was not read; the text says why. status: of the answer, 0 without one. code: storage's own word for it.

    account: which it is. signed: as that of a datastore has it.
    """

    signed = True

    def __init__(self, url: str, reason: str, status: int = 0, code: str = "") -> None:
        self.account = (urlsplit(url).hostname or "").partition(".")[0]
        super().__init__(f"the storage account {self.account} {reason}")
        self.status = status
        self.code = code


def fetch_blob_size(url: str) -> int:
    """In bytes; 0 for one that is not there yet. Raises BlobError."""
    with contextlib.closing(_send_request("HEAD", url)) as answer:
        return 0 if answer.status_code == NOT_FOUND else int(answer.headers.get("Content-Length") or 0)


def open_blob_range(url: str, start: int, end: int | None = None) -> "BlobRange":
    """Its bytes from `start` up to, and without, `end`; to be closed. Raises BlobError."""
    there = f"bytes={start}-" if end is None else f"bytes={start}-{end - 1}"
    answer = _send_request("GET", url, {"Range": there})
    if answer.status_code == FULL_CONTENT and start:
        answer.close()
        raise SignedBlobError(url, "sent all of a log, of which a part was asked for", FULL_CONTENT)
    return BlobRange(answer, url)


class BlobRange:
    """What came. length: of the whole blob, None where that is not told."""

    def __init__(self, answer: Any, url: str) -> None:
        self._answer, self._url = answer, url
        told = re.fullmatch(r"bytes .*/(\d+)", answer.headers.get("Content-Range") or "")
        whole = answer.headers.get("Content-Length") if answer.status_code == FULL_CONTENT else None
        self.length = int(told[1]) if told else int(whole) if whole else None

    def iterate_pieces(self) -> Iterator[bytes]:
        """As they come; none where there are none. Raises BlobError when they break off."""
        if self._answer.status_code in (NOT_FOUND, RANGE_NOT_SATISFIABLE):
            return
        try:
            yield from self._answer.iter_raw()
        except Exception as error:  # of whichever library below
            raise _make_connection_error(error, self._url) from None

    def close(self) -> None:
        """No more of it is wanted."""
        self._answer.close()


def _send_request(method: str, url: str, headers: dict[str, str] | None = None) -> Any:
    request = importlib.import_module("azure.core.rest").HttpRequest(method, url, headers=headers)
    try:
        answer = _get_pipeline().send_request(request, stream=True, **TIMEOUTS)
    except Exception as error:
        raise _make_connection_error(error, url) from None  # its text holds the address
    if answer.status_code < 400 or answer.status_code in (NOT_FOUND, RANGE_NOT_SATISFIABLE):
        return answer
    answer.close()
    code = str(answer.headers.get("x-ms-error-code") or "")
    words = f"HTTP {answer.status_code} {code}".rstrip()
    raise SignedBlobError(url, f"refused ({words})", answer.status_code, code)


@functools.cache
def _get_pipeline() -> Any:
    """One for this process: connections are kept. It signs nothing: the address is."""
    policies: Any = importlib.import_module("azure.core.pipeline.policies")
    made = [policies.UserAgentPolicy("robotrain"), policies.ProxyPolicy()]
    core: Any = importlib.import_module("azure.core")
    return core.PipelineClient("https://blob", policies=made, connection_data_block_size=PIECE_BYTES)


def _make_connection_error(error: Exception, url: str) -> SignedBlobError:
    return SignedBlobError(url, f"cannot be reached ({type(error).__name__})", code=UNREACHABLE)
