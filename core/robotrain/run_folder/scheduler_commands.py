"""The commands of a scheduler: how they are called, and when it does not answer."""

import copy
import re
import shlex
from dataclasses import dataclass
from typing import TypeVar

from robotrain.errors import Rejected, Suggestion
from robotrain.external_command import ProcessResult
from robotrain.messages import Messages
from robotrain.redaction import redact
from robotrain.run_folder.transport import Transport, Unreached, parse_count

make_problem = Messages(__file__)

MAX_QUOTED = 400
MISSING_CODE = 127


class ShellWord(str):
    """A word of a command that the shell expands where it runs."""


def quote_message(text: str, prefix: str = "") -> str:
    """Return what a command printed in one redacted line, each sentence once. `prefix`: what each may begin with."""
    sentences = (re.sub(f"^(?:{prefix})", "", line.strip()).strip().rstrip(".") for line in text.splitlines())
    return redact("; ".join(dict.fromkeys(filter(None, sentences))), max_length=MAX_QUOTED)


@dataclass(frozen=True, kw_only=True)
class SchedulerCommands:
    """How the commands of a scheduler are called, here or by ssh: `run(command, *words)` calls one.

    A command that is not installed (exit code 127) is an error that says what to do. One that does not answer raises a
    passing failure. Any other exit code, 255 of LSF's commands among them, comes back with what was printed.
    """

    engine: str
    """Its name, for messages."""
    away_pattern: str
    """What its commands print when it does not answer, and whether it acted is not known: a regular expression that is
    searched. The submit command is judged by it, too, unless the platform has an `unsure_pattern`."""
    ping: str
    """The command that shows users whether it answers."""
    seconds: float = 30.0
    """How long a command may take; the submit command has its own limit."""
    environment_script: str = ""
    """Lines of sh before every command, the submit command too: they set or unset variables that change its answer."""
    elsewhere: Suggestion = Suggestion("ssh LOGIN-NODE", "and the same command there")
    """What users of a machine without the commands can do."""
    at = Transport()
    """What reaches the machine that has the commands: this one, but for what `move_commands` returns."""

    def run(self, command: str, *words: str, seconds: float | None = None, stdin: bytes = b"") -> ProcessResult:
        """Run a command and return its result, whatever the exit code.

        Raise Rejected, `transient` if the scheduler does not answer.

        :param stdin: what the command reads, such as a batch script that is in no file there.
        """
        command_line = " ".join(
            word if isinstance(word, ShellWord) else shlex.quote(word) for word in (command, *words)
        )
        if stdin:
            command_line = f"head -c {len(stdin)} | {command_line}"
        missing_check = f"command -v {command} >/dev/null || {{ printf '\\n{MISSING_CODE}'; exit 0; }}"
        script_lines = ("export LC_ALL=C", self.environment_script, missing_check, command_line, "printf '\\n%s' $?")
        seconds = seconds or self.seconds
        try:
            script_result = self.at.run("\n".join(script_lines), stdin, seconds, is_question=True)
        except Unreached as failure:
            if failure.timed_out:
                reason = f"`{command}` was not done within {seconds:g} seconds."
            else:
                reason = f"`{command}` was ended from outside. {quote_message(failure.text)}".strip()
            raise self.make_away_error(reason) from None
        printed_text, _, code = script_result.text.rpartition("\n")
        result = ProcessResult(parse_count(code), printed_text, script_result.stderr)
        if result.exit_code == MISSING_CODE:
            raise Rejected([make_problem("submit-command-missing", self.elsewhere, command=command)])
        if result.exit_code and re.search(self.away_pattern, result.stderr or printed_text):
            raise self.make_away_error(self.quote(result.stderr or printed_text))
        return result

    def quote(self, text: str) -> str:
        """Return what a command printed as one redacted sentence."""
        return f"{self.engine} says: {quote_message(text, r'[a-z]+: ') or 'nothing'}."

    def make_away_error(self, reason: str) -> Rejected:
        """Return the passing failure of a scheduler that does not answer."""
        ping = Suggestion(self.ping, "shows whether it answers")
        return Rejected([make_problem("platform-away", ping, engine=self.engine, why=reason)], transient=True)


Commands = TypeVar("Commands", bound=SchedulerCommands)


def move_commands(commands: Commands, transport: Transport) -> Commands:
    """Return the commands of a scheduler on another machine."""
    moved_commands = copy.copy(commands)
    object.__setattr__(moved_commands, "at", transport)
    return moved_commands
