"""The payload: the runtime and the container halves a job names, packed the same way whoever wrote them."""

import functools
import hashlib
import importlib.util
import io
import os
import re
import sys
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

RUNTIME = "robotrain_runtime"
PLUGIN_FILE = "robotrain_plugin"
CORE = re.compile(r"^\s*(?:from|import) robotrain(?:\.|\s)", re.MULTILINE)
CARRIED = re.compile(r"""^(?:CARRIER|ORIGIN) = ["']([\w.]+)\.\w+["']""", re.MULTILINE)
"""The packages of what a source half is fetched with: those may be another distribution's."""
LEFT_OUT = re.compile(r"\..*|.*~|#.*#|.*\.py[co]|__pycache__|py\.typed")
"""What no wheel carries, or nobody in the container reads: hidden files, what editors and Python leave."""


@dataclass(frozen=True, slots=True)
class Payload:
    """A zip archive, not compressed: packing is part of every render, and who sends it far compresses it whole.
    Equal content gives equal bytes.
    """

    archive: bytes

    @property
    def digest(self) -> str:
        """64 hex digits over the archive."""
        return hashlib.sha256(self.archive).hexdigest()


def pack(halves: Iterable[str]) -> Payload:
    """The runtime, and each half with its folder and those of its own distribution that it imports from.

    Raises ModuleNotFoundError for a half that is not installed.
    """
    packages = [RUNTIME]
    for half in halves:
        if importlib.util.find_spec(half) is None:
            raise ModuleNotFoundError(f"there is no module {half}", name=half)
        packages += _reached(half.rpartition(".")[0] or half)
    files: dict[str, str] = {}
    for package in dict.fromkeys(packages):
        files.update(_package(package))
    return _archive(tuple((name, path, _changed(path)) for name, path in sorted(files.items())))


@functools.lru_cache(maxsize=4)
def _archive(files: tuple[tuple[str, str, tuple[int, ...]], ...]) -> Payload:
    """Of the same files, unchanged, once: a process may render many jobs."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, path, _ in files:
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))  # no clock: the archive is content alone
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, _read(path))
    return Payload(buffer.getvalue())


def _changed(path: str) -> tuple[int, ...]:
    """What tells that a file is another one now, also where its time was set by hand."""
    state = os.stat(path)
    return state.st_ino, state.st_ctime_ns, state.st_mtime_ns, state.st_size


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _reached(package: str) -> list[str]:
    """The package of a half, and those beside it that it names, theirs too, and what its data is fetched with. What
    speaks of the submit side, in the same folder, does not run in the container: what it names does not count.
    """
    found = [package]
    for one in found:
        top = one.partition(".")[0]
        for path in _files(one):
            text = path.read_text(encoding="utf-8")
            if not _names_core(text):
                found += [name for name in _of_plugin_file(text) if name not in found]
                named = {*CARRIED.findall(text)} | {f"{top}.{name}" for name in _beside(top, text) if not _module(top)}
                found += sorted(name for name in named - {*found} if importlib.util.find_spec(name))
    return found


def _beside(top: str, text: str) -> set[str]:
    """What a module names of the package `top`, and other words beside. A `\\b` in front would make it slow."""
    several = " ".join(re.findall(rf"{top}\s+import\s+(\([^)]*\)|.+)", text))
    return {*re.findall(rf"{top}\.(\w+)", text), *re.findall(r"\w+", re.sub(r"\bas\s+\w+", "", several))}


def _of_plugin_file(text: str) -> list[str]:
    """What a module names of the folder of a plugin file, where there is one."""
    if PLUGIN_FILE not in sys.modules:
        return []
    from robotrain.loading import file_halves

    return file_halves.modules(text)


def _names_core(text: str) -> bool:
    """Whether a module imports from core; most do not have the words at all, which is quicker to see."""
    return (" robotrain." in text or " robotrain " in text) and CORE.search(text) is not None


def _package(package: str) -> Iterator[tuple[str, str]]:
    """A package's own files, or a module's one, and the `__init__.py` of the packages it lies in."""
    inside = package.replace(".", "/")
    if file := _module(package):
        yield f"{inside}.py", str(file)
        if PLUGIN_FILE in sys.modules and "." not in package:
            from robotrain.loading import file_halves

            yield from file_halves.files(file, file.read_text(encoding="utf-8")).items()
    else:
        yield from _carried(str(_folder(package)), inside)
    while "." in package:
        package = package.rpartition(".")[0]
        yield f"{package.replace('.', '/')}/__init__.py", str(_folder(package) / "__init__.py")


def _carried(folder: str, inside: str, *above: str) -> Iterator[tuple[str, str]]:
    """The files of a folder, also behind links; not those behind one that leads back to where it lies."""
    real = os.path.realpath(folder)
    for entry in [] if real in above else os.scandir(folder):
        if not LEFT_OUT.fullmatch(entry.name):
            name = f"{inside}/{entry.name}"
            yield from _carried(entry.path, name, real, *above) if entry.is_dir() else [(name, entry.path)]


def _files(package: str) -> list[Path]:
    """The modules of a package, without those of packages in it; a module's own file."""
    return [file] if (file := _module(package)) else sorted(_folder(package).glob("*.py"))


def _module(name: str) -> Path | None:
    """The file of a module that is no package."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin) if spec and spec.origin and not spec.submodule_search_locations else None


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"{package} is not an installed package", name=package)
    return Path(next(iter(spec.submodule_search_locations)))
