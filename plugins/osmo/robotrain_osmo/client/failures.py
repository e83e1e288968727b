"""Failures of the `osmo` command: the cause, a problem for the user, and whether the service may have acted."""

import functools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.external_command import ProcessResult
from robotrain.redaction import redact
from robotrain.refusals import Refusal, find_refusal, load_refusals

UNKNOWN_WORKFLOW_CODE = "run-gone"
UNREACHABLE_CODES = (
    "platform-away",
    "platform-busy",
    "osmo-not-osmo",
    "osmo-storage-unreachable",
)
"""Failures that may pass without action."""
TRANSIENT_CODES = (*UNREACHABLE_CODES, "osmo-render-time", "runs-over-limit", "osmo-interrupted", "client-failed")
"""Failures worth a retry; the last two have unknown causes."""
MAX_TEXT_LENGTH = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandFailure:
    """Why a call failed. `code`, `title`, `where`, `why` and `suggestions` are those of the problem."""

    code: str
    """That of the message, with its variant."""
    title: str
    where: str = ""
    why: str = ""
    suggestions: tuple[Suggestion, ...] = ()
    certain: bool = True
    """The service did nothing; if False, that is unknown."""
    attempts: int = 1
    """How often a call is made; 1 if a retry does not help."""
    retry_delay: float = 0.0
    """Seconds to wait before the first retry."""

    def to_problem(self, stage: Stage = Stage.SUBMIT) -> Problem:
        """Return the failure as a problem."""
        return Problem(
            code=self.code,
            stage=stage,
            title=self.title,
            where=self.where,
            why=self.why,
            suggestions=self.suggestions,
            transient=self.code in TRANSIENT_CODES,
        )


class CommandFailed(Rejected):
    """A failed call of the `osmo` command."""

    def __init__(self, failure: CommandFailure, stage: Stage = Stage.SUBMIT) -> None:
        super().__init__([failure.to_problem(stage)])
        self.failure = failure


@dataclass(frozen=True, kw_only=True)
class OsmoRefusal(Refusal):
    """An error text and its meaning. `title` and `why` may contain groups such as `{1}`."""

    why: str = ""
    """Without it OSMO's text is quoted."""

    exits: tuple[int, ...] = ()
    """Required exit codes; empty for any."""
    certain: bool = True
    attempts: int = 1
    retry_delay: float = 0.0
    """These are what `CommandFailure` says."""
    is_of_storage: bool = False
    """Whether only commands that ask the storage themselves report it: those of the service may have acted."""

    def make_failure(self, match: re.Match[str], message: str) -> CommandFailure:
        """Return the failure of a message in which the pattern was found."""
        group_texts = [redact(group or "", max_length=MAX_TEXT_LENGTH) for group in (match[0], *match.groups())]
        return CommandFailure(
            code=self.code,
            title=self.title.format(*group_texts),
            where=self.where,
            why=self.why.format(*group_texts) or (f"OSMO: {quote}." if (quote := quote_message(message)) else ""),
            suggestions=self.suggestions,
            certain=self.certain,
            attempts=self.attempts,
            retry_delay=self.retry_delay,
        )


@functools.cache
def load_osmo_refusals() -> tuple[OsmoRefusal, ...]:
    """Return the known failures in the order in which they are compared."""
    return load_refusals(Path(__file__).with_name("refusals.toml"), OsmoRefusal)


TIMEOUT = CommandFailure(
    code="platform-away",
    title="OSMO did not answer in time",
    why="The command was killed. The service is slow, or a VPN or a port-forward is down.",
    suggestions=(Suggestion("osmo version", "shows whether the service answers"),),
    certain=False,
)
STORAGE_TIMEOUT = CommandFailure(
    code="osmo-storage-unreachable",
    title="the storage did not answer in time",
    why="`osmo data` asks it without the OSMO service: its firewall may not let this network in.",
    suggestions=(Suggestion("osmo data list URL --no-pager", "shows whether OSMO reaches it"),),
)
INVALID_JSON = CommandFailure(
    code="osmo-not-osmo",
    title="the answer of the `osmo` command is not JSON",
    suggestions=(Suggestion("osmo version", "shows whether command and service are compatible"),),
    certain=False,
)
INSTALL_URL = "https://nvidia.github.io/OSMO/main/user_guide/getting_started/install"


def make_start_failure(cli: str, sentence: str) -> CommandFailure:
    """Return the failure of a command that cannot be started."""
    return CommandFailure(
        code="submit-command-missing",
        title="cannot start the `osmo` command",
        where="--osmo-cli",
        why=f"{redact(cli)}: {sentence}",
        suggestions=(
            Suggestion("--osmo-cli /path/to/osmo", "if it is installed elsewhere"),
            Suggestion(INSTALL_URL, "explains the installation"),
            Suggestion("robotrain render JOB.yaml --to FOLDER", "writes the workflow, which needs no service"),
        ),
    )


def diagnose_failure(result: ProcessResult, words: Sequence[str] = ()) -> CommandFailure | None:
    """Return the failure that a result means, or None if the command succeeded.

    :param words: those of the command, after its name.
    """
    asks_storage = is_storage_command(words)
    if result.timed_out:
        return STORAGE_TIMEOUT if asks_storage else TIMEOUT
    if result.exit_code == 0:
        return None
    message = _unwrap_message(result.stdout.strip()) or result.stderr.strip()  # usage errors are on stderr
    body = re.search(_RESPONSE_BODY, message, re.DOTALL)
    message = re.sub(_SUBMIT_FAILED, "", _unwrap_message(body[1].strip()) if body else message)
    status_match = re.search(_HTTP_STATUS, result.stdout)
    status = int(next(filter(None, status_match.groups()))) if status_match else 0
    full_text = f"{message}\nHTTP {status}\n{result.stderr}"
    refusals = [
        kind
        for kind in load_osmo_refusals()
        if (asks_storage or not kind.is_of_storage) and result.exit_code in (kind.exits or (result.exit_code,))
    ]
    refusal = find_refusal(refusals, full_text, re.DOTALL | re.MULTILINE)
    if refusal:
        kind, match = refusal
        return kind.make_failure(match, message)
    exit_code = result.exit_code
    line = f"killed by signal {-exit_code}" if exit_code < 0 else quote_message(message) or f"HTTP {status}"
    return CommandFailure(
        code="client-failed",
        title=f"the `osmo` command failed: {line}",
        why=f"It ended with exit code {exit_code}." if exit_code > 0 else "",
        certain=exit_code == 1 and bool(result.stdout.strip()),  # so it reports a workflow that OSMO did not take
    )


def is_storage_command(words: Sequence[str]) -> bool:
    """Return whether a command asks the storage, not the service."""
    return tuple(words[:1]) == ("data",)


_FRAMED_MESSAGE = r"Error message:\s*(.*?)(?:\nError code: .*)?\Z"
_RESPONSE_BODY = r"Status Code: \d+\nHeader:\n.*?\nBody:\n(.*)"
_SUBMIT_FAILED = r"^Workflow [^\n]*submit failed:\n"
_HTTP_STATUS = r"(?m)Status Code: (\d{3})\b|^Error code: (\d{3})$|\"code\": (\d{3})\s*\}\s*\Z"


def _unwrap_message(message_text: str) -> str:
    """Return the message in a JSON or framed text, or the text itself."""
    try:
        message_object: Any = json.loads(message_text)
    except (ValueError, RecursionError):
        frame_match = re.search(_FRAMED_MESSAGE, message_text, re.DOTALL)
        return frame_match[1].strip() if frame_match else message_text
    message = message_object.get("message") if isinstance(message_object, dict) else None
    return message.strip() if isinstance(message, str) else message_text


def quote_message(message: str) -> str:
    """Return a message in one redacted line: the last one of a Python traceback, nothing of a web page."""
    if message.startswith("<"):
        return ""
    text = message.splitlines()[-1] if message.startswith("Traceback ") else message
    text = re.sub(r" \[type=.*(?:\n.*pydantic.*)?", "", text)  # of a validation: the value
    return redact(" ".join(text.split()), max_length=MAX_TEXT_LENGTH).rstrip(". ")
