"""Checks of the steps of a pipeline against each other, and the problems of all steps together."""

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping

from robotrain.errors import Problem
from robotrain.messages import Messages
from robotrain.model.workload import Workload
from robotrain.pipelines.steps import StepRequest
from robotrain.redaction import redact

make_problem = Messages(__file__)

RUN_NAME_PATTERN = "[a-z][a-z0-9-]{0,39}"
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
