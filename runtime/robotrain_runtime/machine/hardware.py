"""Hardware: cores and memory that this process may use, whether the GPUs suit the job, and current metrics."""

import importlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.container_plugin import GpuRequirement, read_lock
from robotrain_runtime.contract.document import MACHINE_BUILD, Placement
from robotrain_runtime.contract.problem import Problem, Suggestion, make_suggestions

CGROUP = Path("/sys/fs/cgroup")
MEMORY_INFO = Path("/proc/meminfo")
NVIDIA_SMI_QUERY = ("--query-gpu=name,driver_version,compute_cap,uuid", "--format=csv,noheader,nounits")
NVIDIA_SMI_MEMORY_QUERY = ("--query-gpu=uuid,memory.total,memory.used", "--format=csv,noheader,nounits")
DRIVER_SECONDS = 8.0
VISIBLE_DEVICES = "CUDA_VISIBLE_DEVICES"
THREADS_VARIABLE = "OMP_NUM_THREADS"
OLDEST_DRIVER = {"11": "450.80.02", "12": "525.60.13", "13": "580.65.06"}
"""The oldest Linux driver for each major version of CUDA: CUDA Toolkit Release Notes, table "CUDA Toolkit and Minimum
Required Driver Version for CUDA Minor Version Compatibility".
"""
CUDA_PIN = re.compile(r"^nvidia-cuda-runtime(?:-cu\d+)?==(\d+\.\d+)", re.MULTILINE)
BF16_CAPABILITY = (8, 0)
"""The lowest compute capability with bf16: Ampere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """A GPU of this machine, as its driver reports it."""

    name: str
    driver: str
    capability: tuple[int, int]
    """The compute capability, such as (8, 0); (0, 0) if unknown."""
    uuid: str
    """Its name in CUDA_VISIBLE_DEVICES, which may be shortened there: `GPU-` and hex digits."""


class DriverUnavailable(Exception):
    """The driver reports no GPUs; the message is a sentence without a full stop."""


def count_cores(cgroup: Path = CGROUP) -> int:
    """Return the cores of this process, whole ones of a container's quota; at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, period = _read_numbers(cgroup / "cpu.max") or (
        *(_read_numbers(cgroup / "cpu/cpu.cfs_quota_us") or (-1,)),  # of version 1, where -1 is no quota
        *(_read_numbers(cgroup / "cpu/cpu.cfs_period_us") or (1,)),
    )
    return max(1, min(cores, quota // period)) if quota > 0 < period else cores


def count_threads(processes: int, spare: int = 0, environ: Mapping[str, str] = os.environ) -> int:
    """Return the threads of each of several processes on this machine; OMP_NUM_THREADS takes precedence.

    :param spare: cores to leave to others.
    """
    threads_text = environ.get(THREADS_VARIABLE, "")
    return int(threads_text) if threads_text.isdecimal() else max(1, (count_cores() - spare) // max(1, processes))


def get_available_memory(cgroup: Path = CGROUP, memory_info: Path = MEMORY_INFO) -> int | None:
    """Return the bytes that are available, at most a container's limit; None where nothing tells."""
    limits = [
        limit_numbers[0]
        for name in ("memory.max", "memory/memory.limit_in_bytes")  # of version 2 and 1
        if (limit_numbers := _read_numbers(cgroup / name))
    ]
    with suppress(OSError, ValueError, IndexError):
        memory_lines = memory_info.read_text(encoding="ascii").splitlines()
        limits += [
            int(memory_line.split()[1]) << 10 for memory_line in memory_lines if memory_line.startswith("MemAvailable:")
        ]
    return min(limits, default=None)


def _read_numbers(file: Path) -> tuple[int, ...] | None:
    """Return the whole numbers of a file; None for no such file, and for "max"."""
    try:
        return tuple(map(int, file.read_text(encoding="ascii").split())) or None
    except (OSError, ValueError):
        return None


def find_gpu_problems(gpu_requirement: GpuRequirement | None, placement: Placement) -> Iterator[Problem]:
    """Yield the requirements of the job that this machine does not meet."""
    if gpu_requirement is None:
        return
    if gpu_requirement.count < 1:  # it takes one if there is one
        with suppress(DriverUnavailable):
            yield from _check_driver(get_cuda_version(gpu_requirement, placement), select_visible(query_gpus()))
        return
    requested_gpus = f"{gpu_requirement.count} GPU{'s' if gpu_requirement.count > 1 else ''}"
    try:
        present_gpus = query_gpus()
    except DriverUnavailable as error:
        title = f"the job asks for {requested_gpus}, and this machine shows none"
        yield _make_gpu_finding("gpu-missing", title, f"{error}.", *_list_ways(gpu_requirement, 0))
        return
    gpus = select_visible(present_gpus)
    if len(gpus) < gpu_requirement.count:
        visible_devices = os.environ.get(VISIBLE_DEVICES)
        why_few = f"It shows {', '.join(gpu.name for gpu in gpus) or 'none'}."
        why_few += "" if visible_devices is None else f" {VISIBLE_DEVICES} is {visible_devices or 'empty'}."
        title = f"the job asks for {requested_gpus}, and this machine shows {len(gpus)}"
        hidden_count = len(present_gpus) - len(gpus)
        remark = f"it hides {hidden_count} GPU{'s' if hidden_count > 1 else ''} of this machine"
        ways = [Suggestion(f"unset {VISIBLE_DEVICES}", remark)] if len(present_gpus) >= gpu_requirement.count else []
        yield _make_gpu_finding("gpu-too-few", title, why_few, *ways, *_list_ways(gpu_requirement, len(gpus)))
    used_gpus = gpus[: gpu_requirement.count]
    yield from _check_driver(get_cuda_version(gpu_requirement, placement), used_gpus)
    if old_gpus := [gpu for gpu in used_gpus if gpu_requirement.bf16 and (0, 0) < gpu.capability < BF16_CAPABILITY]:
        capability = ".".join(map(str, old_gpus[0].capability))
        yield _make_gpu_finding(
            "gpu-bf16",
            f"the job computes in bf16, and {old_gpus[0].name} cannot",
            f"Its compute capability is {capability}; bf16 needs 8.0 or newer.",
            "--mixed-precision fp16",
            "--mixed-precision no",
        )


def make_timeout_finding() -> Problem:
    """Return the finding for a driver that did not answer in time."""
    reason = f"nvidia-smi did not answer within {DRIVER_SECONDS:g} s."
    return _make_gpu_finding("gpu-missing", "the job asks for GPUs, and the driver hangs", reason)


def query_gpus() -> list[Gpu]:
    """Return all GPUs of this machine. Raise DriverUnavailable."""
    result = _run_nvidia_smi(NVIDIA_SMI_QUERY)
    gpus = [gpu for line in result.stdout.splitlines() if (gpu := _parse_gpu(line))]
    if result.returncode or not gpus:
        output = next(filter(None, map(str.strip, (result.stdout + result.stderr).splitlines())), "nothing")
        raise DriverUnavailable(f"nvidia-smi printed: {output.rstrip('.')}")
    return gpus


def query_gpu_memory() -> dict[str, tuple[int, int]]:
    """Return the bytes of memory of each GPU, all and those in use, by its uuid; none where the driver does not say."""
    try:
        gpu_lines = _run_nvidia_smi(NVIDIA_SMI_MEMORY_QUERY).stdout.splitlines()
    except DriverUnavailable:
        return {}
    matches = (re.fullmatch(r"(\S+), (\d+), (\d+)", gpu_line.strip()) for gpu_line in gpu_lines)
    return {gpu[1]: (int(gpu[2]) << 20, int(gpu[3]) << 20) for gpu in matches if gpu}


def _run_nvidia_smi(query: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Return what nvidia-smi prints of its GPUs, a line each. Raise DriverUnavailable."""
    program = shutil.which("nvidia-smi")
    if program is None:
        raise DriverUnavailable("There is no nvidia-smi on PATH, so no NVIDIA driver reaches here")
    try:
        return subprocess.run(
            [program, *query],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=DRIVER_SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise DriverUnavailable(f"nvidia-smi did not answer within {DRIVER_SECONDS:g} s: the driver hangs") from None
    except OSError as error:
        raise DriverUnavailable(f"nvidia-smi does not run: {error.strerror}") from error


def count_visible_gpus() -> int:
    """Return how many NVIDIA GPUs programs on this machine may use; 0 without a driver."""
    try:
        return len(select_visible(query_gpus()))
    except DriverUnavailable:
        return 0


def read_cuda_version(lock: Path) -> str:
    """Return the CUDA version of a locked environment, such as `12.8`; empty when it has none."""
    match = CUDA_PIN.search(read_lock(lock))
    return match[1] if match else ""


def get_cuda_version(gpu_requirement: GpuRequirement, placement: Placement) -> str:
    """Return the version of CUDA that PyTorch will bring, such as 12.8; empty if unknown."""
    if placement.environment is not None:
        return ""
    if placement.torch_backend in (None, MACHINE_BUILD):
        return gpu_requirement.cuda
    match = re.fullmatch(r"cu(\d+)(\d)", placement.torch_backend)
    return f"{match[1]}.{match[2]}" if match else ""


def _parse_gpu(gpu_line: str) -> Gpu | None:
    parts = [part.strip() for part in gpu_line.split(",")]
    if len(parts) != 4 or not re.fullmatch(r"[\d.]+", parts[1]):
        return None
    name, driver, capability, uuid = parts
    match = re.fullmatch(r"(\d+)\.(\d+)", capability)
    return Gpu(
        name=name,
        driver=driver,
        capability=(int(match[1]), int(match[2])) if match else (0, 0),
        uuid=uuid,
    )


def select_visible(gpus: Sequence[Gpu]) -> list[Gpu]:
    """Return the GPUs that CUDA_VISIBLE_DEVICES selects: as for CUDA, up to the first that is invalid or repeated."""
    visible_devices = os.environ.get(VISIBLE_DEVICES)
    if visible_devices is None:
        return list(gpus)
    selected_gpus: list[Gpu] = []
    for name in map(str.strip, visible_devices.split(",")):
        if name.startswith("MIG-") and len(selected_gpus) < len(gpus):  # any: the query has no parts of GPUs
            selected_gpus.append(gpus[len(selected_gpus)])
            continue
        matches = [gpu for index, gpu in enumerate(gpus) if name == str(index) or (name and gpu.uuid.startswith(name))]
        if len(matches) != 1 or matches[0] in selected_gpus:
            break
        selected_gpus += matches
    return selected_gpus


def _check_driver(cuda: str, used: Sequence[Gpu]) -> Iterator[Problem]:
    oldest = OLDEST_DRIVER.get(cuda.partition(".")[0])
    if not used or oldest is None or _parse_version(used[0].driver) >= _parse_version(oldest):
        return
    yield _make_gpu_finding(
        "gpu-driver",
        f"the driver {used[0].driver} is too old for CUDA {cuda}, which the job's PyTorch brings",
        f"It needs {oldest} or newer; otherwise PyTorch sees no GPU.",
        f"update the NVIDIA driver to {oldest} or newer, or choose a machine that has it",
        Suggestion("--torch-backend auto", "the build of PyTorch that this driver can run"),
    )


_OTHER_MACHINE = "a machine with a GPU"


def _list_ways(required: GpuRequirement, gpu_count: int) -> tuple[Suggestion, ...]:
    """Return what to do on a machine that has `gpu_count` GPUs, fewer than required."""
    other_machine = "a machine with that many GPUs" if required.count > 1 else _OTHER_MACHINE
    fewer_gpus = Suggestion(f"--num-gpus {gpu_count}", "as many as there are")
    return make_suggestions(other_machine, fewer_gpus if gpu_count else required.without)


def _make_gpu_finding(code: str, title: str, reason: str, *ways: Suggestion | str) -> Problem:
    return Problem(code=code, title=title, why=reason, suggestions=make_suggestions(*(ways or (_OTHER_MACHINE,))))


def _parse_version(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part)


MEGA, GIGA = 1e6, 1e9


def read_system_metrics() -> dict[str, float]:
    """Return the current metrics; those of a library that is missing or fails are left out."""
    metrics: dict[str, float] = {}
    for part in (_read_cpu_and_memory, _read_gpus):
        try:
            metrics.update(part())
        except Exception:  # of any kind: the run matters more
            continue
    return metrics


def _read_cpu_and_memory() -> Iterator[tuple[str, float]]:
    psutil: Any = importlib.import_module("psutil")
    memory = psutil.virtual_memory()
    disk = psutil.disk_usage("/")
    yield "system/cpu_utilization_percentage", psutil.cpu_percent(interval=0.1)
    yield "system/memory_used_megabytes", memory.used / MEGA
    yield "system/memory_available_megabytes", memory.available / MEGA
    yield "system/memory_percent", memory.percent
    yield "system/disk_used_gigabytes", disk.used / GIGA
    yield "system/disk_available_gigabytes", disk.free / GIGA
    yield "system/disk_percent", disk.percent


def _read_gpus() -> Iterator[tuple[str, float]]:
    nvidia: Any = importlib.import_module("pynvml")
    nvidia.nvmlInit()
    try:
        for index in range(nvidia.nvmlDeviceGetCount()):
            gpu = nvidia.nvmlDeviceGetHandleByIndex(index)
            memory = nvidia.nvmlDeviceGetMemoryInfo(gpu)
            name = f"system/gpu_{index}"
            yield f"{name}_utilization_percentage", nvidia.nvmlDeviceGetUtilizationRates(gpu).gpu
            yield f"{name}_memory_used_megabytes", memory.used / MEGA
            yield f"{name}_memory_percent", 100 * memory.used / memory.total
            yield f"{name}_power_watts", nvidia.nvmlDeviceGetPowerUsage(gpu) / 1000
    finally:
        nvidia.nvmlShutdown()
