"""The Azure ML platform's settings, and the identity that the environment names for jobs."""

import os
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from robotrain_azure.settings import RESOURCE_GROUP, WORKSPACE_NAME, AzureSettings
from robotrain_runtime.contract.parameter import Param

ComputeKind = Literal["kubernetes", "managed"]
OutputMode = Literal["upload", "rw_mount"]


@dataclass(frozen=True, kw_only=True)
class AzureMLSettings(AzureSettings):
    """The Azure ML platform's settings. A workspace is needed here: what is found of it counts also in part."""

    resource_group: Annotated[str | None, replace(RESOURCE_GROUP, needed_with=())] = None
    workspace_name: Annotated[str | None, replace(WORKSPACE_NAME, needed_with=())] = None
    workload_identity: Annotated[
        str | None,
        Param(
            help="client id of the managed identity of the compute that the job signs in with "
            "(default: AZURE_CLIENT_ID, else the compute's first one)",
            lookup="robotrain_azureml.settings:find_environment_identity",
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
            optional_with="compute",
            metavar="NAME",
        ),
    ] = None
    compute_kind: Annotated[
        ComputeKind | None,
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
            bare_value="hf-token",
        ),
    ] = None
    key_vault: Annotated[
        str | None,
        Param(
            help="the key vault of --hf-credential",
            terraform="key_vault_name.value",
            terraform_optional=True,
            metavar="NAME",
        ),
    ] = None
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


CLIENT_ID_VARIABLE = "AZURE_CLIENT_ID"
SIGN_IN_VARIABLES = (
    "AZURE_CLIENT_SECRET",
    "AZURE_CLIENT_CERTIFICATE_PATH",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_USERNAME",
)
"""With one of these beside it, the name is that of a sign-in of this machine."""


def find_environment_identity() -> tuple[str, str] | None:
    """The client id that the environment names for jobs (contract A.0), and where it stood."""
    said = os.environ.get(CLIENT_ID_VARIABLE)
    return (said, CLIENT_ID_VARIABLE) if said and not any(os.environ.get(name) for name in SIGN_IN_VARIABLES) else None
