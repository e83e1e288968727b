"""Whether the machine's GPUs are what the job asks for: the driver is asked, nothing is started on them."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from robotrain_runtime.document import Placement
from robotrain_runtime.finding import Finding
from robotrain_runtime.half import Gpus

ASK = ("--query-gpu=name,driver_version,memory.total,compute_cap", "--format=csv,noheader,nounits")
SECONDS = 8.0
VISIBLE = "CUDA_VISIBLE_DEVICES"
OLDEST_DRIVER = {"11": "450.80.02", "12": "525.60.13", "13": "580.65.06"}
"""By CUDA's major version, the oldest Linux driver that runs every minor one of it: CUDA Toolkit Release Notes, table
"CUDA Toolkit and Minimum Required Driver Version for CUDA Minor Version Compatibility".
"""
BF16 = (8, 0)
"""The compute capability from which on a GPU computes in bf16: Ampere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One, as the driver tells. mib: its memory. capability: such as (8, 0); (0, 0) when the driver does not know."""

    name: str
    driver: str
    mib: int
    capability: tuple[int, int]


class NoAnswer(Exception):
    """The driver told nothing of use. The text is why, a sentence without a full stop."""


def findings(asked: Gpus | None, placement: Placement) -> Iterator[Finding]:
    """What the job asks for and this machine does not have; quick."""
    if asked is None or asked.count < 1:
        return
    many = f"{asked.count} GPU{'s' if asked.count > 1 else ''}"
    try:
        there = _visible(ask())
    except NoAnswer as why:
        yield _finding("gpu-missing", f"the job asks for {many}, and this machine shows none", f"{why}.", *_FEWER)
        return
    if len(there) < asked.count:
        yield _too_few(many, there)
    used = there[: asked.count]
    yield from _old_driver(cuda_of(asked, placement), used)
    if asked.bf16:
        yield from _no_bf16(used)


def silent() -> Finding:
    """For a driver that gave no answer in time."""
    why = f"nvidia-smi did not answer within {SECONDS:g} s."
    return _finding("gpu-missing", "the job asks for GPUs, and the driver hangs", why, *_FEWER)


def ask() -> list[Gpu]:
    """All of the machine's. Raises NoAnswer."""
    program = shutil.which("nvidia-smi")
    if program is None:
        raise NoAnswer("There is no nvidia-smi on PATH, so no NVIDIA driver reaches here")
    try:
        done = subprocess.run(
            [program, *ASK], capture_output=True, text=True, errors="replace", timeout=SECONDS, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise NoAnswer(f"nvidia-smi did not answer within {SECONDS:g} s: the driver hangs") from None
    except OSError as error:
        raise NoAnswer(f"nvidia-smi does not run: {error.strerror}") from error
    found = [gpu for line in done.stdout.splitlines() if (gpu := _read(line))]
    if done.returncode or not found:
        said = next(filter(None, map(str.strip, (done.stdout + done.stderr).splitlines())), "nothing")
        raise NoAnswer(f"nvidia-smi said: {said.rstrip('.')}")
    return found


def cuda_of(asked: Gpus, placement: Placement) -> str:
    """The CUDA that PyTorch will bring, as 12.8; empty when that cannot be told."""
    if placement.environment is not None:
        return ""
    if placement.torch_backend is None:
        return asked.cuda
    found = re.fullmatch(r"cu(\d+)(\d)", placement.torch_backend)
    return f"{found[1]}.{found[2]}" if found else ""


def _read(line: str) -> Gpu | None:
    parts = [part.strip() for part in line.split(",")]
    if len(parts) != 4 or not re.fullmatch(r"[\d.]+", parts[1]):
        return None
    name, driver, mib, capability = parts
    known = re.fullmatch(r"(\d+)\.(\d+)", capability)
    return Gpu(
        name=name,
        driver=driver,
        mib=int(mib) if mib.isdigit() else 0,
        capability=(int(known[1]), int(known[2])) if known else (0, 0),
    )


def _visible(there: Sequence[Gpu]) -> list[Gpu]:
    """Those that CUDA_VISIBLE_DEVICES leaves: as CUDA does, up to the first that is none."""
    said = os.environ.get(VISIBLE)
    if said is None:
        return list(there)
    left: list[Gpu] = []
    for name in map(str.strip, said.split(",")):
        if name.startswith(("GPU-", "MIG-")) and len(left) < len(there):  # which one, the driver was not asked
            left.append(there[len(left)])
        elif name.isdigit() and int(name) < len(there):
            left.append(there[int(name)])
        else:
            break
    return left


def _too_few(many: str, there: Sequence[Gpu]) -> Finding:
    said = os.environ.get(VISIBLE)
    seen = f"It shows {', '.join(gpu.name for gpu in there)}." if there else "It shows none."
    why = f"{seen} {VISIBLE} is {said or 'empty'}." if said is not None else seen
    return _finding("gpu-too-few", f"the job asks for {many}, and this machine shows {len(there)}", why, *_FEWER)


def _old_driver(cuda: str, used: Sequence[Gpu]) -> Iterator[Finding]:
    oldest = OLDEST_DRIVER.get(cuda.partition(".")[0])
    if not used or oldest is None or _numbers(used[0].driver) >= _numbers(oldest):
        return
    yield _finding(
        "gpu-driver",
        f"the driver {used[0].driver} is too old for CUDA {cuda}, which the job's PyTorch brings",
        f"It takes {oldest} or newer; otherwise PyTorch sees no GPU.",
        f"update the NVIDIA driver to {oldest} or newer, or choose a machine that has it",
        "--torch-backend auto   the build of PyTorch that this driver can run",
    )


def _no_bf16(used: Sequence[Gpu]) -> Iterator[Finding]:
    old = [gpu for gpu in used if (0, 0) < gpu.capability < BF16]
    if old:
        capability = ".".join(map(str, old[0].capability))
        yield _finding(
            "gpu-bf16",
            f"the job computes in bf16, and {old[0].name} cannot",
            f"Its compute capability is {capability}; bf16 takes 8.0 or newer.",
            "--mixed-precision fp16",
            "--mixed-precision no",
        )


_FEWER = ("choose a machine with that many GPUs", "--num-gpus N   no more than there are")


def _finding(code: str, title: str, why: str, *ways: str) -> Finding:
    return Finding(code=code, title=title, where="", why=why, ways=ways)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part)
