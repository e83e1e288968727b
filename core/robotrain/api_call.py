"""The job that a call of the Python API asks for: its values by the names of the options, resolved and checked."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from robotrain.config import job_file
from robotrain.config.assignments import NamedValues
from robotrain.config.request import Request
from robotrain.config.selection import Surroundings, read_surroundings
from robotrain.config.terraform import TerraformLayer
from robotrain.config.unknown_keys import find_unknown_tables
from robotrain.config.validate import format_scalar
from robotrain.config.values import CALL_NAME, Value
from robotrain.errors import Problem, Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.model.job import TRAINER_ARGS
from robotrain.model.platform import Platform
from robotrain.model.source import SourceKind
from robotrain.model.workload import Workload
from robotrain.plugins.manager import Plugins
from robotrain.submission import prepare

make_problem = Messages(__file__)

CALL = "call", ""
"""The layer of the values of a call, and what stands before their names."""
PARAMS = "params"
"""The argument with the parameters of the user's own."""
JobFilePath = str | Path | None


def prepare_call(
    plugins: Plugins,
    job: JobFilePath,
    value_by_option: Mapping[str, Any],
    *,
    platform_name: str,
    workload_name: str,
    profile: str,
    trainer_args: Iterable[str] | None,
    run_name: str = "",
    purpose: prepare.Purpose = "explain",
) -> prepare.PreparedJob:
    """Resolve and check the job of a call. Raise Rejected with all problems.

    :param value_by_option: parameters, settings and sources by the names of their options.
    """
    file = job_file.read_job_file(Path(job)) if job is not None else None
    surroundings = read_surroundings(platform_name, profile, *CALL)
    files = (file,) if file else ()
    workload_value = surroundings.find_workload(files)
    selected_workload = workload_name or (str(workload_value.value) if workload_value else "")
    workload = plugins.workload(selected_workload or plugins.default_workload())
    platform = load_platform(surroundings, plugins)
    request = Request(
        files=files,
        surroundings=surroundings,
        terraform=TerraformLayer(surroundings),
        name=Value(run_name, CALL_NAME) if run_name else None,
    )
    call_values = {**value_by_option, TRAINER_ARGS: trainer_args}
    request, problems = add_values(request, call_values, workload, platform, plugins.source_kinds())
    problems += find_unknown_tables(files, surroundings.project, plugins)
    problems += [] if selected_workload else plugins.default_problems()
    prepared = prepare.prepare_job(request, workload, platform, plugins, tuple(problems), purpose=purpose)
    name = workload.evaluated_with
    if name and dict(prepared.job.parameters)[name] is not None:
        raise Rejected([make_problem("options-conflict.evaluation-in-call", where=name, name=name.replace("_", "-"))])
    return prepared


def add_values(
    request: Request,
    value_by_option: Mapping[str, Any],
    workload: Workload,
    platform: Platform,
    kinds: Mapping[str, SourceKind],
    prefix: str = "",
) -> tuple[Request, list[Problem]]:
    """Return the request with values of a call, and a problem for each name that nothing has, or whose value is not of
    the form that it takes.

    :param value_by_option: by the names of their options; None is no value.
    :param prefix: what stands before each name in messages: a step of a pipeline, with a dot.
    """
    named = NamedValues(request, workload, platform, kinds, CALL[0], prefix)
    source_options = list_source_options(workload, kinds)
    for name, value in value_by_option.items():
        if value is None:
            continue
        if name in source_options:
            texts = value if isinstance(value, Iterable) and not isinstance(value, str) else [value]
            for text in texts:
                named.add_source(name, *source_options[name], str(text))
        elif name == PARAMS and isinstance(value, Mapping) and workload.own_command:
            for key, item in value.items():
                named.add(f"{PARAMS}.{key}", format_scalar(item))
        elif name == PARAMS and workload.own_command:
            named.add_problem("value-invalid.params", name)
        elif name == "config":
            named.values[name] = Value(str(value), named.make_origin(name))
        else:
            named.add(name, value, (*source_options, *[PARAMS] * bool(workload.own_command)))
    return named.make_request(), named.problems


def list_source_options(
    workload: Workload, kinds: Mapping[str, SourceKind]
) -> Mapping[str, tuple[str, tuple[str, ...]]]:
    """Return the role that each option of sources is of, and the kinds that share it, by its name."""
    options: dict[str, tuple[str, tuple[str, ...]]] = {}
    for role in workload.roles:
        for kind in kinds.values():
            if role in kind.roles:
                name = kind.roles[role].flag.strip("-").replace("-", "_")
                options[name] = role, (*options.get(name, ("", ()))[1], kind.name)
    return options


def load_platform(surroundings: Surroundings, plugins: Plugins) -> Platform:
    """Return the chosen platform. Raise Rejected if none is."""
    if surroundings.platform is not None:
        return plugins.platform(str(surroundings.platform.value))
    suggestions = tuple(Suggestion(f"platform={name!r}") for name in plugins.list_names("platform"))
    raise Rejected([make_problem("platform-missing.call", *suggestions)])
