"""What a platform's declaration says of a resolved job. Pure; every answer comes from data."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from robotrain_runtime.parameter import Parameter, parameters_of

from robotrain.capabilities import FEATURES, Capabilities, Support
from robotrain.platforms import Platform
from robotrain.problem import Instead, Problem, Stage
from robotrain.redaction import redact
from robotrain.resolve import Resolution
from robotrain.source import SourceKind
from robotrain.workload import Workload

Platforms = Callable[[], Mapping[str, Platform]]
"""The installed platforms; called only when something is refused, to say who would take it."""


def check(
    resolution: Resolution,
    workload: Workload,
    platform: Platform,
    kinds: Mapping[str, SourceKind],
    platforms: Platforms,
) -> Iterator[Problem]:
    """Everything the platform cannot do, then the workload's and the platform's own rules."""
    yield from _workload(workload, platform, platforms)
    yield from _sources(resolution, platform, kinds, platforms)
    yield from _features(resolution, workload, platform, platforms)
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


def _sources(
    resolution: Resolution, platform: Platform, kinds: Mapping[str, SourceKind], platforms: Platforms
) -> Iterator[Problem]:
    for one in resolution.inputs.chosen:
        kind = kinds[one.source.kind]
        support = platform.capabilities.source(one.role, kind.name)
        if support:
            continue
        accepted = [kinds[name] for name in platform.capabilities.kinds(one.role) if name in kinds]
        ways = [support.instead] if support.instead else [_spelling(other, one.role) for other in accepted]
        accepts = f"{platform.name} accepts: {', '.join(other.name for other in accepted)}"
        takes = _taker(one.role, kind.name)
        yield Problem(
            code="source-not-accepted",
            stage=Stage.CHECK,
            title=f"{platform.name} {_verb('accept', support)} {kind.title}{_yet(support)}",
            where=one.origin.where,
            given=str(one.source),
            why=support.reason,
            instead=(
                *(Instead(way, accepts) for way in ways[:1]),
                *_others(platform, platforms, takes, f"accepts {kind.name}"),
            ),
        )


def _taker(role: str, kind: str) -> Callable[[Capabilities], Support]:
    return lambda can: can.source(role, kind)


def _features(
    resolution: Resolution, workload: Workload, platform: Platform, platforms: Platforms
) -> Iterator[Problem]:
    for feature, where, given in _needed(resolution, workload):
        support = platform.capabilities.feature(feature)
        if support:
            continue
        what = FEATURES.get(feature, feature.replace("_", " "))
        yield Problem(
            code="feature-not-there",
            stage=Stage.CHECK,
            title=f"{platform.name} cannot {what}{_yet(support)}",
            where=where,
            given=given,
            why=support.reason,
            instead=_instead(support, _others(platform, platforms, _has(feature), "can")),
        )


def _has(feature: str) -> Callable[[Capabilities], Support]:
    return lambda can: can.feature(feature)


def _needed(resolution: Resolution, workload: Workload) -> Iterator[tuple[str, str, str]]:
    """Each feature the job needs, with where that was said and what was given."""
    for parameter in parameters_of(workload.parameters):
        if parameter.param.requires and resolution.job[parameter.name] != parameter.default:
            yield parameter.param.requires, *_place(parameter, resolution)
    datasets = [one for one in resolution.inputs.chosen if one.role == "dataset"]
    if len(datasets) > 1:
        yield "several_datasets", datasets[1].origin.where, f"{len(datasets)} datasets"


def _place(parameter: Parameter, resolution: Resolution) -> tuple[str, str]:
    value = resolution.parameters[parameter.name]
    return value.origin.where, redact(str(value.value))


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
