"""Whether this machine has, or could build, the environment that a workload runs in: its lock, Python, uv and disk."""

import os
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from robotrain import disk, findings, folders
from robotrain.amounts import size
from robotrain.health import Finding, HealthCheck, of_problem, ok, warn
from robotrain.problem import Instead
from robotrain_runtime import disk_use
from robotrain_runtime.document import Placement
from robotrain_runtime.environments import environment, environment_check, interpreter, uv
from robotrain_runtime.half import Environment

GIVEN = "ROBOTRAIN_ENVIRONMENT"
SECONDS = 3.0


def check(workload: str, needed: Environment) -> HealthCheck:
    """Only for platforms that do the work on this machine: others bring a container."""
    return HealthCheck(name=workload, look=partial(look, needed), here=True)


def look(needed: Environment) -> Iterator[Finding]:
    """What the run itself would find before it starts, by the same code."""
    cache, given = folders.cache(), os.environ.get(GIVEN)
    placement = Placement(work="", cache=str(cache), environment=given)
    wrong = list(environment_check.findings(needed, placement))
    yield from (of_problem(findings.problem_of(finding)) for finding in wrong)
    built = environment.found(needed.lock, needed.python, cache)
    if wrong:
        return
    if given:
        yield ok(f"{GIVEN} is {given}, and holds what it needs")
    elif built:
        yield ok(f"its environment is built ({built})")
    else:
        python, tool = interpreter.find(needed.python), uv.find(cache)
        by = str(tool) if tool else f"{uv.version()}, fetched with pip first"
        yield ok(f"its environment can be built, once: Python {needed.python} is {python}, uv is {by}")
        yield from _downloads(tool, cache, needed.gib)


def _downloads(tool: Path | None, cache: Path, gib: float) -> Iterator[Finding]:
    """Where uv keeps what it fetches: as much again, when that is another disk."""
    kept = _kept_by(tool) if tool else None
    if kept is None or os.stat(disk.there(kept)).st_dev == os.stat(disk.there(cache)).st_dev:
        return
    if (free := disk.free(kept)) < gib * disk_use.GIB:
        another = Instead(
            "UV_CACHE_DIR=FOLDER robotrain …", "on the disk of robotrain's own cache: then files are shared"
        )
        yield warn(f"uv keeps what it fetches in {kept}, which has {size(free)} free: that may be too little", another)


def _kept_by(tool: Path) -> Path | None:
    command = [str(tool), "cache", "dir", "--color", "never"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return Path(told.stdout.strip()) if told.returncode == 0 and told.stdout.strip() else None
