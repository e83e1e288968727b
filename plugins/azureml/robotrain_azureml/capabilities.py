"""What Azure ML supports, and hints for options of other tools."""

from collections.abc import Mapping

from robotrain.model.capabilities import Capabilities
from robotrain.model.support import ANY, YES, no, not_yet
from robotrain_azure.settings import make_option_hints

BLOB = "https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX"
FETCHED = ("dataset", "policy", "reference", "init_policy", "checkpoint", "resume", "backbone", "scenes", "publish")
"""Roles that the container downloads or publishes itself, with any source kind: its container plugin travels with the
job.
"""
POLICIES = ("policy", "reference")
POLICY_KINDS = ("huggingface", "blob_url", "local_path", "model_asset", "mlflow_run", "datastore_path")
OWN_MODELS = "Azure ML has its own form for registered models."
SUPPORTED_FEATURES = (
    "register_model tracking multi_gpu multi_node mixed_precision several_datasets stream_logs cancel adopt notify"
    " native_dag native_sweep"
)

CAPABILITIES = Capabilities(
    sources={
        **{("dataset", kind): YES for kind in ("huggingface", "blob_url", "data_asset", "local_path")},
        **{(role, kind): YES for role in POLICIES for kind in POLICY_KINDS},
        **{(one, "registered_model"): no(OWN_MODELS, f"--{one}-model azureml:NAME:VERSION") for one in POLICIES},
        **{("init_policy", kind): YES for kind in ("blob_url", "model_asset")},
        ("init_policy", "registered_model"): no(OWN_MODELS, "--init-from-policy-model azureml:NAME:VERSION"),
        **{(role, kind): YES for role in ("checkpoint", "resume") for kind in ("blob_url", "local_path")},
        **{("checkpoint", kind): YES for kind in ("https_file", "mlflow_run")},
        **{("checkpoint", kind): YES for kind in ("registered_model", "model_asset")},
        ("resume", "datastore_path"): YES,
        **{("backbone", kind): YES for kind in ("huggingface", "blob_url", "local_path", "torchvision")},
        **{("scenes", kind): YES for kind in ("huggingface", "blob_url", "local_path")},
        **{("code", kind): YES for kind in ("local_path", "git")},
        ("publish", "blob_url"): YES,
        **{(role, "huggingface"): YES for role in ("resume", "publish")},
        **{(role, ANY): YES for role in FETCHED},
    },
    workloads={ANY: YES},
    features={
        **dict.fromkeys(SUPPORTED_FEATURES.split(), YES),
        "shell": no(
            "Azure ML lets you into a job only through an ssh service with your key, which robotrain does not add."
            " Write it under `services` in the job.yaml of a plan, send that with `submit --plan`, and use"
            " `az ml job connect-ssh`.",
            "robotrain logs -f RUN",
        ),
        "forward": no(
            "Azure ML shows a port of a job only as a service of that job, which robotrain does not add.",
            "robotrain ui RUN",
        ),
        "wandb": not_yet("Jobs get no Weights & Biases key.", "--platform osmo"),
        "runs_here": no("Jobs run on a compute of the workspace.", "--platform local"),
        "publish_folder": no(
            "A job's disk is deleted when it ends; its declared output is always kept.", f"--publish-url {BLOB}"
        ),
    },
    disabled_by=dict.fromkeys(("tracking", "register_model"), ("tracking_uri", "none")),
)

OPTION_HINTS: Mapping[str, str] = make_option_hints(
    {
        "--set-string": "each value has its own option: `robotrain submit --help-all --platform azureml` lists them",
        "--set-env": "robotrain sets the variables of this workload; a secret of its program: --secret NAME=SECRET",
        "--use-local-osmo --osmo-cli --server": "OSMO is not used: the job goes to the workspace",
        "--pool --gpu-platform": "only for OSMO: on Azure ML use --compute and --instance-type",
        "--gpu --gpus": "use --num-gpus; the instance type must have that many",
        "--cpu --cpus --num-cpus --cpus-per-task --memory --mem --storage --disk --disk-size": (
            "the instance type sets the machine's size: --instance-type NAME"
        ),
        "--shared-memory": "use --shm-size SIZE",
        "--input-mode": "not needed: a data asset is mounted, a registered model is downloaded",
        "--priority": "not supported; priorities are set where a Kubernetes compute is attached",
        "--queue-timeout": "a job waits for a free machine until `robotrain cancel RUN`",
        "--buckets --dataset-bucket": f"buckets exist only in OSMO: use --blob-url {BLOB}",
        "--storage-account --storage-container": "folders go to a datastore of the workspace: --datastore NAME",
        "--mlflow-enable --mlflow-tracking-uri MLFLOW_ENABLE": (
            "not needed: a job is tracked in its own workspace; turn this off with --tracking-uri none"
        ),
        "--hf-token --hub-token-file": "jobs contain no tokens: --hf-credential NAME names a key vault's secret",
        "--blob-credential --blob-credential-file": (
            "the job reads blobs with the compute's managed identity: --workload-identity ID selects one"
        ),
        "--serverless": (
            "serverless compute is not supported: robotrain was never tried with its user-assigned identities; "
            "use --compute NAME, such as a cluster whose least number of nodes is 0"
        ),
        "--queue-settings --job-tier": (
            "queue_settings (`job_tier`, `priority`) belong to serverless compute, which is not supported: "
            "robotrain was never tried with its user-assigned identities; use --compute NAME"
        ),
        "--sampling-algorithm --bayesian": (
            "Azure ML runs grid and random sweeps; its bayesian sampling takes no logarithmic ranges: "
            "`robotrain sweep` has --sampler tpe"
        ),
        "--early-termination --early-termination-policy --bandit-policy --median-stopping-policy": (
            "early termination is not supported: a trial that Azure ML stops has no last value and no policy "
            "to compare or register; use fewer --training-steps or samples"
        ),
        "--wandb-credential": "Weights & Biases is not supported on Azure ML yet: use --platform osmo",
    }
)
