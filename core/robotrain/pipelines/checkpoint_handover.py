"""Which checkpoints a step of a pipeline hands over: the newest, or all those that later steps take of it."""

import dataclasses
from collections.abc import Mapping

from robotrain_runtime.contract import checkpoint

from robotrain.config.values import PIPELINE_LAYER, Origin
from robotrain.errors import Problem
from robotrain.messages import Messages
from robotrain.model.job import Job
from robotrain.model.workload import Role, Workload
from robotrain.pipelines.steps import StepRequest
from robotrain.submission.prepare import PreparedJob

make_problem = Messages(__file__)


def find_taken_checkpoints(job: Job, role: Role) -> str | None:
    """Return which checkpoints of a step a role of a job takes (`Role.takes_all`); None for the newest alone."""
    value = dict(job.parameters).get(role.takes_all) if role.takes_all else None
    return None if value is None else str(value)


def hand_over_checkpoints(
    by_name: Mapping[str, StepRequest],
    workloads: Mapping[str, Workload],
    prepared: dict[str, PreparedJob],
    problems: list[Problem],
) -> None:
    """Let each step hand over the checkpoints that others take of it; add a problem if it can hand over one only."""
    choices_by_maker: dict[str, set[str]] = {}
    for name, job in prepared.items():
        for step_input in by_name[name].inputs:
            role = workloads[name].roles.get(step_input.role)
            if (
                role
                and (checkpoint_choice := find_taken_checkpoints(job.job, role)) is not None
                and step_input.step in prepared
            ):
                choices_by_maker.setdefault(step_input.step, set()).add(checkpoint_choice)
    for maker, taken_choices in choices_by_maker.items():
        parameter = workloads[maker].evaluated_with
        if not parameter:
            step_location = by_name[maker].where
            problems.append(
                make_problem(
                    "step-output-missing.newest-only", where=step_location, maker=maker, name=workloads[maker].name
                )
            )
            continue
        checkpoint_choice = taken_choices.pop() if len(taken_choices) == 1 else checkpoint.ALL
        job = prepared[maker]
        origin = str(Origin(PIPELINE_LAYER, "the steps that read it"))
        changed_job = job.job.with_parameter(parameter, checkpoint_choice)
        rows = [
            {**row, "value": checkpoint_choice, "origin": origin}
            if row["name"] == parameter and row["value"] != checkpoint_choice
            else row
            for row in job.values
        ]
        prepared[maker] = dataclasses.replace(job, job=changed_job, values=tuple(rows))
