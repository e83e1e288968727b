"""The payload: the runtime and the container halves a job names, packed the same way whoever wrote them."""

import hashlib
import importlib.util
import io
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

RUNTIME = "robotrain_runtime"
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
    """The runtime and each half with its folder. Raises ModuleNotFoundError for a half that is not installed."""
    files = dict(_package(RUNTIME))
    for half in halves:
        files.update(_package(half.rpartition(".")[0]))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in sorted(files.items()):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))  # no clock: the archive is content alone
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes())
    return Payload(buffer.getvalue())


def _package(package: str) -> Iterator[tuple[str, Path]]:
    """The package's own files, and the `__init__.py` of the packages it lies in."""
    folder = _folder(package)
    inside = package.replace(".", "/")
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not set(path.relative_to(folder).parts) & set(LEFT_OUT):
            yield f"{inside}/{path.relative_to(folder).as_posix()}", path
    while "." in package:
        package = package.rpartition(".")[0]
        yield f"{package.replace('.', '/')}/__init__.py", _folder(package) / "__init__.py"


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"{package} is not an installed package", name=package)
    return Path(next(iter(spec.submodule_search_locations)))
