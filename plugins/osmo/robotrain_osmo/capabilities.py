"""What OSMO can do, and what to say to those who try the options of other tools and platforms here."""

from collections.abc import Mapping

from robotrain.model.capabilities import ANY, YES, Capabilities, no
from robotrain_azure.settings import MODEL_OPTION_HINTS

BLOB = "https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX"
NO_MODELS = "OSMO reads concrete storage locations, not models of a registry."
CONTAINER_ROLES = ("dataset", "policy", "init_policy", "resume", "publish")
"""What the container fetches or writes by itself, whoever brought the kind: its half travels with the job."""

CAPABILITIES = Capabilities(
    sources={
        ("dataset", "huggingface"): YES,
        ("dataset", "blob_url"): YES,
        ("dataset", "local_path"): YES,
        ("dataset", "osmo_dataset"): YES,
        ("policy", "huggingface"): YES,
        ("policy", "blob_url"): YES,
        ("policy", "local_path"): YES,
        ("policy", "registered_model"): YES,
        ("policy", "mlflow_run"): YES,
        ("policy", "model_asset"): YES,
        ("init_policy", "blob_url"): YES,
        ("init_policy", "registered_model"): no(NO_MODELS, f"--init-from-policy-model {BLOB}"),
        ("resume", "blob_url"): YES,
        ("resume", "local_path"): YES,
        ("resume", "osmo_storage"): YES,
        ("publish", "blob_url"): YES,
        ("publish", "osmo_storage"): YES,
        **{(role, ANY): YES for role in CONTAINER_ROLES},
    },
    workloads={ANY: YES},
    features={
        "register_model": YES,
        "tracking": YES,
        "multi_gpu": YES,
        "mixed_precision": YES,
        "several_datasets": YES,
        "wandb": YES,
        "stream_logs": YES,
        "cancel": YES,
        "runs_here": no("It runs in a pod of the cluster.", "--platform local"),
        "publish_folder": no(
            "The disk of a pod is gone when it ends, with every folder on it.", f"--publish-url {BLOB}"
        ),
    },
    limits={"spec_kib": 1024},  # robotrain_osmo.spec.size holds it, and puts the rest beside the workflow
)

_STORAGE = "type the whole address: --blob-url https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX, once for each"
_AZUREML = "a setting of Azure ML: on OSMO say --pool and --gpu-platform"
_ENVIRONMENT = (
    "nothing is registered on OSMO: the job names its image, --image IMAGE, and brings its locked environment"
)
_PAYLOAD = "not needed: what runs in the container travels in the workflow itself; --work-dir says where it works"
_TEMPLATE = (
    "there is no template to fill in: `robotrain render … --to FOLDER` writes the workflow, and "
    "`robotrain submit --plan FOLDER` sends it"
)
_EXPLAIN = "the same is `robotrain explain …`, or `robotrain submit … --dry-run`"

OPTION_HINTS: Mapping[str, str] = {
    **MODEL_OPTION_HINTS,
    "--workflow": _TEMPLATE,
    "-w": _TEMPLATE,
    "--job-file": _TEMPLATE,
    "--set": "values are options of their own: `robotrain submit --help --platform osmo` lists them",
    "--set-string": "values are options of their own: `robotrain submit --help --platform osmo` lists them",
    "--set-env": "what a job needs is set for it; secrets are OSMO credentials: --hf-credential, --wandb-credential",
    "--use-local-osmo": "name the command: --osmo-cli PATH",
    "--config-preview": _EXPLAIN,
    "--from-blob": _STORAGE,
    "--from-blob-dataset": _STORAGE,
    "--blob-prefix": _STORAGE,
    "--dataset-root": "not needed: data is fetched into the cache of the container, below --work-dir",
    "--dataset-localpath": "name the folder: --dataset-path FOLDER; it is uploaded",
    "--training-path": _PAYLOAD,
    "--payload-root": _PAYLOAD,
    "--mlflow-enable": "not needed: runs are tracked in the workspace whenever one is known; --tracking-uri none: not",
    "--mlflow-tracking-uri": "it is --tracking-uri",
    "--compute": _AZUREML,
    "--instance-type": _AZUREML,
    "--environment-name": _ENVIRONMENT,
    "--environment-version": _ENVIRONMENT,
    "--display-name": "the tracking run is named with --job-name, the workflow by its job",
    "--hf-token": "a token never travels with a job: --hf-credential NAME names the OSMO credential that holds it",
    "--node": _AZUREML,
    "--environment": "the container brings its own environment; --image IMAGE chooses the image",
    "--torch-backend": "the locked PyTorch is used; --image IMAGE chooses an image that holds it",
    "--runs-dir": "it runs in a container: --work-dir says where there",
    "--blob-credential-file": "--blob-credential NAME names the OSMO credential that holds it",
    "--hub-token-file": "--hf-credential NAME names the OSMO credential that holds it",
}
