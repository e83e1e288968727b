"""The folder of the user's own code: where it is, and the tasks that it brings for Isaac Lab 3.0.

Its pyproject.toml names the modules that register tasks, by the entry points `isaaclab.tasks`, as packages do that are
installed. Here they are only read; the job imports them, from the folder as it is. Standard library only: both sides
read them.
"""

import importlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from robotrain_runtime.contract.document import Folders, JobDocument, JobSource
from robotrain_runtime.contract.problem import Problem, ProblemError, get_problem, make_data_problem

from robotrain_workloads.isaac.parameters import TASKS_ENTRY

CODE_ROLE = "code"
MAX_NESTING = 3
PROJECT_FILE = "pyproject.toml"
PACKAGE_FOLDERS = ("", "src")
"""Where the package is, below the folder."""
TASKS_TABLE = re.compile(
    rf"""^\[project\.entry-points\.["']{re.escape(TASKS_ENTRY)}["']\][ \t]*(?:#.*)?\n((?:[^\[\n].*\n?|\n)*)""",
    re.MULTILINE,
)
ENTRY_POINT = re.compile(r"""^([\w.-]+)\s*=\s*["']([\w.:]+)["']""", re.MULTILINE)
VARIABLE = "ROBOTRAIN_ISAAC_TASKS"
"""What the job imports, for `image/import_hook.py`: the folder and the modules, as JSON."""


class TaskFolder(NamedTuple):
    """A folder that brings tasks."""

    path: Path
    """Where its package is imported from."""
    modules: tuple[str, ...]
    """What Isaac Lab imports."""


def find_code(sources: Iterable[JobSource]) -> JobSource | None:
    """Return the source of the user's code; None without."""
    return next((source for source in sources if source.role == CODE_ROLE), None)


def find_folder(path: Path, file: str) -> Path:
    """Return the folder with a file: `path`, or one above it if a copy nested it. Raise OSError."""
    folders = (folder for folder in (path, *list(path.parents)[:MAX_NESTING]) if (folder / file).is_file())
    if folder := next(folders, None):
        return folder
    raise ProblemError(make_data_problem(f"the training folder {path} has no {file}", "--entry FILE"))


def find_tasks(document: JobDocument, data: Folders) -> TaskFolder | None:
    """Return the tasks that a job brings; None without, and for a training program. Raise OSError with a sentence."""
    source = find_code(document.sources)
    if source is None or source not in data or document.parameters.get("entry", TASKS_ENTRY) != TASKS_ENTRY:
        return None
    return read_folder(find_folder(data[source], PROJECT_FILE))


def make_environ(document: JobDocument, data: Folders) -> dict[str, str]:
    """Return the variable with which a job imports its tasks; none without tasks. Raise OSError with a sentence."""
    folder = find_tasks(document, data)
    return {VARIABLE: json.dumps({"path": str(folder.path), "modules": folder.modules})} if folder else {}


def find_problems(document: JobDocument, data: Folders) -> Iterator[Problem]:
    """Yield why a job would find no tasks in its folder."""
    try:
        find_tasks(document, data)
    except OSError as error:
        yield get_problem(error)


def brings_tasks(folder: str) -> bool:
    """Return whether a folder's pyproject.toml names modules with tasks; False if it cannot be read."""
    try:
        return bool(_list_modules(Path(folder)))
    except ProblemError:
        return False


def read_folder(folder: Path) -> TaskFolder:
    """Return what a folder brings; nothing in it is run. Raise ProblemError if it brings no tasks."""
    modules = _list_modules(folder)
    if not modules:
        title = f"the {PROJECT_FILE} of {folder.name} names no modules with tasks"
        raise ProblemError(make_data_problem(f'{title}: [project.entry-points."{TASKS_ENTRY}"] is missing'))
    for path in (folder / name for name in PACKAGE_FOLDERS):
        if all(_has_module(path, module) for module in modules):
            return TaskFolder(path, modules)
    folders_text = f"{folder.name} and {folder.name}/src"
    raise ProblemError(make_data_problem(f"{PROJECT_FILE} names {', '.join(modules)}, which is not in {folders_text}"))


def _list_modules(folder: Path) -> tuple[str, ...]:
    """Return the modules of the entry points. Raise ProblemError with a sentence."""
    try:
        entry_points = _read_entry_points((folder / PROJECT_FILE).read_text(encoding="utf-8"))
        return tuple(dict.fromkeys(str(point).partition(":")[0].strip() for point in entry_points.values()))
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, AttributeError) as error:
        raise ProblemError(make_data_problem(f"the {PROJECT_FILE} of {folder.name} cannot be read: {error}")) from error


def _read_entry_points(pyproject_text: str) -> Mapping[str, str]:
    """Return the entry points of tasks that a pyproject.toml declares. Raise ValueError, AttributeError.

    A container's own Python may be 3.10, which has no reader of TOML: there only the usual table is read.
    """
    try:
        loads = importlib.import_module("tomllib").loads
    except ModuleNotFoundError:
        table = TASKS_TABLE.search(pyproject_text)
        return dict(ENTRY_POINT.findall(table[1])) if table else {}
    entry_points: Mapping[str, str] = (
        loads(pyproject_text).get("project", {}).get("entry-points", {}).get(TASKS_ENTRY, {})
    )
    return entry_points


def _has_module(path: Path, module: str) -> bool:
    file = path.joinpath(*module.split("."))
    return file.with_suffix(".py").is_file() or (file / "__init__.py").is_file()
