"""Why no connection to a login node came about, in a sentence each."""

import functools
import re
from collections.abc import Sequence
from pathlib import Path

from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.messages import Messages
from robotrain.redaction import redact
from robotrain.refusals import Refusal, find_refusal, load_refusals
from robotrain.run_folder.ssh_transport import NO_COMMAND_CODE
from robotrain.run_folder.transport import Unreached

from robotrain_slurm.login.address import FLAG

make_problem = Messages(__file__)

SSH_CODE = 255
"""The exit code of an ssh that does not run a command."""
MAX_TEXT_LENGTH = 300
NO_PROCESS = r"\b[Ff]ork\b|Cannot allocate memory|Resource temporarily unavailable"
"""What a shell prints that has no memory or no process left, as when its user has too many."""


@functools.cache
def load_ssh_refusals() -> tuple[Refusal, ...]:
    """Return what ssh prints when it fails, in the order in which it is compared."""
    return load_refusals(Path(__file__).with_name("refusals.toml"), Refusal)


def make_rejection(code: str, title: str, reason: str, *ways: Suggestion, transient: bool = False) -> Rejected:
    """Return the error of a login node."""
    problem = Problem(code=code, stage=Stage.SUBMIT, title=title, where=FLAG, why=reason, suggestions=ways)
    return Rejected([problem], transient=transient)


def explain_failure(login: str, text: str, exit_code: int | None) -> Rejected:
    """Return why ssh ended before the login node answered. `text`: what it printed."""
    words = (line.strip() for line in text.splitlines() if re.search(r"\w", line))  # points alone say nothing
    printed_lines = [line for line in words if "Warning: Permanently added" not in line]
    reason = f"ssh says: {redact(printed_lines[-1], max_length=MAX_TEXT_LENGTH).rstrip('.')}." if printed_lines else ""
    if exit_code == NO_COMMAND_CODE:
        return Rejected([make_missing_slurm_problem(login)])
    if exit_code is None:
        return make_missing_ssh_error(text)
    if exit_code is not None and 0 <= exit_code < SSH_CODE:  # what was printed is the shell's
        return _make_shell_rejection(login, printed_lines, exit_code)
    refusal = find_refusal(load_ssh_refusals(), text)
    if refusal:
        kind, _ = refusal
        return Rejected([kind.make_problem("", reason, login=login)], transient=kind.transient)
    suggestion = Suggestion(f"ssh {login} true", "shows whether ssh works")
    reason = reason or f"ssh ended with exit code {exit_code} and printed nothing."
    return make_rejection("slurm-login-failed", f"the connection to {login} failed", reason, suggestion)


def _make_shell_rejection(login: str, lines: Sequence[str], exit_code: int) -> Rejected:
    """Return the error of a login node that ssh reached, and whose shell did not run the command."""
    output_sentence = f" It printed: {redact(lines[-1], max_length=MAX_TEXT_LENGTH).rstrip('.')}." if lines else ""
    reason = (
        f"It ended with exit code {exit_code}.{output_sentence} A line of ~/.bashrc there ends it, or reads its input."
    )
    suggestion = Suggestion(f"ssh {login} echo it works", "prints `it works` once that is mended")
    title = f"the shell of {login} ended before it ran a command"
    if any(re.search(NO_PROCESS, line) for line in lines):
        return make_rejection(
            "slurm-login-shell", title, f"It cannot start a process.{output_sentence}", suggestion, transient=True
        )
    return make_rejection("slurm-login-shell", title, reason, suggestion)


def make_missing_ssh_error(reason: str) -> Rejected:
    """Return the error of a machine without ssh."""
    suggestion = Suggestion("ssh -V", "shows whether it is installed")
    return make_rejection("slurm-login-no-ssh", "there is no `ssh` on this machine", reason, suggestion)


def make_missing_slurm_problem(login: str) -> Problem:
    """Return the problem of a host without Slurm."""
    return make_problem("slurm-login-no-slurm", where=FLAG, given=login)


def make_lost_problem(login: str, failure: Unreached) -> Problem:
    """Return the problem of an answer that did not come to its end."""
    printed_text = redact(failure.text.strip().rpartition("\n")[2], max_length=MAX_TEXT_LENGTH).rstrip(".")
    if failure.passed_limit:
        return make_problem("slurm-login-away.limit", where=FLAG, login=login, why=printed_text)
    is_shell_end = failure.exit_code in range(SSH_CODE)
    name = "slurm-login-away.incomplete" if is_shell_end else "slurm-login-away"
    return make_problem(name, where=FLAG, login=login, printed=printed_text or None)


def make_odd_answer_problem(login: str) -> Problem:
    """Return the problem of an answer that no script gives."""
    return make_problem("slurm-login-away.odd", where=FLAG, login=login)


def make_silence_error(login: str, seconds: float) -> Rejected:
    """Return the error of a login node that has not answered in time."""
    reason = f"It gave no answer in {seconds:g} s."
    way = Suggestion(f"ssh {login}", "shows whether it answers")
    return make_rejection("slurm-login-away", f"{login} does not answer", reason, way, transient=True)
