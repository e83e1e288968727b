"""What a source kind provides to the transfer: its files, a store to get them from, its errors.

Runs in the data
environment; a kind names its module in its half, as `ORIGIN = "package.module"`.
"""

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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


ANSWER_PREFIX = "transfer: "
GO = "go"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRequest:
    """One source. origin: the module that opens it. credential: a file. described: the paths of what describes it.

    way: what to type to give the job a credential; empty where the kind itself says what.
    """

    uri: str
    pin: str
    role: str
    origin: str
    credential: str = ""
    described: Sequence[str] = ()
    way: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferTimeouts:
    """Seconds. asking: for an answer while surveying. stall: for the next bytes of a request. giving_up: with nothing
    arriving at all. first, longest: of the waits before the same is asked again.
    """

    asking: float = 10.0
    stall: float = 20.0
    giving_up: float = 300.0
    first: float = 0.5
    longest: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferRequest:
    """All of it. scratch: a folder for listings and what describes the sources; whoever asks removes it."""

    sources: Sequence[SourceRequest]
    cache: str
    scratch: str
    download_mib: int = 128
    patience: TransferTimeouts = field(default_factory=TransferTimeouts)


def dump_request(request: TransferRequest) -> str:
    """The request as its line, without the line's end."""
    return json.dumps(dataclasses.asdict(request))


def load_request(line: str) -> TransferRequest:
    """The request of a line."""
    data: dict[str, Any] = json.loads(line)
    sources = [SourceRequest(**asked) for asked in data.pop("sources")]
    return TransferRequest(sources=sources, patience=TransferTimeouts(**data.pop("patience")), **data)


def send_answer(name: str, content: Any) -> None:
    """Tell the other side."""
    print(ANSWER_PREFIX + json.dumps({name: content}), flush=True)


def parse_answer(line: str) -> tuple[str, Any] | None:
    """The name and the content of an answer; None for an ordinary line."""
    if not line.startswith(ANSWER_PREFIX):
        return None
    try:
        found: Mapping[str, Any] = json.loads(line.removeprefix(ANSWER_PREFIX))
        return next(iter(found.items()))
    except (ValueError, AttributeError, StopIteration):  # a library that talks in the same way
        return None
