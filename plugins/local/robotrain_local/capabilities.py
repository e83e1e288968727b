"""What the local platform supports, and hints for options of other tools and platforms."""

from collections.abc import Mapping

from robotrain.model.capabilities import ANY, YES, Capabilities

WEIGHTS = ("registered_model", "blob_url")

CAPABILITIES = Capabilities(
    sources={
        ("dataset", "local_path"): YES,
        ("dataset", "huggingface"): YES,
        ("dataset", "blob_url"): YES,
        **{("policy", kind): YES for kind in ("local_path", "huggingface", "mlflow_run", *WEIGHTS)},
        **{("init_policy", kind): YES for kind in WEIGHTS},
        **{(role, ANY): YES for role in ("dataset", "policy", "init_policy", "resume", "publish")},
        ("resume", "local_path"): YES,
        ("resume", "blob_url"): YES,
        ("publish", "blob_url"): YES,
    },
    workloads={ANY: YES},
    features={
        "runs_here": YES,
        "register_model": YES,
        "tracking": YES,
        "publish_folder": YES,
        "multi_gpu": YES,
        "mixed_precision": YES,
        "several_datasets": YES,
        "wandb": YES,
        "stream_logs": YES,
        "cancel": YES,
    },
)

_CONTAINER = (
    "only for container platforms: the local platform uses a Python environment of this machine; "
    "choose one with --environment PATH"
)
_CLUSTER = "only for clusters: the local platform runs the job on this machine"
_TRACKED = "not needed: every run is tracked; change the server with --tracking-uri URI"
_MODEL = (
    "use --policy-model models:/NAME/VERSION for an MLflow model; download an Azure ML model first "
    "(az ml model download), then use --policy-path FOLDER"
)
_BLOBS = "use the full URL: --blob-url https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX"
_CLOUD = "only for cloud platforms: the local platform runs the job on this machine"

OPTION_HINTS: Mapping[str, str] = {
    "--image": _CONTAINER,
    "-i": _CONTAINER,
    "--environment-name": _CONTAINER,
    "--environment-version": _CONTAINER,
    "--pool": _CLUSTER,
    "--compute": _CLUSTER,
    "--instance-type": _CLUSTER,
    "--gpu-platform": _CLUSTER,
    "--use-local-osmo": _CLUSTER,
    "--assets-only": _CONTAINER,
    "--from-aml-model": _MODEL,
    "--model-name": _MODEL,
    "--model-version": _MODEL,
    "--from-blob": _BLOBS,
    "--from-blob-dataset": _BLOBS,
    "--storage-account": _BLOBS,
    "--storage-container": _BLOBS,
    "--blob-prefix": _BLOBS,
    "--mlflow-enable": _TRACKED,
    "--mlflow-tracking-uri": "use --tracking-uri",
    "--dataset-root": "not needed: a local dataset is read in place",
    "--config-preview": "use `robotrain explain …` or `robotrain submit … --dry-run`",
    "--azure-subscription-id": _CLOUD,
    "--azure-resource-group": _CLOUD,
    "--azure-workspace-name": _CLOUD,
    "--subscription-id": _CLOUD,
    "--resource-group": _CLOUD,
    "--workspace-name": _CLOUD,
}
