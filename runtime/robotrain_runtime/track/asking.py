"""What the runtime asks its tracking process, and the answers, as lines among the events that pass between them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ASK = "::robotrain-ask:: "
ANSWER = "::robotrain-answer:: "

ARTIFACT = "artifact"
REGISTER = "register"
RESULTS = "results"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request. number: what its answer refers to. what: ARTIFACT, REGISTER or RESULTS; body: what that needs."""

    number: int
    what: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of a request. error: why it failed; empty when it was done."""

    number: int
    body: Mapping[str, Any]
    error: str = ""


def dump(said: Ask | Answer) -> str:
    """The line, without its end."""
    if isinstance(said, Ask):
        return ASK + json.dumps({"number": said.number, "what": said.what, "body": dict(said.body)})
    return ANSWER + json.dumps({"number": said.number, "body": dict(said.body), "error": said.error})


def read(line: str) -> Ask | Answer | None:
    """The request or answer in a line; None for any other line."""
    for prefix, kind in ((ASK, Ask), (ANSWER, Answer)):
        if line.startswith(prefix):
            try:
                return kind(**json.loads(line[len(prefix) :]))
            except (ValueError, TypeError):
                return None
    return None
