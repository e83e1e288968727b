"""What a program's packages are locked from: a requirements file, or the uv.lock or pyproject.toml of its folder.

Files are only read here: nothing in them chooses an index, a program or a configuration of this machine.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import tomllib
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from robotrain.errors import Problem, Rejected, Suggestion
from robotrain.messages import Messages
from robotrain_runtime.contract.files import read_limited_file

make_problem = Messages(__file__)

REQUIREMENTS_FLAG = "--requirements"
MAX_FILE = 32 << 20
LOCK_FILE, PROJECT_FILE, VERSION_FILE = "uv.lock", "pyproject.toml", ".python-version"
LIST_OPTIONS = ("-r", "--requirement", "-c", "--constraint")
INDEX_OPTIONS = ("-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--no-index", "--trusted-host")
IGNORED_OPTIONS = ("--require-hashes", "--prefer-binary", "--only-binary", "--no-binary")
"""Options that say how files are chosen, which is decided here."""
PROJECT_SETTINGS = (
    *("sources", "index", "index-url", "extra-index-url", "find-links", "no-index"),
    *("constraint-dependencies", "override-dependencies"),
)
"""What a project tells uv about where packages come from, and which."""
PROJECT_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
LIST_SUFFIXES = (".txt", ".in")
OPTION = re.compile(r"(--?[a-z][a-z-]*)(?:[=\s]\s*)?(.*)")
HASH = re.compile(r"\s--hash[=\s]\s*(sha256:[0-9a-f]{64})")
NO_CONFIG_WAY = Suggestion("uv lock   in the folder: robotrain takes uv.lock as it is", "it knows [tool.uv]")
IMAGE_WAY = Suggestion("--image IMAGE --no-install", "an image that has everything")


class GivenRequirement(NamedTuple):
    """A requirement, and its hashes if the file has them."""

    requirement: Requirement
    hashes: tuple[str, ...] = ()

    @property
    def is_locked(self) -> bool:
        """Whether it names one version, by hash."""
        specifiers = list(self.requirement.specifier)
        return bool(self.hashes) and len(specifiers) == 1 and specifiers[0].operator == "=="


@dataclass(slots=True, kw_only=True)
class LockInput:
    """The packages that a program needs, as its files say."""

    origin: str
    """The file, for people."""
    requirements: list[GivenRequirement] = field(default_factory=list)
    constraints: list[GivenRequirement] = field(default_factory=list)
    uv_lock: bytes = b""
    """The content of a uv.lock, which says everything."""
    project: str = ""
    """The name of the project that it is of."""
    requires_python: str = ""
    own_indexes: frozenset[str] = frozenset()
    """The addresses of indexes that the project names beside the default one."""
    local_folders: Mapping[str, str] = field(default_factory=dict)
    """The folders below that of the project, by the packages that uv would install from them."""
    problems: list[Problem] = field(default_factory=list)
    """What cannot be locked."""


def read_requirements_file(path: Path) -> LockInput:
    """Return what a requirements file asks for. Raise Rejected if it cannot be read."""
    found = LockInput(origin=path.name)
    _read_requirements(path, found, found.requirements, [])
    return found


def read_project(folder: Path) -> LockInput | None:
    """Return what the uv.lock or else the pyproject.toml of a folder asks for; None if it has neither.

    Raise Rejected if one cannot be read.
    """
    try:
        return _read_project(folder)
    except (AttributeError, TypeError, ValueError) as error:  # a table where a list is due, for example
        why = str(error) if isinstance(error, ValueError) else "A field has another type than it should"
        raise Rejected(
            [
                make_problem(
                    "file-unreadable.not-of-uv",
                    given=str(folder),
                    lock_file=LOCK_FILE,
                    project_file=PROJECT_FILE,
                    why=why,
                )
            ]
        ) from error


def _read_project(folder: Path) -> LockInput | None:
    project_file = folder / PROJECT_FILE
    if (folder / LOCK_FILE).is_file():
        content = _read_file(folder / LOCK_FILE)
        lock = _parse_toml(content, LOCK_FILE)
        data = _parse_toml(_read_file(project_file), PROJECT_FILE) if project_file.is_file() else {}
        name, requires = str(data.get("project", {}).get("name", "")), str(lock.get("requires-python", ""))
        if name and not PROJECT_NAME.fullmatch(name):  # it is written into a file that uv reads
            raise ValueError("the name of the project is not valid")
        indexes = frozenset(_list_own_indexes(data.get("tool", {}).get("uv", {})))
        return LockInput(
            origin=LOCK_FILE,
            uv_lock=content,
            project=name,
            requires_python=requires,
            own_indexes=indexes,
            local_folders=dict(_list_local_folders(lock, folder)),
            problems=[*_find_stale_lock(lock, data.get("project", {}), name)],
        )
    if not project_file.is_file():
        return None
    data = _parse_toml(_read_file(project_file), PROJECT_FILE)
    project = data.get("project")
    if not isinstance(project, dict):
        if "poetry" not in data.get("tool", {}):
            return None  # it has settings of tools alone
        ways = (Suggestion(f"{REQUIREMENTS_FLAG} FILE", "of `poetry export`"), IMAGE_WAY)
        raise Rejected([make_problem("not-lockable.poetry", *ways, where=PROJECT_FILE)])
    if "dependencies" not in {*project, *project.get("dynamic", ())}:
        return None
    local = {str(project.get("name", "")): "."} if "build-system" in data else {}
    found = LockInput(origin=PROJECT_FILE, local_folders=local, requires_python=str(project.get("requires-python", "")))
    found.problems += _find_project_problems(data, project)
    for text in project.get("dependencies", ()):
        _add_requirement(str(text), PROJECT_FILE, found, found.requirements)
    return found


def _find_stale_lock(lock: Mapping[str, Any], project: Mapping[str, Any], name: str) -> Iterator[Problem]:
    """Yield the problem of a uv.lock that lacks a dependency which its project has now."""
    packages: dict[str, Mapping[str, Any]] = {str(one.get("name")): one for one in lock.get("package", ())}
    own = packages.get(canonicalize_name(name), {})
    locked = {one.get("name") for one in own.get("dependencies", ())}
    locked |= {one.get("name") for one in own.get("metadata", {}).get("requires-dist", ())}
    names = [re.match(r"[\w.-]+", str(text)) for text in project.get("dependencies", ())]
    missing = sorted({canonicalize_name(match[0]) for match in names if match} - locked)
    if missing:
        yield make_problem(
            "not-lockable.outdated", where=LOCK_FILE, project_file=PROJECT_FILE, missing=", ".join(missing)
        )


def _list_local_folders(lock: Mapping[str, Any], folder: Path) -> Iterator[tuple[str, str]]:
    for package in lock.get("package", ()):
        source = package.get("source", {})
        path = source.get("editable") or source.get("directory")
        if path and ".." not in Path(path).parts and not Path(path).is_absolute() and (folder / path).is_dir():
            yield str(package.get("name")), str(path)


def list_import_folders(given: LockInput, folder: Path) -> list[str]:
    """Return where the project's own packages are below its folder, for PYTHONPATH."""
    found = (f"{path}/src" if (folder / path / "src").is_dir() else path for path in given.local_folders.values())
    return [str(Path(path)) for path in found]


def _list_own_indexes(settings: Mapping[str, Any]) -> Iterator[str]:
    for index in settings.get("index", ()):
        if not index.get("default"):
            yield str(index.get("url", "")).rstrip("/")
    yield from (str(address).rstrip("/") for address in settings.get("extra-index-url", ()))


def read_version_file(folder: Path) -> str:
    """Return the content of the `.python-version` of a folder; empty for none."""
    try:
        return read_limited_file(folder / VERSION_FILE, 1 << 16).decode(errors="replace")
    except (OSError, ValueError):
        return ""


def _find_project_problems(data: Mapping[str, Any], project: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield why the packages of a pyproject.toml without a uv.lock are not known."""
    if "dependencies" in project.get("dynamic", ()):
        yield make_problem("not-lockable.dynamic", NO_CONFIG_WAY, where=PROJECT_FILE)
    settings = data.get("tool", {}).get("uv", {})
    used = [name for name in PROJECT_SETTINGS if name in settings]
    if used:
        yield make_problem("not-lockable.tool-uv", NO_CONFIG_WAY, where=PROJECT_FILE, used=", ".join(used))


def _read_requirements(path: Path, found: LockInput, into: list[GivenRequirement], above: list[Path]) -> None:
    """Add the lines of a requirements file, and of those that it names."""
    if path.resolve() in above:
        return
    above = [*above, path.resolve()]
    text = re.sub(r"\\\r?\n", " ", _read_file(path).decode("utf-8-sig", errors="replace"))
    number = 0
    for number, line in enumerate(text.splitlines(), 1):
        line = re.sub(r"(^|\s)#.*$", "", line).strip()
        where = f"{path.name}:{number}"
        if not line:
            continue
        option = OPTION.fullmatch(line)
        if option is None:
            _add_requirement(line, where, found, into)
        elif option[1] in LIST_OPTIONS and _is_list_beside(option[2]):
            is_constraint = option[1] in LIST_OPTIONS[2:]
            _read_requirements(path.parent / option[2], found, found.constraints if is_constraint else into, above)
        elif option[1] not in IGNORED_OPTIONS:
            found.problems.append(_make_option_problem(option[1], line, where))


def _is_list_beside(name: str) -> bool:
    """Return whether the name is that of a list of packages near the file; the lines of others are not shown."""
    return "://" not in name and not Path(name).is_absolute() and Path(name).suffix in LIST_SUFFIXES


def _make_option_problem(option: str, line: str, where: str) -> Problem:
    if option in ("-e", "--editable"):
        return _make_path_problem(line, where)
    if option in INDEX_OPTIONS:
        return make_problem("not-lockable.option-not-used", where=where, given=line, option=option)
    if option in LIST_OPTIONS:
        return make_problem("not-lockable.no-list", where=where, given=line, option=option)
    return make_problem("not-lockable.option", where=where, given=line, option=option)


def _make_path_problem(line: str, where: str) -> Problem:
    way = Suggestion("--code FOLDER", "its code beside the program; then list only the packages that it needs")
    return make_problem("not-lockable.local-file", way, IMAGE_WAY, where=where, given=line)


def _add_requirement(line: str, where: str, found: LockInput, into: list[GivenRequirement]) -> None:
    hashes = tuple(HASH.findall(line))
    text = HASH.sub("", line).strip()
    if re.match(r"(?:git|hg|svn|bzr)\+", text):
        found.problems.append(_make_url_problem(text, line, where))
    elif re.match(r"\.{0,2}/|\.+$|file:|~", text) or (text.endswith((".whl", ".tar.gz", ".zip")) and "@" not in text):
        is_url = "://" in text and not text.startswith("file:")
        found.problems.append(_make_url_problem(text, line, where) if is_url else _make_path_problem(line, where))
    else:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            found.problems.append(make_problem("requirement-invalid.requirement", where=where, given=line))
            return
        if requirement.url:
            found.problems.append(_make_url_problem(requirement.url, line, where))
        else:
            into.append(GivenRequirement(requirement, hashes))


def _make_url_problem(url: str, line: str, where: str) -> Problem:
    if url.startswith("file:"):
        return _make_path_problem(line, where)
    kind = "a repository" if re.match(r"(?:git|hg|svn|bzr)\+", url) else "an address"
    ways = (Suggestion("--code FOLDER", "its code beside the program"), NO_CONFIG_WAY) if kind == "an address" else ()
    ways = ways or (Suggestion("--code FOLDER", "its code beside the program"), IMAGE_WAY)
    return make_problem("not-lockable.package-kind", *ways, where=where, given=line, kind=kind)


def _read_file(path: Path) -> bytes:
    try:
        return read_limited_file(path, MAX_FILE)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise Rejected([make_problem("file-unreadable.file", given=str(path), name=path.name, why=why)]) from None


def _parse_toml(content: bytes, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise Rejected([make_problem("file-unreadable.not-toml", where=name, error=error)]) from None
