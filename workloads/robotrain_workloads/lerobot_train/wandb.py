"""Logging to Weights & Biases, `--wandb`: LeRobot does it. What it is told, and whether anybody is signed in there."""

import importlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from robotrain_runtime.contract.document import Scalar

from robotrain_workloads.lerobot.options import list_option_names

SECRET_KIND = "wandb"
"""Among the ways that a platform names to give a job its secrets."""
ENABLED_OPTION = "--wandb.enable=true"
ARTIFACT_OPTION = "--wandb.disable_artifact"
LOGIN_HINT = "wandb login   or set WANDB_API_KEY; WANDB_MODE=offline logs to the run's folder alone"
OFFLINE_HINT = "WANDB_MODE=offline   logs to the run's folder alone"
WANDB_MODES = {"offline": "offline", "dryrun": "offline", "disabled": "disabled"}
"""What WANDB_MODE may say, in the words that LeRobot passes on; everything else is online."""
KEY_PATTERN = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+|[^-]*-[\w-]{40,}|\w{40,}")
"""As wandb itself reads it: 40 characters, behind a prefix on servers of one's own; or a token of three parts."""
FORBIDDEN_IN_PROJECT = "/\\#?%:"
LONGEST_PROJECT = 128


def make_wandb_options(
    parameters: Mapping[str, Scalar], project: str, environ: Mapping[str, str], *, new_run: bool = False
) -> Iterator[str]:
    """The options of LeRobot's that are robotrain's. anew: the checkpoint to go on from is another run's."""
    if not parameters["wandb"]:
        yield "--wandb.enable=false"
        return
    yield ENABLED_OPTION
    yield f"--wandb.project={project}"
    yield f"--wandb.mode={get_wandb_mode(environ)}"
    if new_run:
        yield f"--wandb.run_id={os.urandom(16).hex()}"


def make_wandb_defaults(parameters: Mapping[str, Scalar], options: Sequence[str]) -> Iterator[str]:
    """Checkpoints are not uploaded there, unless the person says so after `--`."""
    if parameters["wandb"] and ARTIFACT_OPTION not in list_option_names(options):
        yield f"{ARTIFACT_OPTION}=true"


def get_wandb_mode(environ: Mapping[str, str]) -> str:
    """`online`, `offline` or `disabled`: LeRobot would take no notice of WANDB_MODE."""
    return WANDB_MODES.get(environ.get("WANDB_MODE", "").strip().lower(), "online")


def find_wandb_problems(remedies: Mapping[str, str], environ: Mapping[str, str]) -> Iterator[str]:
    """Why it would not let the run in, as far as this machine can tell. ways: as in `Placement`."""
    from robotrain_workloads.lerobot_train import wandb_connection  # what speaks HTTP is slow to load

    if get_wandb_mode(environ) != "online":
        return
    way = remedies.get(SECRET_KIND, LOGIN_HINT)
    if key := environ.get("WANDB_API_KEY", ""):
        if not KEY_PATTERN.fullmatch(key):
            yield f"WANDB_API_KEY is no key of Weights & Biases: it has {_describe_key(key)}\n{way}"
    elif not environ.get("WANDB_IDENTITY_TOKEN_FILE") and not wandb_connection.is_signed_in(environ):
        yield f"--wandb: nobody is signed in to Weights & Biases on this machine, and WANDB_API_KEY is not set\n{way}"
    where = wandb_connection.find_server_address(environ)
    if why := wandb_connection.explain_unreachable(where):
        yield f"--wandb: {wandb_connection.redact_address(where)} cannot be reached: {why}\n{OFFLINE_HINT}"


def find_project_problem(name: str) -> str:
    """A sentence when no project can have this name; else nothing."""
    if found := [letter for letter in FORBIDDEN_IN_PROJECT if letter in name]:
        return f"A project there cannot have {' or '.join(found)} in its name."
    return f"A project's name there has {LONGEST_PROJECT} characters at most." if len(name) > LONGEST_PROJECT else ""


def allow_unknown_runs() -> None:
    """A run that goes on elsewhere, or for the first time: LeRobot insists on one that the server knows already."""
    wandb: Any = importlib.import_module("wandb")
    begin = wandb.init

    def init(**named: Any) -> Any:
        return begin(**{**named, "resume": "allow" if named.get("resume") == "must" else named.get("resume")})

    wandb.init = init


def _describe_key(key: str) -> str:
    count = f"{len(key)} characters"
    return f"{count}, spaces or line ends among them" if re.search(r"\s", key) else count
