"""What can be said about running on OSMO. Names and defaults are those of the contract, sections A.1 and E.1."""

from dataclasses import dataclass
from typing import Annotated, Literal

from robotrain_azure.settings import AzureSettings
from robotrain_runtime.contract.parameter import Param

Priority = Literal["HIGH", "NORMAL", "LOW"]
ServerVersion = Literal["6.0", "6.1", "6.2", "6.3", "6.4"]
SharedMemory = Literal["mount", "none"]


@dataclass(frozen=True, kw_only=True)
class OsmoSettings(AzureSettings):
    """The OSMO platform's settings."""

    pool: Annotated[str | None, Param(help="the pool to run in", env=("OSMO_POOL",), metavar="NAME")] = None
    gpu_platform: Annotated[
        str,
        Param(
            help="the kind of machine, one of the pool's platforms",
            env=("OSMO_PLATFORM",),
            metavar="NAME",
            foreign_flag="--platform",
        ),
    ] = "gpu_platform"
    gpus: Annotated[
        int | None, Param(help="GPUs of the task (default: as many as the job trains on)", env=("OSMO_GPU",), ge=0)
    ] = None
    cpu: Annotated[
        int | None,
        Param(help="processor cores of the task (default: the workload's)", env=("OSMO_CPU",), gt=0),
    ] = None
    memory: Annotated[
        str | None,
        Param(
            help="memory of the task, as 48Gi (default: the workload's)",
            env=("OSMO_MEMORY",),
            metavar="SIZE",
        ),
    ] = None
    storage: Annotated[
        str | None,
        Param(
            help="disk of the task, as 80Gi (default: the workload's)",
            env=("OSMO_STORAGE",),
            metavar="SIZE",
        ),
    ] = None
    shared_memory: Annotated[
        SharedMemory | None,
        Param(
            help="mount: /dev/shm of the machine, where the platform allows it; none: data is loaded in one process "
            "(default: as none, and you are told where the platform allows more)"
        ),
    ] = None
    image: Annotated[
        str | None,
        Param(
            help="the container image (default: the workload's)",
            short="-i",
            env=("IMAGE",),
            metavar="IMAGE",
        ),
    ] = None
    priority: Annotated[Priority | None, Param(help="the workflow's priority (default: OSMO's)")] = None
    exec_timeout: Annotated[
        str | None,
        Param(help="how long it may run, as 12h (default: the workload's)", metavar="TIME"),
    ] = None
    queue_timeout: Annotated[
        str | None, Param(help="how long it may wait, as 2h (default: OSMO's)", metavar="TIME")
    ] = None
    labels: Annotated[str | None, Param(help="labels of the workflow", metavar="NAME=VALUE,…", table=True)] = None
    tracking_uri: Annotated[
        str | None,
        Param(help="MLflow address, in place of the workspace; `none`: no tracking (MLFLOW_TRACKING_URI is not read)"),
    ] = None
    hf_credential: Annotated[
        str | None,
        Param(
            help="the OSMO credential that holds your Hugging Face token under the key `hf_token`, or NAME:KEY; used "
            "where the job reads a repository of the Hub",
            metavar="NAME[:KEY]",
            bare_value="hf_token",
        ),
    ] = None
    wandb_credential: Annotated[
        str,
        Param(
            help="the OSMO credential that holds your Weights & Biases key under the key `wandb_api_key`, or NAME:KEY; "
            "used with --wandb",
            metavar="NAME[:KEY]",
        ),
    ] = "wandb_api_key"
    blob_credential: Annotated[
        str | None,
        Param(
            help="the OSMO credential to read and write blobs with, where jobs have no identity of their own; its key "
            "`access_key`, or NAME:KEY, holds an account key, a SAS or a token",
            metavar="NAME[:KEY]",
        ),
    ] = None
    dataset_bucket: Annotated[
        str, Param(help="the bucket of --dataset-name", env=("OSMO_DATASET_BUCKET",), metavar="NAME")
    ] = "lerobot-datasets"
    buckets: Annotated[
        str | None,
        Param(
            help="where buckets lie, as NAME=azure://ACCOUNT/CONTAINER[/PREFIX] (default: the container of that name "
            "in the storage account)",
            metavar="NAME=URL,…",
            table=True,
        ),
    ] = None
    storage_account: Annotated[
        str | None,
        Param(
            help="the storage account that what is uploaded goes to",
            env=("AZURE_STORAGE_ACCOUNT_NAME",),
            terraform="storage_account.value.name",
            pattern=r"^[a-z0-9]{3,24}$",
            pattern_help="3 to 24 small letters and digits",
            metavar="NAME",
        ),
    ] = None
    storage_container: Annotated[
        str, Param(help="the container that what is uploaded goes to", env=("OSMO_WORKFLOW_BUCKET",), metavar="NAME")
    ] = "osmo"
    server: Annotated[ServerVersion, Param(help="the version of the OSMO service")] = "6.4"
    osmo_cli: Annotated[str, Param(help="the `osmo` command to use", metavar="COMMAND")] = "osmo"
    work_dir: Annotated[
        str,
        Param(
            help="where the run works in the container",
            pattern=r"^(/[A-Za-z0-9._-]+)+$",
            pattern_help="the whole path of a folder, of letters, digits, `_`, `.` and `-`",
            metavar="FOLDER",
        ),
    ] = "/tmp/robotrain"
    cache_gib: Annotated[
        float | None, Param(help="what data may take in the cache of the container (default: no limit)", gt=0)
    ] = None
    download_mib: Annotated[int, Param(help="the memory that downloads may hold, in MiB", ge=16)] = 256
