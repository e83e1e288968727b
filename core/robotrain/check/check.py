"""A job or a plan against its platform's declaration: workload, sources, features, limits. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from robotrain_runtime.contract.parameter import get_parameters

from robotrain.check import combinations, targets
from robotrain.config.request import Origin
from robotrain.config.resolve import Resolution
from robotrain.config.sources import MAX_SOURCES, Input
from robotrain.errors import Problem, Stage, Suggestion
from robotrain.model import capabilities
from robotrain.model.capabilities import FEATURES, Capabilities, ListPlatforms
from robotrain.model.platform import Platform
from robotrain.model.source import SourceKind
from robotrain.model.workload import Workload
from robotrain.redaction import redact

if TYPE_CHECKING:
    from robotrain.model.plan import Plan
    from robotrain.model.source import Source
    from robotrain.plugins.manager import Plugins

SOURCES_LIMIT, SPEC_LIMIT = "sources", "spec_kib"


def get_source_limit(can: Capabilities) -> int:
    """How many sources of one kind a role takes: never more than robotrain itself."""
    return min(can.limits.get(SOURCES_LIMIT, MAX_SOURCES), MAX_SOURCES)


def check_source_limits(
    chosen: Sequence[Input], platform: Platform, kinds: Mapping[str, SourceKind], platforms: ListPlatforms
) -> Iterator[Problem]:
    """Roles of a job with more sources of a kind than the platform takes."""
    given: dict[tuple[str, str], list[Input]] = {}
    for one in chosen:
        given.setdefault((one.role, one.source.kind), []).append(one)
    for (role, name), inputs in given.items():
        if (
            get_source_limit(platform.capabilities) < len(inputs) <= MAX_SOURCES
        ):  # what is above it was refused as no platform's
            yield _make_limit_problem(role, kinds[name], inputs, platform, platforms)


def check_spec_size(plan: Plan, platform: Platform, platforms: ListPlatforms) -> Iterator[Problem]:
    """A native spec that is larger than the platform takes."""
    most = platform.capabilities.limits.get(SPEC_LIMIT)
    kib = -(-len(plan.files[plan.spec]) // 1024)
    if most is None or kib <= most:
        return
    yield Problem(
        code="spec-over-limit",
        stage=Stage.CHECK,
        title=f"{platform.name} takes a spec of at most {most} KiB, and that of this job has {kib}",
        where=plan.spec,
        why="All that the job names is in it: its sources, its values, and what stands after `--`.",
        suggestions=capabilities.suggest_platforms(
            platform, platforms, lambda can: can.limits.get(SPEC_LIMIT, kib) >= kib, "takes one of that size"
        ),
    )


def _make_limit_problem(
    role: str, kind: SourceKind, inputs: Sequence[Input], platform: Platform, platforms: ListPlatforms
) -> Problem:
    most, count = get_source_limit(platform.capabilities), len(inputs)
    elsewhere = capabilities.suggest_platforms(
        platform, platforms, lambda can: can.source(role, kind) and get_source_limit(can) >= count, "takes as many"
    )
    return Problem(
        code="sources-over-limit",
        stage=Stage.CHECK,
        title=f"{platform.name} takes at most {most} {kind.title} in one job, and this one names {count}",
        where=inputs[most].origin.where,
        given=str(inputs[most].source),
        suggestions=(Suggestion(f"{kind.roles[role].flag} {kind.form}", f"at most {most} of them"), *elsewhere),
    )


class FeatureRequirement(NamedTuple):
    """A feature a job needs, where that was said, and what was given there; the flag of the parameter that needs it, or
    the sources that do.
    """

    feature: str
    where: str
    given: str
    flag: str = ""
    sources: str = ""


def list_requirements(
    resolution: Resolution,
    workload: Workload,
    kinds: Mapping[str, SourceKind],
    pairs: Sequence[combinations.DatasetPair],
    can: Capabilities,
) -> Iterator[FeatureRequirement]:
    """Each of a job. pairs: of kinds of its datasets."""
    yield from _list_parameter_requirements(resolution, workload, kinds, can)
    undeclared = (pair for pair in pairs if not combinations.is_pair_declared(can, pair))
    if pair := next(undeclared, None):  # several datasets, unless the platform answers of the very kinds
        count = sum(one.role == combinations.DATASET for one in resolution.inputs.chosen)
        yield FeatureRequirement("several_datasets", pair.source.origin.where, f"{count} datasets")
    for one in resolution.inputs.chosen:
        yield from _list_source_requirements(one, kinds[one.source.kind], can)


def check_requirement(
    requirement: FeatureRequirement, platform: Platform, settings: Any, platforms: ListPlatforms
) -> Iterator[Problem]:
    """That the feature is there, and there with these settings."""
    can = platform.capabilities
    if not can.feature(requirement.feature):
        yield _make_feature_problem(requirement, platform, platforms)
    elif (name := can.required_settings.get(requirement.feature)) and not getattr(settings, name, None):
        yield _make_setting_problem(requirement, name, platform)


def _list_parameter_requirements(
    resolution: Resolution, workload: Workload, kinds: Mapping[str, SourceKind], can: Capabilities
) -> Iterator[FeatureRequirement]:
    addresses = {place.parameter for place in targets.list_targets(resolution.job, workload, kinds, can)}
    addresses |= {name for name in workload.targets if targets.is_address(str(resolution.job[name] or ""))}
    for parameter in get_parameters(workload.parameters):
        given = resolution.job[parameter.name] != parameter.default and parameter.name not in addresses
        if parameter.param.requires and given:
            value = resolution.parameters[parameter.name]
            said = redact(str(value.value))
            yield FeatureRequirement(parameter.param.requires, value.origin.where, said, parameter.flag)


def _list_source_requirements(one: Input, kind: SourceKind, can: Capabilities) -> Iterator[FeatureRequirement]:
    """What its kind requires, of a source that the platform takes; where it names the kind, that is its answer."""
    if kind.requires and can.source(one.role, kind) and can.feature(kind.requires):
        yield FeatureRequirement(kind.requires, one.origin.where, str(one.source), sources=kind.title)


def _make_feature_problem(need: FeatureRequirement, platform: Platform, platforms: ListPlatforms) -> Problem:
    support = platform.capabilities.feature(need.feature)
    others = capabilities.suggest_platforms(platform, platforms, lambda can: can.feature(need.feature), "can")
    return Problem(
        code="feature-not-there",
        stage=Stage.CHECK,
        title=f"{platform.name} cannot {_describe_feature(need)}{capabilities.format_yet(support)}",
        where=need.where,
        given=need.given,
        why=support.reason,
        suggestions=capabilities.collect_suggestions(support, others),
    )


def _make_setting_problem(need: FeatureRequirement, name: str, platform: Platform) -> Problem:
    setting = next(one for one in get_parameters(platform.settings) if one.name == name)
    return Problem(
        code="feature-not-there",
        stage=Stage.CHECK,
        title=f"{platform.name} cannot {_describe_feature(need)} without {setting.flag}",
        where=need.where,
        given=need.given,
        why=f"What needs it: {need.sources}." if need.sources else "",
        suggestions=(Suggestion(f"{setting.flag} {setting.metavar}"),),
    )


def _describe_feature(need: FeatureRequirement) -> str:
    return FEATURES.get(need.feature, need.feature.replace("_", " "))


def check_job(
    resolution: Resolution,
    workload: Workload,
    platform: Platform,
    kinds: Mapping[str, SourceKind],
    platforms: ListPlatforms,
) -> Iterator[Problem]:
    """Everything the platform cannot do, then the workload's and the platform's own rules."""
    yield from _check_workload(workload, platform, platforms)
    chosen = resolution.inputs.chosen
    for one in chosen:
        yield from _check_source(one, platform, kinds, platforms)
    datasets = [one for one in chosen if one.role == combinations.DATASET]
    pairs = combinations.list_dataset_pairs(datasets)
    yield from combinations.check_combinations(pairs, platform, kinds, platforms)
    yield from check_source_limits(chosen, platform, kinds, platforms)
    needed = [*list_requirements(resolution, workload, kinds, pairs, platform.capabilities)]
    for need in needed:
        yield from check_requirement(need, platform, resolution.settings, platforms)
    yield from targets.check_targets(resolution, workload, platform, kinds, platforms)
    beside = {need.flag for need in needed if not platform.capabilities.feature(need.feature)}
    for problem in workload.check(resolution.job):
        if problem.where in beside:  # how to write it right is no way out where nothing of it can be had
            continue
        if resolution.unread.isdisjoint(problem.absent):
            yield problem
    yield from platform.check(resolution.job, resolution.settings)


def _check_workload(workload: Workload, platform: Platform, platforms: ListPlatforms) -> Iterator[Problem]:
    support = platform.capabilities.workload(workload.name)
    if not support:
        yield Problem(
            code="workload-not-accepted",
            stage=Stage.CHECK,
            title=f"{platform.name} {capabilities.format_refusal('run', support)} {workload.name}{capabilities.format_yet(support)}",
            why=support.reason,
            suggestions=capabilities.collect_suggestions(
                support,
                capabilities.suggest_platforms(platform, platforms, lambda can: can.workload(workload.name), "runs it"),
            ),
        )


def _check_source(
    one: Input, platform: Platform, kinds: Mapping[str, SourceKind], platforms: ListPlatforms
) -> Iterator[Problem]:
    kind = kinds[one.source.kind]
    support = platform.capabilities.source(one.role, kind)
    if support:
        return
    accepted = platform.capabilities.list_accepted_kinds(one.role, kinds)
    ways = [support.suggestion] if support.suggestion else [_format_source_flag(other, one.role) for other in accepted]
    accepts = f"{platform.name} accepts: {', '.join(other.name for other in accepted)}"
    others = capabilities.suggest_platforms(
        platform, platforms, lambda can: can.source(one.role, kind), f"accepts {kind.name}"
    )
    yield Problem(
        code="source-not-accepted",
        stage=Stage.CHECK,
        title=f"{platform.name} {capabilities.format_refusal('accept', support)} {kind.title}{capabilities.format_yet(support)}",
        where=one.origin.where,
        given=str(one.source),
        why=support.reason,
        suggestions=(*(Suggestion(way, accepts) for way in ways[:1]), *others),
    )


def _format_source_flag(kind: SourceKind, role: str) -> str:
    return f"{kind.roles[role].flag} {kind.form}"


@dataclass(frozen=True, slots=True)
class _PlannedSource:
    """A source as a plan holds it."""

    kind: str
    uri: str

    def __str__(self) -> str:
        return self.uri


def recheck_plan(plan: Plan, platform: Platform, plugins: Plugins) -> Iterator[Problem]:
    """What the platform does not take any more of such a plan."""
    kinds, said = plugins.source_kinds(), Origin("run", plan.run)
    known = [one for one in plan.job.sources if one.kind in kinds and one.role in kinds[one.kind].roles]
    chosen = [
        Input(role=one.role, source=cast("Source", _PlannedSource(one.kind, one.uri)), origin=said) for one in known
    ]
    datasets = [one for one in chosen if one.role == combinations.DATASET]
    yield from combinations.check_combinations(
        combinations.list_dataset_pairs(datasets), platform, kinds, plugins.platforms
    )
    yield from check_source_limits(chosen, platform, kinds, plugins.platforms)
    yield from check_spec_size(plan, platform, plugins.platforms)
