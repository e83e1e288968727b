"""Interfaces of the transfer: the origin that a source kind provides, and the patience with its service.

A container plugin opens its sources itself, or names the module that does: `ORIGIN = "package.module"`.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from robotrain_sources.fetching.errors import FetchError

CLIENT_OPTIONS: Mapping[str, Any] = {
    "connect_timeout": "10s",
    "timeout": "1h",  # of a whole body, which may take long on a slow line
    "pool_max_idle_per_host": "64",
    "pool_idle_timeout": "60s",
}
"""`client_options` of an obstore store, without the `read_timeout`."""

RETRY_CONFIG: Mapping[str, Any] = {"max_retries": 1}
"""`retry_config` of an obstore store: its retries are silent, so the transfer makes all others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """One file of a source."""

    name: str
    """Below the source's folder, with slashes."""
    size: int
    """In bytes."""
    version: str = ""
    """ETag that every request for the file is pinned to; empty where the address itself never changes its content."""
    md5: str = ""
    """Hex digits, where the service knows them; so are `sha256` and `git`."""
    sha256: str = ""
    git: str = ""
    """The SHA-1 of the file as a git blob."""

    @property
    def identity(self) -> str:
        """What changes with the content: a digest where the service knows one, else the version."""
        identities = (("sha256", self.sha256), ("git", self.git), ("md5", self.md5), ("version", self.version))
        return next((f"{name}:{digest_or_version}" for name, digest_or_version in identities if digest_or_version), "")


DIGEST_LENGTH = 32


def compute_data_digest(files: Iterable[SourceFile]) -> str:
    """Return the digest of `files`, which must be sorted by name: 32 hex digits."""
    hasher = hashlib.sha256()
    for file in files:
        hasher.update(json.dumps((file.name, file.size, file.identity)).encode() + b"\n")
    return hasher.hexdigest()[:DIGEST_LENGTH]


_CONTROL = r"[\x00-\x1f\x7f\\]"
DEBRIS_FOLDER = ".cache"
MAX_NAME_BYTES = 255


def find_name_problem(name: str) -> str:
    """Return why `name` cannot be a file below a folder; empty if it can."""
    parts = name.split("/")
    if not {"", ".", ".."}.isdisjoint(parts) or re.search(_CONTROL, name):
        return f"the name {name!r} leads out of the folder or is invalid, so it is not written"
    if max(len(part.encode(errors="replace")) for part in parts) > MAX_NAME_BYTES:
        return f"the name {name!r} is too long for this machine's file system"
    return ""


def is_debris(name: str) -> bool:
    """Return whether a download tool left the file in a folder that was then uploaded."""
    return DEBRIS_FOLDER in name.split("/")[:-1]


class DataOrigin:
    """One source, as one identity reads it."""

    place: str
    """The folders below the cache's that hold its data."""
    has_ranges: bool = True
    """Whether parts of a file can be read that fit together by its version; else one request reads all of it.

    `list_files` may set it.
    """

    remark: str = ""
    """What the log says about its listing; `list_files` may set it."""
    can_leave_out: bool = False
    """Whether its pin also holds for a part of the files, so that those that the work does not need stay there."""

    def list_files(self) -> Iterator[SourceFile]:
        """Yield the files page by page, in any order, without folder markers. May raise anything."""
        raise NotImplementedError

    def open_store(self, client_options: Mapping[str, Any]) -> Any:
        """Return the obstore store of the files, with these options and RETRY_CONFIG."""
        raise NotImplementedError

    def get_store_path(self, name: str) -> str:
        """Return the path of a file in the store."""
        return name

    def find_pin_mismatch(self, digest: str) -> FetchError | None:
        """Return why data with this digest is not what the source is pinned to; None if it is, or without a pin."""
        return None

    def explain_empty(self) -> FetchError:
        """Return the error for a source without files, with a suggestion."""
        raise NotImplementedError

    def explain_error(self, error: Exception) -> FetchError:
        """Return the error for what the service or a library raised."""
        raise NotImplementedError


STOPPED = "the transfer was stopped"


class OriginModule(Protocol):
    """A module that opens sources of one kind."""

    def open(self, uri: str, pin: str, role: str, credential: str, way: str) -> DataOrigin:
        """Return the source with that printed form; no network.

        `credential` is the file with its secret, or empty. `way` is the platform's command to give the job a
        credential; empty if it has none.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a service is waited for, and how often it is asked."""

    stall: float = 20.0
    """Seconds for the next bytes of a request."""
    attempts: int = 12
    """Of one request."""
    first: float = 0.5
    """Seconds before the second attempt; they double."""
    longest: float = 30.0
    """The longest pause, in seconds."""
