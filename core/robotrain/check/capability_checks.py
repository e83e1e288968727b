"""Checks of a job or plan against its platform's capabilities: workload, sources, combinations, features, limits."""

import contextlib
import dataclasses
import functools
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from robotrain_runtime.contract.parameter import get_parameters

from robotrain.check import publish_targets
from robotrain.config.resolve import Resolution
from robotrain.config.sources import MAX_SOURCES, Input
from robotrain.config.trainer_args import drop_options
from robotrain.config.validate import list_fields
from robotrain.config.values import FOLDER_LAYERS, IMPLIED_ORIGIN, Origin, Value
from robotrain.errors import Problem, Suggestion, suggest_leaving_out
from robotrain.line_edits import DASHES
from robotrain.messages import Messages
from robotrain.model.capabilities import FEATURES, Capabilities
from robotrain.model.job import PUBLISH_PARAMETER, Job
from robotrain.model.plan import Plan
from robotrain.model.platform import IMAGE_SETTING, ListPlatforms, Platform, suggest_platforms
from robotrain.model.source import Source, SourceError, SourceKind
from robotrain.model.support import Support, format_refusal, make_refusal
from robotrain.model.workload import Workload
from robotrain.plugins.manager import Plugins
from robotrain.redaction import redact, redact_if_secret

make_problem = Messages(__file__)

MISPLACED = ("option-elsewhere.after-dashes", "option-elsewhere.hint")
MISSING = "value-missing"
SOURCES_LIMIT, SPEC_LIMIT = "sources", "spec_kib"


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


DATASET = "dataset"


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
    resolution: Resolution,
    workload: Workload,
    kinds: Mapping[str, SourceKind],
    pairs: Sequence[DatasetPair],
    capabilities: Capabilities,
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
    undeclared_pairs = (pair for pair in pairs if not is_pair_declared(capabilities, pair))
    if pair := next(undeclared_pairs, None):  # a declared combination needs no feature
        count = sum(job_input.role == DATASET for job_input in resolution.inputs.chosen)
        yield FeatureRequirement("several_datasets", pair.source.origin.where, f"{count} datasets")
    yield from _list_source_requirements(resolution.inputs.chosen, kinds, capabilities)


def _list_source_requirements(
    chosen_inputs: Sequence[Input], kinds: Mapping[str, SourceKind], capabilities: Capabilities
) -> Iterator[FeatureRequirement]:
    for job_input in chosen_inputs:
        kind = kinds[job_input.source.kind]
        if (
            kind.requires and capabilities.source(job_input.role, kind) and capabilities.feature(kind.requires)
        ):  # else the source is refused
            yield FeatureRequirement(kind.requires, job_input.where, str(job_input.source), sources=kind.title)


def check_requirement(
    requirement: FeatureRequirement, platform: Platform, settings: Any, platforms: ListPlatforms
) -> Iterator[Problem]:
    """Yield a problem if the platform lacks the feature, or lacks it with these settings (`None`: with none set)."""
    capabilities = platform.capabilities
    if not capabilities.feature(requirement.feature):
        alternatives = suggest_platforms(
            platform, platforms, lambda capabilities: capabilities.feature(requirement.feature), "can"
        )
        if requirement.flag and not requirement.where.startswith("-"):  # a file's, so that the job may do without
            alternatives = (*alternatives, suggest_leaving_out(requirement.flag))
        phrase = f"cannot {_describe_feature(requirement)}"
        support = capabilities.feature(requirement.feature)
        value_place, value_text = requirement.where, requirement.given
        yield make_refusal("feature-not-there", phrase, support, platform.name, alternatives, value_place, value_text)
        return
    fields = dict(list_fields(settings)) if settings is not None else {}
    name, off_value = capabilities.find_missing_setting(requirement.feature, fields)
    if name:
        yield _make_setting_problem(requirement, name, platform, off_value)


def _make_setting_problem(need: FeatureRequirement, name: str, platform: Platform, off_value: str = "") -> Problem:
    """Return the problem of a setting that is missing, or whose value `off_value` turns the feature off."""
    setting = next(parameter for parameter in get_parameters(platform.settings) if parameter.name == name)
    setting_phrase = f"with {setting.flag} {off_value}" if off_value else f"without {setting.flag}"
    return make_problem(
        "feature-not-there",
        suggest_leaving_out(setting.flag) if off_value else Suggestion(f"{setting.flag} {setting.metavar}"),
        where=need.where,
        given=need.given,
        name=platform.name,
        feature=_describe_feature(need),
        cause=setting_phrase,
        why=f"It is required by {need.sources}." if need.sources else "",
    )


ENVIRONMENT_SETTING, ENVIRONMENT_METAVAR = "environment", "PATH"
"""Beside the image, the setting that says where a job's packages are; one that is no path is a name of the image."""


def _has_own_packages(resolution: Resolution, platform: Platform) -> bool:
    """Return whether the job runs in an image, or in an environment, of the user's."""
    image = getattr(resolution.settings, IMAGE_SETTING, None)
    if image and image != resolution.job.profile.container.image:
        return True
    path = next(
        (parameter for parameter in get_parameters(platform.settings) if parameter.name == ENVIRONMENT_SETTING), None
    )
    takes_path = path is not None and path.metavar == ENVIRONMENT_METAVAR
    return takes_path and bool(getattr(resolution.settings, ENVIRONMENT_SETTING, None))


def _describe_feature(need: FeatureRequirement) -> str:
    return FEATURES.get(need.feature, need.feature.replace("_", " "))


def check_job(
    resolution: Resolution,
    workload: Workload,
    platform: Platform,
    kinds: Mapping[str, SourceKind],
    platforms: ListPlatforms,
) -> Iterator[Problem]:
    """Yield problems by the platform's capabilities, then by the workload's and the platform's own rules."""
    capabilities = platform.capabilities
    if not (support := capabilities.workload(workload.name)):
        phrase = f"{format_refusal('run', support)} {workload.name}"
        alternatives = suggest_platforms(
            platform, platforms, lambda capabilities: capabilities.workload(workload.name), "runs it"
        )
        yield make_refusal("workload-not-accepted", phrase, support, platform.name, alternatives)
    chosen_inputs = resolution.inputs.chosen
    for job_input in chosen_inputs:
        yield from _check_source(job_input, platform, kinds, platforms)
    datasets = [job_input for job_input in chosen_inputs if job_input.role == DATASET]
    dataset_pairs = list_dataset_pairs(datasets)
    yield from check_combinations(dataset_pairs, platform, kinds, platforms)
    yield from check_source_limits(chosen_inputs, platform, kinds, platforms)
    requirements = [*list_requirements(resolution, workload, kinds, dataset_pairs, capabilities)]
    for need in requirements:
        yield from check_requirement(need, platform, resolution.settings, platforms)
    yield from publish_targets.check_targets(resolution, workload, platform, kinds, platforms)
    unsupported_flags = {need.flag for need in requirements if not capabilities.feature(need.feature)}
    job = resolution.job
    misplaced_options = {problem.given for problem in resolution.problems if problem.message in MISPLACED}
    if misplaced_options:  # options of robotrain among those of its program are reported already
        job = dataclasses.replace(job, trainer_args=drop_options(resolution.trainer_args, misplaced_options, workload))
    stays_here = bool(platform.capabilities.feature("runs_here"))
    local_problems = [*workload.check_here(job)] if stays_here and not _has_own_packages(resolution, platform) else []
    here_codes = {problem.code for problem in local_problems}
    for problem in (
        *local_problems,
        *(job_problem for job_problem in workload.check(job) if job_problem.code not in here_codes),
    ):
        # how to correct a value does not help if its feature is missing
        is_shown = problem.where not in unsupported_flags and resolution.unread.isdisjoint(problem.absent)
        # a warning about the lack of a copy elsewhere, or of packages, where there is no need of them
        is_needless = problem.severity == "warning" and (
            (stays_here and problem.absent == (PUBLISH_PARAMETER,))
            or (IMAGE_SETTING in problem.absent and _has_own_packages(resolution, platform))
        )
        if is_shown and not is_needless and not _is_intended(problem, resolution):
            placed_problem = _place_argument(problem, resolution.trainer_args)
            yield _suggest_related_sources(placed_problem, chosen_inputs, platform, kinds)
    for problem in platform.plans.check(resolution.job, resolution.settings):
        if not _is_intended(problem, resolution) and not _is_about_refused(problem, resolution, platform):
            yield problem


def _place_argument(problem: Problem, arguments: Sequence[Value]) -> Problem:
    """Return a problem of an argument with the line of the file that has it; of one that was typed unchanged."""
    origins = [argument.origin for argument in arguments if redact(str(argument.value)) == problem.given]
    if problem.where != DASHES or not origins or origins[0].layer not in FOLDER_LAYERS:
        return problem
    return dataclasses.replace(problem, where=f"{origins[0].where}: {DASHES}")


def _is_intended(problem: Problem, resolution: Resolution) -> bool:
    """Return whether a warning is about the lack of a value that was unset on purpose."""
    return problem.severity != "error" and not resolution.unset.isdisjoint(problem.absent)


def _is_about_refused(problem: Problem, resolution: Resolution, platform: Platform) -> bool:
    """Return whether a problem says that a setting has no value which has a wrong one: that is reported already."""
    if problem.code != MISSING:
        return False
    refused_flags = {
        parameter.flag for parameter in get_parameters(platform.settings) if parameter.name in resolution.unread
    }
    flags = {problem.where, *(way.text.partition(" ")[0] for way in problem.suggestions)}
    return not refused_flags.isdisjoint(flags)


def _suggest_related_sources(
    problem: Problem, chosen_inputs: Sequence[Input], platform: Platform, kinds: Mapping[str, SourceKind]
) -> Problem:
    """Return a problem about a missing source with the sources that belong to those of other roles suggested first."""
    ways = [
        Suggestion(
            " ".join(options), f"the {role} of {redact(_describe_meaning(job_input.text.text, job_input, kinds))}"
        )
        for job_input in chosen_inputs
        if job_input.text
        for role in problem.absent
        for name in job_input.text.kinds
        if (options := _list_related_options(job_input.text.text, role, kinds[name], platform, kinds))
    ]
    return dataclasses.replace(problem, suggestions=(*ways, *problem.suggestions)) if ways else problem


def _describe_meaning(text: str, job_input: Input, kinds: Mapping[str, SourceKind]) -> str:
    """Return what a text such as `latest` means; the text itself if its kind does not say."""
    kind_names = job_input.text.kinds if job_input.text else ()
    return next(filter(None, (kinds[name].describe_meaning(text, job_input.source) for name in kind_names)), text)


def _list_related_options(
    text: str, role: str, kind: SourceKind, platform: Platform, kinds: Mapping[str, SourceKind]
) -> list[str]:
    """Return the options for the sources of a role that belong to a text; none if the platform does not accept all."""
    related_sources = kind.find_related(text, role)
    related_kinds = [kinds[name] for name, _ in related_sources if name in kinds and role in kinds[name].roles]
    if len(related_kinds) < len(related_sources) or not all(
        platform.capabilities.source(role, kind) for kind in related_kinds
    ):
        return []
    return [f"{kinds[name].roles[role].flag} {shlex.quote(redact_if_secret(uri))}" for name, uri in related_sources]


def _check_source(
    job_input: Input, platform: Platform, kinds: Mapping[str, SourceKind], platforms: ListPlatforms
) -> Iterator[Problem]:
    kind, role = kinds[job_input.source.kind], job_input.role
    support = platform.capabilities.source(role, kind)
    if support:
        return
    accepted_kinds = platform.capabilities.list_accepted_kinds(role, kinds)
    accepts = f"{platform.name} accepts: {', '.join(accepted_kind.name for accepted_kind in accepted_kinds)}"
    accepted_form = support.suggestion or next(
        (f"{accepted_kind.roles[role].flag} {accepted_kind.get_form(role)}" for accepted_kind in accepted_kinds), ""
    )
    flags = {kind.roles[role].flag for kind in kinds.values() if role in kind.roles}
    if not accepted_kinds and accepted_form.partition(" ")[0] in flags:
        accepted_form = ""
    flag = kind.roles[role].flag
    for accepted_kind in accepted_kinds:  # the same thing, as a kind with this flag names it that the platform accepts
        with contextlib.suppress(SourceError):
            accepted_form = (
                f"{flag} {accepted_kind.parse(str(job_input.source), Path('/'))}"
                if accepted_kind.roles[role].flag == flag
                else accepted_form
            )
    phrase = f"{format_refusal('accept', support)} {kind.title}"
    alternatives = suggest_platforms(
        platform, platforms, lambda capabilities: capabilities.source(role, kind), f"accepts {kind.name}"
    )
    ways = (*([Suggestion(accepted_form, accepts)] if accepted_form else []), *alternatives)
    source_place, source_text = job_input.where, str(job_input.source)
    refused_support = support._replace(suggestion=accepted_form)
    yield make_refusal("source-not-accepted", phrase, refused_support, platform.name, ways, source_place, source_text)


@dataclasses.dataclass(frozen=True)
class _PlannedSource:
    """A source of a plan."""

    kind: str
    uri: str

    def __str__(self) -> str:
        return self.uri


def recheck_plan(plan: Plan, platform: Platform, plugins: Plugins) -> Iterator[Problem]:
    """Yield problems of a plan that its platform accepted earlier."""
    kinds = plugins.source_kinds()
    chosen_inputs = _list_inputs(plan.job, kinds, Origin("run", plan.run))
    dataset_pairs = list_dataset_pairs([job_input for job_input in chosen_inputs if job_input.role == DATASET])
    yield from check_combinations(dataset_pairs, platform, kinds, plugins.platforms)
    yield from check_source_limits(chosen_inputs, platform, kinds, plugins.platforms)
    yield from check_spec_size(plan, platform, plugins.platforms)


def check_implied_sources(
    job: Job, platform: Platform, settings: Any, kinds: Mapping[str, SourceKind], platforms: ListPlatforms
) -> Iterator[Problem]:
    """Yield problems of the sources that a job implies, as `check_job` does of those that a user gave."""
    chosen_inputs = _list_inputs(job, kinds, IMPLIED_ORIGIN)
    implied_inputs = [job_input for job_input in chosen_inputs if job_input.implied]
    for job_input in implied_inputs:
        yield from _check_source(job_input, platform, kinds, platforms)
    yield from check_source_limits(chosen_inputs, platform, kinds, platforms)
    for need in _list_source_requirements(implied_inputs, kinds, platform.capabilities):
        yield from check_requirement(need, platform, settings, platforms)


def _list_inputs(job: Job, kinds: Mapping[str, SourceKind], origin: Origin) -> list[Input]:
    """Return the sources of a job whose kinds are installed."""
    return [
        Input(
            role=source.role,
            source=cast("Source", _PlannedSource(source.kind, source.uri)),
            origin=origin,
            implied=source.implied,
        )
        for source in job.sources
        if source.kind in kinds and source.role in kinds[source.kind].roles
    ]
