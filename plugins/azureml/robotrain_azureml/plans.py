"""What makes the plans of the platform `azureml`: each method is a function of `spec/`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from robotrain.model.job import Job
from robotrain.model.platform import PlatformPlans
from robotrain.model.platform_features import PipelinePlans
from robotrain.model.preview import RunPlace
from robotrain.model.reference import Reference

from robotrain_azureml.settings import AzureMLSettings
from robotrain_azureml.spec import check_job, job_settings
from robotrain_azureml.spec import render as rendering

if TYPE_CHECKING:
    from robotrain.model.pipeline import PipelineStep
    from robotrain.model.plan import Plan


class AzureMLPlans(PlatformPlans, PipelinePlans):
    """Makes command jobs, and pipelines of them."""

    derive_defaults = staticmethod(job_settings.derive_defaults)
    container_plugins = staticmethod(rendering.find_container_plugins)
    check = staticmethod(check_job.check_job)
    render = staticmethod(rendering.render_plan)

    def describe_run(self, job: Job, settings: AzureMLSettings, run: str) -> RunPlace:
        """Return the workspace and the compute that a run works on."""
        return rendering.describe_run(settings)

    def render_pipeline(
        self, steps: Sequence[PipelineStep], job: Job, run: str, finished: Mapping[str, Reference]
    ) -> Plan:
        """Return a pipeline job."""
        from robotrain_azureml.spec.pipeline import render_pipeline  # costs start-up of `render`

        return render_pipeline(steps, job, run, finished)
