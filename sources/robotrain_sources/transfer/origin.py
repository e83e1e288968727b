"""What a source kind provides to the transfer: its files, a store to get them from, its errors.

Runs in the data
environment; a kind names its module in its half, as `ORIGIN = "package.module"`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from robotrain_sources.fetching.errors import FetchError

CLIENT_OPTIONS: Mapping[str, str] = {
    "connect_timeout": "10s",
    "read_timeout": "60s",
    "timeout": "1h",  # of a whole body, which may take long on a narrow line
    "pool_max_idle_per_host": "64",
    "pool_idle_timeout": "60s",
}
"""`client_options` of an obstore store."""

RETRY_CONFIG: Mapping[str, Any] = {"max_retries": 0}
"""`retry_config` of an obstore store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """One file of a source. name: below its folder, with slashes. size: in bytes.

    version: what every request for a part of it is pinned to, an ETag; empty where the address itself names one state
    for ever. md5, sha256: hex digits, where the service knows them. git: its name as git knows it, likewise.
    """

    name: str
    size: int
    version: str = ""
    md5: str = ""
    sha256: str = ""
    git: str = ""

    @property
    def identity(self) -> str:
        """The same for as long as the content is: a digest where the service knows one, else the version."""
        known = (("sha256", self.sha256), ("git", self.git), ("md5", self.md5), ("version", self.version))
        return next((f"{name}:{value}" for name, value in known if value), "")


class DataOrigin(Protocol):
    """One source, as one identity reads it. place: the folders below the cache's that its data is kept in."""

    place: str

    def list_files(self) -> Iterator[SourceFile]:
        """The files, in any order, as they are listed page by page; no folder markers. Raises anything."""

    def open_store(self) -> Any:
        """The obstore store to get them from, without retries of its own: the transfer has its own."""

    def get_store_path(self, name: str) -> str:
        """Where a file lies in the store."""

    def find_pin_mismatch(self, digest: str) -> str:
        """Why data of this digest is not what the source's pin says, as a sentence; empty when it is, or has none."""

    def explain_empty(self) -> FetchError:
        """Why there are no files, with what was probably meant."""

    def explain_error(self, error: Exception) -> FetchError:
        """A sentence for what the service or a library raised, and whose fault it is."""


class OriginModule(Protocol):
    """A module that opens sources of one kind."""

    def open(self, uri: str, pin: str, role: str, credential: str, way: str = "") -> DataOrigin:
        """The source of that printed form. Asks nobody.

        credential: the file that holds its secret; empty for none. way: what to type to give the job one, where the
        platform says so; without, this is not passed.
        """
