"""The platform `slurm`, as help and the TAB key need it. What acts for it is `engine.py`."""

from collections.abc import Iterable

from robotrain.model.capabilities import Capabilities
from robotrain.model.platform import Platform
from robotrain.model.source import FETCHED_ROLES, REMOTE_KIND
from robotrain.model.support import ANY, YES, Support, no
from robotrain.plugins.hookspecs import hook
from robotrain.run_folder.settings import NO_TRACKING

from robotrain_slurm.settings import SlurmSettings

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


SLURM = Platform(
    name="slurm",
    summary="a Slurm cluster, as a batch job",
    engine_class="robotrain_slurm.engine:SlurmEngine",
    plans_class="robotrain_slurm.spec.plans:SlurmPlans",
    settings=SlurmSettings,
    capabilities=CAPABILITIES,
    cancel_command="scancel {job}",
)


@hook
def robotrain_platforms() -> Iterable[Platform]:
    """Return this platform."""
    return (SLURM,)
