"""Whether this machine has, or could build, the environment that a workload runs in: its lock, Python, uv and disk."""

import os
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from robotrain.errors import Suggestion
from robotrain.model import health
from robotrain.model.amounts import format_size
from robotrain.model.health import HealthCheck, HealthResult, convert_problem, report_ok, report_warning
from robotrain.store import files
from robotrain_runtime.contract.container_plugin import PythonEnvironment
from robotrain_runtime.contract.document import Placement
from robotrain_runtime.environments import environment, environment_check, interpreter, uv
from robotrain_runtime.machine import disk_cache

ENVIRONMENT_VARIABLE = "ROBOTRAIN_ENVIRONMENT"
SECONDS = 3.0


def make_health_check(workload: str, needed: PythonEnvironment) -> HealthCheck:
    """Only for platforms that do the work on this machine: others bring a container."""
    return HealthCheck(name=workload, run=partial(check_environment, needed), local_only=True)


def check_environment(needed: PythonEnvironment) -> Iterator[HealthResult]:
    """What the run itself would find before it starts, by the same code."""
    cache, given = files.get_cache_folder(), os.environ.get(ENVIRONMENT_VARIABLE)
    placement = Placement(work="", cache=str(cache), environment=given)
    wrong = list(environment_check.find_environment_problems(needed, placement))
    yield from (convert_problem(health.convert_finding(finding)) for finding in wrong)
    built = environment.find_environment(needed.lock, needed.python, cache)
    if wrong:
        return
    if given:
        yield report_ok(f"{ENVIRONMENT_VARIABLE} is {given}, and holds what it needs")
    elif built:
        yield report_ok(f"its environment is built ({built})")
    else:
        python, tool = interpreter.find_interpreter(needed.python), uv.find_uv(cache)
        by = str(tool) if tool else f"{uv.get_uv_version()}, fetched with pip first"
        yield report_ok(f"its environment can be built, once: Python {needed.python} is {python}, uv is {by}")
        yield from _check_download_space(tool, cache, needed.gib)


def _check_download_space(tool: Path | None, cache: Path, gib: float) -> Iterator[HealthResult]:
    """Where uv keeps what it fetches: as much again, when that is another disk."""
    kept = _find_uv_cache(tool) if tool else None
    if (
        kept is None
        or os.stat(disk_cache.find_existing_parent(kept)).st_dev
        == os.stat(disk_cache.find_existing_parent(cache)).st_dev
    ):
        return
    if (free := disk_cache.get_free_bytes(kept)) < gib * disk_cache.GIB:
        another = Suggestion(
            "UV_CACHE_DIR=FOLDER robotrain …", "on the disk of robotrain's own cache: then files are shared"
        )
        yield report_warning(
            f"uv keeps what it fetches in {kept}, which has {format_size(free)} free: that may be too little", another
        )


def _find_uv_cache(tool: Path) -> Path | None:
    command = [str(tool), "cache", "dir", "--color", "never"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return Path(told.stdout.strip()) if told.returncode == 0 and told.stdout.strip() else None
