"""Logging to Weights & Biases, `--wandb`: LeRobot does it. What it is told, and whether anybody is signed in there."""

import importlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from robotrain_runtime.document import Scalar

from robotrain_workloads.lerobot_train.trainer_args import names_of

KIND = "wandb"
"""Among the ways that a platform names to give a job its secrets."""
ENABLED = "--wandb.enable=true"
ARTIFACTS = "--wandb.disable_artifact"
LOGIN = "wandb login   or set WANDB_API_KEY; WANDB_MODE=offline logs to the run's folder alone"
OFFLINE = "WANDB_MODE=offline   logs to the run's folder alone"
MODES = {"offline": "offline", "dryrun": "offline", "disabled": "disabled"}
"""What WANDB_MODE may say, in the words that LeRobot passes on; everything else is online."""
KEY = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+|[^-]*-[\w-]{40,}|\w{40,}")
"""As wandb itself reads it: 40 characters, behind a prefix on servers of one's own; or a token of three parts."""
NOT_IN_A_PROJECT = "/\\#?%:"
LONGEST_PROJECT = 128


def owned(
    parameters: Mapping[str, Scalar], project: str, environ: Mapping[str, str], *, anew: bool = False
) -> Iterator[str]:
    """The options of LeRobot's that are robotrain's. anew: the checkpoint to go on from is another run's."""
    if not parameters["wandb"]:
        yield "--wandb.enable=false"
        return
    yield ENABLED
    yield f"--wandb.project={project}"
    yield f"--wandb.mode={mode(environ)}"
    if anew:
        yield f"--wandb.run_id={os.urandom(16).hex()}"


def defaults(parameters: Mapping[str, Scalar], given: Sequence[str]) -> Iterator[str]:
    """Checkpoints are not uploaded there, unless the person says so after `--`."""
    if parameters["wandb"] and ARTIFACTS not in names_of(given):
        yield f"{ARTIFACTS}=true"


def mode(environ: Mapping[str, str]) -> str:
    """`online`, `offline` or `disabled`: LeRobot would take no notice of WANDB_MODE."""
    return MODES.get(environ.get("WANDB_MODE", "").strip().lower(), "online")


def wrong(ways: Mapping[str, str], environ: Mapping[str, str]) -> Iterator[str]:
    """Why it would not let the run in, as far as this machine can tell. ways: as in `Placement`."""
    from robotrain_workloads.lerobot_train import wandb_server  # what speaks HTTP is slow to load

    if mode(environ) != "online":
        return
    way = ways.get(KIND, LOGIN)
    if key := environ.get("WANDB_API_KEY", ""):
        if not KEY.fullmatch(key):
            yield f"WANDB_API_KEY is no key of Weights & Biases: it has {_described(key)}\n{way}"
    elif not environ.get("WANDB_IDENTITY_TOKEN_FILE") and not wandb_server.signed_in(environ):
        yield f"--wandb: nobody is signed in to Weights & Biases on this machine, and WANDB_API_KEY is not set\n{way}"
    where = wandb_server.address(environ)
    if why := wandb_server.unreachable(where):
        yield f"--wandb: {wandb_server.shown(where)} cannot be reached: {why}\n{OFFLINE}"


def wrong_project(name: str) -> str:
    """A sentence when no project can have this name; else nothing."""
    if found := [letter for letter in NOT_IN_A_PROJECT if letter in name]:
        return f"A project there cannot have {' or '.join(found)} in its name."
    return f"A project's name there has {LONGEST_PROJECT} characters at most." if len(name) > LONGEST_PROJECT else ""


def lenient() -> None:
    """A run that goes on elsewhere, or for the first time: LeRobot insists on one that the server knows already."""
    wandb: Any = importlib.import_module("wandb")
    begin = wandb.init

    def init(**named: Any) -> Any:
        return begin(**{**named, "resume": "allow" if named.get("resume") == "must" else named.get("resume")})

    wandb.init = init


def _described(key: str) -> str:
    count = f"{len(key)} characters"
    return f"{count}, spaces or line ends among them" if re.search(r"\s", key) else count
