"""What a kind of source tells the transfer: the files it has, where they are got, and why not. Runs in the data
environment; a kind names its module in its half, as `ORIGIN = "package.module"`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from robotrain_sources.fetching.answer import Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
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


class Origin(Protocol):
    """One source, as one identity reads it. place: the folders below the cache's that its data is kept in."""

    place: str

    def entries(self) -> Iterator[Entry]:
        """The files, in any order, as they are listed page by page; no folder markers. Raises anything."""

    def store(self) -> Any:
        """The obstore store to get them from, without retries of its own: the transfer has its own."""

    def path(self, name: str) -> str:
        """Where a file lies in the store."""

    def unlike(self, digest: str) -> str:
        """Why data of this digest is not what the source's pin says, as a sentence; empty when it is, or has none."""

    def nothing(self) -> Refused:
        """Why there are no files, with what was probably meant."""

    def refused(self, error: Exception) -> Refused:
        """A sentence for what the service or a library raised, and whose fault it is."""


class Opening(Protocol):
    """A module that opens sources of one kind."""

    def open(self, uri: str, pin: str, role: str, credential: str, way: str = "") -> Origin:
        """The source of that printed form. Asks nobody.

        credential: the file that holds its secret; empty for none. way: what to type to give the job one, where the
        platform says so; without, this is not passed.
        """
