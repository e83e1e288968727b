"""The platform `osmo`, as help and the TAB key need it. What acts for it is `engine.py`."""

from collections.abc import Iterable

from robotrain.model.capabilities import Capabilities
from robotrain.model.platform import Platform
from robotrain.model.source import FETCHED_ROLES
from robotrain.model.support import ANY, YES, no
from robotrain.plugins.hookspecs import hook

from robotrain_osmo.settings import OsmoSettings

BLOB = "https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX"
POLICY_KINDS = ("huggingface", "blob_url", "local_path", "registered_model", "mlflow_run", "model_asset")
NO_MODELS = "OSMO reads storage URLs, not models of a registry."
SUPPORTED_FEATURES = (
    "register_model tracking multi_gpu multi_node mixed_precision several_datasets wandb stream_logs cancel adopt"
    " notify native_dag"
)
CAPABILITIES = Capabilities(
    sources={
        **{("dataset", kind): YES for kind in ("huggingface", "blob_url", "local_path", "osmo_dataset")},
        **{(role, kind): YES for role in ("policy", "reference") for kind in POLICY_KINDS},
        ("init_policy", "blob_url"): YES,
        ("init_policy", "registered_model"): no(NO_MODELS, f"--init-from-policy-model {BLOB}"),
        **{(role, kind): YES for role in ("checkpoint", "resume") for kind in ("blob_url", "local_path")},
        **{(role, "huggingface"): YES for role in ("resume", "publish")},
        **{("checkpoint", kind): YES for kind in ("https_file", "mlflow_run")},
        **{("checkpoint", kind): YES for kind in ("registered_model", "model_asset")},
        **{("backbone", kind): YES for kind in ("huggingface", "blob_url", "local_path", "torchvision")},
        **{("scenes", kind): YES for kind in ("huggingface", "blob_url", "local_path")},
        **{("code", kind): YES for kind in ("local_path", "git", "osmo_dataset")},
        ("publish", "blob_url"): YES,
        **{(role, "osmo_storage"): YES for role in ("resume", "publish")},
        **{(role, ANY): YES for role in FETCHED_ROLES},
    },
    workloads={ANY: YES},
    features={
        **dict.fromkeys((*SUPPORTED_FEATURES.split(), "shell"), YES),
        "runs_here": no("The job runs in a pod of the cluster.", "--platform local"),
        "publish_folder": no("The pod's disk is deleted when the run ends.", f"--publish-url {BLOB}"),
    },
    limits={"spec_kib": 1024, "steps": 20},  # enforced by robotrain_osmo.spec.workflow, and by core for steps
)


OSMO = Platform(
    name="osmo",
    summary="NVIDIA OSMO, as a workflow in a pool",
    engine_class="robotrain_osmo.engine:OsmoEngine",
    plans_class="robotrain_osmo.plans:OsmoPlans",
    settings=OsmoSettings,
    capabilities=CAPABILITIES,
    cancel_command="osmo workflow cancel {workflow} --force",
)


@hook
def robotrain_platforms() -> Iterable[Platform]:
    """Return this platform."""
    return (OSMO,)
