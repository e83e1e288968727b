"""Health check of a workload's environment on this machine: its lock, Python, uv and disk space."""

import functools
import os
from collections.abc import Iterator, Sequence

from robotrain_runtime.contract.container_plugin import GpuRequirement, PythonEnvironment
from robotrain_runtime.contract.document import Placement
from robotrain_runtime.environments import environment, environment_check, interpreter, uv_program
from robotrain_runtime.machine import hardware

from robotrain.model.health import HealthResult, convert_problem, report_ok, report_warning
from robotrain.model.workload import Workload
from robotrain.store import files
from robotrain.submission.container_plugins import load_workload_container

ENVIRONMENT_VARIABLE = "ROBOTRAIN_ENVIRONMENT"


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


@functools.cache
def _check_driver(cuda: str) -> Sequence[HealthResult]:
    """Return that the driver of a GPU of this machine is too old for a version of CUDA, if it is."""
    gpu_requirement = GpuRequirement(count=0, cuda=cuda) if cuda else None
    problems = hardware.find_gpu_problems(gpu_requirement, Placement(work="", cache=""))
    return [report_warning(f"{problem.title}. {problem.why}", *problem.suggestions) for problem in problems]
