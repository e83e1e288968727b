"""What makes the plans of the platform `local`."""

from robotrain.model.job import Job
from robotrain.model.platform import PlatformPlans
from robotrain.model.preview import RunPlace

from robotrain_local import render as rendering
from robotrain_local.settings import LocalSettings


class LocalPlans(PlatformPlans):
    """Makes a run folder, and the process that works in it."""

    check = staticmethod(rendering.check_settings)
    render = staticmethod(rendering.render_plan)

    def describe_run(self, job: Job, settings: LocalSettings, run: str) -> RunPlace:
        """Return the run folder."""
        return rendering.describe_run(settings, run)
