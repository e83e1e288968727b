"""Settings of the OSMO platform."""

from dataclasses import dataclass
from typing import Annotated, Literal

from robotrain.cluster.settings import SPEC_PATCH
from robotrain_azure.settings import AzureSettings
from robotrain_runtime.contract.parameter import Param, TerraformOutput

Priority = Literal["HIGH", "NORMAL", "LOW"]
ServerVersion = Literal["6.0", "6.1", "6.2", "6.3", "6.4"]
POOL_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
"""Names of pools and of their platforms."""


@dataclass(frozen=True, kw_only=True)
class OsmoSettings(AzureSettings):
    """Settings of the OSMO platform."""

    pool: Annotated[
        str | None,
        Param(
            help="pool to run in",
            common=True,
            env=("OSMO_POOL",),
            metavar="NAME",
            pattern=POOL_NAME,
            pattern_help="the name of a pool: letters, digits, -, _ and .",
        ),
    ] = None
    gpu_platform: Annotated[
        str,
        Param(
            help="platform of the pool: its type of machine",
            common=True,
            env=("OSMO_PLATFORM",),
            metavar="NAME",
            pattern=POOL_NAME,
            pattern_help="the name of a platform: letters, digits, -, _ and .",
            default_note="OSMO refuses a workflow whose pool has no such platform; `osmo pool list` shows them.",
        ),
    ] = "gpu_platform"
    gpus: Annotated[
        int | None, Param(help="GPUs of the task (default: the job's number of GPUs)", env=("OSMO_GPU",), ge=0)
    ] = None
    cpu: Annotated[
        int | None, Param(help="CPU cores of the task (default: the workload's)", env=("OSMO_CPU",), gt=0)
    ] = None
    memory: Annotated[
        str | None,
        Param(help="memory of the task, such as 48Gi (default: the workload's)", env=("OSMO_MEMORY",), metavar="SIZE"),
    ] = None
    storage: Annotated[
        str | None,
        Param(help="disk of the task, such as 80Gi (default: the workload's)", env=("OSMO_STORAGE",), metavar="SIZE"),
    ] = None
    shared_memory: Annotated[
        Literal["mount", "none"] | None,
        Param(
            help="mount: use the machine's /dev/shm, if the platform allows it; none: load data in one process "
            "(default: none, with a note if the platform allows more)"
        ),
    ] = None
    priority: Annotated[Priority | None, Param(help="priority of the workflow (default: OSMO's)")] = None
    exec_timeout: Annotated[
        str | None, Param(help="maximum run time, such as 12h (default: the workload's)", common=True, metavar="TIME")
    ] = None
    queue_timeout: Annotated[
        str | None, Param(help="maximum waiting time, such as 2h (default: OSMO's)", metavar="TIME")
    ] = None
    labels: Annotated[str | None, Param(help="labels of the workflow", metavar="NAME=VALUE,…", form="table")] = None
    tracking_uri: Annotated[
        str | None,
        Param(
            help="MLflow tracking URI instead of the workspace; none: no tracking (MLFLOW_TRACKING_URI is ignored)",
            destination=True,
            takes_none=True,
        ),
    ] = None
    hf_credential: Annotated[
        str | None,
        Param(
            help="OSMO credential with your Hugging Face token under the key `hf_token`, or NAME:KEY; used if the job "
            "reads a repository of the Hub",
            metavar="NAME[:KEY]",
            bare_value="hf_token",
            names="secret",
        ),
    ] = None
    wandb_credential: Annotated[
        str,
        Param(
            help="OSMO credential with your Weights & Biases key under the key `wandb_api_key`, or NAME:KEY; used with "
            "--wandb",
            metavar="NAME[:KEY]",
            names="secret",
        ),
    ] = "wandb_api_key"
    blob_credential: Annotated[
        str | None,
        Param(
            help="OSMO credential for blobs, if jobs have no workload identity: an account key, SAS or token under the "
            "key `access_key`, or NAME:KEY",
            metavar="NAME[:KEY]",
            names="secret",
        ),
    ] = None
    secrets: Annotated[
        str | None,
        Param(
            help="environment variable of the program, and the OSMO credential with its value (default key: the "
            "variable in lowercase)",
            flag="--secret",
            metavar="NAME=CREDENTIAL[:KEY]",
            form="pairs",
            names="secret",
        ),
    ] = None
    delivery: Annotated[
        Literal["auto", "inline", "dataset"],
        Param(
            help="how the folder of --code is sent: inline, in the workflow; dataset, uploaded once for each "
            "content; auto: inline while the workflow has at most 400 KiB"
        ),
    ] = "auto"
    code_dataset: Annotated[
        str | None,
        Param(
            help="name by which the folder of --code is uploaded, as a new version for each content (default "
            "bucket: training)",
            metavar="[BUCKET/]NAME",
            destination=True,
        ),
    ] = None
    dataset_bucket: Annotated[
        str,
        Param(
            help="bucket of --dataset-name, or of --training-dataset (there: training)",
            env=("OSMO_DATASET_BUCKET",),
            metavar="NAME",
            pattern=r"[A-Za-z0-9_-]+",
            pattern_help="the name of a bucket: letters, digits, - and _",
        ),
    ] = "lerobot-datasets"
    buckets: Annotated[
        str | None,
        Param(
            help="locations of buckets, such as NAME=azure://ACCOUNT/CONTAINER[/PREFIX] (default: the container of "
            "that name in the storage account)",
            metavar="NAME=URL,…",
            form="table",
            destination=True,
            names="account",
        ),
    ] = None
    publish_dataset: Annotated[
        str | None,
        Param(
            help="OSMO dataset that a successful task writes its newest policy and its results to (default bucket: "
            "--dataset-bucket)",
            metavar="[BUCKET/]NAME",
            destination=True,
        ),
    ] = None
    storage_account: Annotated[
        str | None,
        Param(
            help="storage account for uploads",
            env=("AZURE_STORAGE_ACCOUNT_NAME",),
            terraform=TerraformOutput("storage_account.value.name"),
            pattern=r"^[a-z0-9]{3,24}$",
            pattern_help="3 to 24 lowercase letters and digits",
            metavar="NAME",
            destination=True,
            names="account",
        ),
    ] = None
    storage_container: Annotated[
        str,
        Param(
            help="container for uploads",
            env=("OSMO_WORKFLOW_BUCKET",),
            metavar="NAME",
            pattern=r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]",
            pattern_help="the name of a container: 3 to 63 lowercase letters, digits and dashes",
        ),
    ] = "osmo"
    server: Annotated[ServerVersion, Param(help="version of the OSMO service")] = "6.4"
    osmo_cli: Annotated[str, Param(help="path or name of the `osmo` command", metavar="COMMAND", names="program")] = (
        "osmo"
    )
    spec_patch: Annotated[str | None, SPEC_PATCH] = None
