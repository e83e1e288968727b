"""Checks of the steps of a pipeline against each other, and the problems of all steps together."""

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping

from robotrain.check.needs import FeatureRequirement, check_requirement
from robotrain.errors import Problem
from robotrain.messages import Messages
from robotrain.model.platform import Platform
from robotrain.model.platform_features import FollowingDecision, PipelinePlans
from robotrain.model.workload import Workload
from robotrain.pipelines.steps import StepRequest
from robotrain.plugins.manager import Plugins
from robotrain.redaction import redact
from robotrain.submission.prepare import PreparedJob
from robotrain.submission.registration import check_model_name

make_problem = Messages(__file__)

RUN_NAME_PATTERN = "[a-z][a-z0-9-]{0,39}"
AFTER = FollowingDecision(False)
STEP_PLACE = "step "
"""What the place of a problem of a step begins with."""


def check_pipeline_name(name: str) -> Iterator[Problem]:
    """Yield the problem of a name that no run could have."""
    if not re.fullmatch(RUN_NAME_PATTERN, name):
        yield make_problem("pipeline-name-invalid", name=redact(name))


def check_inputs(step_request: StepRequest, workload: Workload, workloads: Mapping[str, Workload]) -> Iterator[Problem]:
    """Yield problems of inputs that the role does not take, or that their step does not make."""
    for step_input in step_request.inputs:
        role = workload.roles.get(step_input.role)
        maker = workloads.get(step_input.step)
        if role is None or step_input.step == step_request.name:  # reported as an unknown role, or as a cycle
            continue
        if role.takes is None:
            taking_roles = [name for name, other_role in workload.roles.items() if other_role.takes]
            yield make_problem(
                "step-input-refused",
                where=step_request.where,
                role=step_input.role,
                name=workload.name,
                taking=", ".join(taking_roles) or "none",
            )
        elif maker is not None and maker.produces != role.takes:
            output = "policy" if role.takes == "checkpoints" else role.takes
            yield make_problem(
                "step-output-missing.not-made",
                where=step_request.where,
                step=step_input.step,
                output=output,
                role=step_input.role,
                name=step_request.name,
                maker=maker.name,
                produces=maker.produces,
            )


def check_registration(
    step_request: StepRequest,
    by_name: Mapping[str, StepRequest],
    workloads: Mapping[str, Workload],
    prepared: Mapping[str, PreparedJob],
    platform: Platform,
    plugins: Plugins,
) -> Iterator[Problem]:
    """Yield problems of a step that registers a policy: its model, its platform, and the step it takes it from."""
    yield from check_model_name(step_request.model)
    source = prepared.get(step_request.policy_from)
    requirement = FeatureRequirement("register_model", step_request.where, step_request.model)
    for problem in check_requirement(requirement, platform, source.settings if source else None, plugins.platforms):
        yield dataclasses.replace(
            problem, where=f"step {step_request.policy_from}: {step_request.where}"
        )  # whose settings it has
    maker = by_name.get(step_request.policy_from)
    workload = workloads.get(step_request.policy_from)
    if maker is None or (maker.request and workload is None):  # an unknown step or workload is reported
        return
    if workload is None or not (workload.produces == "checkpoints" or workload.evaluates):
        reason = f"{workload.name} makes {workload.produces}." if workload else "It is a registration itself."
        yield make_problem("step-output-missing.no-policy", where=step_request.where, name=maker.name, why=reason)
    elif source:
        yield from _find_refused_registration(step_request, source, workload)


def _find_refused_registration(step_request: StepRequest, source: PreparedJob, workload: Workload) -> Iterator[Problem]:
    """Yield what the workload of the step that made a policy says against a job that registers it."""
    parameter = workload.profile.outputs.register_parameter
    earlier_problems = [*workload.check(source.job)]
    for problem in workload.check(source.job.with_parameter(parameter, step_request.model)):
        if problem.severity == "error" and problem not in earlier_problems:
            yield dataclasses.replace(problem, where=step_request.where)


def settle_following(
    step: StepRequest, prepared: Mapping[str, PreparedJob], engine: Platform, problems: list[Problem]
) -> StepRequest:
    """Return a step as it runs: beside the one whose checkpoints it evaluates, or after it. Add a note that says why.

    :param engine: what runs the steps.
    """
    decision = AFTER
    if followed_job := prepared.get(step.follows):
        decision = engine.get_plans_for(PipelinePlans).decide_following(followed_job.job, followed_job.settings)
    if decision.why:
        start_text = (
            f"while step {step.follows} goes on" if decision.is_beside else f"after step {step.follows} has ended"
        )
        problems.append(make_problem("evaluation-placed", name=step.name, when=start_text, why=decision.why))
    return step if decision.is_beside else dataclasses.replace(step, follows="")


def label_problems(step_request: StepRequest, problems: Iterable[Problem]) -> Iterator[Problem]:
    """Yield problems with the step that they belong to; notes and warnings, which steps often share, only if they
    suggest something, which changes the step.
    """
    for problem in problems:
        if problem.where.startswith(STEP_PLACE) or (problem.severity != "error" and not problem.suggestions):
            yield problem
        elif problem.severity != "error":
            yield dataclasses.replace(
                problem, where=f"{STEP_PLACE}{step_request.name}: {problem.where}".removesuffix(": ")
            )
        else:
            position = problem.where or step_request.where
            yield dataclasses.replace(
                problem,
                where=f"{STEP_PLACE}{step_request.name}: {position}" if position != step_request.where else position,
            )


def deduplicate_problems(problems: Iterable[Problem]) -> list[Problem]:
    """Return each problem once; of those that several steps share, the first."""
    problem_by_key: dict[tuple[str, ...], Problem] = {}
    for problem in problems:
        location = re.sub(r"^step [^\s:]+(?:: |$)", "", problem.where)
        problem_by_key.setdefault((problem.code, problem.title, location, problem.given, problem.why), problem)
    return list(problem_by_key.values())
