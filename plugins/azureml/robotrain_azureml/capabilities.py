"""What Azure ML supports, and hints for options of other tools and platforms."""

from collections.abc import Mapping

from robotrain.model.capabilities import ANY, YES, Capabilities, no, not_yet
from robotrain_azure.settings import MODEL_OPTION_HINTS

BLOB = "https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX"
FETCHED = ("dataset", "policy", "init_policy", "checkpoint", "resume", "publish")
"""Roles that the container downloads or publishes itself, with any source kind: its container plugin travels with the
job.
"""
OWN_MODELS = "Azure ML has its own form for registered models."
SUPPORTED_FEATURES = (
    "register_model tracking multi_gpu mixed_precision several_datasets stream_logs cancel native_dag native_sweep"
)

CAPABILITIES = Capabilities(
    sources={
        **{("dataset", kind): YES for kind in ("huggingface", "blob_url", "data_asset", "local_path")},
        **{("policy", kind): YES for kind in ("huggingface", "blob_url", "local_path", "model_asset", "mlflow_run")},
        ("policy", "datastore_path"): YES,
        ("policy", "registered_model"): no(OWN_MODELS, "--policy-model azureml:NAME:VERSION"),
        **{("init_policy", kind): YES for kind in ("blob_url", "model_asset")},
        ("init_policy", "registered_model"): no(OWN_MODELS, "--init-from-policy-model azureml:NAME:VERSION"),
        **{(role, kind): YES for role in ("checkpoint", "resume") for kind in ("blob_url", "local_path")},
        **{("checkpoint", kind): YES for kind in ("https_file", "mlflow_run")},
        **{("checkpoint", kind): YES for kind in ("registered_model", "latest_model", "model_asset")},
        ("resume", "datastore_path"): YES,
        ("code", "local_path"): YES,
        ("publish", "blob_url"): YES,
        **{(role, ANY): YES for role in FETCHED},
    },
    workloads={ANY: YES},
    features={
        **dict.fromkeys(SUPPORTED_FEATURES.split(), YES),
        "wandb": not_yet("Jobs get no Weights & Biases key.", "--platform osmo"),
        "runs_here": no("Jobs run on a compute of the workspace.", "--platform local"),
        "publish_folder": no(
            "A job's disk is deleted when it ends; its declared output is always kept.",
            f"--publish-url {BLOB}",
        ),
    },
    disabled_by=dict.fromkeys(("tracking", "register_model"), ("tracking_uri", "none")),
)

_HINTS = {
    "--workflow -w --job-file --file WORKFLOW_TEMPLATE": (
        "templates are not used: `robotrain render … --to FOLDER` writes the job, and `robotrain submit "
        "--plan FOLDER` submits it"
    ),
    "--set-string": "each value has its own option: `robotrain submit --help --platform azureml` lists them",
    "--set-env": "jobs get the variables that they need; use --hf-credential for a token",
    "--config-preview": "use `robotrain explain …` or `robotrain submit … --dry-run`",
    "--use-local-osmo --osmo-cli --server": "OSMO is not used: the job goes to the workspace",
    "--from-blob --from-blob-dataset --blob-prefix BLOB_PREFIX BLOB_STORAGE_ACCOUNT BLOB_STORAGE_CONTAINER": (
        f"use the full URL: --blob-url {BLOB}, once for each"
    ),
    "--dataset-root DATASET_ROOT": (
        "not needed: data is mounted or downloaded into the container's cache, below --work-dir"
    ),
    "--dataset-localpath": "use --dataset-path FOLDER; it is uploaded",
    "--training-path --payload-root PAYLOAD_ROOT": (
        "not needed: the job's code contains everything; --work-dir sets the working folder"
    ),
    "--pool --gpu-platform": "an OSMO setting: on Azure ML use --compute and --instance-type",
    "--gpus": "use --num-gpus; the instance type must have that many",
    "--cpu --memory --storage": "the instance type sets the machine's size: --instance-type NAME",
    "--shared-memory": "use --shm-size SIZE",
    "--priority": "not supported; priorities are set where a Kubernetes compute is attached",
    "--queue-timeout": "a job waits for a free machine until `robotrain cancel RUN`",
    "--buckets --dataset-bucket": f"buckets exist only in OSMO: use --blob-url {BLOB}",
    "--storage-account --storage-container": "folders are uploaded to a datastore of the workspace: --datastore NAME",
    "--mlflow-enable --mlflow-tracking-uri MLFLOW_ENABLE": (
        "not needed: a job is tracked in its own workspace; turn this off with --tracking-uri none"
    ),
    "--hf-token --hub-token-file": "jobs never contain tokens: --hf-credential NAME names the secret of a key vault",
    "--blob-credential --blob-credential-file": (
        "the job reads blobs with the compute's managed identity: --workload-identity ID selects one"
    ),
    "--wandb-credential": "Weights & Biases is not supported on Azure ML yet: use --platform osmo",
    "--environment": "use --image IMAGE; the job installs its locked environment",
    "--torch-backend": "PyTorch is locked; --image IMAGE selects an image that contains it",
    "--runs-dir": "use --work-dir: the run works in a container",
}
"""Hints by options, separated by spaces."""
OPTION_HINTS: Mapping[str, str] = {
    **MODEL_OPTION_HINTS,
    **{option: hint for options, hint in _HINTS.items() for option in options.split()},
}
