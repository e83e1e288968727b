"""The way of a job, in one place: resolve → check → render. Nothing here has an effect."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from robotrain import targets
from robotrain.check import check
from robotrain.coerce import scalars
from robotrain.job import Job
from robotrain.origins import rows
from robotrain.payload import Payload, pack
from robotrain.plan import Plan
from robotrain.plan_folder import Rendered
from robotrain.platforms import Platform
from robotrain.plugins import Plugins
from robotrain.problem import Problem, raise_if_any
from robotrain.request import Request
from robotrain.resolve import Resolution, resolve
from robotrain.source import SourceKind
from robotrain.workload import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A job that its platform can run. remarks: warnings and notes worth showing.

    resolution: how the job came to be; None for one that was sent before. payload: the one to send, None to pack it.
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

    def rendered(self, attempt: int) -> Rendered:
        """Exactly what would be sent as that attempt, with what it is made from; equal jobs give equal bytes."""
        payload = self.payload or pack(self.halves.values())
        run = self.job.run_name(attempt)
        return Rendered(
            plan=self.platform.render(self.job, self.settings, run, payload, self.halves),
            settings=dict(scalars(self.settings)),
            halves=self.halves,
            payload=payload,
            values=self.values,
        )

    def plan(self, attempt: int) -> Plan:
        """The plan alone."""
        return self.rendered(attempt).plan

    def with_job(self, job: Job) -> "Prepared":
        """The same for a job that differs in what its platform does not look at: pins."""
        return dataclasses.replace(self, job=job)


def prepare(
    request: Request, workload: Workload, platform: Platform, plugins: Plugins, found: tuple[Problem, ...] = ()
) -> Prepared:
    """Resolve and check. Raises Rejected with every problem of every stage, those already `found` first."""
    kinds = plugins.source_kinds()
    resolution = resolve(request, workload, platform, kinds)
    problems = [*found, *resolution.problems]
    problems += check(resolution, workload, platform, kinds, plugins.platforms)
    problems += plugins.site_problems(resolution.job, platform.name)
    raise_if_any(problems)
    return Prepared(
        job=resolution.job,
        platform=platform,
        settings=resolution.settings,
        kinds=kinds,
        halves=halves_of(resolution.job, workload, kinds),
        remarks=tuple(problems),
        resolution=resolution,
        values=tuple(rows(resolution)),
    )


def halves_of(job: Job, workload: Workload, kinds: Mapping[str, SourceKind]) -> dict[str, str]:
    """The container modules of a job, by what they stand for."""
    found = {f"workload.{workload.name}": workload.half}
    for source in job.sources:
        if half := kinds[source.kind].half:
            found[f"source.{source.kind}"] = half
    for place in targets.of(job, workload, kinds):
        found[f"target.{place.kind.name}"] = place.kind.target
    return found
