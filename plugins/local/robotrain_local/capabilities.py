"""What the local platform supports."""

from robotrain.model.capabilities import Capabilities
from robotrain.model.source import FETCHED_ROLES
from robotrain.model.support import ANY, YES, no
from robotrain.run_folder.settings import NO_TRACKING

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
