"""The submission spec of a plan, `azureml.json`: how its job is submitted and what it needs."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from robotrain.cluster.spec import SubmissionSpecFile
from robotrain.model.plan import Plan
from robotrain_azure.workspace import Workspace
from robotrain_runtime.contract import document as contract_document

SUBMISSION_FILE = "azureml.json"
JOB_FILE = "job.yaml"
CODE_FOLDER = "code"
"""The plan's folder with the job's code, named by the job's `code:`."""
DOCUMENT_FILE = f"{CODE_FOLDER}/{contract_document.DOCUMENT_FILE}"
PAYLOAD_FILE = f"{CODE_FOLDER}/payload.zip"
START_FILE = f"{CODE_FOLDER}/start.py"
SEARCH_FILE = f"{CODE_FOLDER}/python.sh"
"""The program that finds the Python of the image."""
SUBMISSION_SCHEMA = 1

CURATED_PREFIX = "azureml-"
"""The start of the names of Azure's own environments in a workspace."""


@dataclass(frozen=True, kw_only=True)
class WorkspaceEnvironment:
    """The workspace's environment for the job; it is registered with the image if it does not exist."""

    name: str
    version: str
    image: str
    registry: str = ""
    """The registry that has it instead of the workspace: it is never registered, and not seen from here."""
    chosen: bool = False
    """Whether the user chose the environment and no image: one that Azure builds is taken as it is."""

    def accepts(self, image: str) -> bool:
        """Return whether it is taken with the image that the workspace has for it, which is empty if it is built."""
        return self.chosen and (not image or self.is_curated)

    @property
    def is_curated(self) -> bool:
        """Whether it is one of Azure's own, which nobody else can register."""
        return self.name.lower().startswith(CURATED_PREFIX)

    @property
    def reference(self) -> str:
        """The environment as a job names it."""
        if self.registry:
            return f"azureml://registries/{self.registry}/environments/{self.name}/versions/{self.version}"
        return f"azureml:{self.name}:{self.version}"

    @property
    def label(self) -> str:
        """The environment in words."""
        registry_note = f" of the registry {self.registry}" if self.registry else ""
        return f"environment {self.name}:{self.version}{registry_note}"


@dataclass(frozen=True, kw_only=True)
class DatastoreUpload:
    """A local folder that the job reads."""

    path: str
    to: str
    """The target folder of the datastore."""
    files: int | None = None
    """None if the folder was not read."""
    size: int | None = None
    """In bytes; None if the folder was not read."""
    flag: str = ""


@dataclass(frozen=True, kw_only=True)
class WorkspaceAsset:
    """A data asset or a model that the job reads."""

    kind: Literal["data", "models"]
    name: str
    version: int
    scope: str = ""
    """As in its full name; empty for the job's own workspace."""
    flag: str = ""

    @property
    def noun(self) -> str:
        """The kind in words."""
        return "data asset" if self.kind == "data" else "model"

    @property
    def label(self) -> str:
        """The asset in words."""
        return f"{self.noun} {self.name}:{self.version}"

    def format_value(self) -> str:
        """Return the asset as an option's value."""
        if not self.scope:
            return f"azureml:{self.name}:{self.version}"
        return f"azureml://{self.scope}/{self.kind}/{self.name}/versions/{self.version}"


@dataclass(frozen=True, kw_only=True)
class AzureMLSubmissionSpec:
    """How a job is submitted."""

    run: str
    subscription: str
    group: str
    workspace: str
    environment: WorkspaceEnvironment
    compute: str
    compute_kind: str = ""
    """Empty if it is not known."""
    instance_type: str = ""
    gpus: int = 0
    datastore: str = ""
    uploads: tuple[DatastoreUpload, ...] = ()
    assets: tuple[WorkspaceAsset, ...] = ()
    identity: str = ""
    """The client id; empty if it is not known."""
    publishes: str = ""
    """The URL that checkpoints or results are published to; empty for none."""
    output: str = "checkpoints"
    """The name of the job's declared output."""
    is_patched: bool = False
    """Whether the job file was patched."""
    schema: int = SUBMISSION_SCHEMA

    @property
    def target_workspace(self) -> Workspace:
        """The workspace of the job."""
        return Workspace(self.subscription, self.group, self.workspace)

    def make_az_command(self, command: str) -> str:
        """Return a command of the Azure CLI for the job's workspace."""
        flags = ("--subscription", "--resource-group", "--workspace-name")
        flags_and_names = reversed([*zip(flags, self.target_workspace, strict=True)])
        return f"az ml {command} " + " ".join(f"{flag} {shlex.quote(name)}" for flag, name in flags_and_names)


CODE_FILES = (SEARCH_FILE, START_FILE, PAYLOAD_FILE, DOCUMENT_FILE)


def read_code(files: Mapping[str, bytes], folder: str = "") -> dict[str, bytes]:
    """Return the files of a job's code, which lie below `folder` of a plan. Raise KeyError if it is incomplete."""
    return {path: files[folder + path] for path in CODE_FILES}


SUBMISSION = SubmissionSpecFile(
    AzureMLSubmissionSpec, SUBMISSION_FILE, SUBMISSION_SCHEMA, "Azure ML", (JOB_FILE, *CODE_FILES)
)


def load_job_file(plan: Plan) -> Any:
    """Return the content of a plan's job file. Raises ValueError."""
    import yaml

    try:
        return yaml.load(plan.files[plan.spec], Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


def dump_job_file(job: Mapping[str, Any]) -> bytes:
    """Return the bytes of a job file as the SDK reads it."""
    import yaml

    return yaml.safe_dump(job, sort_keys=False, width=float("inf")).encode()
