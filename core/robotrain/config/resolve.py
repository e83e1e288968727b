"""Resolution of a request to a job: the first value wins, is converted once, and keeps its origin."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.parameter import get_parameters
from robotrain_runtime.contract.secret_rules import find_secret_arguments

from robotrain.config import managed_options
from robotrain.config.merge import LayerStack, find_destinations, list_layers, make_platform_layer
from robotrain.config.request import Request
from robotrain.config.source_weights import take_weights
from robotrain.config.sources import JobInputs, collect_sources
from robotrain.config.trainer_args import collect_trainer_args, complete_command
from robotrain.config.unknown_keys import find_unknown_keys
from robotrain.config.validate import list_fields, validate_values
from robotrain.config.values import (
    CALL_NAME,
    DEFAULT_ORIGIN,
    FLAG_NAME,
    FOLDER_LAYERS,
    SECRET_WAY,
    Layer,
    Origin,
    Value,
)
from robotrain.errors import Problem, Suggestion, select_errors
from robotrain.messages import Messages
from robotrain.model.job import NAME_PARAMETER, Job
from robotrain.model.platform import IMAGE_SETTING, Platform
from robotrain.model.source import SourceKind
from robotrain.model.workload import Workload
from robotrain.redaction import redact, redact_argument

make_problem = Messages(__file__)

OFF_VALUES = ("0", "false", "no", "off", "none")


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """A resolved job with the origin of its values."""

    job: Job
    settings: Any
    parameters: Mapping[str, Value]
    """The winning raw values."""
    platform_settings: Mapping[str, Value]
    trainer_args: tuple[Value, ...]
    inputs: JobInputs
    problems: tuple[Problem, ...]
    unread: frozenset[str] = frozenset()
    """The parameters, settings and roles with an invalid value."""
    unset: frozenset[str] = frozenset()
    """The parameters and settings that are unset on purpose: `--publish-url none`."""
    workload: Workload
    """With the user's own parameters."""


def resolve_job(
    request: Request, workload: Workload, platform: Platform, kinds: Mapping[str, SourceKind]
) -> Resolution:
    """Resolve every value. An invalid one is replaced by its default and reported in the problems."""
    request = complete_command(request, workload)
    own_problems: Sequence[Problem] = ()
    if any(key.startswith("params.") for layer in request.layers for key in layer.values):
        from robotrain.config import own_parameters  # costs start-up

        request, workload, own_problems = own_parameters.apply_params(request, workload, platform)
    config = _read_config(request, workload)
    of_platform = f"platforms.{platform.name}"
    layers, weight_problems = take_weights([*list_layers(request, workload, platform, kinds, config)], workload.roles)
    stack = LayerStack(request, layers)
    settings = stack.merge_values(platform.settings, of_platform)
    typed_settings, settings_problems, invalid_settings = validate_values(platform.settings, settings)
    is_unchanged = request.complete and not request.line.select(of_platform)
    chosen = {} if is_unchanged or settings_problems else make_platform_layer(platform, typed_settings)
    parameters = stack.merge_values(workload.parameters, "parameters", (chosen, request.defaults))
    labels = _apply_label(parameters, request.name)
    typed_parameters, parameter_problems, invalid_parameters = validate_values(workload.parameters, parameters)
    fields = list_fields(typed_parameters)
    inputs = collect_sources(request, layers, workload.roles, kinds, platform.capabilities, dict(fields))
    arguments = collect_trainer_args(request, workload, config)
    layer_problems = list(stack.problems())
    job = Job(
        workload=workload.name,
        parameters=fields,
        sources=tuple(chosen.job_source for chosen in inputs.chosen),
        trainer_args=tuple(str(argument.value) for argument in arguments),
        profile=workload.profile,
        labels=labels,
        title=_find_title(workload, typed_parameters),
    )
    followed_values = _follow_runs(job, inputs, workload, kinds).items()
    followed_defaults = {name: default for name, default in followed_values if name not in stack.unset}
    by_image = workload.derive_image_defaults(str(getattr(typed_settings, IMAGE_SETTING, None) or ""))
    job = _fill_defaults(job, parameters, {**by_image, **followed_defaults})
    job = _fill_defaults(job, parameters, workload.derive_defaults(job))
    if workload.derive_profile is not None:
        job = dataclasses.replace(job, profile=workload.derive_profile(job))
    described = [layer for layer in (*request.files, config) if layer]
    file_problems = [problem for layer in described for problem in layer.problems]
    groups = ((workload.parameters, parameters), (platform.settings, settings))
    problems = [
        *file_problems,
        *request.surroundings.list_problems(),
        *own_problems,
        *find_unknown_keys(request, workload, platform),
        *inputs.problems,
        *weight_problems,
        *layer_problems,
        *parameter_problems,
        *settings_problems,
        *_find_missing_sources(inputs, workload, platform, kinds, request, file_problems),
        *managed_options.find_misplaced_args(arguments, inputs, workload, platform, request),
        *_find_secrets([*(layer.arguments or () for layer in described), arguments], workload),
        *_list_chosen_by_files(request, inputs, platform, *groups),
        *_list_noted_defaults(*groups),
    ]
    return Resolution(
        job=job,
        settings=typed_settings,
        parameters=parameters,
        platform_settings=settings,
        trainer_args=arguments,
        inputs=inputs,
        problems=tuple(problems),
        unread=request.unread | inputs.unread | stack.unread | invalid_settings | invalid_parameters,
        unset=frozenset(stack.unset),
        workload=workload,
    )


def _fill_defaults(job: Job, parameters: dict[str, Value], defaults: Mapping[str, tuple[Any, str]]) -> Job:
    """Return a job with defaults, each with its owner, of the `parameters` that nobody gave another value."""
    for name, (default, owner) in defaults.items():
        if parameters[name].origin == DEFAULT_ORIGIN:
            parameters[name] = Value(default, Origin(DEFAULT_ORIGIN.layer, owner))
            job = job.with_parameter(name, default)
    return job


def _follow_runs(
    job: Job, inputs: JobInputs, workload: Workload, kinds: Mapping[str, SourceKind]
) -> dict[str, tuple[Any, str]]:
    """Return the defaults that a job takes over from the runs that its sources name."""
    followed_values: dict[str, tuple[Any, str]] = {}
    for job_input in inputs.chosen if workload.follow_run else ():
        for name in job_input.text.kinds if job_input.text else ():
            assert job_input.text is not None
            assert workload.follow_run is not None
            if earlier_job := kinds[name].find_job(job_input.text.text):
                followed_values = {**workload.follow_run(job, earlier_job), **followed_values}  # the first one decides
    return followed_values


def _apply_label(parameters: dict[str, Value], label: Value | None) -> tuple[tuple[str, Any], ...]:
    """Give tracking the name of the run unless the same line sets another; return what it was, for the job's digest."""
    earlier_value = parameters.get(NAME_PARAMETER)
    if not label or not earlier_value or earlier_value.origin.layer in (FLAG_NAME.layer, CALL_NAME.layer):
        return ()
    parameters[NAME_PARAMETER] = label
    return ((NAME_PARAMETER, None if earlier_value.value is None else str(earlier_value.value)),)


def _find_title(workload: Workload, parameters: Any) -> str:
    """Return the name that a user gave the job; empty for the default of the workload."""
    parameter = next(
        (parameter for parameter in get_parameters(workload.parameters) if parameter.name == NAME_PARAMETER), None
    )
    name = getattr(parameters, NAME_PARAMETER, None)
    return "" if parameter is None or name in (None, parameter.default) else str(name)


def _read_config(request: Request, workload: Workload) -> Layer | None:
    """Return what the workload's own configuration file says, if the request or the job file names one."""
    config = request.find("config")
    if config is None:
        return None
    from robotrain.config.job_file import read_workload_config  # costs start-up

    return read_workload_config(workload, config)


def _find_missing_sources(
    inputs: JobInputs,
    workload: Workload,
    platform: Platform,
    kinds: Mapping[str, SourceKind],
    request: Request,
    file_problems: Sequence[Problem],
) -> Iterator[Problem]:
    """Yield problems for required roles without a source, unless an invalid source is reported already."""
    reported = bool(select_errors((*inputs.problems, *file_problems)))
    filled_roles = {*request.unread, *(source.role for source in inputs.chosen)}
    for role, rule in workload.roles.items():
        if not rule.required or reported or role in filled_roles:
            continue
        runs = [kind for kind in kinds.values() if role in kind.roles and kind.all_checkpoints]  # another kind reads it
        fitting_kinds = [*runs, *platform.capabilities.list_accepted_kinds(role, kinds)]
        yield make_problem(
            "source-missing",
            *(Suggestion(f"{kind.roles[role].flag} {kind.get_form(role)}", kind.help) for kind in fitting_kinds),
            absent=(role,),
            name=workload.name,
            role=role,
        )


def _find_secrets(argument_groups: Sequence[Sequence[Value]], workload: Workload) -> Iterator[Problem]:
    """Yield a problem for each secret among arguments: of each file, also if others replace them, and of the job."""
    reported = list[Value]()
    ways = (Suggestion(SECRET_WAY, "the program reads it from its environment"),) if workload.own_command else ()
    for arguments in argument_groups:
        argument_texts = [str(argument.value) for argument in arguments]
        positions = [index for index in find_secret_arguments(argument_texts) if arguments[index] not in reported]
        reported += [arguments[index] for index in positions]
        for index in positions:
            yield make_problem(
                "secret-in-job",
                *ways,
                where=arguments[index].origin.where,
                given=redact_argument(argument_texts, index),
                what=f"an argument of {workload.program}",
            )


def _list_chosen_by_files(
    request: Request, inputs: JobInputs, platform: Platform, *groups: tuple[type, Mapping[str, Value]]
) -> Iterator[Problem]:
    """Yield a note with the accounts, addresses and outside folders that files of the project chose, not the user.

    A folder counts only where what is in it leaves this machine.
    """
    stays_here = bool(platform.capabilities.feature("runs_here"))
    choice_lines = [
        f"{flag} {value.value} ({value.origin.where})"
        for declared_type, values in groups
        for flag, value in find_destinations(values, declared_type)
    ]
    project = next((layer.folder for layer in request.files if layer.folder), Path.cwd())
    for job_input in inputs.chosen:
        path = str(job_input.source)
        is_outside = os.path.isabs(path) and os.path.commonpath([path, project]) != str(project)
        if is_outside and not stays_here and job_input.origin.layer in FOLDER_LAYERS:
            choice_lines.append(f"{job_input.source.kind} {path} ({job_input.origin.where})")
    if choice_lines:
        reason = "\n".join(map(redact, choice_lines))
        yield make_problem("chosen-by-file", why=reason)


def _list_noted_defaults(*groups: tuple[type, Mapping[str, Value]]) -> Iterator[Problem]:
    """Yield the note of each parameter that declares one for a value that was not given."""
    for declared_type, values in groups:
        for parameter in get_parameters(declared_type):
            reason = parameter.param.default_note
            if reason and values[parameter.name].origin == DEFAULT_ORIGIN:
                ways = [Suggestion(f"{parameter.flag} {parameter.metavar}")]
                ways += [Suggestion(f"{name}={parameter.metavar}") for name in parameter.param.env[:1]]
                yield make_problem("default-used", *ways, flag=parameter.flag, default=parameter.default, why=reason)
