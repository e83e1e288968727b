"""What makes the plans of the platform `azureml`: each method is a function of `spec/`."""

from robotrain.model.job import Job
from robotrain.model.platform import PlatformPlans
from robotrain.model.preview import RunPlace

from robotrain_azureml.settings import AzureMLSettings
from robotrain_azureml.spec import check_job, job_settings, pipeline, sweep
from robotrain_azureml.spec import render as rendering


class AzureMLPlans(PlatformPlans):
    """Makes command jobs, and pipelines and sweeps of them."""

    derive_defaults = staticmethod(job_settings.derive_defaults)
    choose_registration_settings = staticmethod(job_settings.choose_registration_settings)
    container_plugins = staticmethod(rendering.find_container_plugins)
    check = staticmethod(check_job.check_job)
    render = staticmethod(rendering.render_plan)
    find_sweep_obstacle = staticmethod(sweep.find_sweep_obstacle)
    render_sweep = staticmethod(sweep.render_sweep)
    render_pipeline = staticmethod(pipeline.render_pipeline)

    def describe_run(self, job: Job, settings: AzureMLSettings, run: str) -> RunPlace:
        """Return the workspace and the compute that a run works on."""
        return rendering.describe_run(settings)
