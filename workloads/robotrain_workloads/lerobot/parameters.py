"""Declarations that LeRobot's workloads share: LeRobot's version, parameter types and defaults, unsupported devices."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from robotrain_runtime.contract.parameter import Param

DEFAULT_POLICY_TYPE = "act"
Device = Literal["auto", "cpu", "cuda", "mps"]
JobName = Annotated[str, Param(help="the name of the tracking run", short="-j", env=("JOB_NAME",))]
ConvertV21 = Annotated[bool, Param(help="convert datasets of LeRobot v2.1 for this run")]
TrainingSteps = Annotated[
    int,
    Param(
        help="the number of training steps",
        common=True,
        aliases=("--steps",),
        env=("TRAINING_STEPS",),
        gt=0,
        le=1_000_000_000,  # years; a digit too many is refused
    ),
]
BATCH_SIZE_PARAM = Param(help="samples a step, on each GPU", common=True, env=("BATCH_SIZE",), gt=0)
SAVE_FREQ_PARAM = Param(help="steps between checkpoints", env=("SAVE_FREQ",), gt=0)
LogFreq = Annotated[int, Param(help="steps between metrics", env=("LOG_FREQ",), gt=0)]
NodeGpus = Annotated[
    int,
    Param(
        help="GPUs of each node to train on",
        common=True,
        aliases=("--gpus-per-node",),
        env=("OSMO_NUM_GPUS",),
        gt=0,
        requires="multi_gpu",
    ),
]
Seed = Annotated[int, Param(help="the seed of initialization and data order", ge=0, le=2**32 - 1)]
CHECKPOINTS_PATTERN, CHECKPOINTS_HELP = "^(?:all|[1-9][0-9]{0,11})$", "all, or a number of steps greater than 0"
TrainingDevice = Annotated[Device, Param(help="where to train; auto uses a GPU if there is one")]
TrustRemoteCode = Annotated[
    str | None,
    Param(
        help="repositories of the Hub whose Python code the policy may run, each at the commit that you have read,"
        " separated by commas",
        metavar="OWNER/NAME@COMMIT",
        names="program",
    ),
]


def make_excluded_param(help: str) -> Param:
    """Return the parameter with the episodes that are left out of the datasets."""
    return Param(help=f"{help}, such as 3,7-9: counted from 0, through all datasets", metavar="NUMBERS", form="list")


DEFAULT_DATASET_NAME = "dataset"
DEFAULT_VAL_SPLIT = 0.1
PRECISION_VARIABLE = "ACCELERATE_MIXED_PRECISION"
"""The environment variable that accelerate reads."""
PRECISION_HINT = "--mixed-precision bf16"


def make_dataset_param(help: str) -> Param:
    """Return the parameter with the name of the dataset."""
    return Param(
        help=help,
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$",
        pattern_help="names of letters, digits, `_`, `.` and `-`, with `/` between them",
        metavar="NAME",
    )


def make_output_param(help: str) -> Param:
    """Return the parameter with the output folder."""
    return Param(help=help, short="-o", env=("OUTPUT_DIR",), metavar="FOLDER", own_folder=True)


def find_precision_problem(device: str, precision: str) -> str:
    """Return a sentence when `device` cannot compute in `precision`: accelerate would silently use 32 bits."""
    if precision == "fp16" and device == "cpu":
        return "--mixed-precision fp16 needs a GPU, but this training runs on the CPU"
    return ""


def find_device_problems(parameters: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield a sentence and a remedy for each combination of parameters that no machine can run."""
    if problem := find_precision_problem(str(parameters["device"]), str(parameters["mixed_precision"])):
        yield problem, PRECISION_HINT
    if parameters["device"] == "mps" and parameters["num_gpus"] != 1:
        yield f"--device mps trains in one process, but --num-gpus is {parameters['num_gpus']}", "--num-gpus 1"
