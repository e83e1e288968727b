"""What Slurm supports."""

from robotrain.model.capabilities import Capabilities
from robotrain.model.source import FETCHED_ROLES, REMOTE_KIND
from robotrain.model.support import ANY, YES, Support, no
from robotrain.run_folder.settings import NO_TRACKING

FEATURES = (
    "publish_folder multi_gpu multi_node mixed_precision several_datasets wandb stream_logs cancel adopt notify"
    " native_dag"
)
CAPABILITIES = Capabilities(
    sources={
        **{("dataset", kind): YES for kind in ("local_path", "huggingface", "blob_url")},
        **{(role, kind): YES for role in ("policy", "reference") for kind in ("local_path", "huggingface", "blob_url")},
        **{(role, kind): YES for role in ("checkpoint", "resume") for kind in ("local_path", "blob_url")},
        **{(role, "huggingface"): YES for role in ("resume", "publish")},
        **{("backbone", kind): YES for kind in ("huggingface", "local_path", "blob_url", "torchvision")},
        **{("scenes", kind): YES for kind in ("huggingface", "local_path", "blob_url")},
        **{("code", kind): YES for kind in ("local_path", "git")},
        **{(role, REMOTE_KIND): YES for role in FETCHED_ROLES if role not in ("init_policy", "publish")},
        **{(role, ANY): YES for role in FETCHED_ROLES},
    },
    workloads={ANY: YES},
    features={
        **dict.fromkeys((*FEATURES.split(), "shell"), YES),
        "tracking": Support("yes", "With --tracking-uri."),
        "register_model": Support("yes", "With --tracking-uri."),
        "runs_here": no("It runs on a node of the cluster.", "--platform local"),
    },
    required_settings={"tracking": "tracking_uri", "register_model": "tracking_uri"},
    disabled_by=dict.fromkeys(("tracking", "register_model"), ("tracking_uri", NO_TRACKING)),
)
