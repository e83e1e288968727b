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

SECONDS = {"connection_timeout": 5, "read_timeout": 20}
WHOLE, NOT_THERE, NOTHING_MORE, EXPIRED = 200, 404, 416, (401, 403)
PIECE = 1 << 18


class BlobError(OSError):
    """It was not read; the text says why. status: of the answer, 0 without one. code: storage's own word for it.

    account: which it is. signed: as that of a datastore has it.
    """

    signed = True

    def __init__(self, url: str, why: str, status: int = 0, code: str = "") -> None:
        self.account = (urlsplit(url).hostname or "").partition(".")[0]
        super().__init__(f"the storage account {self.account} {why}")
        self.status = status
        self.code = code


def size(url: str) -> int:
    """In bytes; 0 for one that is not there yet. Raises BlobError."""
    with contextlib.closing(_answer("HEAD", url)) as answer:
        return 0 if answer.status_code == NOT_THERE else int(answer.headers.get("Content-Length") or 0)


def part(url: str, start: int, end: int | None = None) -> "Part":
    """Its bytes from `start` up to, and without, `end`; to be closed. Raises BlobError."""
    there = f"bytes={start}-" if end is None else f"bytes={start}-{end - 1}"
    answer = _answer("GET", url, {"Range": there})
    if answer.status_code == WHOLE and start:
        answer.close()
        raise BlobError(url, "sent all of a log, of which a part was asked for", WHOLE)
    return Part(answer, url)


class Part:
    """What came. length: of the whole blob, None where that is not told."""

    def __init__(self, answer: Any, url: str) -> None:
        self._answer, self._url = answer, url
        told = re.fullmatch(r"bytes .*/(\d+)", answer.headers.get("Content-Range") or "")
        whole = answer.headers.get("Content-Length") if answer.status_code == WHOLE else None
        self.length = int(told[1]) if told else int(whole) if whole else None

    def pieces(self) -> Iterator[bytes]:
        """As they come; none where there are none. Raises BlobError when they break off."""
        if self._answer.status_code in (NOT_THERE, NOTHING_MORE):
            return
        try:
            yield from self._answer.iter_raw()
        except Exception as error:  # of whichever library below
            raise _broken(error, self._url) from None

    def close(self) -> None:
        """No more of it is wanted."""
        self._answer.close()


def _answer(method: str, url: str, headers: dict[str, str] | None = None) -> Any:
    request = importlib.import_module("azure.core.rest").HttpRequest(method, url, headers=headers)
    try:
        answer = _sender().send_request(request, stream=True, **SECONDS)
    except Exception as error:
        raise _broken(error, url) from None  # its text holds the address
    if answer.status_code < 400 or answer.status_code in (NOT_THERE, NOTHING_MORE):
        return answer
    answer.close()
    code = str(answer.headers.get("x-ms-error-code") or "")
    words = f"HTTP {answer.status_code} {code}".rstrip()
    raise BlobError(url, f"refused ({words})", answer.status_code, code)


@functools.cache
def _sender() -> Any:
    """One for this process: connections are kept. It signs nothing: the address is."""
    policies: Any = importlib.import_module("azure.core.pipeline.policies")
    made = [policies.UserAgentPolicy("robotrain"), policies.ProxyPolicy()]
    core: Any = importlib.import_module("azure.core")
    return core.PipelineClient("https://blob", policies=made, connection_data_block_size=PIECE)


def _broken(error: Exception, url: str) -> BlobError:
    return BlobError(url, f"cannot be reached ({type(error).__name__})", code=UNREACHABLE)
