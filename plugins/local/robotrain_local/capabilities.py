"""What the local platform supports, and hints for options of other tools."""

from robotrain.model.capabilities import Capabilities
from robotrain.model.support import ANY, YES, no
from robotrain.run_folder.settings import NO_TRACKING

CONTAINER_ROLES = (
    "dataset",
    "policy",
    "reference",
    "init_policy",
    "checkpoint",
    "resume",
    "backbone",
    "scenes",
    "publish",
)
WEIGHTS = ("registered_model", "blob_url")
POLICY_KINDS = ("local_path", "huggingface", "mlflow_run", *WEIGHTS)
FEATURES = "runs_here register_model tracking publish_folder multi_gpu mixed_precision several_datasets wandb"
CAPABILITIES = Capabilities(
    sources={
        **{("dataset", kind): YES for kind in ("local_path", "huggingface", "blob_url")},
        **{(role, kind): YES for role in ("policy", "reference") for kind in POLICY_KINDS},
        **{("init_policy", kind): YES for kind in WEIGHTS},
        **{(role, ANY): YES for role in CONTAINER_ROLES},
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
        **dict.fromkeys((*FEATURES.split(), "stream_logs", "cancel", "shell", "forward", "notify", "adopt"), YES),
        "native_dag": no("A background process of this machine starts each step.", "leave out --native-only"),
        "native_sweep": no("A background process of this machine starts each trial.", "leave out --native-only"),
    },
    disabled_by=dict.fromkeys(("tracking", "register_model"), ("tracking_uri", NO_TRACKING)),
)

_HINTS = {
    "-i --image --environment-name --environment-version --assets-only": (
        "only for container platforms: the local platform uses a Python environment of this machine; "
        "choose one with --environment PATH"
    ),
    "--pool --compute --instance-type --gpu-platform --use-local-osmo": (
        "only for clusters: the local platform runs the job on this machine"
    ),
    "--from-aml-model --model-name --model-version AML_MODEL_NAME AML_MODEL_VERSION": (
        "use --policy-model models:/NAME/VERSION for an MLflow model; download an Azure ML model first "
        "(az ml model download), then use --policy-path FOLDER"
    ),
    "--from-blob --from-blob-dataset --storage-account --storage-container --blob-prefix"
    " BLOB_PREFIX BLOB_STORAGE_ACCOUNT BLOB_STORAGE_CONTAINER": (
        "use the full URL: --blob-url https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX"
    ),
    "--azure-subscription-id --azure-resource-group --azure-workspace-name --subscription-id --resource-group"
    " --workspace-name": "only for cloud platforms: the local platform runs the job on this machine",
    "--mlflow-enable MLFLOW_ENABLE": "not needed: every run is tracked; change this with --tracking-uri URI, or none",
    "--gpu --gpus": "use --num-gpus N",
    "--cpu --cpus --num-cpus --cpus-per-task --memory --mem --storage --disk --disk-size": (
        "a run takes what it needs of this machine: cores, memory and disk are not reserved"
    ),
    "--timeout --time --time-limit --walltime --exec-timeout": (
        "a run on this machine has no time limit; `robotrain cancel RUN` stops it"
    ),
    "--tag --tags --label --labels": "use --note TEXT",
    "--mlflow-tracking-uri": "use --tracking-uri URI",
    "--dataset-root DATASET_ROOT": "not needed: a local dataset is read in place",
    "--config-preview": "use `robotrain explain …` or `robotrain submit … --dry-run`",
}
OPTION_HINTS = {option: hint for options, hint in _HINTS.items() for option in options.split()}
"""Hints for options of other tools and platforms."""
