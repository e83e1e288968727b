"""A run submitted again from its stored plan, unchanged or with other values."""

import dataclasses
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from robotrain_runtime.contract import document
from robotrain_runtime.contract.document import Scalar
from robotrain_runtime.contract.parameter import get_parameters

from robotrain.check import capability_checks
from robotrain.cluster.settings import PATCH_SETTING, read_configured_settings
from robotrain.config import assignments
from robotrain.config.request import Request
from robotrain.config.trainer_args import read_after_dashes
from robotrain.config.validate import list_fields, validate_values
from robotrain.config.values import DEFAULT_ORIGIN, FLAG_NAME, Layer, Origin, SourceText, Value, prefix_names
from robotrain.errors import Problem, Rejected, raise_if_any
from robotrain.messages import Messages
from robotrain.model.job import NAME_PARAMETER, TRAINER_ARGS, parse_attempt
from robotrain.model.plan import RenderedPlan
from robotrain.model.platform import Platform
from robotrain.model.workload import Workload
from robotrain.plugins import site
from robotrain.plugins.manager import Plugins
from robotrain.store import plans, run_differences, stored_job
from robotrain.store.run_differences import Difference, RunValue, collect_stored_values
from robotrain.store.run_values import RESUME_ROLE, format_value
from robotrain.submission import program_lock
from robotrain.submission.prepare import PreparedJob, prepare_job
from robotrain.submission.same_job import list_platform_given_names

make_problem = Messages(__file__)


def read_plan_to_repeat(run: str) -> RenderedPlan:
    """Return the plan that a run was submitted with. Raise Rejected if it is missing or changed."""
    try:
        stored_plan = plans.read_stored_plan(run)
    except Rejected as rejected:
        cause, folder = rejected.problems[0], str(stored_job.get_plan_folder(run))
        ways = cause.suggestions[:-1]  # the last one is to render a folder
        problem = make_problem("plan-not-kept.unreadable", *ways, given=folder, run=run, why=cause.why)
        raise Rejected([problem]) from rejected
    if stored_plan.changed:
        folder = str(stored_job.get_plan_folder(run))
        changed_files = ", ".join(stored_plan.changed)
        raise Rejected([make_problem("plan-not-kept.changed", given=folder, run=run, changed=changed_files)])
    return stored_plan


def remove_plan_pins(stored_plan: RenderedPlan) -> RenderedPlan:
    """Return a plan whose job has no pins, and no lock of its program."""
    job = stored_plan.plan.job
    sources = tuple(dataclasses.replace(source, pin="", tags=()) for source in job.sources)
    return dataclasses.replace(
        stored_plan,
        plan=dataclasses.replace(
            stored_plan.plan,
            job=dataclasses.replace(job, sources=sources, program_lock="", program_python="", program_files=()),
        ),
        values=program_lock.remove_row(stored_plan.values),
    )


def move_plan(stored_plan: RenderedPlan, platform: Platform) -> RenderedPlan:
    """Return a plan for a platform, with the settings that this machine's configuration gives that."""
    configured: Any = read_configured_settings(platform.settings, platform.name, with_terraform=True)
    defaults = {field.name: field.default for field in dataclasses.fields(configured)}
    settings = {name: value for name, value in list_fields(configured) if value != defaults[name]}
    return dataclasses.replace(
        stored_plan, plan=dataclasses.replace(stored_plan.plan, platform=platform.name), settings=settings
    )


def repeat_job(stored_plan: RenderedPlan, plugins: Plugins, is_pinned_again: bool = False) -> PreparedJob:
    """Return the unchanged job of a plan, with its pins and payload. Raise Rejected.

    :param is_pinned_again: whether its sources may become other ones, which imply others.
    """
    platform = plugins.platform(stored_plan.plan.platform)
    kinds = plugins.source_kinds()
    settings, setting_problems = restore_settings(stored_plan.settings, platform, Origin("run", stored_plan.plan.run))
    job = stored_plan.plan.job
    problems = [
        *setting_problems,
        *capability_checks.recheck_plan(stored_plan.plan, platform, plugins),
        *site.find_site_problems(plugins, job, platform.name),
    ]
    raise_if_any(problems)
    return PreparedJob(
        job=job,
        platform=platform,
        settings=settings,
        kinds=kinds,
        container_plugins=stored_plan.container_plugins,
        warnings=tuple(problems),
        payload=stored_plan.payload,
        values=stored_plan.values,
        produces=stored_plan.produces,
        workload=plugins.workload(job.workload) if is_pinned_again else None,
        check_site=lambda job: site.find_site_problems(plugins, job, platform.name),
    )


def restore_settings(
    stored_settings: Mapping[str, Any], platform: Platform, origin: Origin
) -> tuple[Any, list[Problem]]:
    """Return the settings of a platform from those of a plan, and the problems; unknown and empty ones are left out."""
    setting_names = {field.name for field in dataclasses.fields(platform.settings)}
    setting_values = {
        name: Value(value, origin)
        for name, value in stored_settings.items()
        if name in setting_names and value is not None
    }
    settings, problems, _ = validate_values(platform.settings, setting_values)
    return settings, problems


def change_job(
    stored: RenderedPlan,
    sets: Sequence[str],
    plugins: Plugins,
    trainer_args: Sequence[str] = (),
    flags: frozenset[str] = frozenset(),
) -> PreparedJob:
    """Return the job of a plan with other values; unchanged sources keep their pins. Raise Rejected.

    :param sets: texts of the form `KEY=VALUE`.
    :param trainer_args: options for the trainer, each instead of the same option of the plan.
    :param flags: robotrain's own options of the command, which are no options for the trainer.
    """
    job = stored.plan.job
    workload = plugins.workload(job.workload)
    platform = plugins.platform(stored.plan.platform)
    kinds = plugins.source_kinds()
    file = _make_job_file(stored, workload)
    request = Request(complete=True, after_dashes=read_after_dashes(trainer_args), flags=flags, files=(file,))
    request, problems = assignments.apply_assignments(request, sets, workload, platform, kinds)
    request = _complete_request(request, stored, file)
    prepared = prepare_job(request, workload, platform, plugins, tuple(problems), purpose="render")
    has_resume_source = any(source.role == RESUME_ROLE for source in prepared.job.sources)
    resume_sources = tuple(source for source in job.sources if source.role == RESUME_ROLE and not has_resume_source)
    pinned_sources = {source.key: source for source in job.sources}
    sources = tuple(
        dataclasses.replace(pinned_sources.get(source.key, source), implied=source.implied)
        for source in prepared.job.sources
    )
    present_keys = {source.key for source in sources}
    sources += tuple(
        source for key, source in pinned_sources.items() if source.implied and key not in present_keys
    )  # it may be still
    prepared = dataclasses.replace(prepared, values=_restore_origins(prepared.values, stored))
    prepared = replace_sources(prepared, (*sources, *resume_sources), plugins)
    return program_lock.keep_lock(prepared, job, stored.values)


def name_job(prepared: PreparedJob, stored_plan: RenderedPlan, name: str) -> PreparedJob:
    """Return the job with the name that tracking shows, unless it has no such parameter, or it was just changed."""
    job, parameter_values = prepared.job, dict(prepared.job.parameters)
    earlier_name = parameter_values.get(NAME_PARAMETER)
    if (
        not name
        or NAME_PARAMETER not in parameter_values
        or earlier_name != dict(stored_plan.plan.job.parameters).get(NAME_PARAMETER)
    ):
        return prepared
    named_job = _set_parameter(prepared, NAME_PARAMETER, name, FLAG_NAME)
    return dataclasses.replace(
        named_job, job=dataclasses.replace(named_job.job, labels=job.labels or ((NAME_PARAMETER, earlier_name),))
    )


def _set_parameter(prepared: PreparedJob, name: str, value: Scalar, origin: Origin) -> PreparedJob:
    """Return the job with another value of a parameter, and with its payload and pins."""
    row = {"value": value, "origin": str(origin)}
    value_rows = tuple({**value_row, **(row if value_row["name"] == name else {})} for value_row in prepared.values)
    return dataclasses.replace(prepared, job=prepared.job.with_parameter(name, value), values=value_rows)


def find_differences(stored: RenderedPlan, after: PreparedJob) -> Iterator[Difference]:
    """Yield everything that differs between a plan and a prepared job.

    Values that the platform will look up again do not count.
    """
    earlier_job, changed_job = stored.plan.job, after.job
    settings = dict(list_fields(after.settings))
    platform_given = list_platform_given_names(stored.values, stored.plan.platform)
    pending_settings = {name for name in platform_given if name in stored.settings and settings.get(name) is None}
    is_moved = stored.plan.platform != after.platform.name  # then only a patch, of its spec, is a difference
    job_values = []
    for job, platform, rows, job_settings in (
        (earlier_job, stored.plan.platform, stored.values, stored.settings),
        (changed_job, after.platform.name, after.values, settings),
    ):
        plain_rows = [row for row in rows if row["name"] not in {*stored.settings, *settings}]
        compared = {
            name: RunValue(format_value(value))
            for name, value in {**job_settings, "platform": platform}.items()
            if value is not None and (name in ("platform", PATCH_SETTING) or not is_moved)
        }
        job_values.append(collect_stored_values(plain_rows, job.sources) | compared)
    differences = [row for row in run_differences.find_differences(job_values) if row.name not in pending_settings]
    argument_lines = [shlex.join(job.trainer_args) for job in (earlier_job, changed_job)]
    if not differences and argument_lines[0] != argument_lines[1]:  # just their order differs
        differences = [Difference(TRAINER_ARGS, tuple(argument_lines))]
    if not stored.payload.archive:  # of a run that is not recorded here
        yield from differences
        return
    carried_job = after.with_job(dataclasses.replace(changed_job, record=earlier_job.record))
    rendered_plan = carried_job.render(parse_attempt(stored.plan.run))
    digests = (stored.payload.digest[:12], rendered_plan.payload.digest[:12])
    if digests[0] != digests[1]:
        differences.append(Difference("payload", digests))
    yield from differences
    if not differences and not pending_settings:  # otherwise the files must differ by a change of robotrain
        for path in sorted({*stored.plan.files, *rendered_plan.plan.files}):
            if stored.plan.files.get(path) != rendered_plan.plan.files.get(path):
                yield Difference(path, ("as it was submitted", "as it is rendered now"))


def replace_sources(prepared: PreparedJob, sources: tuple[document.JobSource, ...], plugins: Plugins) -> PreparedJob:
    """Return the job with other sources; it keeps its payload if the container plugins stay the same."""
    return prepared.with_sources(sources, plugins.workload(prepared.job.workload))


def _restore_origins(
    value_rows: Sequence[Mapping[str, Any]], stored_plan: RenderedPlan
) -> tuple[Mapping[str, Any], ...]:
    """Return the values with their first origins: an unchanged value keeps that of the earlier run."""
    row_by_value = {(row["name"], str(row["value"])): row for row in stored_plan.values}
    origin = str(Origin("run", stored_plan.plan.run))
    has_resume_row = any(row["name"] == RESUME_ROLE for row in value_rows)
    resume_rows = [row for row in stored_plan.values if row["name"] == RESUME_ROLE and not has_resume_row]
    rows = [
        row_by_value.get((row["name"], str(row["value"])), row) if row["origin"] == origin else row
        for row in value_rows
    ]
    return (*resume_rows, *rows)


def _complete_request(request: Request, stored_plan: RenderedPlan, file: Layer) -> Request:
    """Return the request with all values of the plan that it does not change.

    With other platform settings, the platform's own defaults and looked-up values are determined again.
    """
    name_values = [Value(stored_plan.plan.job[name], FLAG_NAME) for name, _ in stored_plan.plan.job.labels]
    request = dataclasses.replace(request, name=next(iter(name_values), None))
    table = f"platforms.{stored_plan.plan.platform}"
    if not request.line.select(table):
        return request
    origins = {row["name"]: row["origin"] for row in stored_plan.values}
    platform_given = list_platform_given_names(stored_plan.values, stored_plan.plan.platform)
    parameters = file.select("parameters")
    defaults = {name: value for name, value in parameters.items() if origins.get(name) == str(DEFAULT_ORIGIN)}
    omitted_keys = [f"parameters.{name}" for name in (*defaults, *platform_given)]
    omitted_keys += [f"{table}.{name}" for name in platform_given]
    return dataclasses.replace(request, files=(file.without(omitted_keys),), defaults=defaults)


def _make_job_file(stored: RenderedPlan, workload: Workload) -> Layer:
    """Return the job of a plan as a job file, so that a changed job passes all stages again."""
    job, origin = stored.plan.job, Origin("run", stored.plan.run)
    sources = [
        SourceText(source.role, (source.kind,), source.uri, origin, Path("/"))
        for source in job.sources
        if source.role != RESUME_ROLE and not source.implied
    ]
    parameters = _format_values({**dict(job.parameters), **dict(job.labels)}, origin)
    declared_names = {parameter.name for parameter in get_parameters(workload.parameters)}
    own_names = {name for name in parameters if workload.own_command and name not in declared_names}
    layer_values = {
        f"{'params' if name in own_names else 'parameters'}.{name}": value for name, value in parameters.items()
    }
    layer_values |= prefix_names(f"platforms.{stored.plan.platform}", _format_values(stored.settings, origin))
    arguments = tuple(Value(argument, origin) for argument in job.trainer_args) or None
    return Layer(layer_values, tuple(sources), arguments, folder=Path("/"))


def _format_values(values: Mapping[str, Any], origin: Origin) -> dict[str, Value]:
    return {
        name: Value(str(value).lower() if isinstance(value, bool) else str(value), origin)
        for name, value in values.items()
        if value is not None
    }
