"""What acts for the platform `azureml`: each method of its engine is a function of the room that it belongs to."""

from collections.abc import Iterable, Mapping

from robotrain.cluster.engine import PipelineClusterEngine
from robotrain.errors import Problem
from robotrain.model.plan import Plan
from robotrain.model.platform import PlatformDefault
from robotrain.model.platform_features import PipelineRuns, SharedRuns, SourceVersions, Uploads
from robotrain_azure.settings import suggest_workspace_settings

from robotrain_azureml import submitted_runs
from robotrain_azureml.observe import job_state, logs
from robotrain_azureml.observe import outputs as run_outputs
from robotrain_azureml.observe import status as run_status
from robotrain_azureml.preflight import compute, run_preflight
from robotrain_azureml.service import jobs
from robotrain_azureml.submit import submit as submission
from robotrain_azureml.submit import upload


class AzureMLEngine(PipelineClusterEngine, PipelineRuns, SourceVersions, Uploads, SharedRuns):
    """Runs a job as a command job of an Azure ML workspace, on an attached compute."""

    engine_name = "Azure ML"

    query_settings = staticmethod(compute.fetch_compute_settings)

    list_checks = staticmethod(run_preflight.list_checks)
    pin_source = staticmethod(run_preflight.pin_source)
    read_tags = staticmethod(run_preflight.read_tags)

    prepare = staticmethod(submission.prepare_plan)
    find_uploaded = staticmethod(upload.find_uploaded_sources)
    submit = staticmethod(submission.submit_plan)
    find = staticmethod(submission.find_run)
    find_submitted = staticmethod(submitted_runs.find_submitted)
    list_submitted = staticmethod(submitted_runs.list_submitted)

    status = staticmethod(run_status.query_status)
    list_statuses = staticmethod(run_status.list_statuses)
    list_steps = staticmethod(run_status.list_steps)
    query_pipeline = staticmethod(run_status.query_pipeline)
    describe_reference = staticmethod(jobs.describe_reference)
    select_step = staticmethod(job_state.select_step)
    read_log = staticmethod(logs.read_log)
    follow_log = staticmethod(logs.follow_log)
    has_ended = staticmethod(job_state.has_ended)
    request_cancel = staticmethod(job_state.request_cancel)
    outputs = staticmethod(run_outputs.list_outputs)
    expect_output = staticmethod(run_outputs.expect_output)
    fetch_output = staticmethod(run_outputs.fetch_output)
    register = staticmethod(run_outputs.register_model)

    def preflight(self, plan: Plan) -> Iterable[Problem]:
        """Return the problems of a plan without those that others of them cause."""
        return run_preflight.drop_consequences(super().preflight(plan))

    def suggest_settings(self) -> Mapping[str, PlatformDefault]:
        """Return the workspace of the Azure CLI; the compute is for users to fill in."""
        return {**suggest_workspace_settings(), "compute": PlatformDefault("", "")}
