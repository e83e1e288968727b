"""A run submitted again from its stored plan, unchanged or with other values."""

import dataclasses
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robotrain_runtime.contract import document

from robotrain.check import check
from robotrain.config import overrides
from robotrain.config.coerce import coerce_values, list_fields
from robotrain.config.job_file import FileSource, JobFile
from robotrain.config.request import DEFAULT_ORIGIN, Origin, Request, Value
from robotrain.errors import Problem, Rejected, Stage, Suggestion, raise_if_any
from robotrain.model.job import Job, parse_attempt
from robotrain.model.plan import Plan, RenderedPlan
from robotrain.store import plans
from robotrain.submission import pin
from robotrain.submission.prepare import PreparedJob, collect_container_plugins, prepare_job

if TYPE_CHECKING:
    from robotrain.plugins.manager import Plugins

RESUME_ROLE = "resume"


DIGEST_TAIL = "(?<=[0-9a-f]{12})[0-9a-f]{20,}"


def read_plan_to_repeat(run: str) -> RenderedPlan:
    """The plan that `run` was sent as. Raises Rejected when it was not kept, or is damaged."""
    try:
        found = plans.read_stored_plan(run)
    except Rejected as rejected:
        raise Rejected(
            [_make_no_plan_problem(f"the plan of {run} is not here any more", run, rejected.problems[0].why)]
        ) from rejected
    if found.changed:
        title = f"the plan of {run} is not as it was sent any more"
        raise Rejected([_make_no_plan_problem(title, run, f"Changed: {', '.join(found.changed)}.")])
    return found


def remove_plan_pins(stored: RenderedPlan) -> RenderedPlan:
    """The same with no pin: every name means what it means now."""
    return dataclasses.replace(stored, plan=dataclasses.replace(stored.plan, job=pin.remove_pins(stored.plan.job)))


def repeat_job(stored: RenderedPlan, plugins: "Plugins") -> PreparedJob:
    """The very job of a plan, with its pins and its payload. Raises Rejected."""
    platform = plugins.platform(stored.plan.platform)
    kinds = plugins.source_kinds()
    said = Origin("run", stored.plan.run)
    values = {name: Value(value, said) for name, value in stored.settings.items() if value is not None}
    known = {field.name for field in dataclasses.fields(platform.settings)}
    settings, wrong = coerce_values(platform.settings, {name: value for name, value in values.items() if name in known})
    job = stored.plan.job
    problems = [
        *wrong,
        *check.recheck_plan(stored.plan, platform, plugins),
        *plugins.find_site_problems(job, platform.name),
    ]
    raise_if_any(problems)
    return PreparedJob(
        job=job,
        platform=platform,
        settings=settings,
        kinds=kinds,
        container_plugins=stored.container_plugins,
        warnings=tuple(problems),
        payload=stored.payload,
        values=stored.values,
        produces=stored.produces,
    )


def change_job(stored: RenderedPlan, sets: Sequence[str], plugins: "Plugins") -> PreparedJob:
    """The job of a plan with other values (`--set KEY=VALUE`); what is not changed keeps its pin. Raises Rejected."""
    job = stored.plan.job
    workload, platform = plugins.workload(job.workload), plugins.platform(stored.plan.platform)
    request, wrong = overrides.apply_overrides(Request(complete=True), sets, workload, platform, plugins.source_kinds())
    request = _complete_request(request, stored)
    prepared = prepare_job(request, workload, platform, plugins, tuple(wrong))
    another = any(source.role == RESUME_ROLE for source in prepared.job.sources)
    taken_over = tuple(source for source in job.sources if source.role == RESUME_ROLE and not another)
    pins = {(source.role, source.kind, source.uri): source.pin for source in job.sources}
    sources = tuple(
        dataclasses.replace(source, pin=pins.get((source.role, source.kind, source.uri), ""))
        for source in prepared.job.sources
    )
    prepared = dataclasses.replace(prepared, values=_restore_origins(prepared.values, stored))
    return replace_sources(prepared, (*sources, *taken_over), plugins)


def find_differences(stored: RenderedPlan, after: PreparedJob) -> Iterator[tuple[str, Any, Any]]:
    """Name, value then and value now, of everything that differs between a plan and what is about to be sent.

    What the platform told by itself and is about to be asked anew has no value yet, which is no difference.
    """
    before, now = stored.plan.job, after.job
    settings = dict(list_fields(after.settings))
    by_itself = pin.list_platform_given_names(stored.values, stored.plan.platform)
    anew = {name for name in by_itself if name in stored.settings and settings.get(name) is None}
    found = [
        *_compare_values(dict(before.parameters), dict(now.parameters)),
        *_compare_values(_remove_names(stored.settings, anew), _remove_names(settings, anew)),
    ]
    for role in dict.fromkeys(source.role for source in (*before.sources, *now.sources)):
        found += _compare_values({role: _format_sources(before, role)}, {role: _format_sources(now, role)})
    found += _compare_values(
        {"trainer_args": shlex.join(before.trainer_args)}, {"trainer_args": shlex.join(now.trainer_args)}
    )
    rendered = after.render(parse_attempt(stored.plan.run))
    found += _compare_values({"payload": stored.payload.digest[:12]}, {"payload": rendered.payload.digest[:12]})
    yield from found
    if not found and not anew:  # else the files differ as they should
        yield from (
            (path, "as it was sent", "as it is rendered now")
            for path in _list_changed_files(stored.plan, rendered.plan)
        )


def replace_sources(prepared: PreparedJob, sources: tuple[document.JobSource, ...], plugins: "Plugins") -> PreparedJob:
    job = dataclasses.replace(prepared.job, sources=sources)
    workload = plugins.workload(job.workload)
    halves = collect_container_plugins(job, workload, prepared.kinds, prepared.platform, prepared.settings)
    payload = prepared.payload if halves == prepared.container_plugins else None
    return dataclasses.replace(prepared, job=job, container_plugins=halves, payload=payload)


def _restore_origins(values: Sequence[Mapping[str, Any]], stored: RenderedPlan) -> tuple[Mapping[str, Any], ...]:
    """Values with where they came from; one that is as it was sent came from where it came from then."""
    before = {(row["name"], str(row["value"])): row for row in stored.values}
    said = str(Origin("run", stored.plan.run))
    another = any(row["name"] == RESUME_ROLE for row in values)
    carried = [row for row in stored.values if row["name"] == RESUME_ROLE and not another]
    told = [before.get((row["name"], str(row["value"])), row) if row["origin"] == said else row for row in values]
    return (*carried, *told)


def _complete_request(request: Request, stored: RenderedPlan) -> Request:
    """What is asked for otherwise, with all the rest as it was. On a platform that is set otherwise, what it had given
    or told by itself is asked of it anew; it never takes the place of what somebody said.
    """
    file = _make_job_file(stored)
    if not request.settings:
        return dataclasses.replace(request, file=file)
    origins = {row["name"]: row["origin"] for row in stored.values}
    by_itself = pin.list_platform_given_names(stored.values, stored.plan.platform)
    unsaid = {name: value for name, value in file.parameters.items() if origins.get(name) == str(DEFAULT_ORIGIN)}
    said = {name: value for name, value in file.parameters.items() if name not in {*unsaid, *by_itself}}
    settings = {
        platform: {name: value for name, value in table.items() if name not in by_itself}
        for platform, table in file.platforms.items()
    }
    file = dataclasses.replace(file, parameters=said, platforms=settings)
    return dataclasses.replace(request, file=file, previous_defaults=unsaid)


def _make_job_file(stored: RenderedPlan) -> JobFile:
    """The job of a plan as if a file said it, so that a changed one goes the whole way again."""
    job, said = stored.plan.job, Origin("run", stored.plan.run)
    sources = [
        FileSource(role=source.role, kind=source.kind, text=source.uri, where=stored.plan.run, layer="run")
        for source in job.sources
        if source.role != RESUME_ROLE
    ]
    return JobFile(
        folder=Path("/"),
        workload=job.workload,
        sources=tuple(sources),
        parameters=_format_values(dict(job.parameters), said),
        platforms={stored.plan.platform: _format_values(stored.settings, said)},
        trainer_args=tuple(Value(argument, said) for argument in job.trainer_args) or None,
    )


def _format_values(values: Mapping[str, Any], origin: Origin) -> dict[str, Value]:
    return {
        name: Value(str(value).lower() if isinstance(value, bool) else str(value), origin)
        for name, value in values.items()
        if value is not None
    }


def _compare_values(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for name in dict.fromkeys((*before, *after)):
        if before.get(name) != after.get(name):
            yield name, before.get(name), after.get(name)


def _remove_names(values: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


def _format_sources(job: Job, role: str) -> str:
    """The sources of a role, each with its pin, as short as commits are told."""
    sources = [source for source in job.sources if source.role == role]
    pins = [f" at {re.sub(DIGEST_TAIL, '…', source.pin)}" if source.pin else "" for source in sources]
    return ", ".join(f"{source.kind} {source.uri}{pin}" for source, pin in zip(sources, pins, strict=True))


def _list_changed_files(sent: Plan, rendered: Plan) -> list[str]:
    """Files of a plan that are rendered otherwise by now: they were edited by hand, or robotrain changed."""
    paths = sorted({*sent.files, *rendered.files})
    return [path for path in paths if sent.files.get(path) != rendered.files.get(path)]


def _make_no_plan_problem(title: str, run: str, why: str) -> Problem:
    return Problem(
        code="plan-not-kept",
        stage=Stage.USAGE,
        title=title,
        given=str(plans.get_plan_folder(run)),
        why=why,
        suggestions=(Suggestion("robotrain submit …", "describes the job anew"),),
    )
