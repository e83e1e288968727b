"""What makes the plans of the platform `osmo`: each method is a function of `spec/`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from robotrain.model.job import Job
from robotrain.model.platform import PlatformPlans
from robotrain.model.platform_features import PipelinePlans
from robotrain.model.preview import RunPlace
from robotrain.model.reference import Reference

from robotrain_osmo.settings import OsmoSettings
from robotrain_osmo.spec import check_job, environment, resources
from robotrain_osmo.spec import render as rendering

if TYPE_CHECKING:
    from robotrain.model.pipeline import PipelineStep
    from robotrain.model.plan import Plan
    from robotrain.model.workload import Workload


class OsmoPlans(PlatformPlans, PipelinePlans):
    """Makes a workflow of a task on each node, and of a pipeline one with its steps as groups."""

    defaults = staticmethod(resources.get_parameter_defaults)
    derive_defaults = staticmethod(resources.derive_defaults)
    container_plugins = staticmethod(environment.find_container_plugins)
    check = staticmethod(check_job.check_job)
    render = staticmethod(rendering.render_plan)

    def describe_run(self, job: Job, settings: OsmoSettings, run: str) -> RunPlace:
        """Return the pool that a run works in."""
        return resources.describe_run(job, settings)

    def make_package(self, plan: Plan, settings: Mapping[str, Any], workload: Workload) -> Mapping[str, bytes]:
        """Return OSMO's own files beside the plan."""
        from robotrain_osmo.spec.package import make_files  # costs start-up of `render`

        return make_files(plan, settings, workload)

    def render_pipeline(
        self, steps: Sequence[PipelineStep], job: Job, run: str, finished: Mapping[str, Reference]
    ) -> Plan:
        """Return a workflow with the steps as groups."""
        from robotrain_osmo.spec.pipeline import render_pipeline  # costs start-up of `render`

        return render_pipeline(steps, job, run, finished)
