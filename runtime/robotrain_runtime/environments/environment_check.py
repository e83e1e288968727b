"""Checks whether a run's environment exists or can be built on this machine. Changes nothing."""

import os
import platform
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from robotrain_runtime import data_environment
from robotrain_runtime.contract.container_plugin import PythonEnvironment
from robotrain_runtime.contract.document import MACHINE_BUILD, Placement
from robotrain_runtime.contract.problem import Problem, Suggestion, make_suggestions
from robotrain_runtime.environments import environment, interpreter, torch_build, uv_program
from robotrain_runtime.machine import disk_cache

ENVIRONMENT_OPTION, CACHE_FOLDER = "--environment PATH", "ROBOTRAIN_CACHE=FOLDER"
SHARE_WITHOUT_TORCH = 0.5
"""The share of its size that an environment needs at most if the image holds torch with CUDA."""
VERSIONS_PROBE = """import sys
from importlib.metadata import PackageNotFoundError, version
print('%d.%d' % sys.version_info[:2])
for name in sys.argv[1:]:
    try:
        print(version(name))
    except PackageNotFoundError:
        print()
"""


def find_environment_problems(required: PythonEnvironment, placement: Placement) -> Iterator[Problem]:
    """Yield the findings about an environment on this machine."""
    if placement.environment is not None:
        yield from _check_given(required, placement.environment)
        return
    if required == data_environment.ENVIRONMENT and data_environment.is_here():
        return
    cache, backend = Path(placement.cache), placement.torch_backend
    if environment.find_environment(required.lock, required.python, cache, backend):
        return
    backend = None if backend == MACHINE_BUILD else backend  # the locked one needs most
    machine = f"{platform.system()}-{platform.machine()}"
    if required.platform and machine != required.platform:
        yield _make_platform_finding(required, machine)
        return
    torch = None if backend else torch_build.find_image_torch(required.lock, required.python)
    if torch is None and interpreter.find_interpreter(required.python) is None:
        yield _make_python_finding(required.python)
    yield from _check_disk_space(required.gib * (SHARE_WITHOUT_TORCH if torch else 1), cache)
    if uv_program.find_uv(cache) is None and uv_program.find_python_with_pip() is None:
        yield Problem(
            code="uv-missing",
            title="uv is missing on this machine, and so is pip to fetch it with",
            why="uv builds the locked environment.",
            suggestions=make_suggestions(
                "install uv: https://docs.astral.sh/uv/getting-started/installation", ENVIRONMENT_OPTION
            ),
        )


def _check_given(python_environment: PythonEnvironment, folder: str) -> Iterator[Problem]:
    python = environment.get_python(Path(folder))
    versions = read_versions(python, python_environment.required_packages)
    reasons = [f"{python} does not exist or does not run."]
    if versions is not None:
        reasons = [
            f"It {'has' if versions[name] else 'does not have'} {name} {versions[name]}".rstrip()
            + f"; the job needs version {version}."
            for name, version in python_environment.required_packages.items()
            if not f"{versions[name]}.".startswith(f"{version}.")
        ]
    for reason in reasons:
        yield Problem(
            code="environment-unusable",
            title="the environment in --environment cannot run this job",
            where="--environment",
            given=folder,
            why=reason,
            suggestions=make_suggestions("leave --environment out: the locked environment is then built"),
        )


def read_versions(python: Path, packages: Mapping[str, str]) -> dict[str, str] | None:
    """Return the version of each distribution, empty for a missing one; None if Python does not run."""
    command = [str(python), "-I", "-c", VERSIONS_PROBE, *packages]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return None
    output_lines = result.stdout.splitlines()
    return (
        dict(zip(packages, output_lines[1:], strict=True))
        if result.returncode == 0 and len(output_lines) > len(packages)
        else None
    )


def _make_platform_finding(python_environment: PythonEnvironment, machine: str) -> Problem:
    packages = python_environment.required_packages
    package_names = ", ".join(f"{name} {version}" for name, version in packages.items()) or "what the job needs"
    return Problem(
        code="lock-platform",
        title=f"the locked environment is for {python_environment.platform}, but this machine is {machine}",
        given=str(python_environment.lock),
        why="Its packages are pinned by hash for that platform, so they cannot be installed here.",
        suggestions=make_suggestions(Suggestion(ENVIRONMENT_OPTION, f"your own environment with {package_names}")),
    )


def _make_python_finding(version: str) -> Problem:
    chosen_python = os.environ.get(interpreter.PYTHON_VARIABLE, "")
    variable = interpreter.PYTHON_VARIABLE
    search = (
        f"{variable} does not name one that runs" if chosen_python else "it is not on PATH, nor in pyenv, uv or /opt"
    )
    return Problem(
        code="python-missing",
        title=f"Python {version} is missing on this machine",
        where=variable if chosen_python else "",
        given=chosen_python,
        why=f"The locked environment needs it, and {search}.",
        suggestions=make_suggestions(
            f"uv python install {interpreter.list_allowed_versions(version)[0]}",
            Suggestion("--module NAME", "on a cluster with environment modules"),
            Suggestion(ENVIRONMENT_OPTION, "your own environment"),
        ),
    )


def _check_disk_space(gib: float, cache: Path) -> Iterator[Problem]:
    folder = disk_cache.find_existing_parent(cache)
    if not os.access(folder, os.W_OK | os.X_OK):
        yield Problem(
            code="cache-not-writable",
            title="the cache folder is not writable",
            where="ROBOTRAIN_CACHE",
            given=str(cache),
            why=f"The environment is built in it, and you may not write to {folder}.",
            suggestions=make_suggestions(
                Suggestion(CACHE_FOLDER, "a folder that you may write to"), ENVIRONMENT_OPTION
            ),
        )
        return
    free_gib = disk_cache.get_free_bytes(folder) / disk_cache.GIB
    if free_gib < gib:
        yield Problem(
            code="disk-full",
            title=f"there is too little disk space for the environment: {free_gib:.1f} GiB free, {gib:g} GiB needed",
            where="ROBOTRAIN_CACHE",
            given=str(cache),
            why="The environment is built in the cache folder, once, and shared by all runs.",
            suggestions=make_suggestions(
                "free some space there", Suggestion(CACHE_FOLDER, "on a larger disk"), ENVIRONMENT_OPTION
            ),
            fault="disk_full",
        )
