"""What makes the plans of the platform `osmo`: each method is a function of `spec/`."""

from robotrain.model.job import Job
from robotrain.model.platform import PlatformPlans
from robotrain.model.preview import RunPlace

from robotrain_osmo.settings import OsmoSettings
from robotrain_osmo.spec import check_job, environment, package, pipeline, resources
from robotrain_osmo.spec import render as rendering


class OsmoPlans(PlatformPlans):
    """Makes a workflow of a task on each node, and of a pipeline one with its steps as groups."""

    defaults = staticmethod(resources.get_parameter_defaults)
    derive_defaults = staticmethod(resources.derive_defaults)
    choose_registration_settings = staticmethod(resources.choose_registration_settings)
    container_plugins = staticmethod(environment.find_container_plugins)
    check = staticmethod(check_job.check_job)
    render = staticmethod(rendering.render_plan)
    make_package = staticmethod(package.make_files)
    render_pipeline = staticmethod(pipeline.render_pipeline)

    def describe_run(self, job: Job, settings: OsmoSettings, run: str) -> RunPlace:
        """Return the pool that a run works in."""
        return resources.describe_run(job, settings)
