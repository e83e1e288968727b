"""The submission spec, `osmo.json` in a plan: the arguments of the `osmo` command and what must exist before."""

from dataclasses import replace

from robotrain.cluster.submission_spec import SubmissionSpecFile
from robotrain.errors import Rejected, Stage
from robotrain.model.job import Job
from robotrain.model.plan import Plan
from robotrain_runtime.contract.document import parse_document
from robotrain_runtime.contract.lazy_dataclass import lazy_dataclass

SUBMISSION_FILE = "osmo.json"
WORKFLOW_FILE = "workflow.yaml"
DOCUMENT_FILE = "job.json"
PAYLOAD_FILE = "payload.tar.bz2"
"""Only in plans whose payload is too large for the workflow."""
WORKFLOW_ID = "{{workflow_id}}"
"""OSMO replaces this with the workflow's id in all texts of a task."""
SCHEMA = 1


@lazy_dataclass(frozen=True, kw_only=True)
class OsmoUpload:
    """A folder of this machine, or the plan's payload, that the workflow reads."""

    path: str
    """Empty for the plan's payload."""
    url: str
    """Storage URL of the target folder, which contains the content's digest if it is pinned."""
    files: int | None = None
    """Number of files; None if the folder is not pinned."""
    size: int | None = None
    """In bytes."""
    flag: str = ""
    """The option that named the folder."""


@lazy_dataclass(frozen=True, kw_only=True)
class OsmoInput:
    """A storage URL that the workflow reads and that must contain objects."""

    url: str
    flag: str = ""


@lazy_dataclass(frozen=True, kw_only=True)
class OsmoCredential:
    """An OSMO credential that the workflow names."""

    name: str
    key: str
    flag: str
    """The option that named the credential."""
    what: str
    """The secret it holds, in words."""


@lazy_dataclass(frozen=True, kw_only=True)
class OsmoSubmissionSpec:
    """How a workflow is submitted."""

    run: str
    cli: str
    pool: str
    server: str
    task: str
    """The name of the task; of a pipeline, those of all tasks in their order, between commas."""
    gpu_platform: str
    gpus: int = 0
    """GPUs of the task."""
    priority: str = ""
    exec_timeout: str = ""
    mounts: tuple[str, ...] = ()
    """Host folders that the task mounts."""
    shared_memory: str = ""
    """The setting, or empty if it is not set."""
    uploads: tuple[OsmoUpload, ...] = ()
    inputs: tuple[OsmoInput, ...] = ()
    credentials: tuple[OsmoCredential, ...] = ()
    publishes: str = ""
    """URL that the run or OSMO copies checkpoints to; may contain WORKFLOW_ID."""
    identity: str = ""
    """Client id of the jobs' workload identity."""
    subscription: str = ""
    """Azure subscription in which the identity's roles are looked up."""
    schema: int = SCHEMA

    def list_tasks(self) -> list[str]:
        """Return the names of the tasks."""
        return self.task.split(",")

    def get_publish_url(self, workflow: str) -> str:
        """Return the URL of the checkpoints of the workflow with this id, or ""."""
        return self.publishes.replace(WORKFLOW_ID, workflow)


SUBMISSION = SubmissionSpecFile(OsmoSubmissionSpec, SUBMISSION_FILE, SCHEMA, "OSMO", required=(DOCUMENT_FILE,))
_PIPELINE_SUBMISSION = replace(SUBMISSION, required=())
STEPS_FOLDER = "steps"
"""In the plan of a pipeline, the folder with the submission spec and the job document of each step, by its name."""


def load_submission(plan: Plan, stage: Stage) -> OsmoSubmissionSpec:
    """Return the submission spec of a plan, of a job or a pipeline. Raise Rejected if the plan is damaged."""
    return (_PIPELINE_SUBMISSION if is_pipeline(plan) else SUBMISSION).load(plan, stage)


def is_pipeline(plan: Plan) -> bool:
    """Return whether a plan is that of a pipeline."""
    return DOCUMENT_FILE not in plan.files and any(path.startswith(f"{STEPS_FOLDER}/") for path in plan.files)


def get_step_path(step: str, file: str) -> str:
    """Return the path of a step's file in the plan of a pipeline."""
    return f"{STEPS_FOLDER}/{step}/{file}"


def list_job_plans(plan: Plan, stage: Stage) -> list[Plan]:
    """Return the plan of a job itself, or the parts of a pipeline's plan, one for each step. Raise Rejected."""
    if not is_pipeline(plan):
        return [plan]
    return [_select_step(plan, step, stage) for step in load_submission(plan, stage).list_tasks()]


def _select_step(plan: Plan, step: str, stage: Stage) -> Plan:
    names = (SUBMISSION_FILE, DOCUMENT_FILE)
    try:
        own = {name: plan.files[get_step_path(step, name)] for name in names}
        document = parse_document(own[DOCUMENT_FILE].decode())
    except (KeyError, ValueError) as error:
        raise Rejected([SUBMISSION.make_damaged_plan_problem(stage, f"{STEPS_FOLDER}/{step}: {error}.")]) from None
    job = Job(workload=document.workload, parameters=(), sources=document.sources)
    shared = {name: content for name, content in plan.files.items() if name in (plan.spec, PAYLOAD_FILE)}
    return replace(plan, run=document.run, job=job, files={**shared, **own}, shown=())
