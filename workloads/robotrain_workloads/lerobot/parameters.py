"""Declarations that LeRobot's workloads share: LeRobot's version, parameter types and defaults, unsupported devices."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from robotrain_runtime.contract.parameter import Param

DEFAULT_POLICY_TYPE = "act"
Device = Literal["auto", "cpu", "cuda", "mps"]
DEVICE_WORDS = (("gpu", "cuda"), ("nvidia", "cuda"), ("metal", "mps"))
"""What people call a device, each with its name here."""
PRECISION_WORDS = (
    *(("bfloat16", "bf16"), ("float16", "fp16"), ("half", "fp16"), ("16-mixed", "fp16"), ("bf16-mixed", "bf16")),
    *(("float32", "no"), ("fp32", "no"), ("32", "no"), ("full", "no"), ("off", "no"), ("none", "no"), ("false", "no")),
)
"""What people call a number format, each with its name here."""
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
BatchSize = Annotated[int, BATCH_SIZE_PARAM]
LearningRate = Annotated[
    float, Param(help="the optimizer's learning rate", common=True, aliases=("--lr",), env=("LEARNING_RATE",), gt=0)
]
SAVE_FREQ_PARAM = Param(help="steps between checkpoints", env=("SAVE_FREQ",), gt=0)
SaveFreq = Annotated[int, SAVE_FREQ_PARAM]
LogFreq = Annotated[int, Param(help="steps between metrics", env=("LOG_FREQ",), gt=0)]


def _make_gpus_param(machine: str) -> Param:
    aliases, environ = ("--gpus-per-node",), ("OSMO_NUM_GPUS",)
    help = f"GPUs of {machine} to train on"
    return Param(help=help, common=True, aliases=aliases, env=environ, gt=0, requires="multi_gpu")


NumGpus = Annotated[int, _make_gpus_param("one machine")]
NodeGpus = Annotated[int, _make_gpus_param("each node")]
Seed = Annotated[int, Param(help="the seed of initialization and data order", ge=0, le=2**32 - 1)]
CHECKPOINTS_PATTERN, CHECKPOINTS_HELP = "^(?:all|[1-9][0-9]{0,11})$", "all, or a number of steps greater than 0"
TrainingDevice = Annotated[
    Device, Param(help="where to train; auto uses a GPU if there is one", foreign_values=DEVICE_WORDS)
]
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
_DATASET_HINT = "part of the id: --dataset-repo-id OWNER/NAME@REVISION"
_POLICY_HINT = "part of the id: --policy-repo-id OWNER/NAME@REVISION"
ID_HINTS: Mapping[str, str] = {
    **dict.fromkeys(("--dataset-revision", "DATASET_REVISION"), _DATASET_HINT),
    **dict.fromkeys(("--policy-revision", "POLICY_REVISION"), _POLICY_HINT),
    "--repo-id": "use --dataset-repo-id OWNER/NAME for data, --policy-repo-id OWNER/NAME for a policy",
}
_TRAINING_HINTS = {
    "--iterations --max-iterations --num-iterations --max-iters": "training is counted in steps: --training-steps N",
    "--epochs --epoch --num-epochs --n-epochs --max-epochs --num-train-epochs": (
        "training is counted in steps, not epochs: --training-steps N; an epoch is the frames of the dataset, divided"
        " by --batch-size"
    ),
    "--max-steps --num-steps --n-steps --max-train-steps --num-train-steps": "use --training-steps N",
    "--bs --batch --per-device-train-batch-size --train-batch-size": "use --batch-size N",
    "--workers --n-workers --dataloader-num-workers --num-data-workers": "use --num-workers N",
    "--precision": "use --mixed-precision TYPE",
    "--checkpoint --from-checkpoint --pretrained": (
        "use --resume-from CHECKPOINT to continue a training, --policy-path FOLDER to train on from a policy"
    ),
    "--experiment": "use --experiment-name NAME",
    "--bf16": "use --mixed-precision bf16",
    "--fp16 --amp": "use --mixed-precision fp16",
    "--out-dir --outdir --output --save-dir --checkpoint-dir": "use --output-dir FOLDER",
    "--save-steps --save-every --checkpoint-freq": "use --save-freq N",
    "--log-steps --logging-steps --log-every": "use --log-freq N",
}
TRAINING_HINTS: Mapping[str, str] = {flag: hint for flags, hint in _TRAINING_HINTS.items() for flag in flags.split()}
"""Options of other trainers, each with what trainings of robotrain have for it."""


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
