"""What a platform's declaration says of a resolved job. Pure; every answer comes from data."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from robotrain_runtime.parameter import parameters_of

from robotrain import targets
from robotrain.capabilities import FEATURES, Capabilities, Support
from robotrain.inputs import Input
from robotrain.platforms import Platform
from robotrain.problem import Instead, Problem, Stage
from robotrain.redaction import redact
from robotrain.resolve import Resolution
from robotrain.source import SourceKind
from robotrain.workload import Workload

Platforms = Callable[[], Mapping[str, Platform]]
"""The installed platforms; called only when something is refused, to say who would take it."""


class Need(NamedTuple):
    """A feature a job needs, where that was said, and what was given there."""

    feature: str
    where: str
    given: str


def check(
    resolution: Resolution,
    workload: Workload,
    platform: Platform,
    kinds: Mapping[str, SourceKind],
    platforms: Platforms,
) -> Iterator[Problem]:
    """Everything the platform cannot do, then the workload's and the platform's own rules."""
    yield from _workload(workload, platform, platforms)
    for one in resolution.inputs.chosen:
        yield from _source(one, platform, kinds, platforms)
    for need in _needed(resolution, workload, kinds):
        yield from _feature(need, platform, platforms)
    yield from targets.check(resolution, workload, platform, kinds, platforms)
    yield from workload.check(resolution.job)
    yield from platform.check(resolution.job, resolution.settings)


def _workload(workload: Workload, platform: Platform, platforms: Platforms) -> Iterator[Problem]:
    support = platform.capabilities.workload(workload.name)
    if not support:
        yield Problem(
            code="workload-not-accepted",
            stage=Stage.CHECK,
            title=f"{platform.name} {_verb('run', support)} {workload.name}{_yet(support)}",
            why=support.reason,
            instead=_instead(support, _others(platform, platforms, lambda can: can.workload(workload.name), "runs it")),
        )


def _source(one: Input, platform: Platform, kinds: Mapping[str, SourceKind], platforms: Platforms) -> Iterator[Problem]:
    kind = kinds[one.source.kind]
    support = platform.capabilities.source(one.role, kind.name)
    if support:
        return
    accepted = [kinds[name] for name in platform.capabilities.kinds(one.role) if name in kinds]
    accepted = [other for other in accepted if one.role in other.roles]
    ways = [support.instead] if support.instead else [_spelling(other, one.role) for other in accepted]
    accepts = f"{platform.name} accepts: {', '.join(other.name for other in accepted)}"
    others = _others(platform, platforms, lambda can: can.source(one.role, kind.name), f"accepts {kind.name}")
    yield Problem(
        code="source-not-accepted",
        stage=Stage.CHECK,
        title=f"{platform.name} {_verb('accept', support)} {kind.title}{_yet(support)}",
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
    yield Problem(
        code="feature-not-there",
        stage=Stage.CHECK,
        title=f"{platform.name} cannot {what}{_yet(support)}",
        where=need.where,
        given=need.given,
        why=support.reason,
        instead=_instead(support, _others(platform, platforms, lambda can: can.feature(need.feature), "can")),
    )


def _needed(resolution: Resolution, workload: Workload, kinds: Mapping[str, SourceKind]) -> Iterator[Need]:
    """Each feature the job needs."""
    addresses = {place.parameter for place in targets.of(resolution.job, workload, kinds)}
    for parameter in parameters_of(workload.parameters):
        given = resolution.job[parameter.name] != parameter.default and parameter.name not in addresses
        if parameter.param.requires and given:
            value = resolution.parameters[parameter.name]
            yield Need(parameter.param.requires, value.origin.where, redact(str(value.value)))
    datasets = [one for one in resolution.inputs.chosen if one.role == "dataset"]
    if len(datasets) > 1:
        yield Need("several_datasets", datasets[1].origin.where, f"{len(datasets)} datasets")


def _others(
    platform: Platform, platforms: Platforms, takes: Callable[[Capabilities], Any], remark: str
) -> tuple[Instead, ...]:
    return tuple(
        Instead(f"--platform {name}", remark)
        for name, other in platforms().items()
        if name != platform.name and takes(other.capabilities)
    )


def _instead(support: Support, ways: tuple[Instead, ...]) -> tuple[Instead, ...]:
    return (*((Instead(support.instead),) if support.instead else ()), *ways)


def _verb(verb: str, support: Support) -> str:
    return f"does not say that it can {verb}" if support.level == "unknown" else f"does not {verb}"


def _yet(support: Support) -> str:
    return " yet" if support.level == "not_yet" else ""


def _spelling(kind: SourceKind, role: str) -> str:
    return f"{kind.roles[role].flag} {kind.form}"
