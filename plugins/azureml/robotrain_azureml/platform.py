"""The platform `azureml`, as help and the TAB key need it. What acts for it is `engine.py`."""

from collections.abc import Iterable

from robotrain.model.capabilities import Capabilities
from robotrain.model.platform import Platform
from robotrain.model.source import FETCHED_ROLES
from robotrain.model.support import ANY, YES, no
from robotrain.plugins.hookspecs import hook

from robotrain_azureml.settings import AzureMLSettings

BLOB = "https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX"
POLICIES = ("policy", "reference")
POLICY_KINDS = ("huggingface", "blob_url", "local_path", "model_asset", "mlflow_run", "datastore_path")
OWN_MODELS = "Azure ML has its own form for registered models."
SUPPORTED_FEATURES = (
    "register_model tracking multi_gpu multi_node mixed_precision several_datasets wandb stream_logs cancel adopt"
    " notify native_dag"
)

CAPABILITIES = Capabilities(
    sources={
        **{("dataset", kind): YES for kind in ("huggingface", "blob_url", "data_asset", "local_path")},
        **{(role, kind): YES for role in POLICIES for kind in POLICY_KINDS},
        **{(role, "registered_model"): no(OWN_MODELS, f"--{role}-model azureml:NAME:VERSION") for role in POLICIES},
        **{("init_policy", kind): YES for kind in ("blob_url", "model_asset")},
        ("init_policy", "registered_model"): no(OWN_MODELS, "--init-from-policy-model azureml:NAME:VERSION"),
        **{(role, kind): YES for role in ("checkpoint", "resume") for kind in ("blob_url", "local_path")},
        **{("checkpoint", kind): YES for kind in ("https_file", "mlflow_run")},
        **{("checkpoint", kind): YES for kind in ("registered_model", "model_asset")},
        ("resume", "datastore_path"): YES,
        **{("backbone", kind): YES for kind in ("huggingface", "blob_url", "local_path", "torchvision")},
        **{("scenes", kind): YES for kind in ("huggingface", "blob_url", "local_path")},
        **{("code", kind): YES for kind in ("local_path", "git")},
        ("publish", "blob_url"): YES,
        **{(role, "huggingface"): YES for role in ("resume", "publish")},
        **{(role, ANY): YES for role in FETCHED_ROLES},
    },
    workloads={ANY: YES},
    features={
        **dict.fromkeys(SUPPORTED_FEATURES.split(), YES),
        "shell": no(
            "Azure ML lets you into a job only through an ssh service with your key, which robotrain does not add."
            " Write it under `services` in the job.yaml of a plan, send that with `submit --plan`, and use"
            " `az ml job connect-ssh`.",
            "robotrain logs -f RUN",
        ),
        "runs_here": no("Jobs run on a compute of the workspace.", "--platform local"),
        "publish_folder": no(
            "A job's disk is deleted when it ends; its declared output is always kept.", f"--publish-url {BLOB}"
        ),
    },
    disabled_by=dict.fromkeys(("tracking", "register_model"), ("tracking_uri", "none")),
)


AZUREML = Platform(
    name="azureml",
    summary="Azure Machine Learning, as a command job of a workspace",
    engine_class="robotrain_azureml.engine:AzureMLEngine",
    plans_class="robotrain_azureml.plans:AzureMLPlans",
    settings=AzureMLSettings,
    capabilities=CAPABILITIES,
    cancel_command=(
        "az ml job cancel --name {job} --workspace-name {workspace} --resource-group {group}"
        " --subscription {subscription}"
    ),
)


@hook
def robotrain_platforms() -> Iterable[Platform]:
    """Return this platform."""
    return (AZUREML,)
