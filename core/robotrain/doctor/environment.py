"""Health check of a workload's environment on this machine: its lock, Python, uv and disk space."""

import functools
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from robotrain_runtime.contract import child_python
from robotrain_runtime.contract.container_plugin import GpuRequirement, PythonEnvironment
from robotrain_runtime.contract.document import Placement
from robotrain_runtime.environments import environment, environment_check, interpreter, uv_program
from robotrain_runtime.machine import disk_cache, hardware

from robotrain.errors import Suggestion
from robotrain.model.amounts import format_size
from robotrain.model.health import HealthResult, convert_problem, report_ok, report_warning
from robotrain.model.workload import Workload
from robotrain.store import files
from robotrain.submission.container_plugins import load_workload_container

ENVIRONMENT_VARIABLE = "ROBOTRAIN_ENVIRONMENT"
SECONDS = 3.0


def check_environment(workload: Workload) -> Iterator[HealthResult]:
    """Yield what a run of a workload would find before it starts, by the same code."""
    if plugin := load_workload_container({f"workload.{workload.name}": workload.container_plugin}):
        own_environment = os.environ.get(ENVIRONMENT_VARIABLE)
        yield from _check_environment(plugin.ENVIRONMENT, None if plugin.RUNS_PROGRAM else own_environment)
        if plugin.PROGRAM_ENVIRONMENT:
            yield from _check_environment(plugin.PROGRAM_ENVIRONMENT, own_environment, "its program's environment")


def _check_environment(
    needed: PythonEnvironment, own_environment: str | None, name: str = "the environment"
) -> Iterator[HealthResult]:
    """Yield what a run would find of one environment. `name`: for messages."""
    cache = files.get_cache_folder()
    placement = Placement(work="", cache=str(cache), environment=own_environment)
    problems = list(environment_check.find_environment_problems(needed, placement))
    yield from map(convert_problem, problems)
    folder = environment.find_environment(needed.lock, needed.python, cache)
    if problems:
        return
    if own_environment:
        yield report_ok(f"{ENVIRONMENT_VARIABLE} is {own_environment}, which holds the required packages")
        return
    yield from _check_driver(hardware.read_cuda_version(needed.lock))
    if folder:
        yield report_ok(f"{name} is built ({folder})")
    else:
        python = interpreter.find_interpreter(needed.python)
        program = uv_program.find_uv(cache)
        installer = str(program) if program else f"{uv_program.get_uv_version()}, downloaded with pip first"
        yield report_ok(f"{name} can be built on first use: Python {needed.python} is {python}, uv is {installer}")
        yield from _check_download_space(program, cache, needed.gib)


@functools.cache
def _check_driver(cuda: str) -> Sequence[HealthResult]:
    """Return that the driver of a GPU of this machine is too old for a version of CUDA, if it is."""
    gpu_requirement = GpuRequirement(count=0, cuda=cuda) if cuda else None
    problems = hardware.find_gpu_problems(gpu_requirement, Placement(work="", cache=""))
    return [report_warning(f"{problem.title}. {problem.why}", *problem.suggestions) for problem in problems]


def _check_download_space(program: Path | None, cache: Path, gib: float) -> Iterator[HealthResult]:
    """Warn when uv's own cache lies on another disk that is nearly full: it takes the same space again."""
    if program is None:
        return
    command = [str(program), "cache", "dir", "--color", "never"]
    try:
        uv_result = subprocess.run(
            command,
            cwd=child_python.NEUTRAL_FOLDER,  # as when it installs: no uv.toml of a folder counts
            env=uv_program.make_uv_environ(),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return
    if uv_result.returncode or not uv_result.stdout.strip():
        return
    uv_cache = Path(uv_result.stdout.strip())
    first_disk, second_disk = (os.stat(disk_cache.find_existing_parent(path)).st_dev for path in (uv_cache, cache))
    if first_disk != second_disk and (free := disk_cache.get_free_bytes(uv_cache)) < gib * disk_cache.GIB:
        suggestion = Suggestion(
            "UV_CACHE_DIR=FOLDER robotrain …", "a folder on the disk of robotrain's cache: files are then shared"
        )
        yield report_warning(f"uv downloads to {uv_cache}, which has only {format_size(free)} free", suggestion)
