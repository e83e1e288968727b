"""Weights & Biases with `--wandb`: options for LeRobot, which logs to it, and checks of key, project and server."""

import netrc
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from robotrain_runtime.contract.document import Placement
from robotrain_runtime.contract.problem import Problem, Suggestion, make_data_problem

from robotrain_workloads.lerobot.options import split_options

SECRET_KIND = "wandb"
"""The name of this secret in `Placement.ways`."""
KEY_VARIABLE = "WANDB_API_KEY"
ENABLED_OPTION = "--wandb.enable=true"
ARTIFACT_OPTION = "--wandb.disable_artifact"
LOGIN_HINT = Suggestion("wandb login", "or set WANDB_API_KEY; WANDB_MODE=offline logs only to the run's folder")
WANDB_MODES = {"offline": "offline", "dryrun": "offline", "disabled": "disabled"}
"""Values of WANDB_MODE and the modes that LeRobot takes; all others are online."""
FORBIDDEN_IN_PROJECT = "/\\#?%:"
LONGEST_PROJECT = 128


def make_wandb_options(
    project: str, options: Sequence[str], environ: Mapping[str, str], *, new_run: bool
) -> Iterator[str]:
    """Yield LeRobot's options. `options`: the user's. `new_run`: the checkpoint to resume from is of another run."""
    yield ENABLED_OPTION
    yield f"--wandb.project={project}"
    yield f"--wandb.mode={get_wandb_mode(environ)}"
    if new_run:
        yield f"--wandb.run_id={os.urandom(16).hex()}"
    if ARTIFACT_OPTION.removeprefix("--") not in dict(split_options(options)):  # no upload of checkpoints
        yield f"{ARTIFACT_OPTION}=true"


def get_wandb_mode(environ: Mapping[str, str]) -> str:
    """Return `online`, `offline` or `disabled`: LeRobot ignores WANDB_MODE."""
    return WANDB_MODES.get(environ.get("WANDB_MODE", "").strip().lower(), "online")


def find_wandb_problems(placement: Placement, environ: Mapping[str, str]) -> Iterator[Problem]:
    """Yield that the run could not log, as far as this machine knows. A key that is a secret is read by the work."""
    has_key = KEY_VARIABLE in placement.secrets or environ.get(KEY_VARIABLE) or environ.get("WANDB_IDENTITY_TOKEN_FILE")
    if get_wandb_mode(environ) == "online" and not has_key and not is_signed_in(environ):
        remedy = placement.ways.get(SECRET_KIND) or LOGIN_HINT
        yield make_data_problem(
            "--wandb: this machine is not signed in to Weights & Biases, and WANDB_API_KEY is not set", remedy
        )


def find_project_problem(name: str) -> str:
    """Return a sentence when the project name is invalid; else empty."""
    if forbidden_letters := [letter for letter in FORBIDDEN_IN_PROJECT if letter in name]:
        return f"A project name cannot have {' or '.join(forbidden_letters)}."
    return f"A project name has at most {LONGEST_PROJECT} characters." if len(name) > LONGEST_PROJECT else ""


def allow_unknown_runs() -> None:
    """Let wandb create a run that the server does not know: LeRobot requires that it exists."""
    import wandb

    original_init = wandb.init

    def init(**options: Any) -> Any:
        return original_init(
            **{**options, "resume": "allow" if options.get("resume") == "must" else options.get("resume")}
        )

    wandb.init = init


def is_signed_in(environ: Mapping[str, str]) -> bool:
    """Return whether `wandb login` saved a key, in the netrc file: for the server of WANDB_BASE_URL, if that is set."""
    home = Path(environ.get("HOME", "~")).expanduser()
    files = [Path(environ["NETRC"]).expanduser()] if environ.get("NETRC") else [home / ".netrc", home / "_netrc"]
    server = urlsplit(environ.get("WANDB_BASE_URL", "")).netloc
    with suppress(OSError, ValueError, netrc.NetrcParseError, StopIteration):
        logins = netrc.netrc(next(filter(Path.is_file, files))).hosts.items()
        return any(
            key and server in (host, "") and (server or "wandb" in host or name == "user")
            for host, (name, _, key) in logins
        )
    return False
