"""Whether a step runs beside the one whose checkpoints it evaluates, or after it: what the platform decides."""

import dataclasses
from collections.abc import Mapping

from robotrain.errors import Problem
from robotrain.messages import Messages
from robotrain.pipelines.driven_platform import DrivenPlatform
from robotrain.pipelines.pipeline_platform import PipelinePlatform
from robotrain.pipelines.steps import StepRequest
from robotrain.submission.prepare import PreparedJob

make_problem = Messages(__file__)


def settle_following(
    step: StepRequest, prepared: Mapping[str, PreparedJob], engine: PipelinePlatform, problems: list[Problem]
) -> StepRequest:
    """Return the step as it runs; a note that says when it begins is added where the platform gives a reason.

    :param engine: what runs the steps; one that gets them all at once runs a step after those that it needs.
    """
    followed = prepared.get(step.follows)
    if followed is None or not isinstance(engine, DrivenPlatform):
        return dataclasses.replace(step, follows="")
    decision = followed.platform.decide_following(followed.job, followed.settings)
    if decision.why:
        when = f"while step {step.follows} goes on" if decision.is_beside else f"after step {step.follows} has ended"
        problems.append(make_problem("evaluation-placed", name=step.name, when=when, why=decision.why))
    return step if decision.is_beside else dataclasses.replace(step, follows="")
