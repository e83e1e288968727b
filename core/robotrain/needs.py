"""What a job needs of its platform: features, where each was said, and whether they are there for this very job."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from robotrain_runtime.parameter import parameters_of

from robotrain import combinations, refusals, targets
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
    """A feature a job needs, where that was said, and what was given there; the flag of the parameter that needs it, or
    the sources that do.
    """

    feature: str
    where: str
    given: str
    flag: str = ""
    sources: str = ""


def of(
    resolution: Resolution,
    workload: Workload,
    kinds: Mapping[str, SourceKind],
    pairs: Sequence[combinations.Pair],
    can: Capabilities,
) -> Iterator[Need]:
    """Each of a job. pairs: of kinds of its datasets."""
    yield from _of_parameters(resolution, workload, kinds, can)
    undeclared = (pair for pair in pairs if not combinations.declared(can, pair))
    if pair := next(undeclared, None):  # several datasets, unless the platform answers of the very kinds
        count = sum(one.role == combinations.DATASET for one in resolution.inputs.chosen)
        yield Need("several_datasets", pair.later.origin.where, f"{count} datasets")
    for one in resolution.inputs.chosen:
        yield from _of_source(one, kinds[one.source.kind], can)


def check(need: Need, platform: Platform, settings: Any, platforms: Platforms) -> Iterator[Problem]:
    """That the feature is there, and there with these settings."""
    can = platform.capabilities
    if not can.feature(need.feature):
        yield _refused(need, platform, platforms)
    elif (name := can.given_by.get(need.feature)) and not getattr(settings, name, None):
        yield _not_given(need, name, platform)


def _of_parameters(
    resolution: Resolution, workload: Workload, kinds: Mapping[str, SourceKind], can: Capabilities
) -> Iterator[Need]:
    addresses = {place.parameter for place in targets.of(resolution.job, workload, kinds, can)}
    addresses |= {name for name in workload.targets if targets.is_address(str(resolution.job[name] or ""))}
    for parameter in parameters_of(workload.parameters):
        given = resolution.job[parameter.name] != parameter.default and parameter.name not in addresses
        if parameter.param.requires and given:
            value = resolution.parameters[parameter.name]
            said = redact(str(value.value))
            yield Need(parameter.param.requires, value.origin.where, said, parameter.flag)


def _of_source(one: Input, kind: SourceKind, can: Capabilities) -> Iterator[Need]:
    """What its kind requires, of a source that the platform takes; where it names the kind, that is its answer."""
    if kind.requires and can.source(one.role, kind) and can.feature(kind.requires):
        yield Need(kind.requires, one.origin.where, str(one.source), sources=kind.title)


def _refused(need: Need, platform: Platform, platforms: Platforms) -> Problem:
    support = platform.capabilities.feature(need.feature)
    others = refusals.others(platform, platforms, lambda can: can.feature(need.feature), "can")
    return Problem(
        code="feature-not-there",
        stage=Stage.CHECK,
        title=f"{platform.name} cannot {_what(need)}{refusals.yet(support)}",
        where=need.where,
        given=need.given,
        why=support.reason,
        instead=refusals.ways(support, others),
    )


def _not_given(need: Need, name: str, platform: Platform) -> Problem:
    setting = next(one for one in parameters_of(platform.settings) if one.name == name)
    return Problem(
        code="feature-not-there",
        stage=Stage.CHECK,
        title=f"{platform.name} cannot {_what(need)} without {setting.flag}",
        where=need.where,
        given=need.given,
        why=f"What needs it: {need.sources}." if need.sources else "",
        instead=(Instead(f"{setting.flag} {setting.metavar}"),),
    )


def _what(need: Need) -> str:
    return FEATURES.get(need.feature, need.feature.replace("_", " "))
