"""What a platform's declaration says of a resolved job. Pure; every answer comes from data."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from robotrain_runtime.parameter import parameters_of

from robotrain import combinations, limits, refusals, targets
from robotrain.capabilities import FEATURES, Capabilities
from robotrain.inputs import Input
from robotrain.platforms import Platform
from robotrain.problem import Instead, Problem, Stage
from robotrain.redaction import redact
from robotrain.refusals import Platforms
from robotrain.resolve import Resolution
from robotrain.source import SourceKind
from robotrain.workload import Workload


class Need(NamedTuple):
    """A feature a job needs, where that was said, and what was given there; the flag of the parameter that needs it."""

    feature: str
    where: str
    given: str
    flag: str = ""


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
    needed = [
        *_needed(resolution, workload, kinds, platform.capabilities),
        *_merged(datasets, pairs, platform.capabilities),
    ]
    for need in needed:
        yield from _feature(need, platform, platforms)
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


def _feature(need: Need, platform: Platform, platforms: Platforms) -> Iterator[Problem]:
    support = platform.capabilities.feature(need.feature)
    if support:
        return
    what = FEATURES.get(need.feature, need.feature.replace("_", " "))
    others = refusals.others(platform, platforms, lambda can: can.feature(need.feature), "can")
    yield Problem(
        code="feature-not-there",
        stage=Stage.CHECK,
        title=f"{platform.name} cannot {what}{refusals.yet(support)}",
        where=need.where,
        given=need.given,
        why=support.reason,
        instead=refusals.ways(support, others),
    )


def _needed(
    resolution: Resolution, workload: Workload, kinds: Mapping[str, SourceKind], can: Capabilities
) -> Iterator[Need]:
    """Each feature the job needs."""
    addresses = {place.parameter for place in targets.of(resolution.job, workload, kinds, can)}
    addresses |= {name for name in workload.targets if targets.is_address(str(resolution.job[name] or ""))}
    for parameter in parameters_of(workload.parameters):
        given = resolution.job[parameter.name] != parameter.default and parameter.name not in addresses
        if parameter.param.requires and given:
            value = resolution.parameters[parameter.name]
            said = redact(str(value.value))
            yield Need(parameter.param.requires, value.origin.where, said, parameter.flag)


def _merged(datasets: Sequence[Input], pairs: Sequence[combinations.Pair], can: Capabilities) -> Iterator[Need]:
    """Several datasets, unless the platform answers of the very kinds."""
    undeclared = (pair for pair in pairs if not combinations.declared(can, pair))
    if pair := next(undeclared, None):
        yield Need("several_datasets", pair.later.origin.where, f"{len(datasets)} datasets")


def _spelling(kind: SourceKind, role: str) -> str:
    return f"{kind.roles[role].flag} {kind.form}"
