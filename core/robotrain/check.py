"""What a platform's declaration says of a resolved job. Pure; every answer comes from data."""

from collections.abc import Iterator, Mapping

from robotrain import combinations, limits, needs, refusals, targets
from robotrain.inputs import Input
from robotrain.platforms import Platform
from robotrain.problem import Instead, Problem, Stage
from robotrain.refusals import Platforms
from robotrain.resolve import Resolution
from robotrain.source import SourceKind
from robotrain.workload import Workload


def check(
    resolution: Resolution,
    workload: Workload,
    platform: Platform,
    kinds: Mapping[str, SourceKind],
    platforms: Platforms,
) -> Iterator[Problem]:
    """Everything the platform cannot do, then the workload's and the platform's own rules."""
    yield from _workload(workload, platform, platforms)
    chosen = resolution.inputs.chosen
    for one in chosen:
        yield from _source(one, platform, kinds, platforms)
    datasets = [one for one in chosen if one.role == combinations.DATASET]
    pairs = combinations.pairs(datasets)
    yield from combinations.check(pairs, platform, kinds, platforms)
    yield from limits.check(chosen, platform, kinds, platforms)
    needed = [*needs.of(resolution, workload, kinds, pairs, platform.capabilities)]
    for need in needed:
        yield from needs.check(need, platform, resolution.settings, platforms)
    yield from targets.check(resolution, workload, platform, kinds, platforms)
    beside = {need.flag for need in needed if not platform.capabilities.feature(need.feature)}
    for problem in workload.check(resolution.job):
        if problem.where in beside:  # how to write it right is no way out where nothing of it can be had
            continue
        if resolution.unread.isdisjoint(problem.absent):
            yield problem
    yield from platform.check(resolution.job, resolution.settings)


def _workload(workload: Workload, platform: Platform, platforms: Platforms) -> Iterator[Problem]:
    support = platform.capabilities.workload(workload.name)
    if not support:
        yield Problem(
            code="workload-not-accepted",
            stage=Stage.CHECK,
            title=f"{platform.name} {refusals.says('run', support)} {workload.name}{refusals.yet(support)}",
            why=support.reason,
            instead=refusals.ways(
                support, refusals.others(platform, platforms, lambda can: can.workload(workload.name), "runs it")
            ),
        )


def _source(one: Input, platform: Platform, kinds: Mapping[str, SourceKind], platforms: Platforms) -> Iterator[Problem]:
    kind = kinds[one.source.kind]
    support = platform.capabilities.source(one.role, kind)
    if support:
        return
    accepted = platform.capabilities.accepted(one.role, kinds)
    ways = [support.instead] if support.instead else [_spelling(other, one.role) for other in accepted]
    accepts = f"{platform.name} accepts: {', '.join(other.name for other in accepted)}"
    others = refusals.others(platform, platforms, lambda can: can.source(one.role, kind), f"accepts {kind.name}")
    yield Problem(
        code="source-not-accepted",
        stage=Stage.CHECK,
        title=f"{platform.name} {refusals.says('accept', support)} {kind.title}{refusals.yet(support)}",
        where=one.origin.where,
        given=str(one.source),
        why=support.reason,
        instead=(*(Instead(way, accepts) for way in ways[:1]), *others),
    )


def _spelling(kind: SourceKind, role: str) -> str:
    return f"{kind.roles[role].flag} {kind.form}"
