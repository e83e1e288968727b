"""What a job needs of its platform: features, combinations of datasets, and limits."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from operator import methodcaller
from typing import Any, NamedTuple

from robotrain_runtime.contract.parameter import get_parameters

from robotrain.check import publish_targets
from robotrain.config.resolve import Resolution
from robotrain.config.sources import MAX_SOURCES, Input
from robotrain.config.validate import list_fields
from robotrain.errors import Problem, Suggestion, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.model.capabilities import FEATURES, Capabilities
from robotrain.model.plan import Plan
from robotrain.model.platform import ListPlatforms, Need, Platform, check_need, suggest_platforms
from robotrain.model.source import SourceKind
from robotrain.model.support import Support
from robotrain.model.workload import Workload
from robotrain.redaction import redact

make_problem = Messages(__file__)

SOURCES_LIMIT, SPEC_LIMIT = "sources", "spec_kib"
DATASET = "dataset"


class FeatureRequirement(NamedTuple):
    """A feature that a job needs, with the place and text of what needs it."""

    feature: str
    where: str
    given: str
    flag: str = ""
    """The flag of the parameter that needs it."""
    sources: str = ""
    """The title of the source kind that needs it."""


def list_requirements(
    resolution: Resolution, workload: Workload, kinds: Mapping[str, SourceKind], capabilities: Capabilities
) -> Iterator[FeatureRequirement]:
    """Yield the features that a job needs."""
    addresses = {
        target.parameter for target in publish_targets.list_targets(resolution.job, workload, kinds, capabilities)
    }
    addresses |= {name for name in workload.targets if publish_targets.is_address(str(resolution.job[name] or ""))}
    for parameter in get_parameters(workload.parameters):
        needed_feature = parameter.param.requires if parameter.name not in addresses else ""
        if needed_feature and resolution.job[parameter.name] != parameter.default:
            value = resolution.parameters[parameter.name]
            yield FeatureRequirement(needed_feature, value.origin.where, redact(str(value.value)), parameter.flag)
    pairs = list_dataset_pairs(resolution.inputs.chosen)
    if pair := next((pair for pair in pairs if not is_pair_declared(capabilities, pair)), None):
        count = sum(job_input.role == DATASET for job_input in resolution.inputs.chosen)
        yield FeatureRequirement("several_datasets", pair.source.origin.where, f"{count} datasets")
    yield from list_source_requirements(resolution.inputs.chosen, kinds, capabilities)


def list_source_requirements(
    chosen_inputs: Sequence[Input], kinds: Mapping[str, SourceKind], capabilities: Capabilities
) -> Iterator[FeatureRequirement]:
    """Yield the features that kinds of these sources need, if the platform accepts the source: else it is refused."""
    for job_input in chosen_inputs:
        kind = kinds[job_input.source.kind]
        if kind.requires and capabilities.source(job_input.role, kind) and capabilities.feature(kind.requires):
            yield FeatureRequirement(kind.requires, job_input.where, str(job_input.source), sources=kind.title)


def check_requirement(
    requirement: FeatureRequirement, platform: Platform, settings: Any, platforms: ListPlatforms
) -> Iterator[Problem]:
    """Yield a problem if the platform lacks the feature, or lacks it with these settings (`None`: with none set)."""
    feature, where, given = requirement[:3]
    title = FEATURES.get(feature, feature.replace("_", " "))
    if not platform.capabilities.feature(feature):
        is_of_file = requirement.flag and not where.startswith("-")  # so that the job may do without
        ways = [suggest_leaving_out(requirement.flag)] if is_of_file else []
        need = Need("feature-not-there", "", title, methodcaller("feature", feature), "can", where, given)
        yield from check_need(need, platform, platforms, *ways)
        return
    fields = dict(list_fields(settings)) if settings is not None else {}
    name, off_value = platform.capabilities.find_missing_setting(feature, fields)
    if name:
        setting = next(parameter for parameter in get_parameters(platform.settings) if parameter.name == name)
        way = suggest_leaving_out(setting.flag) if off_value else Suggestion(f"{setting.flag} {setting.metavar}")
        yield make_problem(
            "feature-not-there.setting",
            way,
            where=where,
            given=given,
            name=platform.name,
            feature=title,
            cause=f"with {setting.flag} {off_value}" if off_value else f"without {setting.flag}",
            why=f"It is required by {requirement.sources}." if requirement.sources else "",
        )


def get_source_limit(capabilities: Capabilities) -> int:
    """Return how many sources of one kind a role accepts."""
    return min(capabilities.limits.get(SOURCES_LIMIT, MAX_SOURCES), MAX_SOURCES)


def check_source_limits(
    chosen_inputs: Sequence[Input], platform: Platform, kinds: Mapping[str, SourceKind], platforms: ListPlatforms
) -> Iterator[Problem]:
    """Yield problems for roles with more sources of a kind than the platform accepts."""
    inputs_by_role_and_kind: dict[tuple[str, str], list[Input]] = {}
    for job_input in chosen_inputs:
        inputs_by_role_and_kind.setdefault((job_input.role, job_input.source.kind), []).append(job_input)
    max_sources = get_source_limit(platform.capabilities)
    for (role, name), inputs in inputs_by_role_and_kind.items():
        if not max_sources < len(inputs) <= MAX_SOURCES:  # more is rejected earlier
            continue
        kind, count = kinds[name], len(inputs)

        def accepts(capabilities: Capabilities, role: str, kind: SourceKind, count: int) -> bool:
            return bool(capabilities.source(role, kind)) and get_source_limit(capabilities) >= count

        accepts_all = partial(accepts, role=role, kind=kind, count=count)
        yield make_problem(
            "sources-over-limit",
            Suggestion(f"{kind.roles[role].flag} {kind.get_form(role)}", f"at most {max_sources} of them"),
            *suggest_platforms(platform, platforms, accepts_all, "accepts as many"),
            where=inputs[max_sources].where,
            given=str(inputs[max_sources].source),
            name=platform.name,
            most=max_sources,
            title=kind.title,
            count=count,
        )


def check_spec_size(plan: Plan, platform: Platform, platforms: ListPlatforms) -> Iterator[Problem]:
    """Yield a problem for a native spec that is larger than the platform accepts."""
    max_kib = platform.capabilities.limits.get(SPEC_LIMIT)
    kib = -(-len(plan.files[plan.spec]) // 1024)
    if max_kib is None or kib <= max_kib:
        return
    ways = suggest_platforms(
        platform, platforms, lambda capabilities: capabilities.limits.get(SPEC_LIMIT, kib) >= kib, "accepts this size"
    )
    yield make_problem("spec-over-limit", *ways, where=plan.spec, name=platform.name, most=max_kib, kib=kib)


class DatasetPair(NamedTuple):
    """Two kinds of datasets in a job, which may be equal; `source` is the later dataset."""

    kind: str
    other_kind: str
    source: Input


def list_dataset_pairs(chosen_inputs: Iterable[Input]) -> list[DatasetPair]:
    """Return every pair of kinds of datasets in a job, without repetition."""
    datasets = [(chosen.source.kind, chosen) for chosen in chosen_inputs if chosen.role == DATASET]
    pairs_by_kinds: dict[frozenset[str], DatasetPair] = {}
    for index, (kind, dataset) in enumerate(datasets):
        for earlier_kind, _ in datasets[:index]:
            pairs_by_kinds.setdefault(frozenset((earlier_kind, kind)), DatasetPair(earlier_kind, kind, dataset))
    return list(pairs_by_kinds.values())


def is_pair_declared(capabilities: Capabilities, pair: DatasetPair) -> bool:
    """Return whether the platform declares this pair; if not, its feature `several_datasets` decides."""
    return capabilities.find_declared_combination(pair.kind, pair.other_kind) is not None


def get_pair_support(capabilities: Capabilities, kind: SourceKind, other_kind: SourceKind) -> Support:
    """Return whether a platform accepts datasets of two kinds in one job: each kind, and their combination."""
    answers = [capabilities.source(DATASET, kind), capabilities.source(DATASET, other_kind)]
    return next((support for support in answers if not support), capabilities.combination(kind.name, other_kind.name))


def check_combinations(
    chosen_inputs: Iterable[Input], platform: Platform, kinds: Mapping[str, SourceKind], platforms: ListPlatforms
) -> Iterator[Problem]:
    """Yield problems for pairs of datasets that the platform declares as unsupported, if it accepts each kind alone."""
    capabilities = platform.capabilities
    for pair in list_dataset_pairs(chosen_inputs):
        kind, other_kind = kinds[pair.kind], kinds[pair.other_kind]
        accepts_each = capabilities.source(DATASET, kind) and capabilities.source(DATASET, other_kind)
        if accepts_each and is_pair_declared(capabilities, pair):
            both_titles = f"{kind.title} with {other_kind.title}" if kind != other_kind else f"several {kind.title}"
            ask = partial(get_pair_support, kind=kind, other_kind=other_kind)
            where, given = pair.source.origin.where, str(pair.source.source)
            need = Need("combination-not-accepted", "merge", both_titles, ask, "accepts both", where, given)
            yield from check_need(need, platform, platforms)


def describe_exclusion(kind: SourceKind) -> str:
    """Return that a job has at most one dataset of a kind, as a sentence; empty if it may have several."""
    return "" if kind.roles[DATASET].repeatable else f"{kind.title}: at most one in a job, on every platform."
