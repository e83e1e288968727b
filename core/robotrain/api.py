"""The way of a job, in one place: resolve → check → render. Nothing here has an effect."""

from collections.abc import Mapping
from dataclasses import dataclass

from robotrain.check import check
from robotrain.payload import pack
from robotrain.plan import Plan
from robotrain.platforms import Platform
from robotrain.plugins import Plugins
from robotrain.problem import Problem, raise_if_any
from robotrain.request import Request
from robotrain.resolve import Resolution, resolve
from robotrain.source import SourceKind
from robotrain.workload import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A job that its platform can run. remarks: warnings and notes worth showing."""

    workload: Workload
    platform: Platform
    resolution: Resolution
    halves: Mapping[str, str]
    remarks: tuple[Problem, ...]

    def plan(self, attempt: int) -> Plan:
        """Exactly what would be sent as that attempt; equal jobs give equal bytes."""
        run = self.resolution.job.run_name(attempt)
        payload = pack(self.halves.values())
        return self.platform.render(self.resolution.job, self.resolution.settings, run, payload, self.halves)


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
        workload=workload,
        platform=platform,
        resolution=resolution,
        halves=_halves(resolution, workload, kinds),
        remarks=tuple(problems),
    )


def _halves(resolution: Resolution, workload: Workload, kinds: Mapping[str, SourceKind]) -> dict[str, str]:
    found = {f"workload.{workload.name}": workload.half}
    for one in resolution.inputs.chosen:
        if half := kinds[one.source.kind].half:
            found[f"source.{one.source.kind}"] = half
    return found
