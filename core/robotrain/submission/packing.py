"""The payload: the runtime and the container plugins of a job, packed into one archive."""

import functools
import hashlib
import importlib.util
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from robotrain.errors import Rejected
from robotrain.model.plan import Payload
from robotrain.plugins import manager
from robotrain.plugins.failures import make_failure
from robotrain.store.files import load_or_compute

RUNTIME_PACKAGE = "robotrain_runtime"
CORE_IMPORT = re.compile(r"^\s*(?:from|import) robotrain(?:\.|\s)", re.MULTILINE)
CARRIER_PACKAGE = re.compile(r"""^(?:CARRIER|ORIGIN) = ["']([\w.]+)\.\w+["']""", re.MULTILINE)
"""The packages that a container plugin names for fetching its sources; they may be in another distribution."""
EXCLUDED_FILES = re.compile(r"\..*|.*~|#.*#|.*\.py[co]|__pycache__|py\.typed|messages\.toml")
"""Hidden files, those that editors and Python create, and the sentences of what is checked before a job is sent."""


def pack_modules(modules: Iterable[str]) -> Payload:
    """Return the runtime and each module with its package and the packages of its distribution that it imports.

    A package without modules, of data files, is packed as it is, `PACKAGE:FILE,FILE` with these files of it alone.
    Raise ModuleNotFoundError for a module that is not installed.
    """
    packages = [RUNTIME_PACKAGE]
    for name in modules:
        module = name.partition(":")[0]
        if (spec := importlib.util.find_spec(module)) is None:
            raise ModuleNotFoundError(f"there is no module {module}", name=module)
        is_data = spec.origin is None
        packages += [name] if is_data else _find_packages(module.rpartition(".")[0] or module)
    files: dict[str, str] = {}
    for name in dict.fromkeys(packages):
        package, _, file_list = name.partition(":")
        package_files = dict(_list_package_files(package))
        chosen_files = {f"{package.replace('.', '/')}/{file}" for file in file_list.split(",")}
        files.update(
            {
                path: file
                for path, file in package_files.items()
                if not file_list or path in chosen_files or path.endswith(".py")
            }
        )
    states = ((name, path, os.stat(path)) for name, path in sorted(files.items()))
    # the time of the inode changes with every change of a file, even if its modification time is set by hand
    return _make_archive(
        tuple(
            (name, path, (state.st_ino, state.st_ctime_ns, state.st_mtime_ns, state.st_size))
            for name, path, state in states
        )
    )


ARCHIVE_FORMAT = 2
"""Changes with what is made of the files: archives are cached."""


@functools.lru_cache(maxsize=32)
def _make_archive(files: tuple[tuple[str, str, tuple[int, ...]], ...]) -> Payload:
    """Return the archive of files; cached, because a process may render many jobs, and on disk to save 10 ms."""
    key = hashlib.sha256(repr((ARCHIVE_FORMAT, files)).encode()).hexdigest()
    return Payload(load_or_compute(f"payload-{key}", lambda: _zip_files(files)))


def _zip_files(files: Iterable[tuple[str, str, tuple[int, ...]]]) -> bytes:
    """Return the archive, without modules that need core."""
    contents = {name: _read_packed_file(name, path, state) for name, path, state in files}
    packed_files = {name: file_bytes for name, file_bytes in contents.items() if file_bytes is not None}
    return Payload.from_files(packed_files).archive


@functools.lru_cache(maxsize=1024)
def _read_packed_file(name: str, path: str, state: tuple[int, ...]) -> bytes | None:
    """Return the content of a file of the archive; None for a module that is not packed.

    It is kept for the next payload of this process: the steps of a pipeline have most modules in common.
    """
    file_bytes = Path(path).read_bytes()
    return None if needs_core(name, file_bytes) else file_bytes


def needs_core(name: str, file_bytes: bytes) -> bool:
    """Return whether a file is a module that cannot be imported where core is not installed."""
    is_module = name.endswith(".py") and not name.endswith("/__init__.py")
    names_core = is_module and re.search(rb" robotrain[.\s]", file_bytes)  # a fast filter
    return bool(names_core) and re.search(rb"^(?:from|import) robotrain[.\s]", file_bytes, re.M) is not None


def _find_packages(package: str) -> list[str]:
    """Return a package and the packages that its modules name, recursively.

    Modules that import core do not run in the container, so their names do not count.
    """
    packages = [package]
    for current_package in packages:
        top = current_package.partition(".")[0]
        file = _find_module_file(current_package)
        for path in [file] if file else sorted(_find_package_folder(current_package).glob("*.py")):
            text = path.read_text(encoding="utf-8")
            names_core = " robotrain." in text or " robotrain " in text  # a fast filter
            if not (names_core and CORE_IMPORT.search(text)):
                named_packages = {*CARRIER_PACKAGE.findall(text)} | {
                    f"{top}.{name}" for name in _find_named_siblings(top, text) if not _find_module_file(top)
                }
                packages += sorted(name for name in named_packages - {*packages} if importlib.util.find_spec(name))
    return packages


@functools.lru_cache(maxsize=256)
def _find_named_siblings(top: str, text: str) -> set[str]:
    """Return the subpackages of `top` that a module names, and some other words. A `\\b` in front would be slow."""
    several = " ".join(re.findall(rf"{top}\s+import\s+(\([^)]*\)|.+)", text))
    return {*re.findall(rf"{top}\.(\w+)", text), *re.findall(r"\w+", re.sub(r"\bas\s+\w+", "", several))}


def _list_package_files(package: str) -> Iterator[tuple[str, str]]:
    """Yield the files of a package or module, and the `__init__.py` of its parents, with their paths in the archive."""
    package_path = package.replace(".", "/")
    if file := _find_module_file(package):
        yield f"{package_path}.py", str(file)
    else:
        yield from _walk_folder(str(_find_package_folder(package)), package_path)
    while "." in package:
        package = package.rpartition(".")[0]
        yield f"{package.replace('.', '/')}/__init__.py", str(_find_package_folder(package) / "__init__.py")


def _walk_folder(folder: str, archive_folder: str, *above: str) -> Iterator[tuple[str, str]]:
    """Yield the files of a folder, following links except those that lead back; not what locks were compiled from."""
    real_path = os.path.realpath(folder)
    entries = {} if real_path in above else {entry.name: entry for entry in os.scandir(folder)}
    for name, entry in entries.items():
        is_compiled = name.endswith(".in") and f"{name[:-3]}.txt" in entries
        if not is_compiled and not EXCLUDED_FILES.fullmatch(name):
            path = f"{archive_folder}/{name}"
            yield from _walk_folder(entry.path, path, real_path, *above) if entry.is_dir() else [(path, entry.path)]


def _find_module_file(name: str) -> Path | None:
    """Return the file of a module; None for a package."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin) if spec and spec.origin and not spec.submodule_search_locations else None


def _find_package_folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"{package} is not an installed package", name=package)
    return Path(next(iter(spec.submodule_search_locations)))


def pack_payload(container_plugins: Mapping[str, str]) -> Payload:
    """Return the runtime and the container plugins of a job. Raise Rejected for a plugin that cannot be packed."""
    try:
        return pack_modules(container_plugins.values())
    except Exception:
        claims = {claim.dotted: claim for claim in manager.get_plugins().claims}
        for name, module in container_plugins.items():
            claim = claims.get(name.replace("target.", "source.", 1))  # a target belongs to a source kind
            try:
                pack_modules([module])
            except Exception as cause:  # finding a module imports its parent packages
                if claim is None:
                    raise
                failure = make_failure(claim, cause, f"packing its container plugin {module}")
                raise Rejected([failure.make_problem()]) from cause
        raise
