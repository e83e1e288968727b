"""The job that a call of the Python API asks for: its values by the names of the options, resolved and checked."""

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from robotrain.config import job_file
from robotrain.config.names import Names
from robotrain.config.request import Request
from robotrain.config.selection import Surroundings, read_surroundings
from robotrain.config.terraform import TerraformLayer
from robotrain.config.unknown_keys import find_unknown_tables
from robotrain.config.validate import format_scalar
from robotrain.config.values import CALL_NAME, Origin, SourceText, Value, prefix_names
from robotrain.errors import Problem, Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.model.job import TRAINER_ARGS
from robotrain.model.platform import Platform
from robotrain.model.source import SourceKind
from robotrain.model.workload import Workload
from robotrain.nearest_name import suggest_name
from robotrain.plugins.manager import Plugins
from robotrain.redaction import redact
from robotrain.submission import prepare

make_problem = Messages(__file__)

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
    is_sent: bool = False,
) -> prepare.PreparedJob:
    """Resolve and check the job of a call. Raise Rejected with all problems.

    :param value_by_option: parameters, settings and sources by the names of their options.
    :param is_sent: whether it is to be submitted.
    """
    file = job_file.read_job_file(Path(job)) if job is not None else None
    surroundings = read_call_surroundings(platform_name, profile)
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
    prepared = prepare.prepare_job(request, workload, platform, plugins, tuple(problems), is_sent=is_sent)
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
    """Return the request with values of a call, and a problem for each name that nothing has. Raise Rejected for a
    value that is not of the form that its name takes.

    :param value_by_option: by the names of their options; None is no value.
    :param prefix: what stands before each name in messages: a step of a pipeline, with a dot.
    """
    value_by_option = {name: value for name, value in value_by_option.items() if value is not None}
    name_table = Names(workload, platform)
    valid_names = dict(_list_known_names(name_table, workload, kinds))
    arguments = _read_trainer_args(value_by_option.get(TRAINER_ARGS), prefix)
    new_values = prefix_names(
        "params", _read_params(value_by_option.get(PARAMS), prefix) if workload.own_command else {}
    )
    problems = []
    for name, value in value_by_option.items():
        full_name, *other_names = name_table.find(name) or [""]
        if other_names:
            problems.append(_make_ambiguous_problem(f"{prefix}{name}", [full_name, *other_names]))
        elif full_name:
            new_values[full_name] = Value(value, Origin("call", f"{prefix}{name}"))
    if value_by_option.get("config"):
        new_values["config"] = Value(str(value_by_option["config"]), Origin("call", f"{prefix}config"))
    line_layer = request.line._replace(
        values={**request.line.values, **new_values},
        sources=(*request.line.sources, *_collect_sources(value_by_option, valid_names, prefix)),
        arguments=request.line.arguments if arguments is None else arguments,
    )
    title = f"{workload.name} on {platform.name} has no value"
    unknown = (name for name in value_by_option if name not in valid_names)
    problems += [_make_unknown_problem(title, name, valid_names, name_table, prefix) for name in unknown]
    return dataclasses.replace(request, line=line_layer), problems


def read_call_surroundings(platform: str, profile: str) -> Surroundings:
    """Return what all jobs of the working folder share, with the platform and the profile of a call."""
    options = (("platform", platform), ("profile", profile))
    return read_surroundings(
        *(Value(option_text, Origin("call", name)) if option_text else None for name, option_text in options)
    )


def load_platform(surroundings: Surroundings, plugins: Plugins) -> Platform:
    """Return the chosen platform. Raise Rejected if none is."""
    if surroundings.platform is not None:
        return plugins.platform(str(surroundings.platform.value))
    suggestions = tuple(Suggestion(f"platform={name!r}") for name in plugins.list_names("platform"))
    raise Rejected([make_problem("platform-missing.call", *suggestions)])


def _read_trainer_args(arguments: Iterable[str] | None, prefix: str) -> tuple[Value, ...] | None:
    """Return the trainer's arguments. Raise Rejected for a single text instead of a list."""
    if not isinstance(arguments, str):
        origin = Origin("call", f"{prefix}{TRAINER_ARGS}")
        return None if arguments is None else tuple(Value(argument, origin) for argument in arguments)
    raise Rejected([make_problem("value-invalid.trainer-args")])


def _list_known_names(
    name_table: Names, workload: Workload, kinds: Mapping[str, SourceKind]
) -> Iterator[tuple[str, tuple[str, str, tuple[str, ...]] | None]]:
    """Yield all names of values; for a source with its role, flag and the kinds that share the flag."""
    yield from (
        (name, None) for full_name, parameter in name_table.parameters.items() for name in (parameter.name, full_name)
    )
    for role in workload.roles:
        flags = dict.fromkeys(kind.roles[role].flag for kind in kinds.values() if role in kind.roles)
        for flag in flags:
            sharing_kinds = [
                name for name, kind in kinds.items() if role in kind.roles and kind.roles[role].flag == flag
            ]
            yield flag.strip("-").replace("-", "_"), (role, flag, tuple(sharing_kinds))
    if workload.read_config:
        yield "config", None
    if workload.own_command:
        yield PARAMS, None
    yield TRAINER_ARGS, None


def _read_params(params: Mapping[str, Any] | None, prefix: str) -> dict[str, Value]:
    """Return the user's own parameters. Raise Rejected unless they are a mapping."""
    if params is None or isinstance(params, Mapping):
        return {
            str(name): Value(format_scalar(value), Origin("call", f"{prefix}{PARAMS}[{name!r}]"))
            for name, value in (params or {}).items()
        }
    raise Rejected([make_problem("value-invalid.params")])


def _collect_sources(
    value_by_option: Mapping[str, Any], valid_names: Mapping[str, Any], prefix: str
) -> Iterator[SourceText]:
    for name, argument in value_by_option.items():
        if not valid_names.get(name):
            continue
        role, _, kinds = valid_names[name]
        origin = Origin("call", f"{prefix}{name}")
        for source_text in [argument] if isinstance(argument, str | PathLike) else argument:
            yield SourceText(role=role, kinds=kinds, text=str(source_text), origin=origin, base=Path.cwd())


def _make_ambiguous_problem(name: str, fitting_names: Sequence[str]) -> Problem:
    ways = [Suggestion(f"**{{{full_name!r}: …}}") for full_name in fitting_names]
    return make_problem("set-ambiguous.call", *ways, where=name)


def _make_unknown_problem(title: str, name: str, valid_names: Mapping[str, Any], names: Names, prefix: str) -> Problem:
    shown_name = re.sub(r"[^\w<>-]", "?", redact(name))
    location = f"{prefix}{shown_name}" if prefix else ""
    ways = suggest_name(names.find_short(name) or name, valid_names)
    return make_problem("value-unknown.call", *ways, where=location, title=title, shown=shown_name)
