"""Failures of the `osmo` command: a cause, a sentence for the user, and whether the service acted.

`certain` is what a submit goes by: refused, and nothing is there; or nobody knows, and the service is asked later.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.redaction import redact

from robotrain_osmo.client.command import OsmoCommandResult

UNKNOWN_WORKFLOW_CODE = "osmo-workflow-unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class FailurePattern:
    """A line of the table. pattern: found in what was said. title, why and instead may name its groups as `{1}`.

    exits: only with these exit codes; None for any. why_of: makes the `why` of what was said, in place of the text.
    """

    code: str
    pattern: str
    title: str
    where: str = ""
    why: str = ""
    instead: tuple[Suggestion, ...] = ()
    certain: bool = True
    retry_delay: float = 0.0
    exits: tuple[int, ...] | None = None
    make_why: Callable[[str], str] | None = None


_FIELD_ERROR = r"^([\w.\[\]-]+)\n\s+(.+?)(?: \[type=.*)?$"
_FRAMED_MESSAGE = r"Error message:\s*(.*?)(?:\nError code: .*)?\Z"
_RESPONSE_BODY = r"Status Code: \d+\nHeader:\n.*?\nBody:\n(.*)"
_NOISE = r"^(?:Server responded with status code \d+|Traceback .*|\s.*|WARNING: .*|Current version: .*|Please .*)?$"


def extract_message(answer: OsmoCommandResult) -> str:
    """What the command said; errors are on stdout, those of its own grammar on stderr."""
    said = _unwrap_message(answer.stdout.strip())
    return said or answer.stderr.strip()


def extract_http_status(answer: OsmoCommandResult) -> int:
    """The HTTP status that the error carries; 0 for none."""
    found = re.search(r"Status Code: (\d{3})\b", answer.stdout) or re.search(
        r"^Error code: (\d{3})$", answer.stdout, re.M
    )
    return int(found[1]) if found else _parse_status_code(answer)


def extract_body(text: str) -> str:
    """Without the headers that the command shows of an answer, and out of the JSON it has in its body."""
    found = re.search(_RESPONSE_BODY, text, re.DOTALL)
    return _unwrap_message(found[1].strip()) if found else text


def extract_first_line(text: str) -> str:
    """The first line that is about the matter; of a Python traceback its last, of a web page nothing."""
    lines = [line.strip() for line in extract_body(text).splitlines()]
    if any(line.startswith("Traceback ") for line in lines) and not (lines[0] and "Traceback" not in lines[0]):
        return lines[-1]
    said = next(
        (line for line in extract_body(text).splitlines() if not re.match(_NOISE, line)), lines[0] if lines else ""
    )
    return "" if said.startswith("<") else said.removeprefix("Internal server error: ")


def parse_field_errors(text: str) -> list[str]:
    """`the field: what is wrong with it`, for each that a validation refused, without a value."""
    try:
        details = json.loads(text)["detail"]
        return [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in details]
    except (ValueError, KeyError, TypeError):
        return [
            f"{_shorten_field_path(place)}: {why.rstrip('.')}"
            for place, why in re.findall(_FIELD_ERROR, text, re.MULTILINE)
        ]


def _shorten_field_path(path: str) -> str:
    """`workflow.tasks.0.image` as people say it."""
    return re.sub(r"^workflow\.(?:groups\.\d+\.)?(?:tasks\.\d+\.)?", "", path)


def _unwrap_message(text: str) -> str:
    """The message in a text that is JSON, or framed; else the text."""
    try:
        value: Any = json.loads(text)
    except ValueError:
        framed = re.search(_FRAMED_MESSAGE, text, re.DOTALL)
        return framed[1].strip() if framed else text
    said = value.get("message") if isinstance(value, dict) else None
    return said.strip() if isinstance(said, str) else text


def _parse_status_code(answer: OsmoCommandResult) -> int:
    try:
        code = answer.parse_json()["code"]
    except (ValueError, KeyError, TypeError):
        return 0
    return code if isinstance(code, int) and code >= 100 else 0


UNKNOWN_WORKFLOW = UNKNOWN_WORKFLOW_CODE
UNREACHABLE_CODES = ("osmo-unreachable", "osmo-service-down", "osmo-busy", "osmo-overdue", "osmo-not-osmo")
"""What may pass by itself."""
TRANSIENT_CODES = (*UNREACHABLE_CODES, "osmo-interrupted", "osmo-failed")
"""What is worth asking again a little later: the last two may be anything."""
MAX_TEXT_LENGTH = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandFailure:
    """Why not. code, title, where, why, instead: as of a Problem. name: what it is about, as the service calls it.

    certain: the service did nothing; else nobody knows. patience: seconds after which the same may work, 0 for never.
    """

    code: str
    title: str
    where: str = ""
    why: str = ""
    instead: tuple[Suggestion, ...] = ()
    certain: bool = True
    retry_delay: float = 0.0
    name: str = ""

    def to_problem(self, stage: Stage = Stage.SUBMIT) -> Problem:
        """For the person who asked."""
        return Problem(
            code=self.code, stage=stage, title=self.title, where=self.where, why=self.why, suggestions=self.instead
        )


class CommandFailed(Rejected):
    """A call that came to nothing; told well when it is let through."""

    def __init__(self, failure: CommandFailure, stage: Stage = Stage.SUBMIT) -> None:
        super().__init__([failure.to_problem(stage)], transient=failure.code in TRANSIENT_CODES)
        self.failure = failure


def diagnose_failure(answer: OsmoCommandResult) -> CommandFailure | None:
    """What an answer means; None when the command succeeded."""
    from robotrain_osmo.client.failure_patterns import FAILURE_PATTERNS

    if answer.timed_out:
        return make_timeout_failure()
    if answer.exit_code == 0:
        return None
    said = extract_body(extract_message(answer))
    text = f"{said}\nHTTP {extract_http_status(answer)}\n{answer.stderr}"
    for one in FAILURE_PATTERNS:
        found = re.search(one.pattern, text, re.DOTALL | re.MULTILINE)
        if found and (one.exits is None or answer.exit_code in one.exits):
            return _make_known_failure(one, found, said)
    return _make_unknown_failure(answer, said)


def make_start_failure(cli: str, sentence: str) -> CommandFailure:
    """The command is not there, or does not start."""
    return CommandFailure(
        code="osmo-command-missing",
        title="the `osmo` command could not be started",
        where="--osmo-cli",
        why=f"{redact(cli)}: {sentence}",
        instead=(
            Suggestion("--osmo-cli /path/to/osmo", "when it is installed elsewhere"),
            Suggestion("https://nvidia.github.io/OSMO/main/user_guide/getting_started/install", "how it is installed"),
        ),
    )


def make_timeout_failure() -> CommandFailure:
    """No answer within the time limit."""
    return CommandFailure(
        code="osmo-overdue",
        title="OSMO gave no answer in time",
        why="The command was ended. A service behind a VPN or a port-forward that is down looks like this.",
        instead=(Suggestion("osmo version", "shows whether the service answers"),),
        certain=False,
    )


def make_invalid_json_failure() -> CommandFailure:
    """It says it went well, and not what came of it."""
    return CommandFailure(
        code="osmo-not-osmo",
        title="what the `osmo` command answered is no JSON",
        instead=(Suggestion("osmo version", "shows whether command and service belong together"),),
        certain=False,
    )


def _make_known_failure(pattern: FailurePattern, match: "re.Match[str]", text: str) -> CommandFailure:
    groups = [redact(group or "", max_length=MAX_TEXT_LENGTH) for group in (match[0], *match.groups())]
    return CommandFailure(
        code=pattern.code,
        title=pattern.title.format(*groups),
        where=pattern.where.format(*groups),
        why=pattern.make_why(text) if pattern.make_why else pattern.why.format(*groups),
        instead=tuple(Suggestion(way.text.format(*groups), way.remark.format(*groups)) for way in pattern.instead),
        certain=pattern.certain,
        retry_delay=pattern.retry_delay,
        name=groups[1] if len(groups) > 1 else "",
    )


def _make_unknown_failure(answer: OsmoCommandResult, text: str) -> CommandFailure:
    """Words that nobody foresaw are shown. The service did nothing when it calls the request wrong."""
    line = redact(extract_first_line(text), max_length=MAX_TEXT_LENGTH).rstrip(". ")
    if answer.exit_code < 0:
        line = f"it was ended by signal {-answer.exit_code}"
    return CommandFailure(
        code="osmo-failed",
        title=f"the `osmo` command failed: {line}" if line else "the `osmo` command failed without a word",
        why=f"It ended with exit code {answer.exit_code}." if answer.exit_code > 0 else "",
        certain=answer.exit_code == 1 or (answer.exit_code == 2 and 400 <= extract_http_status(answer) < 500),
    )
