"""What this machine can do, and what to say to those who try the options of other platforms here."""

from collections.abc import Mapping

from robotrain.capabilities import ANY, YES, Capabilities, no

DOWNLOAD = "download it and pass --dataset-path FOLDER"
MODEL_ASSET = no(
    "A model of an Azure ML workspace is mounted by an Azure ML job; this machine has no such mount.",
    "download it (az ml model download) and name the folder in its place",
)

POLICIES = ("local_path", "huggingface", "registered_model", "blob_url")

CAPABILITIES = Capabilities(
    sources={
        ("dataset", "local_path"): YES,
        ("dataset", "huggingface"): YES,
        ("dataset", "blob_url"): YES,
        ("dataset", "data_asset"): no(
            "An Azure ML data asset is mounted by an Azure ML job; this machine has no such mount.", DOWNLOAD
        ),
        **{(role, kind): YES for role in ("policy", "init_policy") for kind in POLICIES},
        **{(role, "model_asset"): MODEL_ASSET for role in ("policy", "init_policy")},
        ("resume", "local_path"): YES,
        ("resume", "blob_url"): YES,
        ("publish", "blob_url"): YES,
    },
    workloads={"lerobot-train": YES, ANY: YES},
    features={
        "runs_here": YES,
        "register_model": YES,
        "publish_folder": YES,
        "multi_gpu": YES,
        "mixed_precision": YES,
        "several_datasets": YES,
        "stream_logs": YES,
        "cancel": YES,
    },
)

_CONTAINER = (
    "a container platform's setting: the local platform runs this machine's own Python; "
    "use --environment PATH for a particular one"
)
_CLUSTER = "a cluster's setting: the local platform runs the job on this very machine"
_CLOUD = "a cloud account's setting: the local platform runs the job on this very machine"

DECLINED: Mapping[str, str] = {
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
    "--dataset-root": "not needed: a dataset is used where it lies",
    "--config-preview": "the same is `robotrain explain …`, or `robotrain submit … --dry-run`",
    "--azure-subscription-id": _CLOUD,
    "--azure-resource-group": _CLOUD,
    "--azure-workspace-name": _CLOUD,
    "--subscription-id": _CLOUD,
    "--resource-group": _CLOUD,
    "--workspace-name": _CLOUD,
}
