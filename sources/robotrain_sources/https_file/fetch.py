"""Single files in the data environment: their size, and where the transfer reads them."""

import hashlib
import importlib
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

from robotrain_runtime.contract.failure import SourceError

from robotrain_sources.fetching import errors
from robotrain_sources.fetching.errors import FetchError
from robotrain_sources.https_file import reference
from robotrain_sources.https_file.reference import HttpsFile
from robotrain_sources.transfer.origin import RETRY_CONFIG, DataOrigin, SourceFile

CARRIER = "robotrain_sources.transfer.container"

REQUEST_SECONDS = 20.0


class SingleFile(DataOrigin):
    """One file as a source of the transfer. It is not pinned, but may be checked by its SHA-256."""

    def __init__(self, file: HttpsFile) -> None:
        self.place = f"https_file/{re.sub(r'[^a-z0-9.-]', '-', file.host)}"
        self._file = file

    def list_files(self) -> Iterator[SourceFile]:
        """Yield the file with its size and ETag."""
        headers = errors.retry_once(self._request_headers)
        etag = headers.get("ETag", "")
        modified = headers.get("Last-Modified", "")
        ranged = re.fullmatch(r"bytes 0-0/(\d+)", headers.get("Content-Range", ""))
        size = ranged[1] if ranged else headers.get("Content-Length", "")
        if not size.isdigit():
            raise FetchError(f"{self._file.host} does not tell the size of {self._file}", "configuration")
        if not int(size):
            raise FetchError(f"{self._file} is empty", "data")
        is_tagged = bool(etag) and not etag.startswith("W/")
        self.has_ranges = bool(ranged and is_tagged)
        if not self.has_ranges:
            reading_note = "read in one request, and compared only with a SHA-256 that the job gives"
            self.remark = (
                f"{self._file.host} answers without ranges and a strong ETag: {self._file.name} is {reading_note}"
            )
        changing = "\0".join((str(self._file), etag, modified))
        self.place += f"/{hashlib.sha256(changing.encode()).hexdigest()[:16]}"
        version = etag or modified or str(time.time_ns())  # without any, a file in the cache may be an older one
        yield SourceFile(name=self._file.name, size=int(size), version=version)

    def open_store(self, client_options: Mapping[str, Any]) -> Any:
        """Return the store of the folder that the file is in; it follows redirections."""
        options = {**client_options, "allow_http": self._file.scheme == "http"}
        retries = dict(RETRY_CONFIG) if self.has_ranges else {"max_retries": 0}  # obstore would ask for the rest
        return importlib.import_module("obstore.store").HTTPStore(
            self._file.folder_url, client_options=options, retry_config=retries
        )

    def explain_empty(self) -> FetchError:
        """Return the error for a missing file."""
        return FetchError(f"there is no file at {self._file}", "configuration")

    def explain_error(self, error: Exception) -> FetchError:
        """Return an error of urllib or obstore as a FetchError."""
        if isinstance(error, FetchError):
            return error
        status = errors.parse_http_status(error)
        if status in (404, 410) or errors.describe_file_change(error) == "deleted":
            return self.explain_empty()
        hints = dict.fromkeys((401, 403), "it needs a sign-in, and none is sent")
        return errors.explain(error, str(self._file) if status in hints else self._file.host, hints=hints)

    def _request_headers(self) -> Any:
        request = urllib.request.Request(str(self._file), headers={"Range": "bytes=0-0", "User-Agent": "robotrain"})
        try:
            with urllib.request.urlopen(request, timeout=REQUEST_SECONDS) as response:
                if self._file.scheme == "https" and not response.geturl().startswith("https:"):
                    raise FetchError(f"{self._file} is redirected to an address without encryption", "configuration")
                return response.headers
        except urllib.error.HTTPError as error:
            error.close()
            raise self.explain_error(error) from None
        except (OSError, ValueError) as error:
            raise self.explain_error(error) from error


def open(uri: str, pin: str, role: str, credential: str, way: str = "") -> SingleFile:
    """Return the file at the address. Raise FetchError if the address is invalid."""
    try:
        return SingleFile(reference.parse_https_file(uri))
    except SourceError as error:
        raise FetchError(f"{uri} is not the URL of a file: {error.why}", "configuration") from None
