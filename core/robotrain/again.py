"""A run once more: the very job that was sent, from its kept plan; with other values where they are asked for."""

import dataclasses
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robotrain_runtime import checkpoint as checkpoints
from robotrain_runtime import document

from robotrain import held_to, leaks, overrides, pin, sent_plans, settings_asked
from robotrain.api import Prepared, halves_of, prepare
from robotrain.capabilities import UNKNOWN, Support
from robotrain.coerce import coerce, scalars
from robotrain.job import Job, attempt_of
from robotrain.job_file import FileSource, JobFile
from robotrain.plan import Plan
from robotrain.plan_folder import Rendered
from robotrain.problem import Instead, Problem, Rejected, Stage, raise_if_any
from robotrain.provenance import DEFAULT, Origin, Value
from robotrain.request import Request
from robotrain.run import Output

if TYPE_CHECKING:
    from robotrain.plugins import Plugins

RESUME = "resume"
REPLACED = (RESUME, "policy", "init_policy")
"""Roles that the checkpoint of a resumed training takes the place of."""
REST_OF_DIGEST = "(?<=[0-9a-f]{12})[0-9a-f]{20,}"


def kept(run: str) -> Rendered:
    """The plan that `run` was sent as. Raises Rejected when it was not kept, or is damaged."""
    try:
        found = sent_plans.read(run)
    except Rejected as rejected:
        raise Rejected(
            [_not_kept(f"the plan of {run} is not here any more", run, rejected.problems[0].why)]
        ) from rejected
    if found.changed:
        title = f"the plan of {run} is not as it was sent any more"
        raise Rejected([_not_kept(title, run, f"Changed: {', '.join(found.changed)}.")])
    return found


def unpinned(stored: Rendered) -> Rendered:
    """The same with no pin: every name means what it means now."""
    return dataclasses.replace(stored, plan=dataclasses.replace(stored.plan, job=pin.without(stored.plan.job)))


def same(stored: Rendered, plugins: "Plugins") -> Prepared:
    """The very job of a plan, with its pins and its payload. Raises Rejected."""
    platform = plugins.platform(stored.plan.platform)
    kinds = plugins.source_kinds()
    said = Origin("run", stored.plan.run)
    values = {name: Value(value, said) for name, value in stored.settings.items() if value is not None}
    known = {field.name for field in dataclasses.fields(platform.settings)}
    settings, wrong = coerce(platform.settings, {name: value for name, value in values.items() if name in known})
    job = stored.plan.job
    problems = [*wrong, *held_to.check(stored.plan, platform, plugins), *plugins.site_problems(job, platform.name)]
    raise_if_any(problems)
    return Prepared(
        job=job,
        platform=platform,
        settings=settings,
        kinds=kinds,
        halves=stored.halves,
        remarks=tuple(problems),
        payload=stored.payload,
        values=stored.values,
        makes=stored.makes,
    )


def changed(stored: Rendered, sets: Sequence[str], plugins: "Plugins") -> Prepared:
    """The job of a plan with other values (`--set KEY=VALUE`); what is not changed keeps its pin. Raises Rejected."""
    job = stored.plan.job
    workload, platform = plugins.workload(job.workload), plugins.platform(stored.plan.platform)
    request, wrong = overrides.apply(Request(settled=True), sets, workload, platform, plugins.source_kinds())
    request = _with_the_rest(request, stored)
    prepared = prepare(request, workload, platform, plugins, tuple(wrong))
    another = any(source.role == RESUME for source in prepared.job.sources)
    taken_over = tuple(source for source in job.sources if source.role == RESUME and not another)
    pins = {(source.role, source.kind, source.uri): source.pin for source in job.sources}
    sources = tuple(
        dataclasses.replace(source, pin=pins.get((source.role, source.kind, source.uri), ""))
        for source in prepared.job.sources
    )
    prepared = dataclasses.replace(prepared, values=_told_before(prepared.values, stored))
    return _with_sources(prepared, (*sources, *taken_over), plugins)


def last_whole(found: Sequence[Output], say: Callable[[str], None]) -> Output:
    """The newest of `found` (oldest first) that is as it was sealed; what is passed over is said. Where none is, the
    newest: the run then says what is wrong with it. Only what lies on this machine is looked into.
    """
    for one in reversed(found):
        folder = Path(one.uri)
        why = checkpoints.wrong_with(folder) if one.source == "local_path" and one.digest and folder.is_dir() else ""
        if not why:
            return one
        say(f"warning: {why}: passed over")
    return found[-1]


def resumed(prepared: Prepared, run: str, checkpoint: Output, plugins: "Plugins") -> Prepared:
    """The job going on from a checkpoint of `run`, with its optimizer and its step. Raises Rejected."""
    workload = plugins.workload(prepared.job.workload)
    kind = prepared.kinds.get(checkpoint.source)
    support = prepared.platform.capabilities.source(RESUME, kind) if kind else UNKNOWN
    if RESUME not in workload.roles or not support:
        raise Rejected([_cannot_resume(prepared, workload.name, RESUME in workload.roles, support)])
    leaks.refuse(leaks.in_checkpoint(checkpoint.kind, checkpoint.uri, prepared.platform.name))
    source = document.Source(role="resume", kind=checkpoint.source, uri=checkpoint.uri)
    kept_sources = [one for one in prepared.job.sources if one.role not in REPLACED]
    row = {"name": RESUME, "value": f"{source.kind} {source.uri}", "origin": f"run {run}", "overrode": []}
    values = [value for value in prepared.values if value["name"] not in REPLACED]
    prepared = dataclasses.replace(prepared, values=(row, *values))
    prepared = _with_sources(prepared, (*kept_sources, source), plugins)
    raise_if_any([*workload.check(prepared.job), *prepared.platform.check(prepared.job, prepared.settings)])
    return prepared


def differences(stored: Rendered, after: Prepared) -> Iterator[tuple[str, Any, Any]]:
    """Name, value then and value now, of everything that differs between a plan and what is about to be sent.

    What the platform told by itself and is about to be asked anew has no value yet, which is no difference.
    """
    before, now = stored.plan.job, after.job
    settings = dict(scalars(after.settings))
    by_itself = settings_asked.told(stored.values, stored.plan.platform)
    anew = {name for name in by_itself if name in stored.settings and settings.get(name) is None}
    found = [
        *_differing(dict(before.parameters), dict(now.parameters)),
        *_differing(_without(stored.settings, anew), _without(settings, anew)),
    ]
    for role in dict.fromkeys(source.role for source in (*before.sources, *now.sources)):
        found += _differing({role: _named(before, role)}, {role: _named(now, role)})
    found += _differing(
        {"trainer_args": shlex.join(before.trainer_args)}, {"trainer_args": shlex.join(now.trainer_args)}
    )
    rendered = after.rendered(attempt_of(stored.plan.run))
    found += _differing({"payload": stored.payload.digest[:12]}, {"payload": rendered.payload.digest[:12]})
    yield from found
    if not found and not anew:  # else the files differ as they should
        yield from (
            (path, "as it was sent", "as it is rendered now") for path in _other_files(stored.plan, rendered.plan)
        )


def _with_sources(prepared: Prepared, sources: tuple[document.Source, ...], plugins: "Plugins") -> Prepared:
    job = dataclasses.replace(prepared.job, sources=sources)
    workload = plugins.workload(job.workload)
    halves = halves_of(job, workload, prepared.kinds, prepared.platform, prepared.settings)
    payload = prepared.payload if halves == prepared.halves else None
    return dataclasses.replace(prepared, job=job, halves=halves, payload=payload)


def _told_before(values: Sequence[Mapping[str, Any]], stored: Rendered) -> tuple[Mapping[str, Any], ...]:
    """Values with where they came from; one that is as it was sent came from where it came from then."""
    before = {(row["name"], str(row["value"])): row for row in stored.values}
    said = str(Origin("run", stored.plan.run))
    another = any(row["name"] == RESUME for row in values)
    carried = [row for row in stored.values if row["name"] == RESUME and not another]
    told = [before.get((row["name"], str(row["value"])), row) if row["origin"] == said else row for row in values]
    return (*carried, *told)


def _with_the_rest(request: Request, stored: Rendered) -> Request:
    """What is asked for otherwise, with all the rest as it was. On a platform that is set otherwise, what it had given
    or told by itself is asked of it anew; it never takes the place of what somebody said.
    """
    file = _as_file(stored)
    if not request.settings:
        return dataclasses.replace(request, file=file)
    origins = {row["name"]: row["origin"] for row in stored.values}
    by_itself = settings_asked.told(stored.values, stored.plan.platform)
    unsaid = {name: value for name, value in file.parameters.items() if origins.get(name) == str(DEFAULT)}
    said = {name: value for name, value in file.parameters.items() if name not in {*unsaid, *by_itself}}
    settings = {
        platform: {name: value for name, value in table.items() if name not in by_itself}
        for platform, table in file.platforms.items()
    }
    file = dataclasses.replace(file, parameters=said, platforms=settings)
    return dataclasses.replace(request, file=file, unsaid=unsaid)


def _as_file(stored: Rendered) -> JobFile:
    """The job of a plan as if a file said it, so that a changed one goes the whole way again."""
    job, said = stored.plan.job, Origin("run", stored.plan.run)
    sources = [
        FileSource(role=source.role, kind=source.kind, text=source.uri, where=stored.plan.run, layer="run")
        for source in job.sources
        if source.role != RESUME
    ]
    return JobFile(
        folder=Path("/"),
        workload=job.workload,
        sources=tuple(sources),
        parameters=_texts(dict(job.parameters), said),
        platforms={stored.plan.platform: _texts(stored.settings, said)},
        trainer_args=tuple(Value(argument, said) for argument in job.trainer_args) or None,
    )


def _texts(values: Mapping[str, Any], said: Origin) -> dict[str, Value]:
    return {
        name: Value(str(value).lower() if isinstance(value, bool) else str(value), said)
        for name, value in values.items()
        if value is not None
    }


def _differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for name in dict.fromkeys((*before, *after)):
        if before.get(name) != after.get(name):
            yield name, before.get(name), after.get(name)


def _without(values: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


def _named(job: Job, role: str) -> str:
    """The sources of a role, each with its pin, as short as commits are told."""
    sources = [source for source in job.sources if source.role == role]
    pins = [f" at {re.sub(REST_OF_DIGEST, '…', source.pin)}" if source.pin else "" for source in sources]
    return ", ".join(f"{source.kind} {source.uri}{pin}" for source, pin in zip(sources, pins, strict=True))


def _other_files(sent: Plan, rendered: Plan) -> list[str]:
    """Files of a plan that are rendered otherwise by now: they were edited by hand, or robotrain changed."""
    paths = sorted({*sent.files, *rendered.files})
    return [path for path in paths if sent.files.get(path) != rendered.files.get(path)]


def _not_kept(title: str, run: str, why: str) -> Problem:
    return Problem(
        code="plan-not-kept",
        stage=Stage.USAGE,
        title=title,
        given=str(sent_plans.folder(run)),
        why=why,
        instead=(Instead("robotrain submit …", "describes the job anew"),),
    )


def _cannot_resume(prepared: Prepared, workload: str, can: bool, support: Support) -> Problem:
    who = prepared.platform.name if can else workload
    return Problem(
        code="resume-not-accepted",
        stage=Stage.CHECK,
        title=f"{who} cannot go on from a checkpoint",
        why=support.reason,
        instead=(
            *((Instead(support.instead),) if can and support.instead else ()),
            Instead("robotrain resubmit RUN", "starts the same job over"),
        ),
    )
