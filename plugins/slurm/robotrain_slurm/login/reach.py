"""Where the commands of Slurm are: on this machine, or on a login node that the user's ssh reaches."""

import functools
import math
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import IO, TypeVar

from robotrain.errors import Problem, Rejected, Stage, Suggestion, Unanswered
from robotrain.messages import Messages
from robotrain.model.run import RunGone
from robotrain.redaction import redact
from robotrain.run_folder.ssh_transport import NO_COMMAND_CODE, SshTransport
from robotrain.run_folder.transport import SECONDS, Input, LostAnswer, Result, Transport, Unreached

from robotrain_slurm.login.address import FLAG, is_address

make_problem = Messages(__file__)

MAX_TEXT_LENGTH = 300
AWAY = (
    r"Connection refused|timed out|No route to host|unreachable|Connection (?:reset|closed)|kex_exchange|banner"
    r"|\b[Ff]ork\b|Cannot allocate memory|Resource temporarily unavailable"
)
"""What ssh, or a shell without memory or a process left, prints where the same may work later."""
REFUSED = r"Permission denied \(|Host key"


def make_login_problem(code: str, login: str, title: str, reason: str) -> Problem:
    """Return the problem of a login node."""
    way = Suggestion(f"ssh {login}", "shows whether it answers")
    return Problem(code=code, stage=Stage.SUBMIT, title=title, where=FLAG, why=reason, suggestions=(way,))


def explain_failure(login: str, text: str, exit_code: int | None) -> Rejected:
    """Return why ssh ended before the login node answered. `text`: what it printed."""
    if exit_code == NO_COMMAND_CODE:
        return Rejected([make_problem("slurm-login-no-slurm", where=FLAG, given=login)])
    words = (line.strip() for line in text.splitlines() if re.search(r"\w", line))  # points alone say nothing
    printed_lines = [line for line in words if "Warning: Permanently added" not in line]
    printed_text = redact(printed_lines[-1], max_length=MAX_TEXT_LENGTH).rstrip(".") if printed_lines else "nothing"
    reason = f"ssh says: {printed_text}." + (f" It ended with exit code {exit_code}." if exit_code else "")
    if re.search(AWAY, text) and not re.search(REFUSED, text):
        problem = make_login_problem("slurm-login-away", login, f"{login} does not answer", reason)
        return Rejected([problem], transient=True)
    return Rejected([make_login_problem("slurm-login-failed", login, f"no command can be run on {login}", reason)])


def make_lost_problem(login: str, failure: Unreached) -> Problem:
    """Return the problem of an answer that did not come to its end."""
    printed_text = redact(failure.text.strip().rpartition("\n")[2], max_length=MAX_TEXT_LENGTH).rstrip(".")
    title, reason = f"the connection to {login} broke off", f"It printed: {printed_text}." if printed_text else ""
    if failure.passed_limit:
        title, reason = f"{login} did not answer as it should", f"{printed_text}."
    return make_login_problem("slurm-login-away", login, title, reason)


COMMAND = "sbatch"
T = TypeVar("T")
THIS_MACHINE = "this machine"
COMMANDS = ("rm", "chmod", "pgrep", "scontrol", "sinfo", "sacctmgr", "squeue", "scancel", "sbatch", "munge", "uv")
"""What suggestions of a login node begin with that are typed there."""
ANSWER_SECONDS = 90.0
"""How long a login node may take to answer at all: its profile may be slow."""
FAILURE_SECONDS = 10.0
"""How long a login node that did not answer is not asked again."""


class LoginNode(SshTransport):
    """A login node. What fails is explained in words for the user."""

    def __init__(self, login: str) -> None:
        if not is_address(login):  # of a record
            raise Rejected([make_problem("slurm-login-invalid.value", given=login, stage=Stage.SUBMIT)])
        super().__init__(login, COMMAND)
        self._failure: tuple[float, Rejected] | None = None
        """When it last did not answer, and the error."""

    def run(
        self,
        script: str,
        stdin: Input = b"",
        seconds: float = SECONDS,
        receive: Callable[[IO[bytes]], bytes] | None = None,
        *,
        is_question: bool = False,
        stall_seconds: float = math.inf,
    ) -> Result:
        """Run a script there and return what it did. Raise Rejected, or LostAnswer if it began."""
        if self._failure and time.monotonic() < self._failure[0] + FAILURE_SECONDS:
            raise Rejected(self._failure[1].problems, transient=True)
        ask = partial(super().run, is_question=is_question, stall_seconds=stall_seconds)
        try:
            return ask(script, stdin, max(seconds, ANSWER_SECONDS), receive)
        except Unreached as failure:
            error = self._explain(failure)
            if error.transient and (failure.timed_out or not failure.began):
                self._failure = (time.monotonic(), error)
            raise error from None

    def _explain(self, failure: Unreached) -> Rejected:
        if not (failure.began or failure.timed_out):
            return explain_failure(self.host, failure.text, failure.exit_code)
        return LostAnswer([make_lost_problem(self.host, failure)], transient=True)

    def note_silence(self, seconds: float) -> Rejected:
        """Return the error of a login node that has not answered in time; others raise it, too, for some seconds."""
        title, reason = f"{self.host} does not answer", f"It gave no answer in {seconds:g} s."
        problem = make_login_problem("slurm-login-away", self.host, title, reason)
        self._failure = (time.monotonic(), Rejected([problem], transient=True))
        return self._failure[1]

    def tell_silence(self) -> None:
        """Tell a user at a terminal that this is waited for."""
        if sys.stderr.isatty():
            print(f"waiting for {self.host}", file=sys.stderr, flush=True)


@functools.cache
def reach(login: str) -> Transport:
    """Return what reaches a login node; without one, this machine. Raise Rejected for a name that is none."""
    return LoginNode(login) if login else Transport()


@contextmanager
def explained(transport: Transport) -> Iterator[None]:
    """Raise what is raised in words for this machine."""
    try:
        yield
    except Unreached as failure:
        raise Rejected([make_problem("platform-away", printed=redact(failure.text.strip()) or None)], True) from None
    except RunGone:
        raise
    except Unanswered as unanswered:
        raise Unanswered(translate(unanswered.problems, transport)) from None
    except LostAnswer:
        raise
    except (ValueError, LookupError):  # of an answer that cannot be read
        if not transport.host:
            raise
        title, reason = f"{transport.host} gave an unexpected answer", "Programs there print no words of Linux."
        problem = make_login_problem("slurm-login-away", transport.host, title, reason)
        raise LostAnswer([problem], transient=True) from None
    except Rejected as rejected:
        raise Rejected(translate(rejected.problems, transport), rejected.transient) from None


def explain_items(items: Iterator[T], transport: Transport) -> Iterator[T]:
    """Yield what a generator yields. Raise as `explained`."""
    with explained(transport):
        yield from items


def translate(problems: Iterable[Problem], transport: Transport) -> list[Problem]:
    """Return problems of a login node in words for this machine."""
    return [translate_problem(problem, transport.host) for problem in problems] if transport.host else [*problems]


def translate_problem(problem: Problem, login: str) -> Problem:
    """Return a problem of a login node in words for this machine.

    There, "this machine" is the login node in what was found, and in remarks about commands that are typed there. In
    remarks about robotrain's own options it is the user's machine already, as in all problems of `--login`.
    """
    if problem.where == FLAG:
        return problem
    ways = []
    for way in problem.suggestions:
        text, remark = way.text, way.remark
        if text.partition(" ")[0] in COMMANDS:
            text, remark = f"ssh {login} {shlex.quote(text)}", remark.replace(THIS_MACHINE, login)
        ways.append(Suggestion(text, remark))
    title, reason = (text.replace(THIS_MACHINE, login) for text in (problem.title, problem.why))
    return replace(problem, title=title, why=reason, suggestions=tuple(ways))
