"""Parameters of `isaac-train`, and options of Isaac Lab's scripts that robotrain sets itself. Names: contract, A.3."""

from __future__ import annotations  # evaluated for the jobs of this workload alone

import itertools
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from robotrain_runtime.contract.parameter import Param

from robotrain_workloads.isaac import parameters as shared
from robotrain_workloads.packages import AllowBuilds, Packages
from robotrain_workloads.parameters import AllowSecretFile, CheckpointsUrl, NumNodes, SystemMetrics, make_model_param

if TYPE_CHECKING:
    from robotrain_workloads.isaac.script_options import Script

Mode = Literal["from-scratch", "warm-start", "resume"]
CHECKPOINT_HINT = "--checkpoint-uri URI --checkpoint-mode MODE"
ENTRY = "scripts/train.sh"
MODES = ("from-scratch", "warm-start", "resume", "fresh")
MODE_PATTERN = (
    "^("
    + "|".join("".join(f"[{letter.upper()}{letter}]" if letter != "-" else letter for letter in mode) for mode in MODES)
    + ")$"
)
"""In any case, in a form that JSON Schema knows too."""
PPO = "PPO"
ALGORITHM_OPTIONS = ("--algorithm", "--agent")
SEVERAL_AGENTS = re.compile(r"(?:^|_)(ippo|mappo)(?:_|$)", re.IGNORECASE)
"""In the values of these: MAPPO, skrl_mappo_cfg_entry_point."""
OWNED_OPTIONS: Mapping[str, str] = {
    "--task": "--task",
    "--num_envs": "--num-envs",
    "--max_iterations": "--max-iterations",
    "--seed": "--seed",
    "--headless": "--headless, or --no-headless",
    "--distributed": "--num-gpus",
    "--rl_library": "--backend",
    "--checkpoint": CHECKPOINT_HINT,
    "--resume": CHECKPOINT_HINT,
    "--load_run": CHECKPOINT_HINT,
    "--use_pretrained_checkpoint": CHECKPOINT_HINT,
    **shared.OWNED_KEYS,
    **dict.fromkeys(shared.CHECKPOINT_KEYS, CHECKPOINT_HINT),
    "agent.max_iterations": "--max-iterations",
    "agent.trainer.timesteps": "--max-iterations N",
    "agent.n_timesteps": "--max-iterations N",
}


@dataclass(frozen=True, kw_only=True)
class IsaacTrainParameters:
    """The parameters of `isaac-train`."""

    task: Annotated[str, shared.make_task_param("the task to train on, as Isaac Lab registers it")] = (
        "Isaac-Cartpole-Direct"
    )
    backend: Annotated[
        shared.Backend, Param(help="the library that trains", common=True, short="-b", env=("TRAINING_BACKEND",))
    ] = "rsl_rl"
    num_envs: Annotated[
        int,
        Param(
            help="environments that are simulated together",
            common=True,
            short="-n",
            env=("NUM_ENVS",),
            gt=0,
            trainer_default="Isaac Lab's is the task's own",
        ),
    ] = 2048
    max_iterations: Annotated[
        int | None,
        Param(
            help="iterations in all, also after a resume (default: the task's own)",
            common=True,
            short="-m",
            env=("MAX_ITERATIONS",),
            gt=0,
        ),
    ] = None
    seed: Annotated[int | None, Param(help="the seed; -1 is a random one (default: the task's own)", ge=-1)] = None
    headless: shared.Headless = True
    num_gpus: Annotated[
        int,
        Param(
            help="GPUs of each node to train on",
            common=True,
            aliases=("--gpus-per-node",),
            gt=0,
            requires="multi_gpu",
        ),
    ] = 1
    num_nodes: NumNodes = 1
    checkpoint_mode: Annotated[
        str | None,
        Param(
            help="how to use --checkpoint-uri: warm-start takes the weights and the normalizer and starts at iteration"
            " 0, resume continues (default: from-scratch, without a checkpoint)",
            short="-M",
            env=("CHECKPOINT_MODE",),
            pattern=MODE_PATTERN,
            pattern_help="from-scratch (or fresh), warm-start or resume",
            metavar="MODE",
        ),
    ] = None
    sha256: shared.CheckpointDigest = None
    entry: Annotated[
        str,
        Param(
            help="the program in the folder of --code; isaaclab.tasks for the tasks of its package (default: those, if"
            " its pyproject.toml names some)",
            pattern=r"^[A-Za-z0-9_+-][A-Za-z0-9._+/-]*$",
            pattern_help="a file of the folder, such as scripts/train.sh",
            metavar="FILE",
        ),
    ] = ENTRY
    job_name: Annotated[str | None, Param(help="the name that tracking shows (default: the run's)", metavar="NAME")] = (
        None
    )
    experiment_name: Annotated[
        str | None, Param(help="the tracking experiment (default: isaaclab-TASK)", aliases=("--experiment",))
    ] = None
    correlation_id: Annotated[
        str | None, Param(help="a tag of the tracking run that connects it with others", env=("MLFLOW_CORRELATION_ID",))
    ] = None
    register_checkpoint: Annotated[
        str | None,
        make_model_param(
            "the model that the last checkpoint is registered as (default: the task's name in small letters)",
            "REGISTER_CHECKPOINT",
        ),
    ] = None
    skip_register_checkpoint: Annotated[
        bool, Param(help="do not register the last checkpoint", opposite_of="register_checkpoint")
    ] = False
    publish_url: CheckpointsUrl = None
    packages: Packages = None
    allow_builds: AllowBuilds = False
    isaac_version: shared.IsaacLabVersion = "3.0"
    pass_unknown: shared.PassUnknown = False
    allow_secret_file: AllowSecretFile = None
    isaaclab_path: shared.IsaacLabPath = None
    accept_eula: shared.AcceptTerms = True
    system_metrics: SystemMetrics = True


def make_script(backend: str) -> Script:
    """Return the training script of a backend."""
    from robotrain_workloads.isaac.script_options import Script

    return Script("train", OWNED_OPTIONS, backend)


def choose_mode(parameters: Mapping[str, Any], roles: Collection[str]) -> Mode:
    """Return how a training starts; a source of the role `resume` decides it."""
    if "resume" in roles:
        return "resume"
    requested = str(parameters["checkpoint_mode"] or "").lower()
    modes: tuple[Mode, ...] = ("warm-start", "resume")
    return next((mode for mode in modes if mode == requested), "from-scratch")


def find_algorithm(arguments: Sequence[str]) -> str:
    """Return the algorithm that options after `--` choose: IPPO or MAPPO, for several agents of skrl, or PPO."""
    for argument, next_argument in itertools.zip_longest(arguments, arguments[1:], fillvalue=""):
        option, equals, option_value = argument.partition("=")
        match = (
            SEVERAL_AGENTS.search(option_value if equals else next_argument) if option in ALGORITHM_OPTIONS else None
        )
        if match:
            return match[1].upper()
    return PPO


def make_model_name(parameters: Mapping[str, Any]) -> str:
    """Return the name of the registered model; empty if none is wanted."""
    if parameters["skip_register_checkpoint"]:
        return ""
    if parameters["register_checkpoint"]:
        return str(parameters["register_checkpoint"])
    return shared.make_task_slug(str(parameters["task"]))


def get_experiment_name(parameters: Mapping[str, Any]) -> str:
    """Return the name of the tracking experiment."""
    prefix = "isaaclab-rsl-rl" if parameters["backend"] == "rsl_rl" else "isaaclab"
    return str(parameters["experiment_name"] or f"{prefix}-{parameters['task']}")
