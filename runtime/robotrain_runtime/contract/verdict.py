"""Verdicts on the options of a job: what a check command prints (`WorkloadContainerPlugin.check_command`).

A verdict is one line among any other output:

    ::robotrain:: {"verdict": "refused", "text": "the rate is negative", "options": ["--lr=-1"], "ways": [["--lr=0.1"]]}
"""

import json
from dataclasses import dataclass
from typing import Any, Literal, get_args

from robotrain_runtime.contract.event import PREFIX, emit_line
from robotrain_runtime.contract.problem import Suggestion

Result = Literal["accepted", "refused", "doubtful", "unchecked"]
"""`doubtful`: the program accepts them, and the work would probably fail. `unchecked`: the program needs
something for it that is not here, such as weights or the network.
"""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the program of a workload says about the options of a job."""

    result: Result
    text: str = ""
    """Why it refuses them, why the work would fail or what was not checked: a sentence without a full stop."""
    options: tuple[str, ...] = ()
    """The options of the user that it is about, as they are given: `--lr=-1`."""
    ways: tuple[Suggestion, ...] = ()
    """What to type instead, best first, each known to be accepted: `--lr=0.001`, or without an option."""


def emit_verdict(verdict: Verdict) -> None:
    """Print a verdict."""
    emit_line(format_verdict(verdict))


def format_verdict(verdict: Verdict) -> str:
    """Return the line of a verdict, without a newline."""
    lists = {"options": list(verdict.options), "ways": list(verdict.ways)}
    return PREFIX + json.dumps({"verdict": verdict.result, "text": verdict.text, **lists})


def parse_verdict(line: str) -> Verdict | None:
    """Return the verdict in a line of output; None for any other line."""
    if not line.startswith(PREFIX):
        return None
    try:
        body: Any = json.loads(line[len(PREFIX) :])
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict) or body.get("verdict") not in get_args(Result):
        return None
    text = body.get("text", "")
    options = body.get("options", [])
    ways = body.get("ways", [])
    if not isinstance(text, str) or not all(isinstance(part, list) for part in (options, ways, *ways)):
        return None
    suggestions = tuple(Suggestion(*map(str, way)) for way in ways if 1 <= len(way) <= len(Suggestion._fields))
    return Verdict(result=body["verdict"], text=text, options=tuple(map(str, options)), ways=suggestions)
