"""From a request to a job: flag > job file > environment > .env.local > .env > robotrain.toml > Terraform's outputs >
what can be looked up here > the platform's default > default.

Each value is coerced once, whichever of them said it.
"""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from robotrain_runtime.parameter import parameters_of

from robotrain.coerce import coerce, scalars
from robotrain.inputs import Inputs, gather
from robotrain.job import Job
from robotrain.nearest import offer
from robotrain.problem import Instead, Problem, Stage, errors
from robotrain.provenance import Origin, Value
from robotrain.redaction import holds_secret, redact
from robotrain.stack import Stack, of_platform

if TYPE_CHECKING:
    from robotrain.platforms import Platform
    from robotrain.project import Project
    from robotrain.request import Request
    from robotrain.source import SourceKind
    from robotrain.workload import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """A settled job and how it came to be: the winning raw value of each field, and of each trainer argument.

    unread: the parameters and roles for which something was given that could not be read.
    """

    job: Job
    settings: Any
    parameters: Mapping[str, Value]
    platform_settings: Mapping[str, Value]
    trainer_args: tuple[Value, ...]
    replaced_args: tuple[Value, ...]
    inputs: Inputs
    problems: tuple[Problem, ...]
    unread: frozenset[str] = frozenset()


def resolve(request: Request, workload: Workload, platform: Platform, kinds: Mapping[str, SourceKind]) -> Resolution:
    """Settle every value. What does not fit is among the problems, its default in its place."""
    file, project = request.file, request.project
    in_file = file.parameters if file else {}
    for_platform = file.platforms.get(platform.name, {}) if file else {}
    in_workload = project.parameters(workload.name) if project else []
    in_platform = project.settings(platform.name) if project else []
    stack = Stack(request)
    settings = stack.values(platform.settings, request.settings, for_platform, in_platform)
    typed_settings, wrong_settings = coerce(platform.settings, settings)
    as_sent = request.settled and not request.settings
    weakest = [] if as_sent or wrong_settings else of_platform(platform, typed_settings)
    weakest += [lambda parameter: request.unsaid.get(parameter.name)]
    parameters = stack.values(workload.parameters, request.parameters, in_file, in_workload, weakest)
    typed_parameters, wrong_parameters = coerce(workload.parameters, parameters)
    inputs = gather(request, workload.roles, kinds, platform.capabilities)
    arguments = trainer_arguments(request)
    wrong_layers = list(stack.problems())
    job = Job(
        workload=workload.name,
        parameters=scalars(typed_parameters),
        sources=tuple(one.document for one in inputs.chosen),
        trainer_args=tuple(str(argument.value) for argument in arguments),
        profile=workload.profile,
    )
    problems = [
        *(file.problems if file else ()),
        *(problem for layer in request.names for problem in layer.problems),
        *(project.problems if project else ()),
        *_unknown_fields([in_file], workload.parameters, f"workload {workload.name}"),
        *_unknown_fields([for_platform], platform.settings, f"platform {platform.name}"),
        *(_of_project(project, workload, platform) if project else ()),
        *inputs.problems,
        *wrong_layers,
        *wrong_parameters,
        *wrong_settings,
        *_missing(inputs, workload, platform, kinds, request),
        *_misplaced(arguments, workload, platform, request.flags),
        *_secrets(arguments, workload),
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
        unread=request.unread | inputs.unread | _unread(parameters, wrong_parameters) | _unread(in_file, wrong_layers),
    )


def _unread(given: Mapping[str, Value], wrong: Sequence[Problem]) -> frozenset[str]:
    """The parameters whose values are among what is wrong, told by where they were said."""
    places = {problem.where for problem in wrong if problem.where}
    return frozenset(name for name, one in given.items() if (one.origin.where or one.origin.layer) in places)


def trainer_arguments(request: Request) -> tuple[Value, ...]:
    """What goes to the trainer as it is: those said now replace those of the job file."""
    if request.trainer_args is not None:
        after = Origin("flag", "after --")
        return tuple(one if isinstance(one, Value) else Value(one, after) for one in request.trainer_args)
    return (request.file.trainer_args if request.file else None) or ()


def _of_project(project: Project, workload: Workload, platform: Platform) -> Iterator[Problem]:
    """Keys of robotrain.toml that the workload and the platform it names do not have."""
    tables = [level.workloads.get(workload.name, {}) for level in project.levels]
    yield from _unknown_fields(tables, workload.parameters, f"workload {workload.name}", "project")
    yield from _unknown_fields(
        project.settings(platform.name), platform.settings, f"platform {platform.name}", "project"
    )


def _unknown_fields(
    tables: Sequence[Mapping[str, Value]], declared: type, owner: str, file: str = "job"
) -> Iterator[Problem]:
    known = [parameter.name for parameter in parameters_of(declared)]
    for table in tables:
        for name, value in table.items():
            if name not in known:
                yield Problem(
                    code=f"{file}-file-unknown-key",
                    stage=Stage.PARSE,
                    title=f"{owner} has no setting {redact(name)!r}",
                    where=value.origin.where,
                    instead=offer(field_of(name, declared) or name, known),
                )


def field_of(spelling: str, declared: type) -> str | None:
    """The field that a flag's spelling names: `training_steps` of `steps`, `--steps` or `training-steps`."""
    wanted = spelling.lstrip("-").replace("-", "_")
    for parameter in parameters_of(declared):
        if wanted in (parameter.name, *(flag.lstrip("-").replace("-", "_") for flag in parameter.flags)):
            return parameter.name
    return None


def _missing(
    inputs: Inputs,
    workload: Workload,
    platform: Platform,
    kinds: Mapping[str, SourceKind],
    request: Request,
) -> Iterator[Problem]:
    """Roles that nobody filled; not where somebody tried, and what is wrong with that is said already."""
    tried = bool(errors((*inputs.problems, *(request.file.problems if request.file else ()))))
    for role, rule in workload.roles.items():
        if not rule.required or tried or role in request.unread or any(one.role == role for one in inputs.chosen):
            continue
        fitting = platform.capabilities.accepted(role, kinds)
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
    hints = {**workload.option_hints, **platform.declined}
    for argument in arguments:
        name = str(argument.value).partition("=")[0]
        if name in workload.owned:
            yield _refused_argument("owned", f"robotrain sets {name} itself", argument, Instead(workload.owned[name]))
        elif name in hints and name not in own:
            where = platform.name if name in platform.declined else workload.name
            title = f"{name} is no option of {workload.program}, and {where} takes none of that name"
            yield _refused_argument("misplaced", title, argument, why=hints[name])
        elif name in own:
            title = f"{name} is an option of {own[name]}, not of {workload.program}"
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


def _secrets(arguments: Sequence[Value], workload: Workload) -> Iterator[Problem]:
    for argument in arguments:
        if holds_secret(str(argument.value)):
            yield Problem(
                code="secret-in-job",
                stage=Stage.RESOLVE,
                title=f"an argument of {workload.program} holds what looks like a secret",
                where=argument.origin.where,
                given=redact(str(argument.value)),
                why="A job is written into plans and records in the clear.",
            )
