"""A plan that was made before, held to what its platform declares by now: which kinds go together, and its limits."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from robotrain import combinations, limits
from robotrain.inputs import Input
from robotrain.provenance import Origin

if TYPE_CHECKING:
    from robotrain.plan import Plan
    from robotrain.platforms import Platform
    from robotrain.plugins import Plugins
    from robotrain.problem import Problem
    from robotrain.source import Source


@dataclass(frozen=True, slots=True)
class _Sent:
    """A source as a plan holds it."""

    kind: str
    uri: str

    def __str__(self) -> str:
        return self.uri


def check(plan: Plan, platform: Platform, plugins: Plugins) -> Iterator[Problem]:
    """What the platform does not take any more of such a plan."""
    kinds, said = plugins.source_kinds(), Origin("run", plan.run)
    known = [one for one in plan.job.sources if one.kind in kinds and one.role in kinds[one.kind].roles]
    chosen = [Input(role=one.role, source=cast("Source", _Sent(one.kind, one.uri)), origin=said) for one in known]
    datasets = [one for one in chosen if one.role == combinations.DATASET]
    yield from combinations.check(combinations.pairs(datasets), platform, kinds, plugins.platforms)
    yield from limits.check(chosen, platform, kinds, plugins.platforms)
    yield from limits.spec(plan, platform, plugins.platforms)
