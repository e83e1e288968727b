"""The features that a job needs of its platform, and the problem of one that the platform lacks."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from robotrain_runtime.contract.parameter import get_parameters

from robotrain.check import publish_targets
from robotrain.check.source_limits import DATASET, DatasetPair, is_pair_declared
from robotrain.config.resolve import Resolution
from robotrain.config.sources import Input
from robotrain.config.validate import list_fields
from robotrain.errors import Problem, Suggestion, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.model.capabilities import FEATURES, Capabilities
from robotrain.model.platform import ListPlatforms, Platform, suggest_platforms
from robotrain.model.source import SourceKind
from robotrain.model.support import make_refusal
from robotrain.model.workload import Workload
from robotrain.redaction import redact

make_problem = Messages(__file__)


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
    yield from list_source_requirements(resolution.inputs.chosen, kinds, capabilities)


def list_source_requirements(
    chosen_inputs: Sequence[Input], kinds: Mapping[str, SourceKind], capabilities: Capabilities
) -> Iterator[FeatureRequirement]:
    """Yield the features that kinds of these sources need, if the platform accepts the source."""
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
        "feature-not-there.setting",
        suggest_leaving_out(setting.flag) if off_value else Suggestion(f"{setting.flag} {setting.metavar}"),
        where=need.where,
        given=need.given,
        name=platform.name,
        feature=_describe_feature(need),
        cause=setting_phrase,
        why=f"It is required by {need.sources}." if need.sources else "",
    )


def _describe_feature(need: FeatureRequirement) -> str:
    return FEATURES.get(need.feature, need.feature.replace("_", " "))
