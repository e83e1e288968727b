"""Parameters that the workloads of Isaac Lab share. Names: contract, A.3, A.6."""

import re
from typing import Annotated, Literal

from robotrain_runtime.contract.parameter import Param

Backend = Literal["skrl", "rsl_rl", "sb3"]
ExportedBackend = Literal["skrl", "rsl_rl"]
"""The libraries whose policies are exported."""
IsaacVersion = Literal["2.3", "3.0"]
MAX_NAME = 255
OWNED_KEYS = {"env.scene.num_envs": "--num-envs", "env.seed": "--seed", "agent.seed": "--seed"}
"""Hydra's keys that the scripts replace by their own options, which robotrain passes, each with robotrain's own."""
CHECKPOINT_KEYS = ("agent.resume", "agent.load_run", "agent.load_checkpoint")
"""Those that name a checkpoint, which robotrain gives to the script."""
CHECKPOINT_HINT = "--checkpoint-uri URI"
TASKS_ENTRY = "isaaclab.tasks"
"""The entry of code that brings tasks in place of a program: the group of entry points that names their modules."""


def list_owned_options(library: str, video: str) -> dict[str, str]:
    """Return the options of the script that plays a policy, which robotrain passes, each with robotrain's own.

    :param library: what is said of the one that names the library of the policy.
    :param video: the option that records.
    """
    options = {"--task": "--task", "--num_envs": "--num-envs", "--seed": "--seed"}
    checkpoints = ("--checkpoint", "--resume", "--load_run", "--use_pretrained_checkpoint", *CHECKPOINT_KEYS)
    return {
        **options,
        "--headless": "--headless, or --no-headless",
        "--rl_library": library,
        "--video": video,
        "--video_length": "--video-length",
        **OWNED_KEYS,
        **dict.fromkeys(checkpoints, CHECKPOINT_HINT),
    }


CheckpointDigest = Annotated[
    str | None,
    Param(
        help="the SHA-256 of the checkpoint's file; http URLs need it",
        aliases=("--checkpoint-sha256",),
        pattern=r"^[0-9A-Fa-f]{64}$",
        pattern_help="64 hex digits",
        metavar="HEX",
    ),
]
Headless = Annotated[bool, Param(help="run without a window, which 3.0 does by itself")]
IsaacLabPath = Annotated[
    str | None,
    Param(
        help="the folder of isaaclab.sh where the job runs (default: ISAACLAB_PATH there, else the image's)",
        metavar="FOLDER",
        names="program",
    ),
]
PassUnknown = Annotated[
    bool, Param(help="hand options after -- that robotrain does not know to Isaac Lab's script, with a warning")
]
AcceptTerms = Annotated[bool, Param(help="accept NVIDIA's license and privacy terms of Isaac Sim for this job")]
IsaacLabVersion = Annotated[
    IsaacVersion,
    Param(
        help="the version of Isaac Lab: 3.0 is built where the job runs, unless the image or --isaaclab-path brings it;"
        " 2.3 is that of its image"
    ),
]


def make_task_param(help: str) -> Param:
    """Return the parameter with the name of a task."""
    return Param(
        help=help,
        common=True,
        short="-t",
        env=("TASK",),
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9._:-]*$",
        pattern_help="the name of a task, such as Isaac-Cartpole-Direct",
        metavar="TASK",
    )


def make_task_slug(task: str) -> str:
    """Return a task's name as the model of its policy is called: in small letters, with `-` for other signs."""
    return re.sub(r"-+", "-", re.sub(r"[^a-z0-9-]+", "-", task.lower())).strip("-")[:MAX_NAME]
