"""Checks of a job or plan against its platform's capabilities: workload, sources, combinations, features, limits."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from operator import methodcaller
from typing import Any, cast

from robotrain_runtime.contract.parameter import get_parameters

from robotrain.check import publish_targets
from robotrain.check.needs import (
    check_combinations,
    check_requirement,
    check_source_limits,
    check_spec_size,
    list_requirements,
    list_source_requirements,
)
from robotrain.config.resolve import Resolution
from robotrain.config.sources import Input
from robotrain.config.trainer_args import drop_options
from robotrain.config.values import DASHES, FOLDER_LAYERS, IMPLIED_ORIGIN, Origin, Value
from robotrain.errors import Problem, Suggestion
from robotrain.messages import Messages
from robotrain.model.job import PUBLISH_PARAMETER, Job
from robotrain.model.plan import Plan
from robotrain.model.platform import IMAGE_SETTING, ListPlatforms, Need, Platform, check_need
from robotrain.model.source import Source, SourceKind
from robotrain.model.workload import Workload
from robotrain.plugins.manager import Plugins
from robotrain.redaction import redact

make_problem = Messages(__file__)

MISPLACED = "option-elsewhere.after-dashes"
MISSING = "value-missing"
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


def check_job(
    resolution: Resolution,
    workload: Workload,
    platform: Platform,
    kinds: Mapping[str, SourceKind],
    platforms: ListPlatforms,
) -> Iterator[Problem]:
    """Yield problems by the platform's capabilities, then by the workload's and the platform's own rules."""
    capabilities = platform.capabilities
    ask = methodcaller("workload", workload.name)
    yield from check_need(Need("workload-not-accepted", "run", workload.name, ask, "runs it"), platform, platforms)
    chosen_inputs = resolution.inputs.chosen
    for job_input in chosen_inputs:
        yield from _check_source(job_input, platform, kinds, platforms)
    yield from check_combinations(chosen_inputs, platform, kinds, platforms)
    yield from check_source_limits(chosen_inputs, platform, kinds, platforms)
    requirements = [*list_requirements(resolution, workload, kinds, capabilities)]
    for need in requirements:
        yield from check_requirement(need, platform, resolution.settings, platforms)
    yield from publish_targets.check_targets(resolution, workload, platform, kinds, platforms)
    unsupported_flags = {need.flag for need in requirements if not capabilities.feature(need.feature)}
    job = resolution.job
    misplaced_options = {problem.given for problem in resolution.problems if problem.message == MISPLACED}
    if misplaced_options:  # options of robotrain among those of its program are reported already
        job = dataclasses.replace(job, trainer_args=drop_options(resolution.trainer_args, misplaced_options, workload))
    stays_here = bool(platform.capabilities.feature("runs_here"))
    for problem in workload.check(job):
        # how to correct a value does not help if its feature is missing
        is_shown = problem.where not in unsupported_flags and resolution.unread.isdisjoint(problem.absent)
        # a warning about the lack of a copy elsewhere, or of packages, where there is no need of them
        is_needless = problem.severity == "warning" and (
            (stays_here and problem.absent == (PUBLISH_PARAMETER,))
            or (IMAGE_SETTING in problem.absent and _has_own_packages(resolution, platform))
        )
        if is_shown and not is_needless and not _is_intended(problem, resolution):
            yield _place_argument(problem, resolution.trainer_args)
    for problem in platform.plans.check(resolution.job, resolution.settings):
        if not _is_intended(problem, resolution) and resolution.unread.isdisjoint(problem.absent):
            yield problem


def _place_argument(problem: Problem, arguments: Sequence[Value]) -> Problem:
    """Return a problem of an argument with the line of the file that has it; of one that was typed unchanged."""
    origins = [argument.origin for argument in arguments if redact(str(argument.value)) == problem.given]
    if problem.where != DASHES or not origins or origins[0].layer not in FOLDER_LAYERS:
        return problem
    ways = tuple(  # in a file there is no `--`
        way._replace(text=way.text.removeprefix(f"{DASHES} ")) if way.text.startswith(f"{DASHES} -") else way
        for way in problem.suggestions
    )
    return dataclasses.replace(problem, where=f"{origins[0].where}: {DASHES}", suggestions=ways)


def _is_intended(problem: Problem, resolution: Resolution) -> bool:
    """Return whether a warning is about the lack of a value that was unset on purpose."""
    return problem.severity != "error" and not resolution.unset.isdisjoint(problem.absent)


def _check_source(
    job_input: Input, platform: Platform, kinds: Mapping[str, SourceKind], platforms: ListPlatforms
) -> Iterator[Problem]:
    kind, role = kinds[job_input.source.kind], job_input.role
    support = platform.capabilities.source(role, kind)
    if support:
        return
    accepted_kinds = platform.capabilities.list_accepted_kinds(role, kinds)
    forms = (f"{accepted_kind.roles[role].flag} {accepted_kind.get_form(role)}" for accepted_kind in accepted_kinds)
    form, given = support.suggestion or next(forms, ""), str(job_input.source)
    accepts = f"{platform.name} accepts: {', '.join(accepted_kind.name for accepted_kind in accepted_kinds)}"
    if form.startswith("--platform"):  # what the kind itself says
        platforms, accepts = dict, ""
    need = Need(
        "source-not-accepted",
        "accept",
        kind.title,
        lambda capabilities: capabilities.source(role, kind)._replace(suggestion=form),
        f"accepts {kind.name}",
        job_input.where,
        given,
    )
    yield from check_need(need, platform, platforms, *([Suggestion(form, accepts)] if form else []))


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
    yield from check_combinations(chosen_inputs, platform, kinds, plugins.platforms)
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
    for need in list_source_requirements(implied_inputs, kinds, platform.capabilities):
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
