"""What both workloads declare: the LeRobot version, parameter types and defaults, devices that cannot run."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

LEROBOT_VERSION = "0.6.1"
PolicyType = Literal["act", "diffusion"]
Device = Literal["auto", "cpu", "cuda", "mps"]
NAME_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,254}$"
LOGICAL_NAME_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$"
DEFAULT_DATASET_NAME = "dataset"
DEFAULT_VAL_SPLIT = 0.1
PRECISION_VARIABLE = "ACCELERATE_MIXED_PRECISION"
"""The environment variable that accelerate reads."""
PRECISION_HINT = "--mixed-precision bf16"


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
