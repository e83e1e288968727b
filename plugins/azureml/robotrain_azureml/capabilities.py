"""What Azure ML can do, and what to say to those who try the options of other tools and platforms here."""

from collections.abc import Mapping

from robotrain.model.capabilities import ANY, YES, Capabilities, no, not_yet
from robotrain_azure.settings import MODEL_OPTION_HINTS

BLOB = "https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX"
FETCHED = ("dataset", "policy", "init_policy", "resume", "publish")
"""What the container fetches or writes by itself, whoever brought the kind: its half travels with the job."""

CAPABILITIES = Capabilities(
    sources={
        ("dataset", "huggingface"): YES,
        ("dataset", "blob_url"): YES,
        ("dataset", "data_asset"): YES,
        ("dataset", "local_path"): YES,
        ("policy", "huggingface"): YES,
        ("policy", "blob_url"): YES,
        ("policy", "local_path"): YES,
        ("policy", "model_asset"): YES,
        ("policy", "mlflow_run"): YES,
        ("policy", "datastore_path"): YES,
        ("policy", "registered_model"): no(
            "A registered model is named as Azure ML has it.", "--policy-model azureml:NAME:VERSION"
        ),
        ("init_policy", "blob_url"): YES,
        ("init_policy", "model_asset"): YES,
        ("init_policy", "registered_model"): no(
            "A registered model is named as Azure ML has it.", "--init-from-policy-model azureml:NAME:VERSION"
        ),
        ("resume", "blob_url"): YES,
        ("resume", "local_path"): YES,
        ("resume", "datastore_path"): YES,
        ("publish", "blob_url"): YES,
        **{(role, ANY): YES for role in FETCHED},
    },
    workloads={ANY: YES},
    features={
        "register_model": YES,
        "tracking": YES,
        "multi_gpu": YES,
        "mixed_precision": YES,
        "several_datasets": YES,
        "stream_logs": YES,
        "cancel": YES,
        "wandb": not_yet("A job is given no key of Weights & Biases.", "--platform osmo"),
        "runs_here": no("It runs on a compute of the workspace.", "--platform local"),
        "publish_folder": no(
            "The disk of a job is gone when it ends; its declared output is kept without being asked for.",
            f"--publish-url {BLOB}",
        ),
    },
)

_STORAGE = "type the whole address: --blob-url https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX, once for each"
_POOL = "a setting of OSMO: on Azure ML say --compute and --instance-type"
_BUCKETS = "a bucket of OSMO is known to OSMO alone: --blob-url https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX"
_COMMAND = "nothing of OSMO is asked: the job goes to the workspace"
_TEMPLATE = (
    "there is no template to fill in: `robotrain render … --to FOLDER` writes the job, and "
    "`robotrain submit --plan FOLDER` sends it"
)
_VALUES = "values are options of their own: `robotrain submit --help --platform azureml` lists them"
_PAYLOAD = "not needed: what runs in the container travels as the job's code; --work-dir says where it works"
_EXPLAIN = "the same is `robotrain explain …`, or `robotrain submit … --dry-run`"
_SIZES = "the instance type says what a machine has: --instance-type NAME"
_WORKSPACE = "not needed: a job is tracked in the workspace that it runs in"
_UPLOADS = "folders go to a datastore of the workspace: --datastore NAME"
_IDENTITY = "the job reads blobs as the compute's managed identity: --workload-identity ID names one"
_SECRET = "a token never travels with a job: --hf-credential NAME names the secret of a key vault"

OPTION_HINTS: Mapping[str, str] = {
    **MODEL_OPTION_HINTS,
    "--workflow": _TEMPLATE,
    "-w": _TEMPLATE,
    "--job-file": _TEMPLATE,
    "--file": _TEMPLATE,
    "--set-string": _VALUES,
    "--set-env": "what a job needs is set for it; a token is named with --hf-credential",
    "--config-preview": _EXPLAIN,
    "--use-local-osmo": _COMMAND,
    "--osmo-cli": _COMMAND,
    "--server": _COMMAND,
    "--from-blob": _STORAGE,
    "--from-blob-dataset": _STORAGE,
    "--blob-prefix": _STORAGE,
    "--dataset-root": "not needed: data is mounted, or fetched into the cache of the container, below --work-dir",
    "--dataset-localpath": "name the folder: --dataset-path FOLDER; it is uploaded",
    "--training-path": _PAYLOAD,
    "--payload-root": _PAYLOAD,
    "--pool": _POOL,
    "--gpu-platform": _POOL,
    "--gpus": "say how many the job trains on: --num-gpus; the instance type has to have them",
    "--cpu": _SIZES,
    "--memory": _SIZES,
    "--storage": _SIZES,
    "--shared-memory": "it is --shm-size SIZE",
    "--priority": "not known here; what a Kubernetes compute runs first is said where it is attached",
    "--queue-timeout": "a job waits until there is room, or `robotrain cancel RUN`",
    "--buckets": _BUCKETS,
    "--dataset-bucket": _BUCKETS,
    "--storage-account": _UPLOADS,
    "--storage-container": _UPLOADS,
    "--tracking-uri": _WORKSPACE,
    "--mlflow-enable": _WORKSPACE,
    "--mlflow-tracking-uri": _WORKSPACE,
    "--hf-token": _SECRET,
    "--hub-token-file": _SECRET,
    "--blob-credential": _IDENTITY,
    "--blob-credential-file": _IDENTITY,
    "--wandb-credential": "a job on Azure ML is given no key of Weights & Biases yet: --platform osmo",
    "--environment": "--image IMAGE names the image; the job brings its locked environment",
    "--torch-backend": "the locked PyTorch is used; --image IMAGE chooses an image that holds it",
    "--runs-dir": "it runs in a container: --work-dir says where there",
}
