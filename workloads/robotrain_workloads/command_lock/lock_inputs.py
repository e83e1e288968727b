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
from robotrain.errors import Problem, Rejected, Stage, Suggestion, make_problem, make_usage_problem
from robotrain_runtime.contract.files import read_limited_file

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
        title = f"{LOCK_FILE} or {PROJECT_FILE} is not what uv or a build tool writes"
        why = str(error) if isinstance(error, ValueError) else "A field has another type than it should"
        raise Rejected([make_usage_problem("file-unreadable", title, "", f"{why}.", str(folder))]) from error


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
        title = f"{PROJECT_FILE} has the packages in Poetry's form, which cannot be locked"
        ways = (Suggestion(f"{REQUIREMENTS_FLAG} FILE", "of `poetry export`"), IMAGE_WAY)
        raise Rejected([make_usage_problem("not-lockable", title, PROJECT_FILE, suggestions=ways)])
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
        title = f"{LOCK_FILE} is older than {PROJECT_FILE}: it does not have {', '.join(missing)}"
        yield make_unlockable_problem(title, LOCK_FILE, "", "", Suggestion("uv lock", "in the folder, writes it again"))


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


def make_unlockable_problem(title: str, where: str = "", given: str = "", why: str = "", *ways: Suggestion) -> Problem:
    """Return the problem of something that cannot be locked."""
    return make_problem("not-lockable", title, where, given, why, *ways, stage=Stage.PREFLIGHT)


def _find_project_problems(data: Mapping[str, Any], project: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield why the packages of a pyproject.toml without a uv.lock are not known."""
    if "dependencies" in project.get("dynamic", ()):
        title, why = "the dependencies are dynamic", "Only a build of the project tells them, which never runs here."
        yield make_unlockable_problem(title, PROJECT_FILE, "", why, NO_CONFIG_WAY)
    settings = data.get("tool", {}).get("uv", {})
    used = [name for name in PROJECT_SETTINGS if name in settings]
    if used:
        title = f"[tool.uv] says with {', '.join(used)} where packages come from"
        why = "A file of a project does not choose what robotrain asks from this machine."
        yield make_unlockable_problem(title, PROJECT_FILE, "", why, NO_CONFIG_WAY)


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
        title = f"{option} in a requirements file is not used"
        why = "A file of a project does not choose which index this machine asks."
        way = Suggestion(f"leave {option} out", "or write the index into your own uv.toml")
        return make_unlockable_problem(title, where, line, why, way)
    if option in LIST_OPTIONS:
        title, why = f"{option} names no list of packages beside the file", "It is a path, and ends in .txt or .in."
        way = Suggestion(f"leave {option} out of the file", "and write the packages into it")
        return make_unlockable_problem(title, where, line, why, way)
    title = f"{option} in a requirements file is not supported"
    return make_unlockable_problem(title, where, line, "", Suggestion(f"leave {option} out of the file"))


def _make_path_problem(line: str, where: str) -> Problem:
    title = "a folder or file of this machine cannot be locked"
    why = "The job's machine does not have it, and its own code is no package of an index."
    way = Suggestion("--code FOLDER", "its code beside the program; then list only the packages that it needs")
    return make_unlockable_problem(title, where, line, why, way, IMAGE_WAY)


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
            title = "this is not a requirement"
            way = Suggestion("NAME==VERSION", "as in numpy==2.2.1")
            found.problems.append(
                make_problem("requirement-invalid", title, where, line, "", way, stage=Stage.PREFLIGHT)
            )
            return
        if requirement.url:
            found.problems.append(_make_url_problem(requirement.url, line, where))
        else:
            into.append(GivenRequirement(requirement, hashes))


def _make_url_problem(url: str, line: str, where: str) -> Problem:
    if url.startswith("file:"):
        return _make_path_problem(line, where)
    kind = "a repository" if re.match(r"(?:git|hg|svn|bzr)\+", url) else "an address"
    title = f"a package from {kind} cannot be locked"
    why = "Only packages of an index have wheels that are known by hash before the job starts."
    ways = (Suggestion("--code FOLDER", "its code beside the program"), NO_CONFIG_WAY) if kind == "an address" else ()
    ways = ways or (Suggestion("--code FOLDER", "its code beside the program"), IMAGE_WAY)
    return make_unlockable_problem(title, where, line, why, *ways)


def _read_file(path: Path) -> bytes:
    try:
        return read_limited_file(path, MAX_FILE)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        title, ways = f"{path.name} cannot be read", [Suggestion(f"{REQUIREMENTS_FLAG} FILE", "a requirements file")]
        raise Rejected([make_usage_problem("file-unreadable", title, "", f"{why}.", str(path), ways)]) from None


def _parse_toml(content: bytes, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        title = f"{name} is not valid TOML"
        raise Rejected([make_usage_problem("file-unreadable", title, name, f"{error}.")]) from None
