"""The number format of training, `--mixed-precision`: accelerate computes in it and keeps the weights in 32 bits."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

ENVIRON = "ACCELERATE_MIXED_PRECISION"
"""The environment name that accelerate reads it from."""
INSTEAD = "--mixed-precision bf16"


def wrong(device: str, asked: str) -> str:
    """A sentence when `device` cannot compute in it: accelerate would compute in 32 bits there, and say nothing."""
    if asked == "fp16" and device == "cpu":
        return "--mixed-precision fp16 needs a GPU, and this training runs on the CPU"
    return ""


def refused(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What no machine can do of these parameters: a sentence, and the way out."""
    if why := wrong(str(given["device"]), str(given["mixed_precision"])):
        yield why, INSTEAD
    if given["device"] == "mps" and given["num_gpus"] != 1:
        yield f"--device mps trains in one process, and --num-gpus is {given['num_gpus']}", "--num-gpus 1"


def of_this_process() -> str:
    """What this process trains in."""
    return os.environ.get(ENVIRON, "no")
