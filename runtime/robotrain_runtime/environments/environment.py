"""Locked Python environments: built by uv once per lock file, shared by runs, complete or absent.

How uv itself is found, installed and run is in `uv_program`. An environment in the image is used as it is, and so is
the image's torch if it has the locked version.
"""

import errno
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robotrain_runtime import data_environment
from robotrain_runtime.contract import added_packages, child_python, files
from robotrain_runtime.contract.container_plugin import PythonEnvironment, read_lock
from robotrain_runtime.contract.document import MACHINE_BUILD
from robotrain_runtime.contract.failure import JobFailed
from robotrain_runtime.environments import interpreter, torch_build, uv_program
from robotrain_runtime.environments.torch_build import ImageTorch, SplitLock
from robotrain_runtime.machine import hardware
from robotrain_runtime.machine.disk_cache import COMPLETE, ENVIRONMENTS
from robotrain_runtime.process import child
from robotrain_runtime.process.stop import StopSignal

MARKER = COMPLETE
START_SECONDS = 60.0
"""From a cold disk Python starts slowly: that is no reason to build the environment again."""
BUILD_FACTS = ("torch_of", "torch_backend", "unpinned", "remark")
"""Facts of a marker about the build of PyTorch, which environments that link it share."""
LOCKED_FLAGS = ("--no-deps", "--require-hashes", "-r")
BUILT_LINE = "# built: "
"""Of a lock with packages that have no wheel: they are built with the setuptools that it has."""

LogFunction = Callable[[str], None]


def get_python(environment: Path) -> Path:
    """Return the interpreter of an environment that is given as its folder or as the interpreter itself."""
    return environment if os.path.isfile(environment) else environment / "bin" / "python"


def is_complete(built: Path, lock: Path) -> bool:
    """Whether the environment of a lock is complete and runs."""
    return (built / MARKER).is_file() and not list_missing_packages(built, lock) and _runs_here(built)


def list_missing_packages(environment_folder: Path, lock: Path) -> list[str]:
    """Return the names of the locked packages that an environment lacks, sorted.

    Those of an image's torch, which was imported when it was linked, may have no metadata there.
    """
    marker = _read_marker(environment_folder)
    folders = environment_folder.glob("lib/python*/site-packages/*.dist-info")
    linked_pins = marker.get("unpinned", ()) if "torch_of" in marker else ()
    installed_names = [
        *(folder.stem.partition("-")[0] for folder in folders),
        *(pin.partition("==")[0] for pin in linked_pins),
    ]
    return torch_build.list_missing(read_lock(lock), "unpinned" in marker, installed_names)


def _runs_here(environment_folder: Path) -> bool:
    """Whether an environment runs: the image may lack the Python that it was built with."""
    version = interpreter.get_python_version(get_python(environment_folder), START_SECONDS)
    return bool(version) and _read_marker(environment_folder).get("version") in (None, version)


def read_remark(environment_folder: Path) -> str:
    """Return what is not pinned by hash, as a sentence without a full stop; empty if everything is."""
    return str(_read_marker(environment_folder).get("remark", ""))


def write_marker(environment_folder: Path, facts: Mapping[str, object]) -> None:
    """Mark an environment as complete, with facts about its build. Raise OSError."""
    facts = {**facts, "version": interpreter.get_python_version(get_python(environment_folder))}
    (environment_folder / MARKER).write_text(json.dumps(facts) + "\n", encoding="utf-8")


def _read_marker(environment_folder: Path) -> Mapping[str, Any]:
    try:
        facts = json.loads((environment_folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def get_environment_folder(lock: Path, cache: Path, torch_backend: str | None = None) -> Path:
    """Return the folder of the environment of `lock`; each build of PyTorch has its own."""
    return cache / ENVIRONMENTS / _make_name(lock, torch_backend)


def find_environment(lock: Path, python: str, cache: Path, torch_backend: str | None = None) -> Path | None:
    """Return the environment of `lock` from the cache or the image; None if it must be built.

    `python` is a version or a range, as in `PythonEnvironment`.
    """
    if torch_backend == MACHINE_BUILD:
        locked = find_environment(lock, python, cache)
        return locked or (
            find_environment(lock, python, cache, torch_build.CPU) if torch_build.suits_cpu(lock) else None
        )
    environment_folder = _find_complete(cache, lock, _make_name(lock, torch_backend))
    if environment_folder is None and torch_backend is None and (torch := torch_build.find_image_torch(lock, python)):
        environment_folder = _find_complete(cache, lock, _make_name(lock, variant=torch.key))
    if environment_folder is not None:
        return environment_folder
    if (get_environment_folder(lock, cache, torch_backend) / MARKER).is_file():  # of an image whose Python is not here
        interpreter_path = interpreter.find_interpreter(python)
        return (
            _find_complete(cache, lock, _make_name(lock, torch_backend, f"python {interpreter_path}"))
            if interpreter_path
            else None
        )
    return None


def find_any_build(lock: Path, cache: Path) -> Path | None:
    """Return a complete environment of `lock` from the cache or the image, whatever its build of PyTorch; None if none.

    The fully locked one comes first. One whose Python is gone does not count; nothing is executed.
    """
    digest = _digest_lock(lock)
    for folder in (cache, uv_program.get_image_folder()):
        default_build = folder / ENVIRONMENTS / _make_name(lock)
        other_builds = (path.parent for path in sorted((folder / ENVIRONMENTS).glob(f"*/{MARKER}")))
        of_lock = (path for path in other_builds if _read_marker(path).get("lock_digest") == digest)
        for environment_folder in (default_build, *of_lock):
            has_python = os.path.isfile(get_python(environment_folder))
            if (
                has_python
                and (environment_folder / MARKER).is_file()
                and not list_missing_packages(environment_folder, lock)
            ):
                return environment_folder
    return None


def find_python(required: PythonEnvironment, cache: Path) -> Path | None:
    """Return the interpreter of a required environment, as `find_environment` does; this one if it will do."""
    if _is_own(required):
        return Path(sys.executable)
    environment_folder = find_environment(required.lock, required.python, cache)
    return get_python(environment_folder) if environment_folder else None


def _is_own(python_environment: PythonEnvironment) -> bool:
    return python_environment == data_environment.ENVIRONMENT and data_environment.is_here()


def build_python(
    required: PythonEnvironment, cache: Path, log_line: LogFunction, stop: StopSignal, torch_backend: str | None = None
) -> Path:
    """Return the interpreter of a required environment, as `build_environment` does; this one if it will do."""
    if _is_own(required):
        return Path(sys.executable)
    return get_python(build_environment(required.lock, required.python, cache, log_line, stop, torch_backend))


def build_environment(
    lock: Path, version: str, cache: Path, log_line: LogFunction, stop: StopSignal, torch_backend: str | None = None
) -> Path:
    """Return the folder of an environment; build it if necessary. Raise JobFailed or StopRequested.

    Two processes may call it at once. `version` is that of Python, as in `PythonEnvironment`; `torch_backend` is the
    build of PyTorch to install in place of the locked one.
    """
    if torch_backend == MACHINE_BUILD:
        torch_backend = _choose_build(lock, version, cache, log_line)
    environment_folder = find_environment(lock, version, cache, torch_backend)
    is_plain = environment_folder is None and torch_backend is None and _find_image_base(lock) is None
    if is_plain and (torch := torch_build.find_image_torch(lock, version)):
        folder = cache / ENVIRONMENTS / _make_name(lock, variant=torch.key)
        try:
            environment_folder = EnvironmentBuild(
                folder, lock, torch.python, cache, log_line, stop, image_torch=torch
            ).build_once()
        except ImageTorchUnusable as error:
            log_line(f"{torch.description} does not work here, so the locked one is installed: {error}")
    if environment_folder is None:
        python = interpreter.find_interpreter(version)
        if python is None:
            raise JobFailed(f"Python {version} is missing on this machine: the environment cannot be built")
        folder = get_environment_folder(lock, cache, torch_backend)
        if (folder / MARKER).is_file() and not _runs_here(folder):
            folder = cache / ENVIRONMENTS / _make_name(lock, torch_backend, f"python {python}")
        environment_folder = EnvironmentBuild(folder, lock, python, cache, log_line, stop, torch_backend).build_once()
    if remark := read_remark(environment_folder):
        log_line(remark)
    return environment_folder


def _choose_build(lock: Path, version: str, cache: Path, log_line: LogFunction) -> str | None:
    """Return the build of PyTorch that suits this machine; None for the locked one."""
    is_here = find_environment(lock, version, cache) or torch_build.find_image_torch(lock, version)
    if is_here or not torch_build.suits_cpu(lock):
        return None
    if find_environment(lock, version, cache, torch_build.CPU):
        return torch_build.CPU
    if not torch_build.has_cpu_build(lock):
        return None
    locked_backend = f"cu{hardware.read_cuda_version(lock).replace('.', '')}"
    log_line(
        "this machine has no NVIDIA GPU: PyTorch for the CPU is installed, a tenth of the download "
        f"(--torch-backend {locked_backend}: that for CUDA)"
    )
    return torch_build.CPU


def _find_complete(cache: Path, lock: Path, name: str) -> Path | None:
    for folder in (cache, uv_program.get_image_folder()):
        environment_folder = folder / ENVIRONMENTS / name
        has_unwanted_torch = torch_build.is_image_torch_off() and "torch_of" in _read_marker(environment_folder)
        if not has_unwanted_torch and is_complete(environment_folder, lock):
            return environment_folder
    return None


def _find_image_base(lock: Path) -> Path | None:
    """Return the environment of the image that a lock only adds packages to; None for none."""
    base = lock.with_name(added_packages.BASE_FILE)
    if lock.name != added_packages.LOCK_FILE or not base.is_file():
        return None
    return _find_complete(uv_program.get_image_folder(), base, _make_name(base))


def _digest_lock(lock: Path) -> str:
    return hashlib.sha256(read_lock(lock).encode()).hexdigest()


def _make_name(lock: Path, torch_backend: str | None = None, variant: str = "") -> str:
    """Return the name of an environment; `variant` is what differs from the one that is fully locked."""
    key_bytes = read_lock(lock).encode()
    if torch_backend and torch_build.split_lock(key_bytes.decode()):
        key_bytes += f"\n# torch-backend {torch_build.get_backend_key(torch_backend)}\n".encode()
    if variant:
        key_bytes += f"\n# {variant}\n".encode()
    return hashlib.sha256(key_bytes).hexdigest()[:16]


class ImageTorchUnusable(Exception):
    """The image's torch does not work in the new environment; the message says why."""


@dataclass(frozen=True, slots=True)
class EnvironmentBuild:
    """The build of an environment at `place`, with the interpreter `python`."""

    place: Path
    lock: Path
    python: Path
    cache: Path
    log_line: LogFunction
    stop: StopSignal
    torch_backend: str | None = None
    """The build of PyTorch in place of the locked one."""
    image_torch: ImageTorch | None = None
    """The image's PyTorch in place of the locked one."""

    def build_once(self) -> Path:
        """Build the environment atomically, unless another process has built it; return its folder.

        Raise JobFailed, StopRequested, ImageTorchUnusable or OSError.
        """
        lock = self.place.with_suffix(".lock")
        wait_message = f"another run is building {self.place}: waiting{self._describe_duration()}"
        with files.hold_lock(lock, lambda: self.log_line(wait_message), waiting=self.stop.interruptible):
            if not is_complete(self.place, self.lock):
                try:
                    self._build()
                except OSError as error:
                    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                        raise
                    reason = f"the disk of {self.place.parent} is full: {error.strerror}"
                    raise JobFailed(reason, fault="disk_full") from error
        return self.place

    def _describe_duration(self) -> str:
        has_torch = torch_build.split_lock(read_lock(self.lock))
        return ", which usually takes 2 to 10 minutes, once: PyTorch is large" if has_torch else ""

    def _build(self) -> None:
        folder = self.place
        if folder.exists():
            self.log_line(f"{folder} is incomplete: building it again")
            shutil.rmtree(folder)
        for leftover in folder.parent.glob(f".{folder.name}.*"):  # of killed builders, whose uv may still be running
            shutil.rmtree(leftover, ignore_errors=True)
        tool = uv_program.find_uv(self.cache) or uv_program.fetch_uv(self.cache, self.stop)
        self.log_line(f"building the environment {folder} with {self.python}{self._describe_duration()}")
        with files.make_atomically(folder) as scratch:
            self._run(tool, "venv", "--quiet", "--relocatable", "--python", self.python, scratch)
            facts = self._install_lock(tool, scratch)
            build_facts = {"lock": self.lock.name, "lock_digest": _digest_lock(self.lock), "python": str(self.python)}
            write_marker(scratch, {**build_facts, **facts})
            if missing_packages := list_missing_packages(scratch, self.lock):
                raise JobFailed(
                    f"uv reported success, but {missing_packages[0]} is not in the environment "
                    f"({len(missing_packages)} packages are"
                    " missing): your uv.toml, or a variable UV_…, makes it install elsewhere, for example [pip] target"
                )

    def _install_lock(self, tool: Path, scratch: Path) -> dict[str, object]:
        """Install the lock, perhaps with another torch. Return the facts for the marker."""
        lock_text = read_lock(self.lock)
        build_options = ("--build-constraints", self.lock) if lock_text.startswith(BUILT_LINE) else ()
        pip = (tool, "pip", "install", "--python", get_python(scratch), *build_options)
        base = _find_image_base(self.lock) if self.torch_backend is None and self.image_torch is None else None
        if base is not None:
            return self._extend_base(base, pip, scratch)
        split_lock = torch_build.split_lock(lock_text)
        if split_lock is None or not (self.image_torch or self.torch_backend):
            self._run(*pip, *LOCKED_FLAGS, self.lock)
            return {}
        with tempfile.TemporaryDirectory() as temporary:
            if split_lock.other_pins:
                other_pins_file = Path(temporary, "others.txt")
                other_pins_file.write_text(split_lock.other_pins, encoding="utf-8")
                self._run(*pip, *LOCKED_FLAGS, other_pins_file)
            if self.image_torch:
                return self._link_image_torch(split_lock, self.image_torch, scratch)
            versions_file = Path(temporary, "versions.txt")
            backend = str(self.torch_backend)
            versions_file.write_text(split_lock.versions, encoding="utf-8")
            options = ("--no-build", "--torch-backend", backend, "--constraints", versions_file)
            unpinned = self._run(*pip, *options, *split_lock.torch_pins)
        remark = torch_build.describe_unpinned(split_lock.torch_pins, unpinned, backend)
        return {"torch_backend": backend, "unpinned": unpinned, "remark": remark}

    def _extend_base(self, base: Path, pip: tuple[str | Path, ...], scratch: Path) -> dict[str, object]:
        """Install what is added, and link the packages of an environment of the image."""
        added_lock = self.lock.with_name(added_packages.ADDED_FILE)
        if added_packages.list_packages(added_lock.read_text(encoding="utf-8")):
            self._run(*pip, *LOCKED_FLAGS, added_lock)
        site_packages = next(scratch.glob("lib/python*/site-packages"))
        for top in sorted(next(base.glob("lib/python*/site-packages")).iterdir()):
            torch_build.link_tree(top, site_packages / top.name)
        facts = _read_marker(base)
        return {"extends": str(base), **{name: facts[name] for name in BUILD_FACTS if name in facts}}

    def _link_image_torch(self, lock_parts: SplitLock, torch: ImageTorch, scratch: Path) -> dict[str, object]:
        """Link the image's torch. Raise ImageTorchUnusable if it cannot be imported then."""
        torch.link(next(scratch.glob("lib/python*/site-packages")))
        output: list[str] = []
        arguments = ("-c", torch_build.IMPORT_PROBE, *lock_parts.locked_torch_pins)
        command = child_python.make_isolated_command(get_python(scratch), *arguments)
        if child.run_program(command, environ=uv_program.make_uv_environ(), stop=self.stop, on_line=output.append):
            raise ImageTorchUnusable(output[-1] if output else "Python crashed")
        remark = f"{torch.description}: not pinned by hash"
        return {"torch_of": str(torch.python), "unpinned": list(torch.pins), "remark": remark}

    def _run(self, *command: str | Path) -> list[str]:
        return uv_program.run_uv(command, self.log_line, self.stop)
