"""What a command line chooses, which decides the options it has: a workload, a platform, a job file, a profile."""

from __future__ import annotations  # reading a job file, a `.env` or a robotrain.toml loads its parser: help should not

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from robotrain.cli.app import plugins_of
from robotrain.folders import DOTENV
from robotrain.project_place import find
from robotrain.provenance import DEFAULT, Origin, Value, own_name

if TYPE_CHECKING:
    from robotrain.job_file import JobFile
    from robotrain.layers import NameLayer
    from robotrain.project import Project

PLATFORM, PROFILE = own_name("platform"), own_name("profile")
NAMES, FILES, PROJECTS = "robotrain.names", "robotrain.files", "robotrain.projects"


class Choice(NamedTuple):
    """platform: empty when nobody chose one. file: what the job file says, project: robotrain.toml; None without one.

    origins: who chose the workload and the platform.
    """

    workload: str
    platform: str
    file: JobFile | None = None
    project: Project | None = None
    origins: tuple[Origin, Origin] = (DEFAULT, DEFAULT)


def choose(values: Mapping[str, Any], words: Sequence[str], parent: Any) -> Choice:
    """The workload: named, of the job file, of robotrain.toml or the default; the platform, in the order of layers."""
    path = next((word for word in words if is_job_file(word)), "")
    file = _file(path, parent) if path else None
    project = _project(values.get("profile"), parent)
    plugins = plugins_of(parent)
    known = plugins.names("workload")
    named = next((Value(word, Origin("argument")) for word in words if word in known), None)
    if not named and file and file.workload:
        named = Value(file.workload, Origin("job file", Path(path).name))
    workload = named or (project.workload if project else None) or Value(plugins.default_workload(), DEFAULT)
    platform = _said(values.get("platform"), "--platform", PLATFORM, parent) or (project.platform if project else None)
    platform = platform or Value("", DEFAULT)
    return Choice(str(workload.value), str(platform.value), file, project, (workload.origin, platform.origin))


def loaded(load: Callable[[str], Any], name: str) -> Any:
    """What a name loads to; None without a name, and for a plugin that fails: the command says so when it acts."""
    from robotrain.plugins import PluginError

    try:
        return load(name) if name else None
    except PluginError:
        return None


def names(parent: Any) -> tuple[NameLayer, ...]:
    """The environment and the `.env` files of the working folder, read once."""
    from robotrain.layers import dotenv_layers, environment

    meta = parent.find_root().meta
    if NAMES not in meta:
        meta[NAMES] = (environment(), *dotenv_layers(Path.cwd()))
    return tuple(meta[NAMES])


def is_job_file(word: str) -> bool:
    """Whether a word names a job file."""
    return word.endswith((".yaml", ".yml")) and not word.startswith("-")


def _file(path: str, parent: Any) -> JobFile:
    from robotrain import job_file

    read: dict[str, JobFile] = parent.find_root().meta.setdefault(FILES, {})
    if path not in read:
        read[path] = job_file.read(Path(path))
    return read[path]


def _project(profile: object, parent: Any) -> Project | None:
    """robotrain.toml with the profile that was chosen, read once."""
    said = _said(profile, "--profile", PROFILE, parent)
    if said is None and find(Path.cwd()) is None:
        return None
    from robotrain import project

    read: dict[Value | None, Project | None] = parent.find_root().meta.setdefault(PROJECTS, {})
    if said not in read:
        read[said] = project.chosen(Path.cwd(), said)
    return read[said]


def _said(given: object, flag: str, name: str, parent: Any) -> Value | None:
    """The option's value, else that of the environment or of a `.env` file."""
    if isinstance(given, str) and given:
        return Value(given, Origin("flag", flag))
    if said := os.environ.get(name):
        return Value(said, Origin("environment", name))
    if not any(Path(file).is_file() for file in DOTENV):  # as a rule; then help need not load what reads them
        return None
    return next((value for layer in names(parent) if (value := layer.first((name,)))), None)
