"""The way of a job, in one place: resolve → check → render. Nothing here has an effect."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from robotrain import leaks, limits, targets
from robotrain.check import check
from robotrain.coerce import scalars
from robotrain.job import Job
from robotrain.origins import rows
from robotrain.packing import pack
from robotrain.payload import Payload
from robotrain.plan import Plan
from robotrain.plan_folder import Rendered
from robotrain.platforms import Platform
from robotrain.plugins import Plugins
from robotrain.problem import Problem, errors, raise_if_any
from robotrain.refusals import Platforms
from robotrain.request import Request
from robotrain.resolve import Resolution, resolve
from robotrain.source import SourceKind
from robotrain.workload import Makes, Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A job that its platform can run. remarks: warnings and notes worth showing.

    resolution: how the job came to be; None for one that was sent before. payload: the one to send, None to pack it.
    makes: what its workload leaves.
    platforms: those that may be told of as a way out.
    """

    job: Job
    platform: Platform
    settings: Any
    kinds: Mapping[str, SourceKind]
    halves: Mapping[str, str]
    remarks: tuple[Problem, ...] = ()
    resolution: Resolution | None = None
    payload: Payload | None = None
    values: tuple[Mapping[str, Any], ...] = ()
    makes: Makes = "checkpoints"
    platforms: Platforms = field(default=dict, repr=False, compare=False)

    def rendered(self, attempt: int) -> Rendered:
        """Exactly what would be sent as that attempt, with what it is made from; equal jobs give equal bytes.

        Raises Rejected when the platform takes no spec of that size, and for a plan that holds a secret.
        """
        payload = self.payload or pack(self.halves)
        run = self.job.run_name(attempt)
        plan = self.platform.render(self.job, self.settings, run, payload, self.halves)
        raise_if_any([*limits.spec(plan, self.platform, self.platforms), *leaks.in_plan(plan)])
        return Rendered(
            plan=plan,
            settings=dict(scalars(self.settings)),
            halves=self.halves,
            payload=payload,
            values=self.values,
            makes=self.makes,
        )

    def plan(self, attempt: int) -> Plan:
        """The plan alone."""
        return self.rendered(attempt).plan

    def with_settings(self, settings: Any, changes: Mapping[str, Any], origins: Mapping[str, str]) -> "Prepared":
        """The same with settings that its platform told: what is new in them, and where it comes from, by name."""
        told = {
            name: {"name": name, "value": value, "origin": origins[name], "overrode": []}
            for name, value in changes.items()
        }
        values = [{**row, **told.pop(row["name"], {})} for row in self.values]
        return dataclasses.replace(self, settings=settings, values=(*values, *told.values()))

    def with_job(self, job: Job) -> "Prepared":
        """The same for a job that differs in what its platform does not look at: pins."""
        return dataclasses.replace(self, job=job)


def prepare(
    request: Request,
    workload: Workload,
    platform: Platform,
    plugins: Plugins,
    found: tuple[Problem, ...] = (),
    ahead: bool = False,
) -> Prepared:
    """Resolve and check. Raises Rejected with every problem of every stage, those already `found` first.

    ahead: it is not sent, only what it needs is brought; what a run alone needs may be missing then.
    """
    kinds = plugins.source_kinds()
    resolution = resolve(request, workload, platform, kinds)
    spare = getattr(platform, "ahead", ()) if ahead else ()
    problems = [*found, *(one for one in resolution.problems if one.code not in spare)]
    checked = [one for one in check(resolution, workload, platform, kinds, plugins.platforms) if one.code not in spare]
    problems += errors(checked) if errors(problems) else checked  # what was refused counts as its default there
    problems += plugins.source_problems()
    problems += plugins.site_problems(resolution.job, platform.name)
    raise_if_any(problems)
    return Prepared(
        job=resolution.job,
        platform=platform,
        settings=resolution.settings,
        kinds=kinds,
        halves=halves_of(resolution.job, workload, kinds, platform, resolution.settings),
        remarks=tuple(problems),
        resolution=resolution,
        values=tuple(rows(resolution)),
        makes=workload.makes,
        platforms=plugins.platforms,
    )


def halves_of(
    job: Job, workload: Workload, kinds: Mapping[str, SourceKind], platform: Platform, settings: Any
) -> dict[str, str]:
    """The container modules of a job, by what they stand for."""
    found = {f"workload.{workload.name}": workload.half}
    for source in job.sources:
        if half := kinds[source.kind].half:
            found[f"source.{source.kind}"] = half
    for place in targets.of(job, workload, kinds, platform.capabilities):
        if place.kind.target:
            found[f"target.{place.kind.name}"] = place.kind.target
    add = getattr(platform, "halves", None)
    return found | (dict(add(job, settings)) if add else {})
