"""The limits that a platform declares, held: how many sources a job may name, how large its native spec may be."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from robotrain import refusals
from robotrain.inputs import MOST
from robotrain.problem import Instead, Problem, Stage

if TYPE_CHECKING:
    from robotrain.capabilities import Capabilities
    from robotrain.inputs import Input
    from robotrain.plan import Plan
    from robotrain.platforms import Platform
    from robotrain.refusals import Platforms
    from robotrain.source import SourceKind

SOURCES, SPEC = "sources", "spec_kib"


def sources(can: Capabilities) -> int:
    """How many sources of one kind a role takes: never more than robotrain itself."""
    return min(can.limits.get(SOURCES, MOST), MOST)


def check(
    chosen: Sequence[Input], platform: Platform, kinds: Mapping[str, SourceKind], platforms: Platforms
) -> Iterator[Problem]:
    """Roles of a job with more sources of a kind than the platform takes."""
    given: dict[tuple[str, str], list[Input]] = {}
    for one in chosen:
        given.setdefault((one.role, one.source.kind), []).append(one)
    for (role, name), inputs in given.items():
        if sources(platform.capabilities) < len(inputs) <= MOST:  # what is above it was refused as no platform's
            yield _too_many(role, kinds[name], inputs, platform, platforms)


def spec(plan: Plan, platform: Platform, platforms: Platforms) -> Iterator[Problem]:
    """A native spec that is larger than the platform takes."""
    most = platform.capabilities.limits.get(SPEC)
    kib = -(-len(plan.files[plan.spec]) // 1024)
    if most is None or kib <= most:
        return
    yield Problem(
        code="spec-over-limit",
        stage=Stage.CHECK,
        title=f"{platform.name} takes a spec of at most {most} KiB, and that of this job has {kib}",
        where=plan.spec,
        why="All that the job names is in it: its sources, its values, and what stands after `--`.",
        instead=refusals.others(
            platform, platforms, lambda can: can.limits.get(SPEC, kib) >= kib, "takes one of that size"
        ),
    )


def _too_many(
    role: str, kind: SourceKind, inputs: Sequence[Input], platform: Platform, platforms: Platforms
) -> Problem:
    most, count = sources(platform.capabilities), len(inputs)
    elsewhere = refusals.others(
        platform, platforms, lambda can: can.source(role, kind) and sources(can) >= count, "takes as many"
    )
    return Problem(
        code="sources-over-limit",
        stage=Stage.CHECK,
        title=f"{platform.name} takes at most {most} {kind.title} in one job, and this one names {count}",
        where=inputs[most].origin.where,
        given=str(inputs[most].source),
        instead=(Instead(f"{kind.roles[role].flag} {kind.form}", f"at most {most} of them"), *elsewhere),
    )
