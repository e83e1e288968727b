"""The torch that the image holds already: four gigabytes that need not be fetched, when it is the locked version.

Only distributions of the same public version count (2.10.0 and 2.10.0+cu126), for the same Python, and with CUDA where
the locked one has it. Nothing is imported to find that out; what is linked into an environment is then tried there.
"""

import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from robotrain_runtime.environments import interpreter, torch_build

SWITCH = "ROBOTRAIN_IMAGE_TORCH"
"""`0` in the environment name: the locked one is always installed."""
USUAL = ("conda/bin/python", "venv/bin/python", "*/bin/python3")
"""Below /opt, where images have a Python that is not on PATH."""
ASK = r"""
import json, os, re, sys
from importlib.metadata import PackageNotFoundError, distribution
asked, found = json.loads(sys.argv[1]), {}
left = list(asked["family"]) if "%d.%d" % sys.version_info[:2] in asked["python"] else []
while left:
    name = left.pop()
    try:
        one = distribution(name)
    except PackageNotFoundError:
        continue
    root = os.path.abspath(str(one.locate_file("")))
    tops = {file.parts[0] for file in one.files or ()} - {"..", "/", "__pycache__"}
    found[name] = {"version": one.version, "root": root, "tops": sorted(tops)}
    for need in one.requires or ():
        needed = re.sub("[-_.]+", "-", re.match(r"[\w.-]+", need)[0]).lower()
        if re.match(asked["bound"], needed) and needed not in found and needed not in asked["kept"]:
            left.append(needed)
about = os.path.join(found["torch"]["root"], "torch", "version.py") if "torch" in found else ""
text = open(about).read() if os.path.exists(about) else ""
cuda = bool(re.search(r"(?m)^cuda\b[^=]*= *['\"]\d", text))
print(json.dumps({"python": "%d.%d" % sys.version_info[:2], "found": found, "cuda": cuda}))
"""
TOGETHER = 4
TRY = "import importlib, sys; [importlib.import_module(name.partition('==')[0]) for name in sys.argv[1:]]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A torch of the image. python: the interpreter it is installed for; version: of that. pins: its distributions,
    each `name==version`. tops: each file or folder that belongs to them, in a site-packages folder of the image.
    """

    python: Path
    version: str
    pins: tuple[str, ...]
    tops: tuple[Path, ...]

    @property
    def said(self) -> str:
        """For people: what it is and where it is from."""
        named = [pin.replace("==", " ") for pin in self.pins if pin.partition("==")[0] in torch_build.FAMILY]
        return f"{' and '.join(named)} from the image's {self.python}"

    @property
    def key(self) -> str:
        """The same for the same distributions at the same place, however the interpreter was found."""
        return f"torch for {self.version} {' '.join(self.pins)} {' '.join(map(str, self.tops))}"

    def link(self, site_packages: Path) -> None:
        """Make it part of another environment. What lies there already stays. Raises OSError."""
        for top in self.tops:
            _link(top, site_packages / top.name)


def find(lock: Path, wanted: str) -> Taken | None:
    """One that fits `lock` and a Python of a `wanted` version; None when there is none, or none is wanted."""
    split = torch_build.split(lock.read_text(encoding="utf-8"))
    if split is None or os.environ.get(SWITCH) == "0":
        return None
    asked = json.dumps(
        {
            "python": interpreter.versions(wanted),
            "family": [pin.partition("==")[0] for pin in split.locked],
            "kept": [pin.partition("==")[0] for pin in split.versions.splitlines()],
            "bound": torch_build.BOUND,
        }
    )
    pythons = list(_interpreters(wanted))
    with ThreadPoolExecutor(TOGETHER) as pool:
        told = pool.map(lambda python: _ask(python, asked), pythons)
        return next(filter(None, map(partial(_taken, split), pythons, told)), None)


def _interpreters(wanted: str) -> Iterator[Path]:
    """Those of the image, each once."""
    said = interpreter.override()
    seen = set()
    for python in [said] if said else _places(wanted):
        real = (os.path.realpath(python.parent), os.path.realpath(python))  # the folder, too: it may be a venv's
        if real not in seen and os.access(python, os.X_OK):
            seen.add(real)
            yield python


def _places(wanted: str) -> Iterator[Path]:
    yield Path(sys.executable)
    yield from interpreter.on_path((*interpreter.PLAIN, *(f"python{one}" for one in interpreter.versions(wanted))))
    for pattern in USUAL:
        yield from sorted(Path("/opt").glob(pattern))


def _taken(split: torch_build.Split, python: Path, told: Mapping[str, Any]) -> Taken | None:
    found: Mapping[str, Mapping[str, Any]] = told.get("found", {})
    there = {name: one["version"] for name, one in found.items() if one["tops"]}
    if not all(_same(pin, there) for pin in split.locked) or (split.cuda and not told["cuda"]):
        return None
    tops = [Path(one["root"], top) for one in found.values() for top in one["tops"]]
    return Taken(
        python=python,
        version=told["python"],
        pins=tuple(sorted(f"{name}=={one['version']}" for name, one in found.items())),
        tops=tuple(sorted({top for top in tops if top.exists()})),
    )


def _same(pin: str, there: Mapping[str, str]) -> bool:
    """Whether what is there has the locked version; a build's label counts only where the lock says one."""
    name, _, locked = pin.partition("==")
    version = there.get(name, "")
    return bool(locked) and locked in (version, version.partition("+")[0])


@functools.cache
def _ask(python: Path, asked: str) -> Mapping[str, Any]:
    """What an interpreter has of that family; empty when it cannot say. Kept: an image does not change under a run."""
    command = [str(python), "-I", "-c", ASK, asked]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
        answer = json.loads(told.stdout) if told.returncode == 0 else {}
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return {}
    return answer if isinstance(answer, dict) else {}


def _link(top: Path, to: Path) -> None:
    """A link to a file or folder of the image; into a folder that several packages share, links to what it holds."""
    if not os.path.lexists(to):
        to.symlink_to(top)
    elif top.is_dir() and to.is_dir() and not to.is_symlink():
        for inner in top.iterdir():
            _link(inner, to / inner.name)
