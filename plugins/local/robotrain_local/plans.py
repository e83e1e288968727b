"""What makes the plans of the platform `local`."""

from robotrain.model.job import GPUS_PARAMETER, Job
from robotrain.model.platform import PlatformPlans
from robotrain.model.platform_features import FollowingDecision, PipelinePlans
from robotrain.model.preview import RunPlace
from robotrain_runtime.machine.hardware import count_cores, count_visible_gpus

from robotrain_local import render as rendering
from robotrain_local.settings import LocalSettings

MIN_CORES = 4
"""Cores from which on a training and an evaluation without a GPU run at once."""
DEVICE_PARAMETER = "device"


def decide_following(job: Job, settings: LocalSettings) -> FollowingDecision:
    """Return whether a job that evaluates the checkpoints of `job` runs beside it, by the cores and GPUs that are here.

    The jobs take the first GPUs, the evaluation the last one.
    """
    parameters = dict(job.parameters)
    device = str(parameters.get(DEVICE_PARAMETER, "auto"))
    gpus = 0 if device == "cpu" else count_visible_gpus()
    if gpus == 1:
        return FollowingDecision(False, "this machine has one GPU")
    if gpus:
        training_gpus = int(parameters.get(GPUS_PARAMETER) or 1)
        if training_gpus >= gpus:
            return FollowingDecision(False, f"the training takes all {gpus} GPUs of this machine")
        return FollowingDecision(True, f"this machine has {gpus} GPUs, and the training takes {training_gpus}")
    cores = count_cores()
    reason = f"this machine has {cores} core{'s' * (cores != 1)} to compute on, not a GPU"
    if cores < MIN_CORES:
        return FollowingDecision(False, f"{reason}, and both at once take {MIN_CORES} or more")
    return FollowingDecision(True, reason)


class LocalPlans(PlatformPlans, PipelinePlans):
    """Makes a run folder, and the process that works in it."""

    check = staticmethod(rendering.check_settings)
    render = staticmethod(rendering.render_plan)
    decide_following = staticmethod(decide_following)

    def describe_run(self, job: Job, settings: LocalSettings, run: str) -> RunPlace:
        """Return the run folder."""
        return rendering.describe_run(settings, run)
