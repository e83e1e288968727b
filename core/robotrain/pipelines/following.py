"""Whether a step runs beside the one whose checkpoints it evaluates, or after it: what the platform decides."""

import dataclasses
from collections.abc import Mapping

from robotrain.errors import Problem, Stage
from robotrain.pipelines.driven_platform import DrivenPlatform
from robotrain.pipelines.pipeline_platform import PipelinePlatform
from robotrain.pipelines.steps import StepRequest
from robotrain.submission.prepare import PreparedJob


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
        title = f"step {step.name} begins {when}: {decision.why}"
        problems.append(Problem(code="evaluation-placed", stage=Stage.CHECK, severity="note", title=title))
    return step if decision.is_beside else dataclasses.replace(step, follows="")
