"""Preparation of a job: resolve, check and render, without side effects."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from robotrain_runtime.contract.document import JobSource

from robotrain.check import needs, unused_values
from robotrain.check.capability_checks import check_job
from robotrain.config.explain import list_resolved_values
from robotrain.config.request import Request
from robotrain.config.resolve import Resolution, resolve_job
from robotrain.config.validate import list_fields
from robotrain.config.values import JOB_FILE_LAYER, SourceText, Value
from robotrain.errors import Problem, raise_if_any, select_errors
from robotrain.model.job import Job
from robotrain.model.plan import Payload, Plan, RenderedPlan
from robotrain.model.platform import ListPlatforms, Platform
from robotrain.model.platform_features import SourceVersions
from robotrain.model.preview import RunPlace
from robotrain.model.source import SourceKind
from robotrain.model.workload import Workload
from robotrain.model.workload_profile import Produces
from robotrain.plugins import site
from robotrain.plugins.manager import Plugins
from robotrain.redaction import holds_secret
from robotrain.store.latest_run import REFERENCE_ROLE
from robotrain.submission.carried_record import carry_record
from robotrain.submission.container_plugins import collect_container_plugins, load_workload_container
from robotrain.submission.implied_sources import add_known_sources
from robotrain.submission.packing import pack_payload
from robotrain.submission.plan_secrets import find_secrets_in_plan
from robotrain.submission.run_labels import make_default_name
from robotrain.submission.same_job import JobPart, make_same_key

if TYPE_CHECKING:
    from robotrain.submission.source_files import SourceFiles

MAX_TAG_LENGTH = 256
Purpose = Literal["explain", "render", "submit"]
"""What a job is prepared for. To explain it, nothing is fetched; to submit it, folders of this machine are checked."""


class InputStep(NamedTuple):
    """A job whose inputs are compared with it before it is sent: each step of a pipeline that has one, else the job."""

    job: PreparedJob
    name: str = ""
    """The step; empty outside a pipeline."""
    is_read: bool = False
    """Whether another step reads what it makes."""

    @property
    def where(self) -> str:
        """The place of its problems; empty for their own."""
        return f"step {self.name}" if self.name else ""


@dataclass(frozen=True, kw_only=True)
class PreparedJob:
    """A checked job with what its plan is rendered from."""

    job: Job
    platform: Platform
    settings: Any
    kinds: Mapping[str, SourceKind]
    container_plugins: Mapping[str, str]
    warnings: tuple[Problem, ...] = ()
    """Warnings and notes."""
    resolution: Resolution | None = None
    """None for a job that was submitted before."""
    payload: Payload | None = None
    """The payload to send; None to pack it."""
    values: tuple[Mapping[str, Any], ...] = ()
    produces: Produces = "checkpoints"
    default_name: str = ""
    """What a run of it is called unless its user names it."""
    platforms: ListPlatforms = field(default=dict, repr=False, compare=False)
    """The platforms that suggestions can offer."""
    workload: Workload | None = field(default=None, repr=False, compare=False)
    """Tells whether the job implies sources; None for a job that is sent with the sources of a stored plan."""
    check_site: Callable[[Job], Iterable[Problem]] = field(default=lambda job: (), repr=False, compare=False)
    """Checks a job by the rules of the site, for sources that it implies later."""
    source_files: SourceFiles | None = field(default=None, repr=False, compare=False)
    """What was read of its pinned sources."""

    def render(self, attempt: int) -> RenderedPlan:
        """Return the plan of an attempt with what it is made from; equal jobs give equal bytes.

        Raise Rejected if the spec is too large for the platform or the plan contains a secret.
        """
        payload = self.payload or pack_payload(self.container_plugins)
        run = self.job.run_name(attempt)
        is_placed = any(map(self.is_remote_folder, self.job.sources))
        same_key = make_same_key(self.job, self.list_parts(), self.platform)
        job = carry_record(self.job, self.settings, self.values, is_placed, self.default_name, same_key)
        plan = self.platform.plans.render(job, self.settings, run, payload, self.container_plugins)
        raise_if_any([*needs.check_spec_size(plan, self.platform, self.platforms), *find_secrets_in_plan(plan)])
        return RenderedPlan(
            plan=plan,
            settings=dict(list_fields(self.settings)),
            container_plugins=self.container_plugins,
            payload=payload,
            values=self.values,
            produces=self.produces,
        )

    @property
    def job_folder(self) -> str:
        """The folder of its job file; empty without one."""
        if self.resolution is None:
            return ""
        job_values: list[Value | SourceText] = [*self.resolution.parameters.values()]
        job_values += [chosen_input.text for chosen_input in self.resolution.inputs.chosen if chosen_input.text]
        return next(
            (
                str(job_value.base)
                for job_value in job_values
                if job_value.origin.layer == JOB_FILE_LAYER and job_value.base
            ),
            "",
        )

    @property
    def needs_lock(self) -> bool:
        """Whether packages are locked for it before it is sent."""
        workload = self.workload
        return workload is not None and bool(workload.load_locker) and workload.needs_lock(self.job)

    def list_parts(self) -> list[JobPart]:
        """Return its settings and sources."""
        return [JobPart(dict(list_fields(self.settings)), self.job.sources, self.values, self.job.program_lock)]

    def list_stored_parts(self, stored: RenderedPlan) -> list[JobPart]:
        """Return those of the plan of a run of the same job. Raise ValueError if it cannot be read."""
        job = stored.plan.job
        return [JobPart(stored.settings, job.sources, stored.values, job.program_lock)]

    def is_remote_folder(self, source: JobSource) -> bool:
        """Return whether a source is a folder of another machine, which is neither pinned nor read here."""
        return self.platform.plans.is_remote_folder(source, self.settings)

    def describe_run(self, run: str = "") -> RunPlace:
        """Return where its run works."""
        return self.platform.plans.describe_run(self.job, self.settings, run)

    def pin_source(self, source: JobSource) -> str:
        """Return the pin of a source that the platform pins."""
        return self.platform.get_engine_for(SourceVersions).pin_source(source, self.settings)

    def read_tags(self, source: JobSource) -> tuple[str, ...]:
        """Return the tags of a registered model that the workload reads, as `NAME=VALUE`."""
        plugin = load_workload_container(self.container_plugins)
        tag_names = plugin.MODEL_TAGS.get(source.role, ()) if plugin else ()
        tags = self.platform.get_engine_for(SourceVersions).read_tags(source, self.settings) if tag_names else {}
        candidates = (f"{name}={tags[name]}" for name in tag_names if tags.get(name))
        return tuple(tag for tag in candidates if len(tag) <= MAX_TAG_LENGTH and not holds_secret(tag))

    def list_input_steps(self) -> list[InputStep]:
        """Return the jobs whose inputs are compared with them, in the order of a pipeline."""
        return [InputStep(self)]

    def render_plan(self, attempt: int) -> Plan:
        """Return only the plan of an attempt."""
        return self.render(attempt).plan

    def with_settings(self, settings: Any, changes: Mapping[str, Any], origins: Mapping[str, str]) -> PreparedJob:
        """Return a copy with settings of the platform; `changes` and `origins` describe the new ones by name."""
        row_by_name = {
            name: {"name": name, "value": value, "origin": origins[name], "overrode": []}
            for name, value in changes.items()
        }
        value_rows = [{**row, **row_by_name.pop(row["name"], {})} for row in self.values]
        return dataclasses.replace(self, settings=settings, values=(*value_rows, *row_by_name.values()))

    def with_job(self, job: Job) -> PreparedJob:
        """Return a copy with a job that differs only in its pins."""
        return dataclasses.replace(self, job=job)

    def with_sources(self, sources: tuple[JobSource, ...], workload: Workload) -> PreparedJob:
        """Return a copy with other sources; it keeps its payload if the container plugins stay the same."""
        job = dataclasses.replace(self.job, sources=sources)
        modules = collect_container_plugins(job, workload, self.kinds, self.platform, self.settings)
        payload = self.payload if modules == self.container_plugins else None
        return dataclasses.replace(self, job=job, container_plugins=modules, payload=payload)


def check_request(
    request: Request,
    workload: Workload,
    platform: Platform,
    plugins: Plugins,
    kinds: Mapping[str, SourceKind],
    earlier_problems: Iterable[Problem] = (),
    assets_only: bool = False,
) -> tuple[Resolution, list[Problem]]:
    """Resolve a job and return it with the problems of all stages, except those that rules of a site find.

    Values of the project's files that it cannot use are left out.
    """
    resolution = resolve_job(request, workload, platform, kinds)
    if not request.complete and any(source.role == REFERENCE_ROLE for source in resolution.job.sources):
        from robotrain.submission.earlier_results import add_earlier_results  # costs start-up

        resolution = add_earlier_results(resolution, plugins)
    full_workload = resolution.workload
    implied: list[Problem] = []
    is_run = platform.capabilities.workload(full_workload.name) and not select_errors(resolution.problems)
    if is_run and full_workload.implies_sources(resolution.job):
        resolution, implied = add_known_sources(resolution, full_workload, platform, kinds)

    def matters(problem: Problem) -> bool:
        return not (assets_only and problem.absent)

    problems = [*earlier_problems, *filter(matters, resolution.problems), *select_errors(implied)]
    job_problems = list(filter(matters, check_job(resolution, full_workload, platform, kinds, plugins.platforms)))
    # an invalid value was checked as its default, so warnings about it may be wrong
    problems += select_errors(job_problems) if select_errors(problems) else job_problems
    if not select_errors(problems):  # else they say better why the workload cannot tell what the job implies
        problems += implied
    elif unused_by_name := dict(unused_values.find_unused_values(problems, resolution)):
        request = dataclasses.replace(request, left_out=request.left_out | unused_by_name.keys())
        earlier_problems = (*earlier_problems, *unused_by_name.values())
        return check_request(request, workload, platform, plugins, kinds, earlier_problems, assets_only)
    return resolution, problems


def prepare_job(
    request: Request,
    workload: Workload,
    platform: Platform,
    plugins: Plugins,
    earlier_problems: Iterable[Problem] = (),
    assets_only: bool = False,
    kinds: Mapping[str, SourceKind] | None = None,
    purpose: Purpose = "explain",
) -> PreparedJob:
    """Resolve and check a job. Raise Rejected with the problems of all stages.

    :param assets_only: the job is not submitted, only its assets are uploaded; what only a run needs may be missing.
    :param kinds: the source kinds; None for those of the plugins.
    """
    kinds = plugins.source_kinds() if kinds is None else kinds
    resolution, problems = check_request(request, workload, platform, plugins, kinds, earlier_problems, assets_only)
    workload = resolution.workload
    problems += plugins.find_source_problems()
    problems += site.find_site_problems(plugins, resolution.job, platform.name)
    if purpose == "submit" and select_errors(problems):
        from robotrain.submission.machine_folders import (  # costs start-up
            find_folder_problems,
            place_missing_folders,
        )

        folder_problems = find_folder_problems(resolution.job, workload, platform, resolution.settings, kinds)
        problems += place_missing_folders(folder_problems, resolution)
    raise_if_any(problems)
    job = resolution.job
    if purpose != "explain" and any(kind.fetch_here for source in job.sources if (kind := kinds.get(source.kind))):
        from robotrain.submission.pin import fetch_sources  # costs start-up

        job = fetch_sources(job, kinds)
        doubts = list(workload.check(resolution.job))
        problems = [*(problem for problem in problems if problem not in doubts), *workload.check(job)]
        raise_if_any(problems)
    return PreparedJob(
        job=job,
        platform=platform,
        settings=resolution.settings,
        kinds=kinds,
        container_plugins=collect_container_plugins(job, workload, kinds, platform, resolution.settings),
        warnings=tuple(problems),
        resolution=resolution,
        values=tuple(list_resolved_values(resolution, workload)),
        produces=workload.produces,
        default_name=make_default_name(job, workload, resolution.parameters),
        platforms=plugins.platforms,
        workload=workload,
        check_site=lambda job: site.find_site_problems(plugins, job, platform.name),
    )
