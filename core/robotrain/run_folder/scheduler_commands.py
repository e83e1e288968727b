"""The commands of a scheduler: how they are called, when it does not answer, and why it refused a job."""

import os
import re
from collections.abc import Iterable

from robotrain_runtime.contract import child_python
from robotrain_runtime.contract.lazy_dataclass import lazy_dataclass

from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.external_command import CommandStartError, ProcessResult, run_command
from robotrain.messages import Messages
from robotrain.redaction import redact

make_problem = Messages(__file__)

MAX_QUOTED = 400


@lazy_dataclass(frozen=True, kw_only=True)
class Refusal:
    """A kind of refusal: how it is recognised, and the parts of its problem."""

    pattern: str
    """What the command prints: a regular expression."""
    code: str
    title: str
    where: str = ""
    """The option that is refused."""
    transient: bool = False
    """Whether the same job may be accepted later."""
    suggestions: tuple[Suggestion, ...] = ()

    def make_problem(self, given: str, why: str, *others: Suggestion, stage: Stage = Stage.SUBMIT) -> Problem:
        """Return the problem. `others`: what it suggests if the kind has no suggestions of its own."""
        return Problem(
            code=self.code,
            stage=stage,
            title=self.title,
            where=self.where,
            given=redact(given),
            why=why,
            suggestions=self.suggestions or others,
            transient=self.transient,
        )


def find_refusal(kinds: Iterable[Refusal], text: str) -> tuple[Refusal, re.Match[str]] | None:
    """Return the first kind that fits what a command printed, and the match of its pattern; None for an unknown one."""
    found = ((kind, re.search(kind.pattern, text)) for kind in kinds)
    return next(((kind, match) for kind, match in found if match), None)


def quote_message(text: str, prefix: str = "") -> str:
    """Return what a command printed in one redacted line, each sentence once. `prefix`: what each may begin with."""
    sentences = (re.sub(f"^(?:{prefix})", "", line.strip()).strip().rstrip(".") for line in text.splitlines())
    return redact("; ".join(dict.fromkeys(filter(None, sentences))), max_length=MAX_QUOTED)


@lazy_dataclass(frozen=True, kw_only=True)
class SchedulerCommands:
    """The commands of a scheduler."""

    engine: str
    """Its name, for messages."""
    away_pattern: str
    """What its commands print when it does not answer, and whether it acted is not known: a regular expression."""
    ping: str
    """The command that shows whether it answers."""
    seconds: float = 30.0
    """How long a command may take; one that sends a job has its own limit."""

    def run(self, command: str, *words: str) -> ProcessResult:
        """Run a command and return its result, whatever the exit code.

        Raise Rejected, `transient` if the scheduler does not answer.
        """
        environ = {**os.environ, "LC_ALL": "C"}
        try:
            result = run_command(command, *words, seconds=self.seconds, env=environ, cwd=child_python.NEUTRAL_FOLDER)
        except CommandStartError as error:
            raise Rejected(
                [make_problem("submit-command-missing.not-started", command=command, why=str(error))]
            ) from None
        if result.timed_out:
            raise self.make_silence(f"`{command}` was not done within {self.seconds:g} seconds.")
        if result.exit_code and re.search(self.away_pattern, result.stderr):
            raise self.make_silence(self.quote(result.stderr))
        return result

    def quote(self, text: str) -> str:
        """Return what a command printed as one redacted sentence."""
        return f"{self.engine} says: {quote_message(text, r'[a-z]+: ') or 'nothing'}."

    def make_silence(self, why: str) -> Rejected:
        """Return the passing failure of a scheduler that does not answer."""
        ping = Suggestion(self.ping, "shows whether it answers")
        return Rejected([make_problem("platform-away", ping, engine=self.engine, why=why)], transient=True)
