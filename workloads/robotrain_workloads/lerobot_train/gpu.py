"""What a training asks of the machine's GPUs."""

import re
from pathlib import Path

from robotrain_runtime.document import JobDocument
from robotrain_runtime.half import Gpus

CUDA = re.compile(r"^nvidia-cuda-runtime(?:-cu\d+)?==(\d+\.\d+)", re.MULTILINE)


def asked(document: JobDocument, lock: Path) -> Gpus | None:
    """Those it cannot do without. `--device auto` takes one when there is one; more than one must be there."""
    given = document.parameters
    count, device = given["num_gpus"], given["device"]
    assert isinstance(count, int)
    if device in ("cpu", "mps") or (device == "auto" and count == 1):
        return None
    return Gpus(count=count, bf16=given["mixed_precision"] == "bf16", cuda=cuda(lock))


def cuda(lock: Path) -> str:
    """The version of CUDA that the environment of `lock` brings, as `12.8`; empty when it brings none."""
    found = CUDA.search(lock.read_text(encoding="utf-8"))
    return found[1] if found else ""
