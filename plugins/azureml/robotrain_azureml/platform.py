"""The Azure ML platform and its hooks. Each method is a function whose module is imported when it is called."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from robotrain.cluster.platform import ClusterPlatform
from robotrain.model.platform import Platform, lazy_method
from robotrain.plugins.hookspecs import hook

from robotrain_azureml.capabilities import CAPABILITIES, OPTION_HINTS
from robotrain_azureml.settings import AzureMLSettings

if TYPE_CHECKING:
    from robotrain.model.health import HealthCheck
    from robotrain.model.platform import PlatformDefault


class AzureMLPlatform(ClusterPlatform):
    """Runs a job as a command job of an Azure ML workspace, on an attached compute."""

    name = "azureml"
    summary = "Azure Machine Learning, as a command job of a workspace"
    settings: type = AzureMLSettings
    capabilities = CAPABILITIES
    option_hints = OPTION_HINTS
    can_prepare = True
    engine = "Azure ML"
    prepare_ignores = ("source-missing", "azureml-compute-missing")

    derive_defaults = lazy_method("robotrain_azureml.spec.job_settings:derive_defaults")
    container_plugins = lazy_method("robotrain_azureml.spec.render:find_container_plugins")
    query_settings = lazy_method("robotrain_azureml.preflight.compute:fetch_compute_settings")
    check = lazy_method("robotrain_azureml.spec.check_job:check_job")
    render = lazy_method("robotrain_azureml.spec.render:render_plan")
    find_sweep_obstacle = lazy_method("robotrain_azureml.spec.sweep:find_sweep_obstacle")
    render_sweep = lazy_method("robotrain_azureml.spec.sweep:render_sweep")
    render_pipeline = lazy_method("robotrain_azureml.spec.pipeline:render_pipeline")
    list_checks = lazy_method("robotrain_azureml.preflight.run_preflight:list_checks")
    drop_consequences = lazy_method("robotrain_azureml.preflight.run_preflight:drop_consequences")
    pin_source = lazy_method("robotrain_azureml.preflight.run_preflight:pin_source")
    read_tags = lazy_method("robotrain_azureml.preflight.run_preflight:read_tags")
    prepare = lazy_method("robotrain_azureml.submit.submit:prepare_plan")
    find_uploaded = lazy_method("robotrain_azureml.submit.upload:find_uploaded_sources")
    submit = lazy_method("robotrain_azureml.submit.submit:submit_plan")
    find = lazy_method("robotrain_azureml.submit.submit:find_run")
    read_submitted_spec = lazy_method("robotrain_azureml.submit.pipeline_file:make_submitted_job_file")
    describe_reference = lazy_method("robotrain_azureml.service.jobs:describe_reference")
    status = lazy_method("robotrain_azureml.observe.status:query_status")
    list_statuses = lazy_method("robotrain_azureml.observe.status:list_statuses")
    list_steps = lazy_method("robotrain_azureml.observe.pipeline_status:list_steps")
    query_pipeline = lazy_method("robotrain_azureml.observe.pipeline_status:query_pipeline")
    logs = lazy_method("robotrain_azureml.observe.logs:read_logs")
    has_ended = lazy_method("robotrain_azureml.observe.job_state:has_ended")
    request_cancel = lazy_method("robotrain_azureml.observe.job_state:request_cancel")
    outputs = lazy_method("robotrain_azureml.observe.outputs:list_outputs")
    download = lazy_method("robotrain_azureml.observe.outputs:download_output")
    register = lazy_method("robotrain_azureml.observe.register:register_model")

    def suggest_settings(self) -> "Mapping[str, PlatformDefault]":
        """Return the workspace of the Azure CLI; the compute is for users to fill in."""
        from robotrain.model.platform import PlatformDefault
        from robotrain_azure.settings import suggest_workspace_settings

        return {**suggest_workspace_settings(), "compute": PlatformDefault("", "")}


@hook
def robotrain_platforms() -> Iterable[Platform]:
    """Return this platform."""
    return (AzureMLPlatform(),)


@hook
def robotrain_health() -> "Iterable[HealthCheck]":
    """Return the checks of `robotrain doctor`."""
    from robotrain_azureml import doctor

    return doctor.list_health_checks()
