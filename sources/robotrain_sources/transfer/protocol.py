"""What the two sides of the transfer tell each other: one request, then answers, each a marked line of JSON."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

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
