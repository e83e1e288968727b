"""The payload: the runtime and the container halves a job names, packed the same way whoever wrote them."""

import hashlib
import importlib.util
import io
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

RUNTIME = "robotrain_runtime"
CORE = re.compile(r"^\s*(?:from|import) robotrain(?:\.|\s)", re.MULTILINE)
CARRIED = re.compile(r"""^(?:CARRIER|ORIGIN) = ["']([\w.]+)\.\w+["']""", re.MULTILINE)
"""The packages of what a source half is fetched with: those may be another distribution's."""
LEFT_OUT = ("__pycache__", "py.typed")


@dataclass(frozen=True, slots=True)
class Payload:
    """A zip archive; equal content gives equal bytes."""

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
        packages += _reached(half.rpartition(".")[0])
    files: dict[str, Path] = {}
    for package in dict.fromkeys(packages):
        files.update(_package(package))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in sorted(files.items()):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))  # no clock: the archive is content alone
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes())
    return Payload(buffer.getvalue())


def _reached(package: str) -> list[str]:
    """The package of a half, and those beside it that it names, theirs too, and what its data is fetched with. What
    speaks of the submit side, in the same folder, does not run in the container: what it names does not count.
    """
    found = [package]
    for one in found:
        top = one.partition(".")[0]
        for path in _files(one):
            text = path.read_text(encoding="utf-8")
            if not CORE.search(text):
                beside = re.findall(rf"\b{top}(?:\.|\s+import\s+)(\w+)", text)
                named = {f"{top}.{name}" for name in beside} | {*CARRIED.findall(text)}
                found += sorted(name for name in named - {*found} if importlib.util.find_spec(name))
    return found


def _package(package: str) -> Iterator[tuple[str, Path]]:
    """A package's own files, or a module's one, and the `__init__.py` of the packages it lies in."""
    inside = package.replace(".", "/")
    if file := _module(package):
        yield f"{inside}.py", file
    else:
        folder = _folder(package)
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not set(path.relative_to(folder).parts) & set(LEFT_OUT):
                yield f"{inside}/{path.relative_to(folder).as_posix()}", path
    while "." in package:
        package = package.rpartition(".")[0]
        yield f"{package.replace('.', '/')}/__init__.py", _folder(package) / "__init__.py"


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
