"""Failures of the `osmo` command: the cause, a problem for the user, and whether the service may have acted."""

import contextlib
import functools
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.redaction import redact

from robotrain_osmo.client.command import OsmoCommandResult

UNKNOWN_WORKFLOW_CODE = "osmo-workflow-unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class FailurePattern:
    """An error text and its meaning. `title`, `where`, `why` and `suggestions` may contain groups such as `{1}`."""

    code: str
    pattern: str
    """Searched in the message of the command."""
    title: str
    where: str = ""
    why: str = ""
    why_from: str = ""
    """What the reason is taken from in the message: a key of EXPLANATIONS."""
    suggestions: tuple[Suggestion, ...] = ()
    certain: bool = True
    retry_delay: float = 0.0
    exits: tuple[int, ...] = ()
    """Required exit codes; empty for any."""


@functools.cache
def load_failure_patterns() -> tuple[FailurePattern, ...]:
    """Return the known failures in the order in which they are compared."""
    import tomllib

    data = tomllib.loads(Path(__file__).with_name("failures.toml").read_text(encoding="utf-8"))
    named = data["suggestions"]
    return tuple(
        FailurePattern(
            **row
            | {
                "pattern": "".join(row["pattern"]),
                "suggestions": tuple(Suggestion(*named.get(str(one), one)) for one in row.get("suggestions", ())),
                "exits": tuple(row.get("exits", ())),
            }
        )
        for row in data["failure"]
    )


MAX_FIELDS = 3


def quote_service(text: str) -> str:
    """Quote the service's message."""
    line = redact(extract_first_line(text)).rstrip(". ")
    return f"The service reports: {line}." if line else ""


def describe_field_errors(text: str) -> str:
    """Describe the fields that a validation refused."""
    fields = [redact(field) for field in parse_field_errors(text)]
    more = f" (and {len(fields) - MAX_FIELDS} more)" if len(fields) > MAX_FIELDS else ""
    return f"{'; '.join(fields[:MAX_FIELDS])}{more}."


RESOURCE_FLAGS = {
    "cpu": ("--cpu", ""),
    "memory": ("--memory", "Gi"),
    "storage": ("--storage", "Gi"),
    "gpu": ("--gpus", ""),
}
"""Options of the resources in OSMO's table of machines, and the units of its columns."""


def describe_refused_resources(text: str) -> str:
    """Describe which requested values no machine has, from OSMO's table of the machines and why each one is refused."""
    rows = [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()]
    header = next((row for row in rows if row[-1] == "reason"), [])
    machines = [dict(zip(header, row, strict=True)) for row in rows if len(row) == len(header) and row != header]
    limits: dict[str, float] = {}
    for machine in machines:
        found = re.search(r"Value (\S+?)(?:\.0)? too high for (\w+)$", machine["reason"])
        with contextlib.suppress(KeyError, ValueError):
            if found:
                name = found[2].lower()
                flag, unit = RESOURCE_FLAGS[name]
                value = f"{flag} {found[1]} is too high for machines with up to {{:g}}{unit}"
                limits[value] = max(limits.get(value, 0.0), float(machine[name]))
    if limits:
        sentences = "; ".join(value.format(limit) for value, limit in limits.items())
        return f"{redact(sentences)}, part of which OSMO needs itself."
    reasons = re.findall(r"(?:^|Assertion failed for task \S+: )(Value .*)", text, re.MULTILINE)
    return f"{redact(reasons[0]).strip().rstrip('.')}." if reasons else ""


EXPLANATIONS = {"service": quote_service, "fields": describe_field_errors, "resources": describe_refused_resources}
_FIELD_ERROR = r"^([\w.\[\]-]+)\n\s+(.+?)(?: \[type=.*)?$"
_FRAMED_MESSAGE = r"Error message:\s*(.*?)(?:\nError code: .*)?\Z"
_RESPONSE_BODY = r"Status Code: \d+\nHeader:\n.*?\nBody:\n(.*)"
_SUBMIT_FAILED = r"^Workflow [^\n]*submit failed:\n"
_NOISE = r"^(?:Server responded with status code \d+|Traceback .*|\s.*|WARNING: .*|Current version: .*|Please .*)?$"


def extract_message(answer: OsmoCommandResult) -> str:
    """Return the error message: it is on stdout, or on stderr for usage errors."""
    return _unwrap_message(answer.stdout.strip()) or answer.stderr.strip()


def extract_http_status(answer: OsmoCommandResult) -> int:
    """Return the HTTP status in the error, or 0."""
    patterns = (r"Status Code: (\d{3})\b", r"^Error code: (\d{3})$", r'"code": (\d{3})\s*\}\s*\Z')
    found = next(filter(None, (re.search(pattern, answer.stdout, re.MULTILINE) for pattern in patterns)), None)
    return int(found[1]) if found else 0


def extract_body(text: str) -> str:
    """Return the message without HTTP headers, JSON wrapping and the command's first line about a failed submit."""
    found = re.search(_RESPONSE_BODY, text, re.DOTALL)
    return re.sub(_SUBMIT_FAILED, "", _unwrap_message(found[1].strip()) if found else text)


def extract_first_line(text: str) -> str:
    """Return the first relevant line: the last one of a Python traceback, nothing of a web page."""
    lines = [line.strip() for line in extract_body(text).splitlines()]
    if any(line.startswith("Traceback ") for line in lines) and not (lines[0] and "Traceback" not in lines[0]):
        return lines[-1]
    first = next(
        (line for line in extract_body(text).splitlines() if not re.match(_NOISE, line)), lines[0] if lines else ""
    )
    return "" if first.startswith("<") else first.removeprefix("Internal server error: ")


def parse_field_errors(text: str) -> list[str]:
    """Return `field: problem` for each field that a validation refused, without values."""
    try:
        details = json.loads(text)["detail"]
        return [f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}" for detail in details]
    except (ValueError, KeyError, TypeError):
        return [
            f"{_shorten_field_path(path)}: {why.rstrip('.')}"
            for path, why in re.findall(_FIELD_ERROR, text, re.MULTILINE)
        ]


def _shorten_field_path(path: str) -> str:
    """Return `workflow.tasks.0.image` without the prefixes of the workflow and its task."""
    return re.sub(r"^workflow\.(?:groups\.\d+\.)?(?:tasks\.\d+\.)?", "", path)


def _unwrap_message(text: str) -> str:
    """Return the message in a JSON or framed text, or the text itself."""
    try:
        value: Any = json.loads(text)
    except ValueError:
        framed = re.search(_FRAMED_MESSAGE, text, re.DOTALL)
        return framed[1].strip() if framed else text
    message = value.get("message") if isinstance(value, dict) else None
    return message.strip() if isinstance(message, str) else text


UNREACHABLE_CODES = ("osmo-unreachable", "osmo-service-down", "osmo-busy", "osmo-overdue", "osmo-not-osmo")
"""Failures that may pass without action."""
TRANSIENT_CODES = (*UNREACHABLE_CODES, "osmo-interrupted", "osmo-failed")
"""Failures worth a retry; the last two have unknown causes."""
MAX_TEXT_LENGTH = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandFailure:
    """Why a call failed. `code`, `title`, `where`, `why` and `suggestions` are those of the problem."""

    code: str
    title: str
    where: str = ""
    why: str = ""
    suggestions: tuple[Suggestion, ...] = ()
    certain: bool = True
    """The service did nothing; if False, that is unknown."""
    retry_delay: float = 0.0
    """Seconds to wait before a retry; 0 if a retry does not help."""
    name: str = ""
    """The name in the service's message that the failure is about."""

    def to_problem(self, stage: Stage = Stage.SUBMIT) -> Problem:
        """Return the failure as a problem."""
        return Problem(
            code=self.code, stage=stage, title=self.title, where=self.where, why=self.why, suggestions=self.suggestions
        )


TIMEOUT = CommandFailure(
    code="osmo-overdue",
    title="OSMO did not answer in time",
    why="The command was killed. The usual cause is a VPN or a port-forward that is down.",
    suggestions=(Suggestion("osmo version", "shows whether the service answers"),),
    certain=False,
)
INVALID_JSON = CommandFailure(
    code="osmo-not-osmo",
    title="the answer of the `osmo` command is not JSON",
    suggestions=(Suggestion("osmo version", "shows whether command and service are compatible"),),
    certain=False,
)


class CommandFailed(Rejected):
    """A failed call of the `osmo` command."""

    def __init__(self, failure: CommandFailure, stage: Stage = Stage.SUBMIT) -> None:
        super().__init__([failure.to_problem(stage)], transient=failure.code in TRANSIENT_CODES)
        self.failure = failure


def diagnose_failure(answer: OsmoCommandResult) -> CommandFailure | None:
    """Return the failure that a result means, or None if the command succeeded."""
    if answer.timed_out:
        return TIMEOUT
    if answer.exit_code == 0:
        return None
    message = extract_body(extract_message(answer))
    text = f"{message}\nHTTP {extract_http_status(answer)}\n{answer.stderr}"
    for pattern in load_failure_patterns():
        match = re.search(pattern.pattern, text, re.DOTALL | re.MULTILINE)
        if match and answer.exit_code in (pattern.exits or (answer.exit_code,)):
            return _make_known_failure(pattern, match, message)
    return _make_unknown_failure(answer, message)


INSTALL_URL = "https://nvidia.github.io/OSMO/main/user_guide/getting_started/install"


def make_start_failure(cli: str, sentence: str) -> CommandFailure:
    """Return the failure of a command that cannot be started."""
    return CommandFailure(
        code="osmo-command-missing",
        title="cannot start the `osmo` command",
        where="--osmo-cli",
        why=f"{redact(cli)}: {sentence}",
        suggestions=(
            Suggestion("--osmo-cli /path/to/osmo", "if it is installed elsewhere"),
            Suggestion(INSTALL_URL, "explains the installation"),
        ),
    )


def _make_known_failure(pattern: FailurePattern, match: "re.Match[str]", text: str) -> CommandFailure:
    groups = [redact(group or "", max_length=MAX_TEXT_LENGTH) for group in (match[0], *match.groups())]
    return CommandFailure(
        code=pattern.code,
        title=pattern.title.format(*groups),
        where=pattern.where.format(*groups),
        why=EXPLANATIONS[pattern.why_from](text) if pattern.why_from else pattern.why.format(*groups),
        suggestions=tuple(
            Suggestion(suggestion.text.format(*groups), suggestion.remark.format(*groups))
            for suggestion in pattern.suggestions
        ),
        certain=pattern.certain,
        retry_delay=pattern.retry_delay,
        name=groups[1] if len(groups) > 1 else "",
    )


def _make_unknown_failure(answer: OsmoCommandResult, text: str) -> CommandFailure:
    """Return a failure that shows an unknown message. After an HTTP 4xx the service did nothing."""
    line = redact(extract_first_line(text), max_length=MAX_TEXT_LENGTH).rstrip(". ")
    if answer.exit_code < 0:
        line = f"killed by signal {-answer.exit_code}"
    return CommandFailure(
        code="osmo-failed",
        title=f"the `osmo` command failed: {line}" if line else "the `osmo` command failed without a message",
        why=f"It ended with exit code {answer.exit_code}." if answer.exit_code > 0 else "",
        certain=answer.exit_code == 1 or (answer.exit_code == 2 and 400 <= extract_http_status(answer) < 500),
    )
