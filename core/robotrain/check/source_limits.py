"""How many sources of a kind, how large a spec, and which datasets together a platform accepts."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from robotrain.config.sources import MAX_SOURCES, Input
from robotrain.errors import Problem, Suggestion
from robotrain.messages import Messages
from robotrain.model.capabilities import Capabilities
from robotrain.model.plan import Plan
from robotrain.model.platform import ListPlatforms, Platform, suggest_platforms
from robotrain.model.source import SourceKind
from robotrain.model.support import Support, format_refusal, make_refusal

make_problem = Messages(__file__)

SOURCES_LIMIT, SPEC_LIMIT = "sources", "spec_kib"
DATASET = "dataset"


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
    for (role, name), inputs in inputs_by_role_and_kind.items():
        if get_source_limit(platform.capabilities) < len(inputs) <= MAX_SOURCES:  # more is rejected earlier
            yield _make_limit_problem(role, kinds[name], inputs, platform, platforms)


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


def _make_limit_problem(
    role: str, kind: SourceKind, inputs: Sequence[Input], platform: Platform, platforms: ListPlatforms
) -> Problem:
    max_sources, count = get_source_limit(platform.capabilities), len(inputs)
    elsewhere = suggest_platforms(
        platform,
        platforms,
        lambda capabilities: capabilities.source(role, kind) and get_source_limit(capabilities) >= count,
        "accepts as many",
    )
    return make_problem(
        "sources-over-limit",
        Suggestion(f"{kind.roles[role].flag} {kind.get_form(role)}", f"at most {max_sources} of them"),
        *elsewhere,
        where=inputs[max_sources].where,
        given=str(inputs[max_sources].source),
        name=platform.name,
        most=max_sources,
        title=kind.title,
        count=count,
    )


class DatasetPair(NamedTuple):
    """Two kinds of datasets in a job, which may be equal; `source` is the later dataset."""

    kind: str
    other_kind: str
    source: Input


def list_dataset_pairs(datasets: Sequence[Input]) -> list[DatasetPair]:
    """Return every pair of kinds in a job, without repetition."""
    pairs_by_kinds: dict[frozenset[str], DatasetPair] = {}
    earlier_kinds: dict[str, None] = {}
    for dataset in datasets:
        kind = dataset.source.kind
        for earlier_kind in earlier_kinds:
            pairs_by_kinds.setdefault(frozenset((earlier_kind, kind)), DatasetPair(earlier_kind, kind, dataset))
        earlier_kinds[kind] = None
    return list(pairs_by_kinds.values())


def is_pair_declared(capabilities: Capabilities, pair: DatasetPair) -> bool:
    """Return whether the platform declares this pair; if not, its feature `several_datasets` decides."""
    return capabilities.find_declared_combination(pair.kind, pair.other_kind) is not None


def get_pair_support(capabilities: Capabilities, kind: SourceKind, other_kind: SourceKind) -> Support:
    """Return whether a platform accepts datasets of two kinds in one job: each kind, and their combination."""
    answers = [capabilities.source(DATASET, kind), capabilities.source(DATASET, other_kind)]
    return next((support for support in answers if not support), capabilities.combination(kind.name, other_kind.name))


def check_combinations(
    pairs: Sequence[DatasetPair], platform: Platform, kinds: Mapping[str, SourceKind], platforms: ListPlatforms
) -> Iterator[Problem]:
    """Yield problems for pairs that the platform declares as unsupported, if it accepts each kind alone."""
    capabilities = platform.capabilities
    for pair in pairs:
        kind, other_kind = kinds[pair.kind], kinds[pair.other_kind]
        accepts_each = capabilities.source(DATASET, kind) and capabilities.source(DATASET, other_kind)
        support = capabilities.combination(pair.kind, pair.other_kind)
        if accepts_each and not support and is_pair_declared(capabilities, pair):
            both_titles = (
                f"several {kind.title}" if kind.name == other_kind.name else f"{kind.title} with {other_kind.title}"
            )
            phrase = f"{format_refusal('merge', support)} {both_titles}"
            accepts_both = functools.partial(get_pair_support, kind=kind, other_kind=other_kind)
            elsewhere = suggest_platforms(platform, platforms, accepts_both, "accepts both")
            source_place = pair.source.origin.where
            source_text = str(pair.source.source)
            yield make_refusal(
                "combination-not-accepted", phrase, support, platform.name, elsewhere, source_place, source_text
            )


def describe_exclusion(kind: SourceKind) -> str:
    """Return that a job has at most one dataset of a kind, as a sentence; empty if it may have several."""
    return "" if kind.roles[DATASET].repeatable else f"{kind.title}: at most one in a job, on every platform."
