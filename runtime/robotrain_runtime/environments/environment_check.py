"""Whether a run's environment is there, or could be built here: looked at, not touched."""

import os
import platform
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from robotrain_runtime import disk_use
from robotrain_runtime.document import Placement
from robotrain_runtime.environments import environment, image_torch, interpreter, uv
from robotrain_runtime.finding import Finding
from robotrain_runtime.half import Environment

GIVE_ONE = "--environment PATH"
WITHOUT_TORCH = 0.5
"""How much of its room an environment takes at most, when torch with its CUDA lies in the image already."""
ASK = """import sys
from importlib.metadata import PackageNotFoundError, version
print('%d.%d' % sys.version_info[:2])
for name in sys.argv[1:]:
    try:
        print(version(name))
    except PackageNotFoundError:
        print()
"""


def findings(wanted: Environment, placement: Placement) -> Iterator[Finding]:
    """What stands in the way of the environment `wanted` on this machine."""
    if placement.environment is not None:
        yield from _given(wanted, placement.environment)
    elif not environment.found(wanted.lock, wanted.python, Path(placement.cache), placement.torch_backend):
        yield from _buildable(wanted, placement)


def _given(wanted: Environment, given: str) -> Iterator[Finding]:
    python = environment.python_of(Path(given))
    told = _ask(python, wanted.holds)
    if told is None:
        yield _unusable(given, f"{python} is not there or does not run.", "leave --environment out")
        return
    for name, version in wanted.holds.items():
        if not told[name]:
            yield _unusable(given, f"It does not hold {name}, which the job needs in version {version}.", wanted.lock)
        elif not f"{told[name]}.".startswith(f"{version}."):
            yield _unusable(given, f"It holds {name} {told[name]}; the job needs {version}.", wanted.lock)


def _unusable(given: str, why: str, way: str | Path) -> Finding:
    ways: tuple[str, ...] = ("leave --environment out: the locked environment is then built",)
    if isinstance(way, Path):
        ways += (f"install it there: uv pip install --python {given} --no-deps --require-hashes -r {way}",)
    return Finding(
        code="environment-unusable",
        title="the environment that was given cannot run this job",
        where="--environment",
        given=given,
        why=why,
        ways=ways,
    )


def _ask(python: Path, names: Mapping[str, str]) -> dict[str, str] | None:
    """The version of each distribution, empty for one that is missing; None when there is no Python to ask."""
    command = [str(python), "-I", "-c", ASK, *names]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = told.stdout.splitlines()
    return dict(zip(names, lines[1:], strict=True)) if told.returncode == 0 and len(lines) > len(names) else None


def _buildable(wanted: Environment, placement: Placement) -> Iterator[Finding]:
    machine, cache = f"{platform.system()}-{platform.machine()}", Path(placement.cache)
    if wanted.platform and machine != wanted.platform:
        yield _other_machine(wanted, machine, placement.torch_backend)
        return
    taken = None if placement.torch_backend else image_torch.find(wanted.lock, wanted.python)
    if taken is None and interpreter.find(wanted.python) is None:
        yield _no_python(wanted.python)
    yield from _room(wanted.gib * (WITHOUT_TORCH if taken else 1), cache)
    if uv.find(cache) is None and uv.pip() is None:
        yield Finding(
            code="uv-missing",
            title="there is no uv on this machine, and no pip to fetch it with",
            why="uv builds the locked environment.",
            ways=("install uv: https://docs.astral.sh/uv/getting-started/installation", GIVE_ONE),
        )


def _other_machine(wanted: Environment, machine: str, torch_backend: str | None) -> Finding:
    needs = " ".join(f"'{name}=={version}.*'" for name, version in wanted.holds.items())
    make = f"uv venv --python {wanted.python} PATH && uv pip install --python PATH {needs}   makes one"
    also = " --torch-backend changes PyTorch alone." if torch_backend else ""
    return Finding(
        code="lock-platform",
        title=f"the locked environment is for {wanted.platform}, and this machine is {machine}",
        given=str(wanted.lock),
        why=f"Its packages are pinned by hash for that platform, so they cannot be installed here.{also}",
        ways=(
            f"{GIVE_ONE}   an environment of your own that holds {_named(wanted.holds)}",
            *((make,) if needs else ()),
        ),
    )


def _no_python(wanted: str) -> Finding:
    newest = interpreter.versions(wanted)[0]
    package = "python3" if "-" in wanted else f"python{wanted}"
    said = os.environ.get(interpreter.OVERRIDE, "")
    looked = f"what {interpreter.OVERRIDE} names is none that runs" if said else "PATH, pyenv, uv and /opt have none"
    return Finding(
        code="python-missing",
        title=f"there is no Python {wanted} on this machine",
        where=interpreter.OVERRIDE if said else "",
        given=said,
        why=f"The locked environment needs it, and {looked}.",
        ways=(
            f"apt install {package}   or your system's package of that name",
            f"uv python install {newest}",
            f"pyenv install {newest}",
            f"{GIVE_ONE}   an environment that you made",
        ),
    )


def _room(gib: float, cache: Path) -> Iterator[Finding]:
    there = disk_use.there(cache)
    if not os.access(there, os.W_OK | os.X_OK):
        yield Finding(
            code="cache-not-writable",
            title="the cache folder cannot be written to",
            where="ROBOTRAIN_CACHE",
            given=str(cache),
            why=f"The environment is built below it, and {there} does not let you write.",
            ways=("ROBOTRAIN_CACHE=FOLDER   a folder of yours", GIVE_ONE),
        )
        return
    free = disk_use.free(there) / disk_use.GIB
    if free < gib:
        yield Finding(
            code="disk-full",
            title=f"there is too little disk space for the environment: {free:.1f} GiB free, {gib:g} GiB needed",
            where="ROBOTRAIN_CACHE",
            given=str(cache),
            why="The environment is built below the cache folder, once, and shared by all runs.",
            ways=("free some space there", "ROBOTRAIN_CACHE=FOLDER   on a larger disk", GIVE_ONE),
            fault="disk_full",
        )


def _named(holds: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in holds.items()) or "what the job needs"
