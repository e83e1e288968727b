"""What commands that get into a run share: the run, and whether anybody gets in."""

import getpass
import os
import shlex

import typer

from robotrain.cli.arguments import open_step
from robotrain.errors import Rejected
from robotrain.messages import Messages
from robotrain.model.platform import Platform, make_feature_error
from robotrain.model.run import RunRecord
from robotrain.submission.adopted_run import require_own_run

make_problem = Messages(__file__)


def open_accessible_run(ctx: typer.Context, run: str, step: str, feature: str) -> tuple[RunRecord, Platform]:
    """Return the record and platform of a run that a feature, `shell` or `forward`, is asked of.

    Raise Rejected if the platform does not have it, or the run is not running: only a shell of this machine needs none.
    """
    record, platform = open_step(ctx, run, step)
    if record.steps:
        steps = ", ".join(record.steps)
        raise Rejected([make_problem("run-of-steps", run=record.run, command=feature, steps=steps)])
    supports = platform.capabilities.feature
    if not supports(feature):
        raise make_feature_error(platform, feature)
    if feature != "shell" or not supports("runs_here"):
        status = platform.engine.status(record.reference)
        if status.state != "running":
            reason = ": ".join(filter(None, (status.state, status.reason))).rstrip(".")
            raise Rejected([make_problem("run-not-running", run=record.run, why=reason)])
        require_own_run(record, platform, "entered")
    return record, platform


def format_run(run: str, step: str) -> str:
    """Return how a command names a run, or a step of it."""
    return shlex.join([run, *(("--step", step) if step else ())])


def find_ssh_login() -> str:
    """Return the options and the login of `ssh` to this machine, as the server sees it; empty outside of SSH."""
    words = os.environ.get("SSH_CONNECTION", "").split()
    if len(words) != 4:
        return ""
    host, port = words[2:]
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # an account without a name
        user = "USER"
    return f"{f'-p {port} ' if port != '22' else ''}{user}@{host}"


def make_forward_line(port: int, login: str, address: str = "") -> str:
    """Return the command with which another machine reaches a port of this one.

    :param address: what it leads to, as this machine calls it; by default the same port of this machine.
    """
    return f"ssh -N -L {port}:{address or f'127.0.0.1:{port}'} {login}"
