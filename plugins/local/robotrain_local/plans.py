"""What makes the plans of the platform `local`."""

from robotrain.model.job import Job
from robotrain.model.platform import PlatformPlans
from robotrain.model.platform_features import PipelinePlans
from robotrain.model.preview import RunPlace

from robotrain_local import following
from robotrain_local import render as rendering
from robotrain_local.settings import LocalSettings


class LocalPlans(PlatformPlans, PipelinePlans):
    """Makes a run folder, and the process that works in it."""

    check = staticmethod(rendering.check_settings)
    render = staticmethod(rendering.render_plan)
    decide_following = staticmethod(following.decide_following)

    def describe_run(self, job: Job, settings: LocalSettings, run: str) -> RunPlace:
        """Return the run folder."""
        return rendering.describe_run(settings, run)
