"""Why no connection to a login node came about: what ssh says, and whether it passes."""

import re

from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.messages import Messages
from robotrain.redaction import redact
from robotrain.run_folder.ssh_transport import NO_COMMAND_CODE
from robotrain.run_folder.transport import Unreached

from robotrain_slurm.login.address import FLAG

make_problem = Messages(__file__)

SSH_CODE = 255
"""The exit code of an ssh that does not run a command."""
MAX_TEXT_LENGTH = 300
AWAY = (
    r"Connection refused|timed out|No route to host|unreachable|Connection (?:reset|closed)|kex_exchange|banner"
    r"|\b[Ff]ork\b|Cannot allocate memory|Resource temporarily unavailable"
)
"""What ssh, or a shell without memory or a process left, prints where the same may work later."""
REFUSED = r"Permission denied \(|Host key"


def make_rejection(code: str, title: str, reason: str, *ways: Suggestion, transient: bool = False) -> Rejected:
    """Return the error of a login node."""
    problem = Problem(code=code, stage=Stage.SUBMIT, title=title, where=FLAG, why=reason, suggestions=ways)
    return Rejected([problem], transient=transient)


def explain_failure(login: str, text: str, exit_code: int | None) -> Rejected:
    """Return why ssh ended before the login node answered. `text`: what it printed."""
    if exit_code == NO_COMMAND_CODE:
        return Rejected([make_problem("slurm-login-no-slurm", where=FLAG, given=login)])
    words = (line.strip() for line in text.splitlines() if re.search(r"\w", line))  # points alone say nothing
    printed_lines = [line for line in words if "Warning: Permanently added" not in line]
    printed_text = redact(printed_lines[-1], max_length=MAX_TEXT_LENGTH).rstrip(".") if printed_lines else "nothing"
    reason = f"ssh says: {printed_text}." + (f" It ended with exit code {exit_code}." if exit_code else "")
    way = Suggestion(f"ssh {login} true", "shows whether ssh works")
    if re.search(AWAY, text) and not re.search(REFUSED, text):
        return make_rejection("slurm-login-away", f"{login} does not answer", reason, way, transient=True)
    return make_rejection("slurm-login-failed", f"no command can be run on {login}", reason, way)


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
