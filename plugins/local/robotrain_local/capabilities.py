"""What this machine can do, and what to say to those who try the options of other platforms here."""

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
    "a container platform's setting: the local platform runs this machine's own Python; "
    "use --environment PATH for a particular one"
)
_CLUSTER = "a cluster's setting: the local platform runs the job on this very machine"
_TRACKED = "runs are tracked by themselves: `robotrain runs` tells where, --tracking-uri ADDRESS names another place"
_MODEL = (
    "a model of the registry is --policy-model models:/NAME/VERSION; one of Azure ML is fetched first "
    "(az ml model download), and its folder named: --policy-path FOLDER"
)
_BLOBS = "type the whole address: --blob-url https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX"
_CLOUD = "a cloud account's setting: the local platform runs the job on this very machine"

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
    "--mlflow-tracking-uri": "it is --tracking-uri",
    "--dataset-root": "not needed: a dataset is used where it lies",
    "--config-preview": "the same is `robotrain explain …`, or `robotrain submit … --dry-run`",
    "--azure-subscription-id": _CLOUD,
    "--azure-resource-group": _CLOUD,
    "--azure-workspace-name": _CLOUD,
    "--subscription-id": _CLOUD,
    "--resource-group": _CLOUD,
    "--workspace-name": _CLOUD,
}
