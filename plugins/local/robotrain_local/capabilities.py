"""What this machine can do, and what to say to those who try the options of other platforms here."""

from collections.abc import Mapping

from robotrain.capabilities import ANY, YES, Capabilities, no, not_yet

DOWNLOAD = "download it and pass --dataset-path FOLDER"

CAPABILITIES = Capabilities(
    sources={
        ("dataset", "local_path"): YES,
        ("dataset", "huggingface"): not_yet(
            "Downloading from the Hugging Face Hub inside a run comes with a later release.", DOWNLOAD
        ),
        ("dataset", "blob_url"): not_yet(
            "Downloading from blob storage inside a run comes with a later release.", DOWNLOAD
        ),
        ("dataset", "data_asset"): no(
            "An Azure ML data asset is mounted by an Azure ML job; this machine has no such mount.", DOWNLOAD
        ),
    },
    workloads={"lerobot-train": YES, ANY: YES},
    features={
        "register_model": not_yet(
            "Registering checkpoints in a model registry comes with a later release.",
            "train without it and register a checkpoint with MLflow's own client",
        ),
        "multi_gpu": not_yet(
            "Training on several GPUs of this machine comes with a later release.", "train on one GPU"
        ),
        "mixed_precision": not_yet("Training in fp16 or bf16 comes with a later release.", "train in full precision"),
        "several_datasets": not_yet(
            "Merging several datasets before training comes with a later release.",
            "merge them with LeRobot's own tools and pass the result with --dataset-path FOLDER",
        ),
        "stream_logs": YES,
        "cancel": YES,
    },
)

_CONTAINER = (
    "a container platform's setting: the local platform runs this machine's own Python; "
    "use --environment PATH for a particular one"
)
_CLUSTER = "a cluster's setting: the local platform runs the job on this very machine"
_LATER = "starting from a trained policy comes with a later release"
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
    "--policy-repo-id": _LATER,
    "--init-from-policy-model": _LATER,
    "--stream": "it comes with a later release; `--wait` follows the run, `robotrain logs -f` its log",
    "--save-as": "it comes with a later release; `robotrain render … --to FOLDER` writes what would be sent",
    "--azure-subscription-id": _CLOUD,
    "--azure-resource-group": _CLOUD,
    "--azure-workspace-name": _CLOUD,
    "--subscription-id": _CLOUD,
    "--resource-group": _CLOUD,
    "--workspace-name": _CLOUD,
}
