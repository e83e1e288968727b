"""The platform `local`, as help and the TAB key need it. What acts for it is `engine.py`."""

from collections.abc import Iterable

from robotrain.model.capabilities import Capabilities
from robotrain.model.platform import Platform
from robotrain.model.source import FETCHED_ROLES
from robotrain.model.support import ANY, YES, no
from robotrain.plugins.hookspecs import hook
from robotrain.run_folder.settings import NO_TRACKING

from robotrain_local.settings import LocalSettings

WEIGHTS = ("registered_model", "blob_url")
POLICY_KINDS = ("local_path", "huggingface", "mlflow_run", *WEIGHTS)
FEATURES = "runs_here register_model tracking publish_folder multi_gpu mixed_precision several_datasets wandb"
CAPABILITIES = Capabilities(
    sources={
        **{("dataset", kind): YES for kind in ("local_path", "huggingface", "blob_url")},
        **{(role, kind): YES for role in ("policy", "reference") for kind in POLICY_KINDS},
        **{("init_policy", kind): YES for kind in WEIGHTS},
        **{(role, ANY): YES for role in FETCHED_ROLES},
        **{(role, kind): YES for role in ("checkpoint", "resume") for kind in ("local_path", "blob_url")},
        **{("checkpoint", kind): YES for kind in ("https_file", "mlflow_run", "registered_model")},
        **{("backbone", kind): YES for kind in ("huggingface", "local_path", "blob_url", "torchvision")},
        **{("scenes", kind): YES for kind in ("huggingface", "local_path", "blob_url")},
        **{("code", kind): YES for kind in ("local_path", "git")},
        ("publish", "blob_url"): YES,
        **{(role, "huggingface"): YES for role in ("resume", "publish")},
    },
    workloads={ANY: YES},
    features={
        "multi_node": no("A job runs on this one machine.", "--num-nodes 1"),
        **dict.fromkeys((*FEATURES.split(), "stream_logs", "cancel", "shell", "notify", "adopt"), YES),
        "native_dag": no("A background process of this machine starts each step.", "leave out --native-only"),
    },
    disabled_by=dict.fromkeys(("tracking", "register_model"), ("tracking_uri", NO_TRACKING)),
)


LOCAL = Platform(
    name="local",
    summary="this machine, as a background process",
    engine_class="robotrain_local.engine:LocalEngine",
    plans_class="robotrain_local.plans:LocalPlans",
    settings=LocalSettings,
    capabilities=CAPABILITIES,
)


@hook
def robotrain_platforms() -> Iterable[Platform]:
    """Return this platform."""
    return (LOCAL,)
