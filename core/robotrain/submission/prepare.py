"""Preparation of a job: resolve, check, render. Nothing here has an effect."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from robotrain.check import check, targets
from robotrain.check.check import check_job
from robotrain.config.coerce import list_fields
from robotrain.config.request import Request
from robotrain.config.resolve import Resolution, list_resolved_values, resolve_job
from robotrain.errors import Problem, raise_if_any, select_errors
from robotrain.model.capabilities import ListPlatforms
from robotrain.model.job import Job
from robotrain.model.plan import Payload, Plan, RenderedPlan
from robotrain.model.platform import Platform
from robotrain.model.source import SourceKind
from robotrain.model.workload import Produces, Workload
from robotrain.plugins.manager import Plugins
from robotrain.redaction import holds_secret, make_secret_problem, redact
from robotrain.submission.packing import pack_payload

if TYPE_CHECKING:
    from collections.abc import Iterator

BASE64_FILE = r"[A-Za-z0-9+/]{200,}={0,2}"
"""A file as base64, in which anything may be found by chance; no secret that is known by its look is as long."""


def find_secrets_in_plan(plan: Plan) -> Iterator[Problem]:
    """The first text of a plan that holds a secret: it would be kept, shown and sent."""
    for path, content in sorted(plan.files.items()):
        if _contains_secret(content):
            yield make_secret_problem(f"platform {plan.platform} failed in render: its {redact(path)} holds a secret")
            return


def _contains_secret(content: bytes) -> bool:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return False
    return "\0" not in text and holds_secret(re.sub(BASE64_FILE, "", text))


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedJob:
    """A job that its platform can run. remarks: warnings and notes worth showing.

    resolution: how the job came to be; None for one that was sent before. payload: the one to send, None to pack it.
    makes: what its workload leaves.
    platforms: those that may be told of as a way out.
    """

    job: Job
    platform: Platform
    settings: Any
    kinds: Mapping[str, SourceKind]
    container_plugins: Mapping[str, str]
    warnings: tuple[Problem, ...] = ()
    resolution: Resolution | None = None
    payload: Payload | None = None
    values: tuple[Mapping[str, Any], ...] = ()
    produces: Produces = "checkpoints"
    platforms: ListPlatforms = field(default=dict, repr=False, compare=False)

    def render(self, attempt: int) -> RenderedPlan:
        """Exactly what would be sent as that attempt, with what it is made from; equal jobs give equal bytes.

        Raises Rejected when the platform takes no spec of that size, and for a plan that holds a secret.
        """
        payload = self.payload or pack_payload(self.container_plugins)
        run = self.job.run_name(attempt)
        plan = self.platform.render(self.job, self.settings, run, payload, self.container_plugins)
        raise_if_any([*check.check_spec_size(plan, self.platform, self.platforms), *find_secrets_in_plan(plan)])
        return RenderedPlan(
            plan=plan,
            settings=dict(list_fields(self.settings)),
            container_plugins=self.container_plugins,
            payload=payload,
            values=self.values,
            produces=self.produces,
        )

    def render_plan(self, attempt: int) -> Plan:
        """The plan alone."""
        return self.render(attempt).plan

    def with_settings(self, settings: Any, changes: Mapping[str, Any], origins: Mapping[str, str]) -> PreparedJob:
        """The same with settings that its platform told: what is new in them, and where it comes from, by name."""
        told = {
            name: {"name": name, "value": value, "origin": origins[name], "overrode": []}
            for name, value in changes.items()
        }
        values = [{**row, **told.pop(row["name"], {})} for row in self.values]
        return dataclasses.replace(self, settings=settings, values=(*values, *told.values()))

    def with_job(self, job: Job) -> PreparedJob:
        """The same for a job that differs in what its platform does not look at: pins."""
        return dataclasses.replace(self, job=job)


def prepare_job(
    request: Request,
    workload: Workload,
    platform: Platform,
    plugins: Plugins,
    earlier_problems: tuple[Problem, ...] = (),
    assets_only: bool = False,
) -> PreparedJob:
    """Resolve and check. Raises Rejected with every problem of every stage, those already `found` first.

    ahead: it is not sent, only what it needs is brought; what a run alone needs may be missing then.
    """
    kinds = plugins.source_kinds()
    resolution = resolve_job(request, workload, platform, kinds)
    spare = platform.prepare_ignores if assets_only else ()
    problems = [*earlier_problems, *(one for one in resolution.problems if one.code not in spare)]
    checked = [
        one for one in check_job(resolution, workload, platform, kinds, plugins.platforms) if one.code not in spare
    ]
    problems += (
        select_errors(checked) if select_errors(problems) else checked
    )  # what was refused counts as its default there
    problems += plugins.find_source_problems()
    problems += plugins.find_site_problems(resolution.job, platform.name)
    raise_if_any(problems)
    return PreparedJob(
        job=resolution.job,
        platform=platform,
        settings=resolution.settings,
        kinds=kinds,
        container_plugins=collect_container_plugins(resolution.job, workload, kinds, platform, resolution.settings),
        warnings=tuple(problems),
        resolution=resolution,
        values=tuple(list_resolved_values(resolution)),
        produces=workload.produces,
        platforms=plugins.platforms,
    )


def collect_container_plugins(
    job: Job, workload: Workload, kinds: Mapping[str, SourceKind], platform: Platform, settings: Any
) -> dict[str, str]:
    """The container modules of a job, by what they stand for."""
    found = {f"workload.{workload.name}": workload.container_plugin}
    for source in job.sources:
        if half := kinds[source.kind].container_plugin:
            found[f"source.{source.kind}"] = half
    for place in targets.list_targets(job, workload, kinds, platform.capabilities):
        if place.kind.target:
            found[f"target.{place.kind.name}"] = place.kind.target
    return found | dict(platform.container_plugins(job, settings))
