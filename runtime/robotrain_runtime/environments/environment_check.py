"""Whether a run's environment is there, or could be built here: looked at, not touched."""

import os
import platform
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from robotrain_runtime.contract.container_plugin import PythonEnvironment
from robotrain_runtime.contract.document import Placement
from robotrain_runtime.contract.failure import Finding
from robotrain_runtime.environments import environment, interpreter, torch_build, uv
from robotrain_runtime.machine import disk_cache

ENVIRONMENT_OPTION = "--environment PATH"
SHARE_WITHOUT_TORCH = 0.5
"""How much of its room an environment takes at most, when torch with its CUDA lies in the image already."""
VERSIONS_PROBE = """import sys
from importlib.metadata import PackageNotFoundError, version
print('%d.%d' % sys.version_info[:2])
for name in sys.argv[1:]:
    try:
        print(version(name))
    except PackageNotFoundError:
        print()
"""


def find_environment_problems(required: PythonEnvironment, placement: Placement) -> Iterator[Finding]:
    """What stands in the way of the environment `wanted` on this machine."""
    if placement.environment is not None:
        yield from _check_given(required, placement.environment)
    elif not environment.find_environment(
        required.lock, required.python, Path(placement.cache), placement.torch_backend
    ):
        yield from _check_buildable(required, placement)


def _check_given(required: PythonEnvironment, folder: str) -> Iterator[Finding]:
    python = environment.get_python(Path(folder))
    told = _read_versions(python, required.required_packages)
    if told is None:
        yield _make_unusable_finding(folder, f"{python} is not there or does not run.", "leave --environment out")
        return
    for name, version in required.required_packages.items():
        if not told[name]:
            yield _make_unusable_finding(
                folder, f"It does not hold {name}, which the job needs in version {version}.", required.lock
            )
        elif not f"{told[name]}.".startswith(f"{version}."):
            yield _make_unusable_finding(
                folder, f"It holds {name} {told[name]}; the job needs {version}.", required.lock
            )


def _make_unusable_finding(folder: str, why: str, remedy: str | Path) -> Finding:
    ways: tuple[str, ...] = ("leave --environment out: the locked environment is then built",)
    if isinstance(remedy, Path):
        ways += (f"install it there: uv pip install --python {folder} --no-deps --require-hashes -r {remedy}",)
    return Finding(
        code="environment-unusable",
        title="the environment that was given cannot run this job",
        where="--environment",
        given=folder,
        why=why,
        ways=ways,
    )


def _read_versions(python: Path, names: Mapping[str, str]) -> dict[str, str] | None:
    """The version of each distribution, empty for one that is missing; None when there is no Python to ask."""
    command = [str(python), "-I", "-c", VERSIONS_PROBE, *names]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = told.stdout.splitlines()
    return dict(zip(names, lines[1:], strict=True)) if told.returncode == 0 and len(lines) > len(names) else None


def _check_buildable(required: PythonEnvironment, placement: Placement) -> Iterator[Finding]:
    machine, cache = f"{platform.system()}-{platform.machine()}", Path(placement.cache)
    if required.platform and machine != required.platform:
        yield _make_platform_finding(required, machine, placement.torch_backend)
        return
    taken = None if placement.torch_backend else torch_build.find_image_torch(required.lock, required.python)
    if taken is None and interpreter.find_interpreter(required.python) is None:
        yield _make_python_finding(required.python)
    yield from _check_disk_space(required.gib * (SHARE_WITHOUT_TORCH if taken else 1), cache)
    if uv.find_uv(cache) is None and uv.find_python_with_pip() is None:
        yield Finding(
            code="uv-missing",
            title="there is no uv on this machine, and no pip to fetch it with",
            why="uv builds the locked environment.",
            ways=("install uv: https://docs.astral.sh/uv/getting-started/installation", ENVIRONMENT_OPTION),
        )


def _make_platform_finding(required: PythonEnvironment, machine: str, torch_backend: str | None) -> Finding:
    needs = " ".join(f"'{name}=={version}.*'" for name, version in required.required_packages.items())
    make = f"uv venv --python {required.python} PATH && uv pip install --python PATH {needs}   makes one"
    also = " --torch-backend changes PyTorch alone." if torch_backend else ""
    return Finding(
        code="lock-platform",
        title=f"the locked environment is for {required.platform}, and this machine is {machine}",
        given=str(required.lock),
        why=f"Its packages are pinned by hash for that platform, so they cannot be installed here.{also}",
        ways=(
            f"{ENVIRONMENT_OPTION}   an environment of your own that holds {_format_packages(required.required_packages)}",
            *((make,) if needs else ()),
        ),
    )


def _make_python_finding(version: str) -> Finding:
    newest = interpreter.list_allowed_versions(version)[0]
    package = "python3" if "-" in version else f"python{version}"
    said = os.environ.get(interpreter.PYTHON_VARIABLE, "")
    looked = (
        f"what {interpreter.PYTHON_VARIABLE} names is none that runs" if said else "PATH, pyenv, uv and /opt have none"
    )
    return Finding(
        code="python-missing",
        title=f"there is no Python {version} on this machine",
        where=interpreter.PYTHON_VARIABLE if said else "",
        given=said,
        why=f"The locked environment needs it, and {looked}.",
        ways=(
            f"apt install {package}   or your system's package of that name",
            f"uv python install {newest}",
            f"pyenv install {newest}",
            f"{ENVIRONMENT_OPTION}   an environment that you made",
        ),
    )


def _check_disk_space(gib: float, cache: Path) -> Iterator[Finding]:
    there = disk_cache.find_existing_parent(cache)
    if not os.access(there, os.W_OK | os.X_OK):
        yield Finding(
            code="cache-not-writable",
            title="the cache folder cannot be written to",
            where="ROBOTRAIN_CACHE",
            given=str(cache),
            why=f"The environment is built below it, and {there} does not let you write.",
            ways=("ROBOTRAIN_CACHE=FOLDER   a folder of yours", ENVIRONMENT_OPTION),
        )
        return
    free = disk_cache.get_free_bytes(there) / disk_cache.GIB
    if free < gib:
        yield Finding(
            code="disk-full",
            title=f"there is too little disk space for the environment: {free:.1f} GiB free, {gib:g} GiB needed",
            where="ROBOTRAIN_CACHE",
            given=str(cache),
            why="The environment is built below the cache folder, once, and shared by all runs.",
            ways=("free some space there", "ROBOTRAIN_CACHE=FOLDER   on a larger disk", ENVIRONMENT_OPTION),
            fault="disk_full",
        )


def _format_packages(packages: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in packages.items()) or "what the job needs"
