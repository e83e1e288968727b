"""Weights & Biases with `--wandb`: options for LeRobot, which logs to it, and checks of key and project."""

import importlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from robotrain_runtime.contract.document import Scalar

from robotrain_workloads.lerobot.options import list_option_names

SECRET_KIND = "wandb"
"""The name of this secret in `Placement.ways`."""
ENABLED_OPTION = "--wandb.enable=true"
ARTIFACT_OPTION = "--wandb.disable_artifact"
LOGIN_HINT = "wandb login   or set WANDB_API_KEY; WANDB_MODE=offline logs only to the run's folder"
OFFLINE_HINT = "WANDB_MODE=offline   logs only to the run's folder"
WANDB_MODES = {"offline": "offline", "dryrun": "offline", "disabled": "disabled"}
"""Values of WANDB_MODE and the modes that LeRobot takes; all others are online."""
KEY_PATTERN = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+|[^-]*-[\w-]{40,}|\w{40,}")
"""As wandb itself reads it: 40 characters, on own servers with a prefix, or a token of three parts."""
FORBIDDEN_IN_PROJECT = "/\\#?%:"
LONGEST_PROJECT = 128


def make_wandb_options(
    parameters: Mapping[str, Scalar], project: str, environ: Mapping[str, str], *, new_run: bool = False
) -> Iterator[str]:
    """Yield the options that robotrain owns. `new_run`: the checkpoint to resume from belongs to another run."""
    if not parameters["wandb"]:
        yield "--wandb.enable=false"
        return
    yield ENABLED_OPTION
    yield f"--wandb.project={project}"
    yield f"--wandb.mode={get_wandb_mode(environ)}"
    if new_run:
        yield f"--wandb.run_id={os.urandom(16).hex()}"


def make_wandb_defaults(parameters: Mapping[str, Scalar], options: Sequence[str]) -> Iterator[str]:
    """Disable the upload of checkpoints, unless the user sets it after `--`."""
    if parameters["wandb"] and ARTIFACT_OPTION not in list_option_names(options):
        yield f"{ARTIFACT_OPTION}=true"


def get_wandb_mode(environ: Mapping[str, str]) -> str:
    """Return `online`, `offline` or `disabled`: LeRobot ignores WANDB_MODE."""
    return WANDB_MODES.get(environ.get("WANDB_MODE", "").strip().lower(), "online")


def find_wandb_problems(remedies: Mapping[str, str], environ: Mapping[str, str]) -> Iterator[str]:
    """Yield why the run could not log, as far as this machine knows. `remedies` is `Placement.ways`."""
    from robotrain_workloads.lerobot_train import wandb_connection  # HTTP modules load slowly

    if get_wandb_mode(environ) != "online":
        return
    remedy = remedies.get(SECRET_KIND, LOGIN_HINT)
    if key := environ.get("WANDB_API_KEY", ""):
        if not KEY_PATTERN.fullmatch(key):
            yield f"WANDB_API_KEY is not a key of Weights & Biases: it has {_describe_key(key)}\n{remedy}"
    elif not environ.get("WANDB_IDENTITY_TOKEN_FILE") and not wandb_connection.is_signed_in(environ):
        yield f"--wandb: this machine is not signed in to Weights & Biases, and WANDB_API_KEY is not set\n{remedy}"
    address = wandb_connection.find_server_address(environ)
    if reason := wandb_connection.explain_unreachable(address):
        yield f"--wandb: cannot reach {wandb_connection.redact_address(address)}: {reason}\n{OFFLINE_HINT}"


def find_project_problem(name: str) -> str:
    """Return a sentence when the project name is invalid; else empty."""
    if forbidden := [letter for letter in FORBIDDEN_IN_PROJECT if letter in name]:
        return f"A project name cannot have {' or '.join(forbidden)}."
    return f"A project name has at most {LONGEST_PROJECT} characters." if len(name) > LONGEST_PROJECT else ""


def allow_unknown_runs() -> None:
    """Let wandb create a run that the server does not know: LeRobot requires that it exists."""
    wandb: Any = importlib.import_module("wandb")
    original = wandb.init

    def init(**options: Any) -> Any:
        return original(**{**options, "resume": "allow" if options.get("resume") == "must" else options.get("resume")})

    wandb.init = init


def _describe_key(key: str) -> str:
    count = f"{len(key)} characters"
    return f"{count}, including spaces or line breaks" if re.search(r"\s", key) else count
