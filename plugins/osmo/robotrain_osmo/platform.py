"""The OSMO platform: what it supports, and the functions that implement it, imported when they are called."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from robotrain.cluster.platform import PipelineCluster
from robotrain.model.capabilities import Capabilities
from robotrain.model.platform import Platform, lazy_method
from robotrain.model.support import ANY, YES, no
from robotrain.plugins.hookspecs import hook
from robotrain_azure.settings import make_option_hints

from robotrain_osmo.settings import OsmoSettings

if TYPE_CHECKING:
    from robotrain.model.health import HealthCheck


BLOB = "https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX"
NO_MODELS = "OSMO reads storage URLs, not models of a registry."
CONTAINER_ROLES = ("dataset", "policy", "init_policy", "checkpoint", "resume", "backbone", "publish")
"""Roles that the container fetches or writes with a source kind's container plugin, which is sent with the job."""
SUPPORTED_FEATURES = (
    "register_model tracking multi_gpu multi_node mixed_precision several_datasets wandb stream_logs cancel native_dag"
)

CAPABILITIES = Capabilities(
    sources={
        **{("dataset", kind): YES for kind in ("huggingface", "blob_url", "local_path", "osmo_dataset")},
        **{("policy", kind): YES for kind in ("huggingface", "blob_url", "local_path")},
        **{("policy", kind): YES for kind in ("registered_model", "mlflow_run", "model_asset")},
        ("init_policy", "blob_url"): YES,
        ("init_policy", "registered_model"): no(NO_MODELS, f"--init-from-policy-model {BLOB}"),
        **{(role, kind): YES for role in ("checkpoint", "resume") for kind in ("blob_url", "local_path")},
        **{(role, "huggingface"): YES for role in ("resume", "publish")},
        **{("checkpoint", kind): YES for kind in ("https_file", "mlflow_run")},
        **{("checkpoint", kind): YES for kind in ("registered_model", "latest_model", "model_asset")},
        **{("backbone", kind): YES for kind in ("huggingface", "blob_url", "local_path", "torchvision")},
        **{("code", kind): YES for kind in ("local_path", "git", "osmo_dataset")},
        ("publish", "blob_url"): YES,
        **{(role, "osmo_storage"): YES for role in ("resume", "publish")},
        **{(role, ANY): YES for role in CONTAINER_ROLES},
    },
    workloads={ANY: YES},
    features={
        **dict.fromkeys(SUPPORTED_FEATURES.split(), YES),
        "native_sweep": no("OSMO has no sweeps: each trial is a workflow.", "leave out --native-only"),
        "runs_here": no("The job runs in a pod of the cluster.", "--platform local"),
        "publish_folder": no("The pod's disk is deleted when the run ends.", f"--publish-url {BLOB}"),
    },
    limits={"spec_kib": 1024, "steps": 20},  # enforced by robotrain_osmo.spec.workflow, and by core for steps
)

OPTION_HINTS: Mapping[str, str] = make_option_hints(
    {
        "--set --set-string": "use the option of the value: `robotrain submit --help --platform osmo` lists all",
        "--set-env": "robotrain sets the variables of this workload; a secret of its program: --secret NAME=CREDENTIAL",
        "--use-local-osmo": "name the command with --osmo-cli PATH",
        "--gpu": "use --gpus N for the task, --num-gpus N to train on several",
        "--cpus --num-cpus --cpus-per-task": "use --cpu N",
        "--mem": "use --memory SIZE",
        "--disk --disk-size": "use --storage SIZE",
        "--dataset-root DATASET_ROOT": "not needed: data is downloaded to the container's cache in --work-dir",
        "OSMO_CONFIG_DIR": "the `osmo` command reads OSMO_CONFIG_FILE_DIR",
        "--mlflow-tracking-uri": "use --tracking-uri URI",
        "--compute --instance-type --node": "only for Azure ML: on OSMO use --pool and --gpu-platform",
        "--environment-name --environment-version": (
            "OSMO has no registered environments: choose the image with --image IMAGE"
        ),
        "--display-name": "name the tracking run with --job-name; the workflow is named by its job",
        "--hf-token": "a job never contains a token: store it as an OSMO credential and use --hf-credential NAME",
        "--blob-credential-file": "store the secret as an OSMO credential and use --blob-credential NAME",
        "--hub-token-file": "store the token as an OSMO credential and use --hf-credential NAME",
    }
)


class OsmoPlatform(PipelineCluster):
    """Runs a job as a workflow of a task on each node, and a pipeline as one, through the user's own `osmo` command."""

    name = "osmo"
    summary = "NVIDIA OSMO, as a workflow in a pool"
    settings: type = OsmoSettings
    capabilities = CAPABILITIES
    option_hints = OPTION_HINTS
    can_prepare = True
    engine = "OSMO"
    cancel_seconds = 30.0  # OSMO cancels later, from a queue
    cancel_command = "osmo workflow cancel {workflow} --force"

    defaults = lazy_method("robotrain_osmo.spec.resources:get_parameter_defaults")
    derive_defaults = lazy_method("robotrain_osmo.spec.resources:derive_defaults")
    choose_registration_settings = lazy_method("robotrain_osmo.spec.resources:choose_registration_settings")
    container_plugins = lazy_method("robotrain_osmo.spec.environment:find_container_plugins")
    suggest_settings = lazy_method("robotrain_osmo.doctor:suggest_settings")
    check = lazy_method("robotrain_osmo.spec.check_job:check_job")
    render = lazy_method("robotrain_osmo.spec.render:render_plan")
    render_pipeline = lazy_method("robotrain_osmo.spec.pipeline:render_pipeline")
    list_checks = lazy_method("robotrain_osmo.preflight.run_preflight:list_checks")
    drop_consequences = lazy_method("robotrain_osmo.preflight.run_preflight:drop_consequences")
    pin_source = lazy_method("robotrain_osmo.preflight.run_preflight:pin_source")
    read_tags = lazy_method("robotrain_osmo.preflight.run_preflight:read_tags")
    prepare = lazy_method("robotrain_osmo.submit.upload:prepare_plan")
    find_uploaded = lazy_method("robotrain_osmo.submit.upload:find_uploaded")
    submit = lazy_method("robotrain_osmo.submit.submit:submit_plan")
    find = lazy_method("robotrain_osmo.submit.submit:find_workflow")
    find_page = lazy_method("robotrain_osmo.observe.status:find_page")
    describe_reference = lazy_method("robotrain_osmo.observe.outputs:describe_reference")
    status = lazy_method("robotrain_osmo.observe.status:query_status")
    list_steps = lazy_method("robotrain_osmo.observe.status:list_steps")
    has_step_output = lazy_method("robotrain_osmo.observe.status:has_step_output")
    query_pipeline = lazy_method("robotrain_osmo.observe.status:query_pipeline")
    list_statuses = lazy_method("robotrain_osmo.observe.status:list_statuses")
    select_step = lazy_method("robotrain_osmo.observe.pipeline_steps:select_step")
    read_log = lazy_method("robotrain_osmo.observe.logs:read_log")
    follow_log = lazy_method("robotrain_osmo.observe.logs:follow_log")
    has_ended = lazy_method("robotrain_osmo.observe.workflow_state:has_ended")
    request_cancel = lazy_method("robotrain_osmo.observe.workflow_state:request_cancel")
    outputs = lazy_method("robotrain_osmo.observe.outputs:list_outputs")
    expect_output = lazy_method("robotrain_osmo.observe.outputs:expect_output")
    fetch_output = lazy_method("robotrain_osmo.observe.outputs:fetch_output")
    register = lazy_method("robotrain_osmo.observe.register:register_model")


@hook
def robotrain_platforms() -> Iterable[Platform]:
    """Return this platform."""
    return (OsmoPlatform(),)


@hook
def robotrain_health() -> "Iterable[HealthCheck]":
    """Return the health checks of `robotrain doctor`."""
    from robotrain_osmo import doctor

    return doctor.list_health_checks()
