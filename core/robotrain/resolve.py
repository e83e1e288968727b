"""From a request to a job: flag > job file > environment > .env.local > .env > default; each value coerced once."""

import dataclasses
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from robotrain_runtime.parameter import Parameter, parameters_of

from robotrain.coerce import coerce, scalars
from robotrain.inputs import Inputs, gather
from robotrain.job import Job
from robotrain.job_file import JobFile
from robotrain.layers import NameLayer
from robotrain.nearest import offer
from robotrain.platforms import Platform
from robotrain.problem import Instead, Problem, Stage, errors
from robotrain.provenance import DEFAULT, Origin, Value
from robotrain.redaction import holds_secret, redact
from robotrain.request import Request
from robotrain.source import SourceKind
from robotrain.workload import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """A settled job and how it came to be: the winning raw value of each field, and of each trainer argument."""

    job: Job
    settings: Any
    parameters: Mapping[str, Value]
    platform_settings: Mapping[str, Value]
    trainer_args: tuple[Value, ...]
    replaced_args: tuple[Value, ...]
    inputs: Inputs
    problems: tuple[Problem, ...]


def resolve(request: Request, workload: Workload, platform: Platform, kinds: Mapping[str, SourceKind]) -> Resolution:
    """Settle every value. What does not fit is among the problems, its default in its place."""
    file = request.file
    in_file = file.parameters if file else {}
    for_platform = file.platforms.get(platform.name, {}) if file else {}
    parameters = layered(workload.parameters, [request.parameters, in_file], request.names)
    for_platform = anchored(platform.settings, for_platform, file)
    settings = layered(platform.settings, [request.settings, for_platform], request.names)
    typed_parameters, wrong_parameters = coerce(workload.parameters, parameters)
    typed_settings, wrong_settings = coerce(platform.settings, settings)
    inputs = gather(request, workload.roles, kinds)
    arguments = trainer_arguments(request)
    job = Job(
        workload=workload.name,
        parameters=scalars(typed_parameters),
        sources=tuple(one.document for one in inputs.chosen),
        trainer_args=tuple(str(argument.value) for argument in arguments),
    )
    problems = [
        *(file.problems if file else ()),
        *(problem for layer in request.names for problem in layer.problems),
        *_unknown_fields(in_file, workload.parameters, f"workload {workload.name}"),
        *_unknown_fields(for_platform, platform.settings, f"platform {platform.name}"),
        *inputs.problems,
        *wrong_parameters,
        *wrong_settings,
        *_missing(inputs, workload, platform, kinds, file),
        *_misplaced(arguments, workload, platform, request.flags),
        *_secrets(arguments),
    ]
    return Resolution(
        job=job,
        settings=typed_settings,
        parameters=parameters,
        platform_settings=settings,
        trainer_args=arguments,
        replaced_args=(file.trainer_args if file and request.trainer_args is not None else None) or (),
        inputs=inputs,
        problems=tuple(problems),
    )


def layered(declared: type, fields: Sequence[Mapping[str, Value]], names: Sequence[NameLayer]) -> dict[str, Value]:
    """The winning value of each parameter of `declared`, with those it overrode."""
    found = {}
    for parameter in parameters_of(declared):
        said = [*_said(parameter, fields, names), Value(parameter.default, DEFAULT)]
        found[parameter.name] = Value(said[0].value, said[0].origin, tuple(said[1:]))
    return found


def anchored(declared: type, values: Mapping[str, Value], file: JobFile | None) -> Mapping[str, Value]:
    """The values of a job file, with its relative paths starting from its folder."""
    paths = {parameter.name for parameter in parameters_of(declared) if parameter.param.path}
    return {
        name: dataclasses.replace(value, value=os.path.join(file.folder, os.path.expanduser(value.value)))
        if file and name in paths and value.value
        else value
        for name, value in values.items()
    }


def _said(parameter: Parameter, fields: Sequence[Mapping[str, Value]], names: Sequence[NameLayer]) -> Iterator[Value]:
    for layer in fields:
        if (value := layer.get(parameter.name)) and value.value != "":
            yield value
    for named in names:
        if value := named.first(parameter.env):
            yield value


def trainer_arguments(request: Request) -> tuple[Value, ...]:
    """What goes to the trainer as it is: those after `--` replace those of the job file."""
    if request.trainer_args is not None:
        return tuple(Value(argument, Origin("flag", "after --")) for argument in request.trainer_args)
    return (request.file.trainer_args if request.file else None) or ()


def _unknown_fields(given: Mapping[str, Value], declared: type, owner: str) -> Iterator[Problem]:
    known = {parameter.name: parameter.name for parameter in parameters_of(declared)}
    spelt = {flag.lstrip("-").replace("-", "_"): p.name for p in parameters_of(declared) for flag in p.flags} | known
    for name, value in given.items():
        if name not in known:
            yield Problem(
                code="job-file-unknown-key",
                stage=Stage.PARSE,
                title=f"{owner} has no setting {redact(name)!r}",
                where=value.origin.where,
                instead=offer(spelt.get(name, name), known),
            )


def _missing(
    inputs: Inputs,
    workload: Workload,
    platform: Platform,
    kinds: Mapping[str, SourceKind],
    file: JobFile | None,
) -> Iterator[Problem]:
    """Roles that nobody filled; not where somebody tried, and what is wrong with that is said already."""
    tried = bool(errors((*inputs.problems, *(file.problems if file else ()))))
    for role, rule in workload.roles.items():
        if not rule.required or tried or any(one.role == role for one in inputs.chosen):
            continue
        fitting = [kinds[name] for name in platform.capabilities.kinds(role) if name in kinds]
        yield Problem(
            code="source-missing",
            stage=Stage.RESOLVE,
            title=f"{workload.name} needs a {role}",
            instead=tuple(Instead(f"{kind.roles[role].flag} {kind.form}", kind.help) for kind in fitting),
        )


def _misplaced(
    arguments: Sequence[Value], workload: Workload, platform: Platform, flags: Collection[str]
) -> Iterator[Problem]:
    """Trainer arguments that robotrain sets itself, or that are options of robotrain on the wrong side of `--`."""
    own = dict.fromkeys(flags, "robotrain")
    own |= {flag: "workload " + workload.name for p in parameters_of(workload.parameters) for flag in p.flags}
    own |= {flag: "platform " + platform.name for p in parameters_of(platform.settings) for flag in p.flags}
    for argument in arguments:
        name = str(argument.value).partition("=")[0]
        if name in workload.owned:
            yield _refused_argument("owned", f"robotrain sets {name} itself", argument, Instead(workload.owned[name]))
        elif name in platform.declined and name not in own:
            title = f"{name} is no option of the trainer, and {platform.name} takes none of that name"
            yield _refused_argument("misplaced", title, argument, why=platform.declined[name])
        elif name in own:
            title = f"{name} is an option of {own[name]}, not of the trainer"
            yield _refused_argument("misplaced", title, argument, Instead(name, "before --"))


def _refused_argument(kind: str, title: str, argument: Value, *ways: Instead, why: str = "") -> Problem:
    return Problem(
        code=f"trainer-arg-{kind}",
        stage=Stage.RESOLVE,
        title=title,
        where=argument.origin.where,
        given=str(argument.value).partition("=")[0],
        why=why,
        instead=ways,
    )


def _secrets(arguments: Sequence[Value]) -> Iterator[Problem]:
    for argument in arguments:
        if holds_secret(str(argument.value)):
            yield Problem(
                code="secret-in-job",
                stage=Stage.RESOLVE,
                title="an argument of the trainer holds what looks like a secret",
                where=argument.origin.where,
                given=redact(str(argument.value)),
                why="A job is written into plans and records in the clear.",
            )
