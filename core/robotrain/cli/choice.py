"""The choice of workload, platform and job file, and problems of missing plugins."""

from __future__ import annotations

import dataclasses
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from robotrain_runtime.contract.parameter import UNSET, get_parameters

from robotrain.cli.command_factory import get_plugins
from robotrain.config.provenance import DEFAULT_ORIGIN, Origin, Value, make_variable_name
from robotrain.errors import Problem, Rejected, Suggestion, make_usage_problem
from robotrain.nearest_name import suggest_name
from robotrain.plugins.failures import PluginError
from robotrain.plugins.manager import Plugins
from robotrain.redaction import redact
from robotrain.store.files import DOTENV_FILES, find_project_file

if TYPE_CHECKING:
    from robotrain.config.env_files import VariableLayer
    from robotrain.config.project_file import Project
    from robotrain.config.request import JobFile

PLATFORM_ENV, PROFILE_ENV = make_variable_name("platform"), make_variable_name("profile")
NAMES_KEY, FILES_KEY, PROJECTS_KEY = "robotrain.names", "robotrain.files", "robotrain.projects"
PLACEHOLDERS = ("PLATFORM", "NAME")
"""What stands for the name of a platform in help and documents."""
ENGINES = (
    *("airflow", "argo", "aws", "docker", "gcp", "k8s", "kubeflow", "kubernetes", "lsf", "modal", "pbs", "ray"),
    *("runpod", "sagemaker", "skypilot", "ssh", "torchx", "vertex"),
)
"""Names of engines, clouds and tools, none of which is a kind of machine."""


class Choice(NamedTuple):
    """The workload, platform and job file that the arguments choose, which decide the options."""

    workload: str
    platform: str
    """Empty when none was chosen."""
    file: JobFile | None = None
    """The job file."""
    project: Project | None = None
    """The content of robotrain.toml."""
    origins: tuple[Origin, Origin] = (DEFAULT_ORIGIN, DEFAULT_ORIGIN)
    """Where the workload and the platform were chosen."""
    is_evaluated: bool = False
    """Whether the job's checkpoints are scored, so that it has the options of its evaluation too."""


def resolve_choice(values: Mapping[str, Any], words: Sequence[str], parent: Any) -> Choice:
    """Return the choice: argument, then job file, then environment, then robotrain.toml, then default."""
    path = next((word for word in words if is_job_file(word)), "")
    read: dict[str, JobFile] = parent.find_root().meta.setdefault(FILES_KEY, {})
    if path and path not in read:
        from robotrain.config import job_file

        read[path] = job_file.read_job_file(Path(path))
    file = read.get(path)
    project = _read_project(values.get("profile"), parent)
    plugins = get_plugins(parent)
    installed = plugins.list_names("workload")
    named = next((Value(word, Origin("argument")) for word in words if word in installed), None)
    if not named and file and file.workload:
        named = Value(file.workload, Origin("job file", Path(path).name))
    workload = named or (project.workload if project else None) or Value(plugins.default_workload(), DEFAULT_ORIGIN)
    platform = _find_option_value(values.get("platform"), "--platform", PLATFORM_ENV, parent) or (
        project.platform if project else None
    )
    platform = platform or Value("", DEFAULT_ORIGIN)
    return Choice(str(workload.value), str(platform.value), file, project, (workload.origin, platform.origin))


def read_given_parameters(typed: Mapping[str, str], file: JobFile | None) -> dict[str, str]:
    """Return the parameters that the command line gives, and below them those of the job file, as texts by name."""
    below = {name: str(value.value) for name, value in file.parameters.items() if value.value} if file else {}
    return {**below, **typed}


def is_evaluated(choice: Choice, typed: Mapping[str, str], plugins: Plugins) -> bool:
    """Return whether the command line or the job file asks for scores of the job's checkpoints."""
    workload = load_or_none(plugins.workload, choice.workload)
    given = read_given_parameters(typed, choice.file)
    return bool(workload and workload.evaluated_with and given.get(workload.evaluated_with, UNSET) != UNSET)


def is_job_file(word: str) -> bool:
    """Whether a word names a job file."""
    return word.endswith((".yaml", ".yml")) and not word.startswith("-")


def read_name_layers(parent: Any) -> tuple[VariableLayer, ...]:
    """Return the environment and the `.env` files of the working folder, read once."""
    from robotrain.config.env_files import read_dotenv_files, read_environment

    meta = parent.find_root().meta
    if NAMES_KEY not in meta:
        meta[NAMES_KEY] = (read_environment(), *read_dotenv_files(Path.cwd()))
    return tuple(meta[NAMES_KEY])


def _read_project(profile: object, parent: Any) -> Project | None:
    """Return robotrain.toml with the chosen profile, read once."""
    chosen = _find_option_value(profile, "--profile", PROFILE_ENV, parent)
    read: dict[Value | None, Project | None] = parent.find_root().meta.setdefault(PROJECTS_KEY, {})
    if chosen not in read:
        read[chosen] = None
        if chosen or find_project_file(Path.cwd()):
            from robotrain.config import project_file

            read[chosen] = project_file.load_project(Path.cwd(), chosen)
    return read[chosen]


def _find_option_value(flag_value: object, flag: str, name: str, parent: Any) -> Value | None:
    """Return the option's value, else that of the environment or of a `.env` file."""
    if isinstance(flag_value, str) and flag_value:
        return Value(flag_value, Origin("flag", flag))
    if text := os.environ.get(name):
        return Value(text, Origin("environment", name))
    if not any(Path(file).is_file() for file in DOTENV_FILES):  # spares most calls of help the import of their parser
        return None
    return next((value for layer in read_name_layers(parent) if (value := layer.find_first((name,)))), None)


def load_or_none(load: Callable[[str], Any], name: str) -> Any:
    """Load a plugin by name; None without a name, and for a plugin that fails, which the command reports later."""
    try:
        return load(name) if name else None
    except PluginError:
        return None


def load_named_plugin(plugins: Plugins, family: str, name: str, origin: Origin) -> Any:
    """Return the workload or platform of a name; raise Rejected with the nearest name when there is none."""
    try:
        return getattr(plugins, family)(name)
    except PluginError as error:
        raise Rejected([make_not_loaded_problem(family, name, error, plugins, origin)]) from None


def make_platform_missing_problem(plugins: Plugins) -> Problem:
    """Return the problem of a job without a platform."""
    installed = plugins.list_names("platform")
    why = f"Installed: {', '.join(installed) or 'none'}. ROBOTRAIN_PLATFORM sets one for every command."
    ways = [Suggestion("--platform NAME"), *(Suggestion(f"--platform {name}") for name in installed)]
    return make_usage_problem("platform-missing", "no platform was chosen", why=why, suggestions=ways)


def make_not_loaded_problem(
    family: str,
    name: str,
    error: PluginError,
    plugins: Plugins,
    origin: Origin,
    alternatives: tuple[Suggestion, ...] = (),
) -> Problem:
    """Return the problem of a workload or platform that is not installed or fails to load.

    :param alternatives: what else the name may stand for, unless another name is near.
    """
    (problem,) = error.problems
    if family == "platform" and name in PLACEHOLDERS:
        missing = make_platform_missing_problem(plugins)
        title = f"{name} stands for the name of a platform"
        return dataclasses.replace(missing, code="platform-not-loaded", title=title, where=origin.where, given=name)
    others = [] if origin == DEFAULT_ORIGIN else [known for known in plugins.list_names(family) if known != name]
    is_option = family == "platform" and origin.layer != "argument"
    near = suggest_name(name, others, prefix="--platform " if is_option else "")
    ways = problem.suggestions
    if error.misspelled:
        ways = near or (*alternatives, *problem.suggestions)
    why = f"robotrain itself brings no platform for {name}." if name.lower() in ENGINES else ""
    code = f"{family}-not-loaded"
    return dataclasses.replace(problem, code=code, where=origin.where, given=redact(name), why=why, suggestions=ways)


def suggest_platform_settings(flag: str, value: str, plugins: Plugins) -> tuple[Suggestion, ...]:
    """Suggest the platform settings that other tools call `flag`, with the given value if no engine has that name."""
    if value.lower() in ENGINES:
        return ()
    text = shlex.quote(redact(value))
    return tuple(
        Suggestion(f"--platform {name} {parameter.flag} {text}", "if you mean the kind of machine")
        for name, platform in plugins.platforms().items()
        for parameter in get_parameters(platform.settings)
        if parameter.param.foreign_flag == flag
    )
