"""The build of PyTorch in an environment: the locked one, another one, or that of the image.

Only distributions of the same public version count (2.10.0 and 2.10.0+cu126), for the same Python, and with CUDA where
the locked one has it. Nothing is imported to find that out; what is linked into an environment is then tried there.
"""

import functools
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from robotrain_runtime.environments import interpreter

TORCH_PACKAGES = ("torch", "torchvision", "torchaudio")
BUILD_PACKAGES = r"nvidia-|cuda-|triton|pytorch-triton"
"""How the packages begin that carry what a build runs on; each build of torch asks for its own."""
DRIVER_FILE = Path("/sys/module/nvidia/version")


@dataclass(frozen=True, slots=True)
class LockPin:
    """A package of a lock. text: its lines, with the hashes. needs: what needs it, as the lock's comments say."""

    name: str
    requirement: str
    text: str
    needs: frozenset[str]

    @property
    def version(self) -> str:
        """As the lock has it, with the label of a build where there is one."""
        found = re.search(r"==\s*([^\s;]+)", self.requirement)
        return found[1] if found else ""


@dataclass(frozen=True, slots=True)
class SplitLock:
    """A lock, split. kept: the lock without the build. versions: those of what is kept. asked: the build's, by name;
    locked: the same with the labels that the lock has. cuda: whether the locked build brings CUDA.
    """

    other_pins: str
    versions: str
    torch_pins: tuple[str, ...]
    locked_torch_pins: tuple[str, ...]
    cuda: bool


def split_lock(lock: str) -> SplitLock | None:
    """`lock` without torch and what only its locked build needs; None when there is no torch in it."""
    pins = list(_parse_pins(lock))
    family = [pin for pin in pins if pin.name in TORCH_PACKAGES]
    if not family:
        return None
    gone = _find_build_packages(pins, {pin.name for pin in family})
    kept = [pin for pin in pins if pin.name not in gone]
    return SplitLock(
        other_pins="".join(pin.text for pin in kept),
        versions="".join(f"{pin.requirement}\n" for pin in kept),
        torch_pins=tuple(f"{pin.name}=={pin.version.partition('+')[0]}" for pin in family),
        locked_torch_pins=tuple(f"{pin.name}=={pin.version}" for pin in family),
        cuda=any(name.startswith("nvidia-") for name in gone),
    )


def get_backend_key(backend: str) -> str:
    """What tells the environments of two builds apart. `auto` goes by the machine's driver, so that is part of it."""
    try:
        return f"auto {DRIVER_FILE.read_text().strip()}" if backend == "auto" else backend
    except OSError:
        return backend


def describe_unpinned(torch_pins: Sequence[str], unpinned: Sequence[str], backend: str) -> str:
    """What a person should know of an environment in which not everything is pinned by hash."""
    named = [_format_pin(pin) for pin in unpinned if pin.partition("==")[0] in TORCH_PACKAGES] or [
        _format_pin(pin) for pin in torch_pins
    ]
    others = len(unpinned) - len(named)
    more = f" (and {others} packages that come with it)" if others > 0 else ""
    index = "the index that suits this machine" if backend == "auto" else f"the {backend} index"
    return f"{' and '.join(named)} from {index}{more}: not pinned by hash"


def _find_build_packages(pins: Sequence[LockPin], family: set[str]) -> set[str]:
    """The family, and whatever of a build's packages is there for it alone."""
    gone = set(family)
    while new := {
        pin.name
        for pin in pins
        if pin.name not in gone and re.match(BUILD_PACKAGES, pin.name) and _is_needed_only_by(pin, gone)
    }:
        gone |= new
    return gone


def _is_needed_only_by(pin: LockPin, gone: set[str]) -> bool:
    if not pin.needs:  # a lock without such comments: the build's own packages carry its name
        return bool(re.search(r"-cu\d+$|triton", pin.name))
    return pin.needs <= gone


def _parse_pins(lock: str) -> Iterator[LockPin]:
    for entry in re.findall(r"^[A-Za-z0-9][^\n]*\n(?:[ \t][^\n]*\n)*", lock + "\n", re.MULTILINE):
        lines = [re.sub(r"\s*(--hash=\S+)?\s*\\?$", "", line).strip() for line in entry.splitlines()]
        said = [re.sub(r"^#\s*(via\b)?", "", line).strip() for line in lines if line.startswith("#")]
        name = re.match(r"[A-Za-z0-9._-]+", entry)
        assert name is not None
        yield LockPin(name[0].lower().replace("_", "-"), lines[0], entry, frozenset(filter(None, said)))


def _format_pin(pin: str) -> str:
    name, _, version = pin.partition("==")
    return f"{name} {version}"


IMAGE_TORCH_VARIABLE = "ROBOTRAIN_IMAGE_TORCH"
"""`0` in the environment name: the locked one is always installed."""
IMAGE_PYTHONS = ("conda/bin/python", "venv/bin/python", "*/bin/python3")
"""Below /opt, where images have a Python that is not on PATH."""
PROBE = r"""
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
MAX_PROBES = 4
IMPORT_PROBE = "import importlib, sys; [importlib.import_module(name.partition('==')[0]) for name in sys.argv[1:]]"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageTorch:
    """A torch of the image. python: the interpreter it is installed for; version: of that. pins: its distributions,
    each `name==version`. tops: each file or folder that belongs to them, in a site-packages folder of the image.
    """

    python: Path
    version: str
    pins: tuple[str, ...]
    tops: tuple[Path, ...]

    @property
    def description(self) -> str:
        """For people: what it is and where it is from."""
        named = [pin.replace("==", " ") for pin in self.pins if pin.partition("==")[0] in TORCH_PACKAGES]
        return f"{' and '.join(named)} from the image's {self.python}"

    @property
    def key(self) -> str:
        """The same for the same distributions at the same place, however the interpreter was found."""
        return f"torch for {self.version} {' '.join(self.pins)} {' '.join(map(str, self.tops))}"

    def link(self, site_packages: Path) -> None:
        """Make it part of another environment. What lies there already stays. Raises OSError."""
        for top in self.tops:
            _link_tree(top, site_packages / top.name)


def find_image_torch(lock: Path, wanted: str) -> ImageTorch | None:
    """One that fits `lock` and a Python of a `wanted` version; None when there is none, or none is wanted."""
    split = split_lock(lock.read_text(encoding="utf-8"))
    if split is None or os.environ.get(IMAGE_TORCH_VARIABLE) == "0":
        return None
    asked = json.dumps(
        {
            "python": interpreter.list_allowed_versions(wanted),
            "family": [pin.partition("==")[0] for pin in split.locked_torch_pins],
            "kept": [pin.partition("==")[0] for pin in split.versions.splitlines()],
            "bound": BUILD_PACKAGES,
        }
    )
    pythons = list(_list_interpreters(wanted))
    with ThreadPoolExecutor(MAX_PROBES) as pool:
        told = pool.map(lambda python: _probe_interpreter(python, asked), pythons)
        return next(filter(None, map(partial(_match_image_torch, split), pythons, told)), None)


def _list_interpreters(wanted: str) -> Iterator[Path]:
    """Those of the image, each once."""
    said = interpreter.get_chosen_interpreter()
    seen = set()
    for python in [said] if said else _list_interpreter_paths(wanted):
        real = (os.path.realpath(python.parent), os.path.realpath(python))  # the folder, too: it may be a venv's
        if real not in seen and os.access(python, os.X_OK):
            seen.add(real)
            yield python


def _list_interpreter_paths(wanted: str) -> Iterator[Path]:
    yield Path(sys.executable)
    yield from interpreter.list_on_path(
        (*interpreter.PLAIN_NAMES, *(f"python{one}" for one in interpreter.list_allowed_versions(wanted)))
    )
    for pattern in IMAGE_PYTHONS:
        yield from sorted(Path("/opt").glob(pattern))


def _match_image_torch(split: SplitLock, python: Path, answer: Mapping[str, Any]) -> ImageTorch | None:
    found: Mapping[str, Mapping[str, Any]] = answer.get("found", {})
    there = {name: one["version"] for name, one in found.items() if one["tops"]}
    if not all(_has_locked_version(pin, there) for pin in split.locked_torch_pins) or (
        split.cuda and not answer["cuda"]
    ):
        return None
    tops = [Path(one["root"], top) for one in found.values() for top in one["tops"]]
    return ImageTorch(
        python=python,
        version=answer["python"],
        pins=tuple(sorted(f"{name}=={one['version']}" for name, one in found.items())),
        tops=tuple(sorted({top for top in tops if top.exists()})),
    )


def _has_locked_version(pin: str, installed: Mapping[str, str]) -> bool:
    """Whether what is there has the locked version; a build's label counts only where the lock says one."""
    name, _, locked = pin.partition("==")
    version = installed.get(name, "")
    return bool(locked) and locked in (version, version.partition("+")[0])


@functools.cache
def _probe_interpreter(python: Path, question: str) -> Mapping[str, Any]:
    """What an interpreter has of that family; empty when it cannot say. Kept: an image does not change under a run."""
    command = [str(python), "-I", "-c", PROBE, question]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
        answer = json.loads(told.stdout) if told.returncode == 0 else {}
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return {}
    return answer if isinstance(answer, dict) else {}


def _link_tree(top: Path, to: Path) -> None:
    """A link to a file or folder of the image; into a folder that several packages share, links to what it holds."""
    if not os.path.lexists(to):
        to.symlink_to(top)
    elif top.is_dir() and to.is_dir() and not to.is_symlink():
        for inner in top.iterdir():
            _link_tree(inner, to / inner.name)
