"""The payload: the runtime and the container plugins of a job, packed into one archive."""

import ast
import functools
import hashlib
import importlib.util
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from robotrain.errors import Problem, Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.model.plan import Payload
from robotrain.plugins import failures, manager
from robotrain.plugins.discovery import Claim
from robotrain.redaction import redact
from robotrain.store.files import load_or_compute

make_problem = Messages(__file__)

RUNTIME_PACKAGE = "robotrain_runtime"
PLUGIN_FILE_MODULE = "robotrain_plugin"
CORE_IMPORT = re.compile(r"^\s*(?:from|import) robotrain(?:\.|\s)", re.MULTILINE)
CARRIER_PACKAGE = re.compile(r"""^(?:CARRIER|ORIGIN) = ["']([\w.]+)\.\w+["']""", re.MULTILINE)
"""The packages that a container plugin names for fetching its sources; they may be in another distribution."""
EXCLUDED_FILES = re.compile(r"\..*|.*~|#.*#|.*\.py[co]|__pycache__|py\.typed|messages\.toml")
"""Hidden files, those that editors and Python create, and the sentences of what is checked before a job is sent."""
DATA_FILE_NAME = re.compile(r"[\w-]+(?:\.[\w-]+)+")
"""The name of a file that a module may read, such as its lock."""


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
    plugin_folder = _get_plugin_file_folder()
    key = hashlib.sha256(repr((ARCHIVE_FORMAT, str(plugin_folder), files)).encode()).hexdigest()
    return Payload(load_or_compute(f"payload-{key}", lambda: _zip_files(files, plugin_folder)))


def _zip_files(files: Iterable[tuple[str, str, tuple[int, ...]]], plugin_folder: Path | None) -> bytes:
    """Return the archive, without modules that need core unless they are in the folder of a plugin file."""
    contents = {name: _read_packed_file(name, path, state, plugin_folder) for name, path, state in files}
    packed_files = {name: file_bytes for name, file_bytes in contents.items() if file_bytes is not None}
    return Payload.from_files(packed_files).archive


@functools.lru_cache(maxsize=1024)
def _read_packed_file(name: str, path: str, state: tuple[int, ...], plugin_folder: Path | None) -> bytes | None:
    """Return the content of a file of the archive; None for a module that is not packed.

    It is kept for the next payload of this process: the steps of a pipeline have most modules in common.
    """
    file_bytes = Path(path).read_bytes()
    is_packed = not needs_core(name, file_bytes) or (plugin_folder and plugin_folder in Path(path).parents)
    return file_bytes if is_packed else None


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
                packages += [name for name in _find_plugin_file_modules(text) if name not in packages]
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


def _get_plugin_file_folder() -> Path | None:
    """Return the folder of the loaded plugin file; None without one. Only what the plugin names in it is packed."""
    module = sys.modules.get(PLUGIN_FILE_MODULE)
    return Path(module.__file__).parent if module and module.__file__ else None


def _find_plugin_file_modules(module_text: str) -> list[str]:
    """Return the modules beside a plugin file that a module imports, or names in a string: it may start a program."""
    folder = _get_plugin_file_folder()
    named_modules = frozenset().union(*_parse_names(module_text)) - {PLUGIN_FILE_MODULE, "__main__"} if folder else ()
    return [name for name in sorted(named_modules) if folder and name.isidentifier() and _is_module(folder, name)]


def _find_named_files(module: Path) -> dict[str, str]:
    """Return the files beside a module of the plugin file's folder that it names, by name."""
    if module.parent != _get_plugin_file_folder():
        return {}
    string_constants = _parse_names(module.read_text(encoding="utf-8"))[1]
    paths = [module.with_name(name) for name in sorted(string_constants) if DATA_FILE_NAME.fullmatch(name)]
    return {path.name: str(path) for path in paths if path.suffix != ".py" and os.path.isfile(path)}


@functools.lru_cache(maxsize=64)
def _parse_names(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the top-level names that a module imports, and its string constants."""
    imported_modules = set[str]()
    string_constants = set[str]()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            imported_modules |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            imported_modules.add(node.module.partition(".")[0])
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            string_constants.add(node.value)
    return frozenset(imported_modules), frozenset(string_constants)


def _is_module(folder: Path, name: str) -> bool:
    """Return whether Python finds a module in the folder, and not another of that name first."""
    if not any(os.path.isfile(folder / path) for path in (f"{name}.py", f"{name}/__init__.py")):
        return False
    spec = importlib.util.find_spec(name)
    return bool(spec and spec.origin and folder in Path(spec.origin).parents)


def _list_package_files(package: str) -> Iterator[tuple[str, str]]:
    """Yield the files of a package or module, and the `__init__.py` of its parents, with their paths in the archive."""
    package_path = package.replace(".", "/")
    if file := _find_module_file(package):
        yield f"{package_path}.py", str(file)
        if "." not in package:
            yield from _find_named_files(file).items()
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
    """Return the runtime and the container plugins of a job. Raise Rejected for plugins that cannot be packed."""
    try:
        return pack_modules(container_plugins.values())
    except Exception as cause:
        problems = [problem for pair in container_plugins.items() if (problem := _find_packing_problem(*pair))]
        if not problems:
            raise
        raise Rejected(problems) from cause


def _find_packing_problem(name: str, module: str) -> Problem | None:
    try:
        pack_modules([module])
    except (Exception, SystemExit) as cause:  # finding a module imports its parent packages
        action = f"packing its container plugin {module}"
        dotted = name.replace("target.", "source.", 1)  # a target belongs to a source kind
        if claim := next((claim for claim in manager.get_plugins().claims if claim.dotted == dotted), None):
            return failures.make_failure(claim, _explain_missing_module(claim, module, cause), action).make_problem()
        failure = redact(f"{name} failed in {action}: {type(cause).__name__}: {cause}", max_length=500)
        return make_problem("plugin-failed.packing", failure=failure)
    return None


def _explain_missing_module(claim: Claim, module: str, cause: BaseException) -> BaseException:
    """Return the error for a missing module; of a plugin file, it is missing beside the file."""
    missing_module = str(getattr(cause, "name", "")).partition(".")[0]
    if not claim.from_file or missing_module != module.partition(".")[0]:
        return cause
    path = Path(claim.package).parent / f"{module.replace('.', '/')}.py"
    return failures.UnsuitablePlugin(
        f"there is no module {module}", Suggestion(str(path), "the expected path, beside the plugin file")
    )
