"""What packages are locked from: a requirements file, or the uv.lock or pyproject.toml of a folder.

A project's file never makes uv contact a host that it names: uv gets the lines that are read here, and one that names a
place of packages is refused. Whether a line is a requirement says uv.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomllib
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from robotrain.errors import Problem, Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.nearest_name import suggest_path
from robotrain_runtime.contract.files import read_limited_file

make_problem = Messages(__file__)
ANOTHER = Suggestion("--requirements FILE", "a requirements file")

MAX_FILE = 32 << 20
LOCK_FILE, PROJECT_FILE, UV_FILE = "uv.lock", "pyproject.toml", "uv.toml"
LISTS = re.compile(r"(-r|--requirement|-c|--constraint)[=\s]\s*([^/~:$\\][^:$\\]*\.(?:txt|in))")
"""A line that names a list beside the file: any other file would be shown to the index, as the names of packages."""
IGNORED = re.compile(r"--(?:require-hashes|prefer-binary|only-binary|no-binary)\b.*")
"""Options that say how files are chosen, which is decided here."""
HASH = re.compile(r"\s--hash[=\s]\s*\w+:\w+")
PLACE = re.compile(r"[@:/\\$]|=\?|^[-.]|\.(?:whl|zip|tar|tgz|tar\.\w+)$")
"""What a requirement of an index never has, and an address, a path and an option have, or text that uv decodes."""
SETTINGS = (
    *("sources", "index", "index-url", "extra-index-url", "find-links", "no-index"),
    *("constraint-dependencies", "override-dependencies"),
)
"""What a project tells uv about where packages come from, and which."""
TABLES = {"tool.uv": SETTINGS, "tool.uv.pip": SETTINGS, "tool.pdm": ("source",), "tool.poetry": ("source",)}
UV_TABLES = {"": SETTINGS, "pip": SETTINGS}
"""The tables of a project's files that name indexes, and the fields that do."""
PLACE_WAYS = (
    Suggestion("uv lock", "in a project: robotrain takes uv.lock as it is, with other indexes"),
    Suggestion("--code FOLDER", "its code beside the program; then list only the packages that it needs"),
    Suggestion("leave it out of the file", "an index may stand in your own uv.toml"),
    Suggestion("--image IMAGE --no-install", "an image that has everything"),
)


@dataclass(slots=True, kw_only=True)
class LockInput:
    """What is to be locked, and for which Python."""

    origin: str
    """The file or option, for people."""
    requirements: list[str] = field(default_factory=list)
    constraints: list[str] = field(default_factory=list)
    uv_lock: str | None = None
    """The content of a uv.lock, which says everything."""
    project: str = ""
    """The name of the project that it is of."""
    requires_python: str = ""
    own_indexes: list[str] = field(default_factory=list)
    """The addresses of indexes that the project names beside the default one."""
    present: dict[str, str] = field(default_factory=dict)
    """The packages that the job has already, by name: folders of its code, or versions of its environment."""
    files: dict[str, tuple[str, str]] = field(default_factory=dict)
    """The packages that travel with the job, by name: the name of a file, and its content as a job document has it."""
    owner: str = ""
    """The environment that the packages are added to, for people; empty for one of their own."""
    named: list[str] = field(default_factory=list)
    """The packages that were given to be added."""
    python: str = ""
    allow_builds: bool = False
    problems: list[Problem] = field(default_factory=list)


def check_place(line: str, where: str, ways: Sequence[Suggestion] = PLACE_WAYS) -> Iterator[Problem]:
    """Yield the problem of a line that names where a package comes from."""
    if PLACE.search(HASH.sub("", line)):
        message = "not-lockable.option" if line.startswith("-") else "not-lockable.place"
        yield make_problem(message, *ways, where=where, given=line)


def read_requirements_file(path: Path) -> LockInput:
    """Return what a requirements file asks for, with the lists that it names. Raise Rejected if one cannot be read."""
    inputs = LockInput(origin=path.name)
    _read_list(path, inputs, inputs.requirements, path.parent.resolve(), set())
    return inputs


def _read_list(path: Path, inputs: LockInput, into: list[str], top: Path, read: set[tuple[Path, bool]]) -> None:
    """Add the lines of a list, and of those below a folder that it names, each once."""
    read.add((path.resolve(), into is inputs.constraints))
    joined_line, first_number = "", 0
    for number, line_text in enumerate([*_read_text(path).splitlines(), ""], 1):
        line_text, first_number = re.sub(r"(^|\s)#.*", "", line_text), first_number or number
        joined_line += line_text.removesuffix("\\") + " "
        if line_text.endswith("\\"):
            continue
        requirement, location = " ".join(joined_line.split()), f"{path.name}:{first_number}"
        if list_match := LISTS.fullmatch(requirement):
            target = inputs.constraints if list_match[1] in ("-c", "--constraint") else into
            other_path = path.parent / list_match[2]
            if not other_path.resolve().is_relative_to(top):
                inputs.problems.append(
                    make_problem("not-lockable.outside", *PLACE_WAYS, where=location, given=requirement)
                )
            elif (other_path.resolve(), target is inputs.constraints) not in read:
                _read_list(other_path, inputs, target, top, read)
        elif requirement and not IGNORED.fullmatch(requirement):
            inputs.problems += check_place(requirement, location)
            into.append(HASH.sub("", requirement))
        joined_line, first_number = "", 0


def read_project(folder: Path) -> LockInput | None:
    """Return what the uv.lock or else the pyproject.toml of a folder asks for; None if it has no list of packages.

    Raise Rejected if one cannot be read.
    """
    file_names = [name for name in (LOCK_FILE, PROJECT_FILE, UV_FILE) if (folder / name).is_file()]
    texts_by_file = {name: _read_text(folder / name) for name in file_names}
    lock_text = texts_by_file.get(LOCK_FILE)
    try:
        inputs = (
            _read_dependencies(texts_by_file) if lock_text is None else _read_uv_lock(folder, texts_by_file, lock_text)
        )
        SpecifierSet(inputs.requires_python if inputs else "")
    except (AttributeError, TypeError, ValueError, RecursionError) as error:  # a table where a list is due, for example
        reason = str(error) if isinstance(error, ValueError) else "A field has another type than it should"
        name = " or ".join(file_names)
        raise Rejected([make_problem("file-unreadable", ANOTHER, given=str(folder), name=name, why=reason)]) from None
    return inputs


def _read_uv_lock(folder: Path, texts_by_file: Mapping[str, str], lock_text: str) -> LockInput:
    lock = tomllib.loads(lock_text)
    pyproject = tomllib.loads(texts_by_file.get(PROJECT_FILE, ""))
    project = pyproject.get("project", {})
    settings = pyproject.get("tool", {}).get("uv", {})
    settings = (
        settings if UV_FILE not in texts_by_file else tomllib.loads(texts_by_file[UV_FILE])
    )  # as uv itself chooses
    packages: dict[str, Mapping[str, Any]] = {str(package.get("name")): package for package in lock.get("package", ())}
    sources = {name: package.get("source", {}) for name, package in packages.items()}
    folders = {name: str(source.get("editable") or source.get("directory") or "/") for name, source in sources.items()}
    indexes = [index.get("url") for index in settings.get("index", ()) if not index.get("default")]
    package = packages.get(canonicalize_name(project.get("name", "")), {})
    listed_dependencies = (*package.get("dependencies", ()), *package.get("metadata", {}).get("requires-dist", ()))
    wanted_names = {canonicalize_name(re.split(r"[^\w.-]", text)[0]) for text in project.get("dependencies", ())}
    missing_names = ", ".join(sorted(wanted_names - {dependency.get("name") for dependency in listed_dependencies}))
    outdated_problem = make_problem(
        "not-lockable.outdated", where=LOCK_FILE, project_file=PROJECT_FILE, missing=missing_names
    )
    return LockInput(
        origin=LOCK_FILE,
        uv_lock=lock_text,
        project=str(project.get("name", "")),
        requires_python=str(lock.get("requires-python", "")),
        own_indexes=[str(url).rstrip("/") for url in (*indexes, *settings.get("extra-index-url", ()))],
        present={name: path for name, path in folders.items() if _is_below(folder, path)},
        problems=[outdated_problem] if missing_names else [],
    )


def _is_below(folder: Path, path: str) -> bool:
    return ".." not in Path(path).parts and not Path(path).is_absolute() and (folder / path).is_dir()


def _read_dependencies(texts_by_file: Mapping[str, str]) -> LockInput | None:
    pyproject_text = texts_by_file.get(PROJECT_FILE, "")
    pyproject = tomllib.loads(pyproject_text)
    project = pyproject.get("project", {})
    tools = pyproject.get("tool", {})
    is_dynamic = "dependencies" in project.get("dynamic", ())
    inputs = LockInput(origin=PROJECT_FILE, requires_python=str(project.get("requires-python", "")))
    if is_dynamic or (not project and "poetry" in tools):
        reason = "tells them to a build alone, which never runs here" if is_dynamic else "has them in Poetry's form"
        inputs.problems.append(make_problem("not-lockable.no-list", where=PROJECT_FILE, what=reason))
    elif "dependencies" not in project:
        return None
    inputs.problems += _check_settings(PROJECT_FILE, pyproject_text, TABLES)
    inputs.problems += _check_settings(UV_FILE, texts_by_file.get(UV_FILE, ""), UV_TABLES)
    if not isinstance(dependencies := project.get("dependencies", []), list):
        raise TypeError
    for dependency in dependencies:
        requirement = " ".join(dependency.split())
        inputs.problems += check_place(requirement, _find_line(pyproject_text, dependency))
        inputs.requirements.append(requirement)
    inputs.present = {canonicalize_name(project.get("name", "")): "."} if "build-system" in pyproject else {}
    return inputs


def _check_settings(file: str, file_text: str, tables: Mapping[str, Sequence[str]]) -> Iterator[Problem]:
    """Yield the problems of what a file says about where packages come from."""
    for table, setting_names in tables.items():
        settings = tomllib.loads(file_text)
        for table_name in filter(None, table.split(".")):
            settings = settings.get(table_name, {})
        for name in filter(settings.get, setting_names):
            start = max(0, file_text.find(f"[{table}]"))
            header = re.escape(f"{table}.{name}".lstrip("."))
            line_match = re.compile(rf"(?m)^[ \t]*(?:\[+{header}\b|{name}\s*=)").search(file_text, start)
            location = f"{file}:{file_text.count(chr(10), 0, line_match.start() if line_match else start) + 1}"
            setting = f"[{table}] {name}" if table else name
            yield make_problem("not-lockable.setting", *PLACE_WAYS, where=location, given=setting)


def _find_line(pyproject_text: str, searched_text: str) -> str:
    return f"{PROJECT_FILE}:{pyproject_text.partition(searched_text)[0].count(chr(10)) + 1}"


def list_import_folders(inputs: LockInput, folder: Path) -> list[str]:
    """Return where the project's own packages are below its folder, for PYTHONPATH."""
    folders = (f"{path}/src" if (folder / path / "src").is_dir() else path for path in inputs.present.values())
    return [str(Path(path)) for path in folders]


def _read_text(path: Path) -> str:
    try:
        return read_limited_file(path, MAX_FILE).decode("utf-8-sig", errors="replace")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        ways = suggest_path(path, "--requirements ") or (ANOTHER,)
        raise Rejected([make_problem("file-unreadable", *ways, given=str(path), name=path.name, why=reason)]) from None
