"""What can be said about running on Azure ML. Names and defaults are those of the contract, sections A.2, B and E.2."""

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from robotrain_azure.settings import GROUP, WORKSPACE, AzureSettings
from robotrain_runtime.parameter import Param

Kind = Literal["kubernetes", "managed"]
OutputMode = Literal["upload", "rw_mount"]


@dataclass(frozen=True, kw_only=True)
class Settings(AzureSettings):
    """The Azure ML platform's settings. A workspace is needed here: what is found of it counts also in part."""

    resource_group: Annotated[str | None, replace(GROUP, together=())] = None
    workspace_name: Annotated[str | None, replace(WORKSPACE, together=())] = None
    workload_identity: Annotated[
        str | None,
        Param(
            help="client id of the managed identity of the compute that the job signs in with "
            "(default: AZURE_CLIENT_ID, else the compute's first one)",
            lookup="robotrain_azureml.identity:of_environment",
            metavar="ID",
        ),
    ] = None
    compute: Annotated[
        str | None,
        Param(
            help="the compute to run on (default: `k8s-` and the name of the AKS cluster)",
            env=("AZUREML_COMPUTE",),
            metavar="NAME",
        ),
    ] = None
    aks_cluster: Annotated[
        str | None,
        Param(
            help="the AKS cluster that a compute is named for, when nobody names one",
            terraform="aks_cluster.value.name",
            unless="compute",
            metavar="NAME",
        ),
    ] = None
    compute_kind: Annotated[
        Kind | None,
        Param(help="what the compute is (default: asked of the workspace when the job is sent; else kubernetes)"),
    ] = None
    instance_type: Annotated[
        str | None,
        Param(
            help="the kind of machine of a Kubernetes compute (default: gpuspot, gpuspot2 or gpuspot4, by the GPUs "
            "that the job trains on)",
            metavar="NAME",
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
    environment_name: Annotated[
        str | None,
        Param(
            help="the environment of the workspace that holds the image (default: the workload's)",
            metavar="NAME",
        ),
    ] = None
    environment_version: Annotated[
        str | None,
        Param(
            help="its version (default: made of the image's tag and digest)",
            env=("ENVIRONMENT_VERSION",),
            metavar="VERSION",
        ),
    ] = None
    display_name: Annotated[
        str | None, Param(help="the job's name in the studio (default: the run's)", metavar="TEXT")
    ] = None
    exec_timeout: Annotated[
        str | None, Param(help="how long it may run, as 12h (default: no limit)", metavar="TIME")
    ] = None
    shm_size: Annotated[
        str, Param(help="shared memory of the container, as 8g: data is loaded through it", metavar="SIZE")
    ] = "8g"
    labels: Annotated[str | None, Param(help="tags of the job", metavar="NAME=VALUE,…", table=True)] = None
    output_mode: Annotated[
        OutputMode,
        Param(
            help="upload: checkpoints and results reach the job's output when it ends; rw_mount: as soon as they are "
            "complete, and a training that was preempted goes on from its checkpoints"
        ),
    ] = "upload"
    datastore: Annotated[
        str, Param(help="the datastore of the workspace for outputs and for what is uploaded", metavar="NAME")
    ] = "workspaceblobstore"
    hf_credential: Annotated[
        str | None,
        Param(
            help="the secret of a key vault that holds your Hugging Face token, as NAME in --key-vault, or "
            "https://VAULT.vault.azure.net/secrets/NAME; used where the job reads a repository of the Hub",
            metavar="NAME",
            alone="hf-token",
        ),
    ] = None
    key_vault: Annotated[
        str | None,
        Param(help="the key vault of --hf-credential", terraform="key_vault_name.value", beside=True, metavar="NAME"),
    ] = None
    work_dir: Annotated[
        str,
        Param(
            help="where the run works in the container",
            pattern=r"^(/[A-Za-z0-9._-]+)+$",
            form="the whole path of a folder, of letters, digits, `_`, `.` and `-`",
            metavar="FOLDER",
        ),
    ] = "/tmp/robotrain"
    cache_gib: Annotated[
        float | None, Param(help="what data may take in the cache of the container (default: no limit)", gt=0)
    ] = None
    download_mib: Annotated[int, Param(help="the memory that downloads may hold, in MiB", ge=16)] = 256
