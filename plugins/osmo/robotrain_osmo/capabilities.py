"""What OSMO supports, and hints for options of other tools."""

from collections.abc import Mapping

from robotrain.model.capabilities import Capabilities
from robotrain.model.support import ANY, YES, no
from robotrain_azure.settings import make_option_hints

BLOB = "https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX"
POLICY_KINDS = ("huggingface", "blob_url", "local_path", "registered_model", "mlflow_run", "model_asset")
NO_MODELS = "OSMO reads storage URLs, not models of a registry."
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
"""Roles that the container fetches or writes with a source kind's container plugin, which is sent with the job."""
SUPPORTED_FEATURES = (
    "register_model tracking multi_gpu multi_node mixed_precision several_datasets wandb stream_logs cancel adopt"
    " notify native_dag"
)
CAPABILITIES = Capabilities(
    sources={
        **{("dataset", kind): YES for kind in ("huggingface", "blob_url", "local_path", "osmo_dataset")},
        **{(role, kind): YES for role in ("policy", "reference") for kind in POLICY_KINDS},
        ("init_policy", "blob_url"): YES,
        ("init_policy", "registered_model"): no(NO_MODELS, f"--init-from-policy-model {BLOB}"),
        **{(role, kind): YES for role in ("checkpoint", "resume") for kind in ("blob_url", "local_path")},
        **{(role, "huggingface"): YES for role in ("resume", "publish")},
        **{("checkpoint", kind): YES for kind in ("https_file", "mlflow_run")},
        **{("checkpoint", kind): YES for kind in ("registered_model", "model_asset")},
        **{("backbone", kind): YES for kind in ("huggingface", "blob_url", "local_path", "torchvision")},
        **{("scenes", kind): YES for kind in ("huggingface", "blob_url", "local_path")},
        **{("code", kind): YES for kind in ("local_path", "git", "osmo_dataset")},
        ("publish", "blob_url"): YES,
        **{(role, "osmo_storage"): YES for role in ("resume", "publish")},
        **{(role, ANY): YES for role in CONTAINER_ROLES},
    },
    workloads={ANY: YES},
    features={
        **dict.fromkeys((*SUPPORTED_FEATURES.split(), "shell", "forward"), YES),
        "native_sweep": no("OSMO has no sweeps: each trial is a workflow.", "leave out --native-only"),
        "runs_here": no("The job runs in a pod of the cluster.", "--platform local"),
        "publish_folder": no("The pod's disk is deleted when the run ends.", f"--publish-url {BLOB}"),
    },
    limits={"spec_kib": 1024, "steps": 20},  # enforced by robotrain_osmo.spec.workflow, and by core for steps
)

OPTION_HINTS: Mapping[str, str] = make_option_hints(
    {
        "--set --set-string": "use the option of the value: `robotrain submit --help-all --platform osmo` lists all",
        "--set-env": "robotrain sets the variables of this workload; a secret of its program: --secret NAME=CREDENTIAL",
        "--use-local-osmo": "name the command with --osmo-cli PATH",
        "--gpu": "use --gpus N for the task, --num-gpus N to train on several",
        "--cpus --num-cpus --cpus-per-task": "use --cpu N",
        "--mem": "use --memory SIZE",
        "--disk --disk-size": "use --storage SIZE",
        "--dataset-root DATASET_ROOT": "not needed: data is downloaded to the container's cache in --work-dir",
        "OSMO_CONFIG_DIR": "the `osmo` command reads OSMO_CONFIG_FILE_DIR",
        "--mlflow-tracking-uri": "use --tracking-uri URI",
        "--compute --instance-type --node": "only for Azure ML: on OSMO use --pool and --gpu-platform",
        "--environment-name --environment-version": (
            "OSMO has no registered environments: choose the image with --image IMAGE"
        ),
        "--display-name": "name the tracking run with --job-name; the workflow is named by its job",
        "--hf-token": "a job never contains a token: store it as an OSMO credential and use --hf-credential NAME",
        "--blob-credential-file": "store the secret as an OSMO credential and use --blob-credential NAME",
        "--hub-token-file": "store the token as an OSMO credential and use --hf-credential NAME",
    }
)
