"""The build of PyTorch in an environment: the locked one, another one, or that of the image.

The image's torch is used if it has the same public version (2.10.0 and 2.10.0+cu126) for the same Python, and CUDA if
the locked one has it. It is inspected without importing it, and imported once in the new environment.
"""

import functools
import json
import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from urllib.request import urlopen

from robotrain_runtime.contract.container_plugin import read_lock
from robotrain_runtime.environments import interpreter
from robotrain_runtime.machine import hardware

TORCH_PACKAGES = ("torch", "torchvision", "torchaudio")
BUILD_PACKAGES = r"nvidia-|cuda-|triton|pytorch-triton"
"""Packages that only a certain build of torch requires."""
SUFFIX = r"-cu\d+$|triton"
"""What distinguishes the names of these packages in a lock without comments."""
WHEEL_ADDRESS = r"@.*/[^/-]+-([^/-]+)-[^/]+\.whl"
DRIVER_FILE = Path("/sys/module/nvidia/version")
CPU = "cpu"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
"""Where uv looks for the builds for the CPU."""
INDEX_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class LockPin:
    """A package of a lock."""

    name: str
    requirement: str
    text: str
    """Its lines, with the hashes."""
    dependents: frozenset[str]
    """The packages that require it, by the lock's comments."""

    @property
    def version(self) -> str:
        """The locked version, with the label of the build if there is one; also of a wheel that is given by address."""
        match = re.search(r"==\s*([^\s;]+)", self.requirement) or re.search(WHEEL_ADDRESS, self.requirement)
        return unquote(match[1]) if match else ""


@dataclass(frozen=True, slots=True)
class SplitLock:
    """A lock, split into the build of torch and all other packages."""

    other_pins: str
    """The lock of the other packages."""
    versions: str
    """Their versions, as constraints."""
    torch_pins: tuple[str, ...]
    """The packages of torch with their public versions, as `name==version`."""
    locked_torch_pins: tuple[str, ...]
    """The same with the labels of the locked build."""
    cuda: bool
    """Whether the locked build has CUDA."""


def split_lock(lock: str) -> SplitLock | None:
    """Split the text of a lock; None if it has no torch."""
    pins = list(_parse_pins(lock))
    family = [pin for pin in pins if pin.name in TORCH_PACKAGES]
    if not family:
        return None
    build = {pin.name for pin in family}
    candidates = [pin for pin in pins if re.match(BUILD_PACKAGES, pin.name)]
    without_comments = {pin.name for pin in candidates if not pin.dependents and re.search(SUFFIX, pin.name)}
    build |= without_comments
    while new_names := {pin.name for pin in candidates if pin.dependents and pin.dependents <= build} - build:
        build |= new_names
    other_pins = [pin for pin in pins if pin.name not in build]
    return SplitLock(
        other_pins="".join(pin.text for pin in other_pins),
        versions="".join(f"{pin.requirement}\n" for pin in other_pins),
        torch_pins=tuple(f"{pin.name}=={pin.version.partition('+')[0]}" for pin in family),
        locked_torch_pins=tuple(f"{pin.name}=={pin.version}" for pin in family),
        cuda=any(name.startswith("nvidia-") for name in build),
    )


def suits_cpu(lock: Path) -> bool:
    """Return whether a lock has torch for CUDA, and this machine no NVIDIA GPU that could use it."""
    lock_parts = split_lock(read_lock(lock))
    if lock_parts is None or not lock_parts.cuda:
        return False
    try:
        return not hardware.query_gpus()
    except hardware.DriverUnavailable:
        return True


def has_cpu_build(lock: Path) -> bool:
    """Return whether the index of the builds for the CPU answers, and has the versions of a lock."""
    lock_parts = split_lock(read_lock(lock))
    assert lock_parts is not None
    try:
        for pin in lock_parts.torch_pins:
            name, _, version = pin.partition("==")
            with urlopen(f"{CPU_INDEX}/{name}/", timeout=INDEX_SECONDS) as page:
                if f"{name}-{version}+cpu-" not in unquote(page.read().decode(errors="replace")):
                    return False
    except OSError:
        return False
    return True


def list_required(lock: str, is_other_build: bool) -> set[str]:
    """Return the names of the packages that an environment of a lock has on every machine.

    is_other_build: it has another build of torch than the locked one, which needs other packages.
    """
    pins = [pin for pin in _parse_pins(lock) if ";" not in pin.requirement]
    return {pin.name for pin in pins if not (is_other_build and re.match(BUILD_PACKAGES, pin.name))}


def list_missing(lock: str, is_other_build: bool, installed_names: Iterable[str]) -> list[str]:
    """Return the names of `list_required` that are not among those of installed distributions, sorted."""
    return sorted(list_required(lock, is_other_build) - set(map(_normalize_name, installed_names)))


def get_backend_key(backend: str) -> str:
    """Return what distinguishes the environment of a build; `auto` depends on the machine's driver."""
    try:
        return f"auto {DRIVER_FILE.read_text().strip()}" if backend == "auto" else backend
    except OSError:
        return backend


def describe_unpinned(torch_pins: Sequence[str], unpinned: Sequence[str], backend: str) -> str:
    """Return the remark on an environment in which not everything is pinned by hash."""
    named_packages = _format_torch_pins(unpinned) or _format_torch_pins(torch_pins)
    other_count = len(unpinned) - len(named_packages)
    other_note = f" (and {other_count} packages that come with it)" if other_count > 0 else ""
    index = "the index that suits this machine" if backend == "auto" else f"the {backend} index"
    return f"{' and '.join(named_packages)} from {index}{other_note}: not pinned by hash"


def _normalize_name(name: str) -> str:
    """Return the name of a distribution as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _parse_pins(lock: str) -> Iterator[LockPin]:
    for pin_text in re.findall(r"^[A-Za-z0-9][^\n]*\n(?:[ \t][^\n]*\n)*", lock + "\n", re.MULTILINE):
        pin_lines = [re.sub(r"\s*(--hash=\S+)?\s*\\?$", "", pin_line).strip() for pin_line in pin_text.splitlines()]
        comments = [
            re.sub(r"^#\s*(via\b)?", "", pin_line).strip() for pin_line in pin_lines if pin_line.startswith("#")
        ]
        name = re.match(r"[A-Za-z0-9._-]+", pin_text)
        assert name is not None
        yield LockPin(_normalize_name(name[0]), pin_lines[0], pin_text, frozenset(filter(None, comments)))


def _format_torch_pins(pins: Sequence[str]) -> list[str]:
    return [pin.replace("==", " ") for pin in pins if pin.partition("==")[0] in TORCH_PACKAGES]


IMAGE_TORCH_VARIABLE = "ROBOTRAIN_IMAGE_TORCH"
"""The environment variable that turns it off, if it is `0`."""
IMAGE_PYTHONS = ("conda/bin/python", "venv/bin/python", "*/bin/python3")
"""Interpreters below /opt that are not on PATH."""
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
    """The torch of the image."""

    python: Path
    """The interpreter that has it."""
    version: str
    """The version of the interpreter."""
    pins: tuple[str, ...]
    """Its distributions, as `name==version`."""
    tops: tuple[Path, ...]
    """The files and folders of these in site-packages."""

    @property
    def description(self) -> str:
        """Its versions and origin, for people."""
        return f"{' and '.join(_format_torch_pins(self.pins))} from the image's {self.python}"

    @property
    def key(self) -> str:
        """Identifies the distributions and their place, however the interpreter was found."""
        return f"torch for {self.version} {' '.join(self.pins)} {' '.join(map(str, self.tops))}"

    def link(self, site_packages: Path) -> None:
        """Link it into another environment; existing files stay. Raise OSError."""
        for top in self.tops:
            link_tree(top, site_packages / top.name)


def find_image_torch(lock: Path, version_range: str) -> ImageTorch | None:
    """Return a torch that fits `lock` and a Python of such a version; None if there is none, or it is off."""
    lock_parts = split_lock(read_lock(lock))
    if lock_parts is None or is_image_torch_off():
        return None
    matches = (
        _match_image_torch(lock_parts, python, torch_facts) for python, torch_facts in _probe(lock_parts, version_range)
    )
    return next(filter(None, matches), None)


def is_image_torch_off() -> bool:
    """Return whether the user wants every package from the lock."""
    return os.environ.get(IMAGE_TORCH_VARIABLE) == "0"


def _probe(lock_parts: SplitLock, version_range: str) -> list[tuple[Path, Mapping[str, Any]]]:
    """Return the interpreters of the image, each with what it has of torch."""
    question = json.dumps(
        {
            "python": interpreter.list_allowed_versions(version_range),
            "family": [pin.partition("==")[0] for pin in lock_parts.locked_torch_pins],
            "kept": [pin.partition("==")[0] for pin in lock_parts.versions.splitlines()],
            "bound": BUILD_PACKAGES,
        }
    )
    chosen_python = interpreter.get_chosen_interpreter()
    versioned = (f"python{version}" for version in interpreter.list_allowed_versions(version_range))
    on_path = interpreter.list_on_path((*interpreter.PLAIN_NAMES, *versioned))
    below_opt = (python for pattern in IMAGE_PYTHONS for python in sorted(Path("/opt").glob(pattern)))
    candidates: dict[tuple[str, str], Path] = {}
    for python in [chosen_python] if chosen_python else [interpreter.get_started_interpreter(), *on_path, *below_opt]:
        if os.access(python, os.X_OK):
            # each once, by both paths: a venv's Python is a link
            candidates.setdefault((os.path.realpath(python.parent), os.path.realpath(python)), python)
    pythons = list(candidates.values())
    with ThreadPoolExecutor(MAX_PROBES) as pool:
        return list(zip(pythons, pool.map(lambda python: _probe_interpreter(python, question), pythons), strict=True))


def _match_image_torch(lock_parts: SplitLock, python: Path, torch_facts: Mapping[str, Any]) -> ImageTorch | None:
    packages: Mapping[str, Mapping[str, Any]] = torch_facts.get("found", {})
    installed_versions = {name: package["version"] for name, package in packages.items() if package["tops"]}
    if not all(_has_locked_version(pin, installed_versions) for pin in lock_parts.locked_torch_pins):
        return None
    if lock_parts.cuda and not torch_facts["cuda"]:
        return None
    tops = [Path(package["root"], top) for package in packages.values() for top in package["tops"]]
    return ImageTorch(
        python=python,
        version=torch_facts["python"],
        pins=tuple(sorted(f"{name}=={package['version']}" for name, package in packages.items())),
        tops=tuple(sorted({top for top in tops if top.exists()})),
    )


def _has_locked_version(pin: str, installed_versions: Mapping[str, str]) -> bool:
    """Whether the locked version is installed; the label of a build is compared only if the lock has one."""
    name, _, locked = pin.partition("==")
    version = installed_versions.get(name, "")
    return bool(locked) and locked in (version, version.partition("+")[0])


@functools.cache
def _probe_interpreter(python: Path, question: str) -> Mapping[str, Any]:
    """Return what an interpreter has of torch; empty if it does not run. An image does not change during a run."""
    command = [str(python), "-I", "-c", PROBE, question]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
        torch_facts = json.loads(result.stdout) if result.returncode == 0 else {}
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return {}
    return torch_facts if isinstance(torch_facts, dict) else {}


def link_tree(top: Path, to: Path) -> None:
    """Link a file or folder; if the folder exists, because several packages share it, link what it holds."""
    if not os.path.lexists(to):
        to.symlink_to(top)
    elif top.is_dir() and to.is_dir() and not to.is_symlink():
        for inner in top.iterdir():
            link_tree(inner, to / inner.name)
