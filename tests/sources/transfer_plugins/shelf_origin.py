"""Opens shelves: `http://HOST:PORT/SHELF` answers with a line for each file."""

import importlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from robotrain_sources.fetching.errors import FetchError, format_error
from robotrain_sources.transfer import origin
from robotrain_sources.transfer.origin import SourceFile


class Shelf(origin.DataOrigin):
    """One of them."""

    def __init__(self, uri: str, pin: str, secret: str) -> None:
        self._server, _, self._name = uri.rpartition("/")
        self._uri, self._pin = uri, pin
        self._headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        self.place = f"shelf/{self._name}"

    def list_files(self) -> Iterator[SourceFile]:
        """As they are listed."""
        try:
            with urlopen(Request(self._uri, headers=self._headers), timeout=10) as lines:
                for line in lines:
                    yield SourceFile(**json.loads(line))
        except HTTPError as error:
            error.close()  # else its socket is left to the garbage collector, which warns in another test
            raise

    def open_store(self, client_options: Mapping[str, Any]) -> Any:
        """The server."""
        options = {**client_options, "allow_http": True, "default_headers": self._headers}
        return importlib.import_module("obstore.store").HTTPStore(
            self._server, client_options=options, retry_config=dict(origin.RETRY_CONFIG)
        )

    def get_store_path(self, name: str) -> str:
        """Where a file lies on it."""
        return f"{self._name}/{name}"

    def find_pin_mismatch(self, digest: str) -> FetchError | None:
        """That it is another shelf now."""
        return None if self._pin in ("", digest) else FetchError(f"{self._name} is not what it was", "data")

    def explain_empty(self) -> FetchError:
        """That it is empty."""
        return FetchError(f"{self._name} is empty", "data")

    def explain_error(self, error: Exception) -> FetchError:
        """What was said."""
        forbidden = (
            type(error).__name__ in ("PermissionDeniedError", "UnauthenticatedError")
            or getattr(error, "code", 0) == 403
        )
        return FetchError(f"{self._name}: {format_error(error)}", "configuration" if forbidden else "network")


def open(uri: str, pin: str, role: str, credential: str, way: str) -> Shelf:
    """The shelf at that address."""
    return Shelf(uri, pin, Path(credential).read_text() if credential else "")
