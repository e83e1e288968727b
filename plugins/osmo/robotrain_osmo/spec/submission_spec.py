"""The submission spec, `osmo.json` in a plan: what `osmo` is called with, and what must exist before."""

from dataclasses import dataclass

from robotrain.errors import Rejected, Stage
from robotrain.model.plan import Plan
from robotrain_azure import submission_spec

SUBMISSION_FILE = "osmo.json"
WORKFLOW_FILE = "workflow.yaml"
DOCUMENT_FILE = "job.json"
PAYLOAD_FILE = "payload.tar.bz2"
"""In a plan whose payload is too large for the workflow itself."""
WORKFLOW_ID = "{{workflow_id}}"
"""Where OSMO puts the id that it gives a workflow, in whatever a task says."""
SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class OsmoUpload:
    """A folder of this machine, or a file of the plan, that the workflow reads.

    path: the folder; empty for the plan's PAYLOAD. url: the OSMO storage URL of the folder it goes into, by content.
    files, size: of it, in bytes; None where the folder was not looked at. flag: what the person typed it with.
    """

    path: str
    url: str
    files: int | None = None
    size: int | None = None
    flag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OsmoInput:
    """An OSMO storage URL that the workflow reads and that must not be empty."""

    url: str
    flag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OsmoCredential:
    """An OSMO credential that the workflow names. flag: the setting that says so. what: it holds, in words."""

    name: str
    key: str
    flag: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OsmoSubmissionSpec:
    """How the workflow is handed over. cli: the command. task: the one task's name. mounts: of the machine itself.

    shared_memory: as it was said; empty where nobody did. publishes: the address that checkpoints go to, by the run
    itself or by OSMO, perhaps with WORKFLOW_ID; empty for none. identity: the client id of the jobs' identity, when it
    is known; subscription: that of the resources it is asked about.
    """

    run: str
    cli: str
    pool: str
    server: str
    task: str
    gpu_platform: str
    priority: str = ""
    exec_timeout: str = ""
    mounts: tuple[str, ...] = ()
    shared_memory: str = ""
    uploads: tuple[OsmoUpload, ...] = ()
    inputs: tuple[OsmoInput, ...] = ()
    credentials: tuple[OsmoCredential, ...] = ()
    publishes: str = ""
    identity: str = ""
    subscription: str = ""
    schema: int = SCHEMA

    def get_publish_url(self, workflow: str) -> str:
        """Where the checkpoints of the workflow with this id go; empty for nowhere."""
        return self.publishes.replace(WORKFLOW_ID, workflow)


def dump_submission_spec(spec: OsmoSubmissionSpec) -> bytes:
    """The one form: equal orders are equal bytes."""
    return submission_spec.dump_submission_spec(spec)


def parse_submission_spec(content: bytes) -> OsmoSubmissionSpec:
    """Read an order. Raises OrderError, which repeats no value."""
    return submission_spec.parse_submission_spec(OsmoSubmissionSpec, content, SUBMISSION_FILE, SCHEMA)


def load_submission_spec(plan: Plan, stage: Stage) -> OsmoSubmissionSpec:
    """How the plan is handed over. Raises Rejected when it does not say so, or lacks its workflow."""
    try:
        if plan.spec not in plan.files:
            raise submission_spec.SubmissionSpecError(f"{plan.spec} is missing")
        return parse_submission_spec(plan.files[SUBMISSION_FILE])
    except KeyError:
        raise Rejected(
            [submission_spec.make_damaged_plan_problem(stage, "OSMO", f"{SUBMISSION_FILE} is missing.")]
        ) from None
    except submission_spec.SubmissionSpecError as error:
        raise Rejected([submission_spec.make_damaged_plan_problem(stage, "OSMO", f"{error}.")]) from None
