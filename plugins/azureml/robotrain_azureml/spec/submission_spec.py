"""The submission spec of a plan, `azureml.json`: how its job is submitted and what it needs."""

from dataclasses import dataclass
from typing import Literal

from robotrain.errors import Problem, Rejected, Stage
from robotrain.model.plan import Plan
from robotrain_azure import submission_spec
from robotrain_azure.workspace import Workspace

SUBMISSION_FILE = "azureml.json"
JOB_FILE = "job.yaml"
CODE_FOLDER = "code"
"""The folder of the plan that is the job's code; the job's `code:` names it."""
DOCUMENT_FILE = f"{CODE_FOLDER}/job.json"
PAYLOAD_FILE = f"{CODE_FOLDER}/payload.zip"
START_FILE = f"{CODE_FOLDER}/start.py"
SUBMISSION_SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceEnvironment:
    """The workspace's environment that the job names; it is registered with the image when it is not there."""

    name: str
    version: str
    image: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DatastoreUpload:
    """A folder of this machine that the job reads. to: the folder of the datastore it goes into, by its content.

    files, size: of it, in bytes; None where the folder was not looked at. flag: what the person typed it with.
    """

    path: str
    to: str
    files: int | None = None
    size: int | None = None
    flag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceAsset:
    """A data asset or a model that the job reads. scope: as in its full name; empty for the job's own workspace."""

    kind: Literal["data", "models"]
    name: str
    version: int
    scope: str = ""
    flag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyVaultSecret:
    """A secret of a key vault that the job reads. uri: its address. flag: the setting. what: it holds, in words."""

    uri: str
    flag: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureMLSubmissionSpec:
    """How the job is handed over. compute_kind, identity: empty where nobody told. publishes: the address that
    checkpoints or results go to beside the output; empty for none. output: what the job's declared output is called.
    """

    run: str
    subscription: str
    group: str
    workspace: str
    environment: WorkspaceEnvironment
    compute: str
    compute_kind: str = ""
    instance_type: str = ""
    gpus: int = 0
    datastore: str = ""
    uploads: tuple[DatastoreUpload, ...] = ()
    assets: tuple[WorkspaceAsset, ...] = ()
    secrets: tuple[KeyVaultSecret, ...] = ()
    identity: str = ""
    publishes: str = ""
    output: str = "checkpoints"
    schema: int = SUBMISSION_SCHEMA

    @property
    def target_workspace(self) -> Workspace:
        """The workspace that takes it."""
        return Workspace(self.subscription, self.group, self.workspace)


def dump_submission_spec(spec: AzureMLSubmissionSpec) -> bytes:
    """The one form: equal orders are equal bytes."""
    return submission_spec.dump_submission_spec(spec)


def parse_submission_spec(content: bytes) -> AzureMLSubmissionSpec:
    """Read an order. Raises OrderError, which repeats no value."""
    return submission_spec.parse_submission_spec(AzureMLSubmissionSpec, content, SUBMISSION_FILE, SUBMISSION_SCHEMA)


REQUIRED_FILES = (JOB_FILE, START_FILE, PAYLOAD_FILE, DOCUMENT_FILE)


def load_submission_spec(plan: Plan, stage: Stage) -> AzureMLSubmissionSpec:
    """How the plan is handed over. Raises Rejected when it does not say so, or lacks a part of the job."""
    lacking = [path for path in (SUBMISSION_FILE, *REQUIRED_FILES) if path not in plan.files]
    if lacking:
        raise Rejected([make_damaged_plan_problem(stage, f"It lacks {', '.join(lacking)}.")])
    try:
        return parse_submission_spec(plan.files[SUBMISSION_FILE])
    except submission_spec.SubmissionSpecError as error:
        raise Rejected([make_damaged_plan_problem(stage, f"{error}.")]) from None


def make_damaged_plan_problem(stage: Stage, reason: str) -> Problem:
    """A plan that is not what `render` makes. why: a sentence."""
    return submission_spec.make_damaged_plan_problem(stage, "Azure ML", reason)
