"""Settings of the Azure ML platform."""

from dataclasses import dataclass
from typing import Annotated, Literal

from robotrain.cluster.settings import SPEC_PATCH
from robotrain_azure.settings import RESOURCE_GROUP, WORKSPACE_NAME, AzureSettings
from robotrain_azure.workspace import GUID
from robotrain_runtime.contract.parameter import Param, TerraformOutput

ComputeKind = Literal["kubernetes", "managed"]
OutputMode = Literal["upload", "rw_mount"]

ENVIRONMENT_NAME, ENVIRONMENT_VERSION = r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}", r"[A-Za-z0-9._-]{1,255}"
REGISTRY_ENVIRONMENT = (
    rf"azureml://registries/(?P<registry>{ENVIRONMENT_NAME})"
    rf"/environments/(?P<name>{ENVIRONMENT_NAME})/versions/(?P<version>{ENVIRONMENT_VERSION})"
)


@dataclass(frozen=True, kw_only=True)
class AzureMLSettings(AzureSettings):
    """Settings of the Azure ML platform. It requires a workspace, so each of its names counts alone."""

    resource_group: Annotated[
        str | None, RESOURCE_GROUP._replace(terraform=TerraformOutput("resource_group.value.name"))
    ] = None
    workspace_name: Annotated[
        str | None, WORKSPACE_NAME._replace(terraform=TerraformOutput("azureml_workspace.value.name"))
    ] = None
    workload_identity: Annotated[
        str | None,
        Param(
            help="client id of the compute's managed identity that the job signs in with "
            "(default: AZURE_CLIENT_ID, else the compute's first identity)",
            lookup="robotrain_azureml.identity:find_environment_identity",
            metavar="ID",
            pattern=GUID,
            pattern_help="the client id of a managed identity, a GUID: `az identity list` shows them",
            names="account",
        ),
    ] = None
    tracking_uri: Annotated[
        Literal["none"] | None, Param(help="none: no tracking; leave it out to track the job in its own workspace")
    ] = None
    compute: Annotated[
        str | None,
        Param(
            help="compute to run on (default: `k8s-` and the name of the AKS cluster)",
            common=True,
            env=("AZUREML_COMPUTE",),
            metavar="NAME",
            pattern=r"[A-Za-z][A-Za-z0-9-]{0,30}[A-Za-z0-9]",
            pattern_help="the name of a compute: 2 to 32 letters, digits and -, the first a letter",
        ),
    ] = None
    aks_cluster: Annotated[
        str | None,
        Param(
            help="AKS cluster that the default compute is named after",
            terraform=TerraformOutput("aks_cluster.value.name", optional_with="compute"),
            metavar="NAME",
        ),
    ] = None
    compute_kind: Annotated[
        ComputeKind | None,
        Param(help="kind of the compute (default: looked up in the workspace at submission; else kubernetes)"),
    ] = None
    instance_type: Annotated[
        str | None,
        Param(
            help="instance type of a Kubernetes compute (default: gpuspot, gpuspot2 or gpuspot4, by the GPUs "
            "that the job trains on)",
            metavar="NAME",
            pattern=r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?",  # empty: `COMPUTE_DEFAULT`
            pattern_help="a name of at most 63 letters, digits, -, _ and .",
        ),
    ] = None
    environment_name: Annotated[
        str | None,
        Param(
            help="environment of the workspace that holds the image (default: the workload's)",
            metavar="NAME",
            pattern=rf"{ENVIRONMENT_NAME}|{REGISTRY_ENVIRONMENT}",
            pattern_help="a name of letters, digits, _, . and -, or azureml://registries/REGISTRY/environments/NAME/"
            "versions/VERSION",
        ),
    ] = None
    environment_version: Annotated[
        str | None,
        Param(
            help="version of the environment (default: the image's tag and digest)",
            env=("ENVIRONMENT_VERSION",),
            metavar="VERSION",
            pattern=ENVIRONMENT_VERSION,
            pattern_help="at most 255 letters, digits, _, . and -",
        ),
    ] = None
    display_name: Annotated[
        str | None,
        Param(
            help="the job's name in the studio and MLflow (default: that of --name or --job-name, or the run's)",
            metavar="TEXT",
        ),
    ] = None
    exec_timeout: Annotated[
        str | None, Param(help="how long the job may run, like 12h (default: no limit)", common=True, metavar="TIME")
    ] = None
    shm_size: Annotated[
        str,
        Param(
            help="shared memory of the container, like 8g; data loaders use it",
            metavar="SIZE",
            pattern=r"[1-9][0-9]{0,14}[bkmg]",
            pattern_help="a whole number with b, k, m or g: 8g",
        ),
    ] = "8g"
    labels: Annotated[str | None, Param(help="tags of the job", metavar="NAME=VALUE,…", form="table")] = None
    output_mode: Annotated[
        OutputMode,
        Param(
            help="rw_mount: checkpoints and results reach the job's output as soon as they are complete, so that a "
            "preempted training resumes from them; upload: when the job ends"
        ),
    ] = "rw_mount"
    datastore: Annotated[
        str,
        Param(
            help="datastore of the workspace for outputs and uploads",
            metavar="NAME",
            pattern=r"[A-Za-z0-9_]{1,255}",
            pattern_help="the name of a datastore: letters, digits and _",
        ),
    ] = "workspaceblobstore"
    hf_credential: Annotated[
        str | None,
        Param(
            help="secret of a key vault that holds your Hugging Face token: NAME in --key-vault, or "
            "https://VAULT.vault.azure.net/secrets/NAME; used if the job reads from the Hugging Face Hub",
            metavar="NAME",
            bare_value="hf-token",
            names="secret",
        ),
    ] = None
    secrets: Annotated[
        str | None,
        Param(
            help="environment variable of the program, and the secret of a key vault with its value: as for "
            "--hf-credential",
            flag="--secret",
            metavar="NAME=SECRET",
            form="pairs",
            names="secret",
        ),
    ] = None
    key_vault: Annotated[
        str | None,
        Param(
            help="key vault of --hf-credential and --secret",
            terraform=TerraformOutput("key_vault_name.value", is_optional=True),
            metavar="NAME",
            pattern=r"[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9]",
            pattern_help="the name of a key vault: 3 to 24 letters, digits and -, the first a letter",
            names="secret",
        ),
    ] = None
    spec_patch: Annotated[str | None, SPEC_PATCH] = None
