"""The submission spec, `osmo.json` in a plan: the arguments of the `osmo` command and what must exist before.

The plan of a job has one, that of a pipeline also one for each step, in a folder of the plan.
"""

from dataclasses import dataclass, replace
from typing import Any

from robotrain.cluster.spec import SubmissionSpecFile
from robotrain.errors import Rejected, Stage
from robotrain.model.job import Job
from robotrain.model.plan import Plan
from robotrain_runtime.contract.document import DOCUMENT_FILE, parse_document

from robotrain_osmo.settings import OsmoSettings

SUBMISSION_FILE = "osmo.json"
WORKFLOW_FILE = "workflow.yaml"
PAYLOAD_FILE = "payload.tar.bz2"
"""Only in plans whose payload is too large for the workflow."""
WORKFLOW_ID = "{{workflow_id}}"
"""OSMO replaces this with the workflow's id in all texts of a task."""
SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
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


@dataclass(frozen=True, kw_only=True)
class OsmoInput:
    """A storage URL that the workflow reads and that must contain objects."""

    url: str
    flag: str = ""


@dataclass(frozen=True, kw_only=True)
class OsmoCredential:
    """An OSMO credential that the workflow names."""

    name: str
    key: str
    flag: str
    """The option that named the credential; `--secret NAME` for a variable of the program."""
    what: str
    """The secret it holds, in words."""

    def make_option(self, credential_text: str) -> str:
        """Return the option with another text in place of the credential."""
        option, _, variable = self.flag.partition(" ")
        return f"{option} {'NAME=' if variable else ''}{credential_text}"


@dataclass(frozen=True, kw_only=True)
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
    nodes: int = 0
    """Tasks of a job of several nodes; 0 for a job of one."""
    priority: str = ""
    exec_timeout: str = ""
    uploads: tuple[OsmoUpload, ...] = ()
    inputs: tuple[OsmoInput, ...] = ()
    credentials: tuple[OsmoCredential, ...] = ()
    publishes: str = ""
    """URL that the run or OSMO copies checkpoints to; may contain WORKFLOW_ID."""
    dataset: str = ""
    """OSMO dataset that the task writes: its name, or the URL of its folder, which may contain WORKFLOW_ID."""
    spec_patch: str = ""
    """What the workflow was patched with, as JSON; empty for nothing."""
    schema: int = SCHEMA

    def get_publish_url(self, workflow: str) -> str:
        """Return the URL of the checkpoints of the workflow with this id, or ""."""
        return self.publishes.replace(WORKFLOW_ID, workflow)


SUBMISSION = SubmissionSpecFile(OsmoSubmissionSpec, SUBMISSION_FILE, SCHEMA, "OSMO", required=(DOCUMENT_FILE,))


def make_submission_spec(settings: OsmoSettings, run: str = "", task: str = "", **needed: Any) -> OsmoSubmissionSpec:
    """Return the submission spec of a run with these settings. `needed`: what its job needs."""
    return OsmoSubmissionSpec(
        run=run,
        cli=settings.osmo_cli,
        pool=settings.pool or "",
        server=settings.server,
        task=task,
        gpu_platform=settings.gpu_platform,
        gpus=settings.gpus or 0,
        priority=settings.priority or "",
        exec_timeout=settings.exec_timeout or "",
        **needed,
    )


PIPELINE_SUBMISSION = replace(SUBMISSION, required=())
STEPS_FOLDER = "steps"
"""The folder with the submission spec and the job document of each step, by its name."""


def load_submission(plan: Plan, stage: Stage) -> OsmoSubmissionSpec:
    """Return the submission spec of a plan, of a job or a pipeline. Raise Rejected if the plan is damaged."""
    return (PIPELINE_SUBMISSION if is_pipeline(plan) else SUBMISSION).load(plan, stage)


def is_pipeline(plan: Plan) -> bool:
    """Return whether a plan is that of a pipeline."""
    return DOCUMENT_FILE not in plan.files and any(path.startswith(f"{STEPS_FOLDER}/") for path in plan.files)


def get_step_path(step: str, file: str) -> str:
    """Return the path of a step's file in the plan of a pipeline."""
    return f"{STEPS_FOLDER}/{step}/{file}"


def list_parts(plan: Plan, stage: Stage) -> list[tuple[Plan, OsmoSubmissionSpec]]:
    """Return the plans of jobs in a plan, each with its submission spec. Raise Rejected if the plan is damaged."""
    submission = load_submission(plan, stage)
    if not is_pipeline(plan):
        return [(plan, submission)]
    shared_files = {name: file_bytes for name, file_bytes in plan.files.items() if name in (plan.spec, PAYLOAD_FILE)}
    parts = []
    for step in submission.task.split(","):
        try:
            step_files = {name: plan.files[get_step_path(step, name)] for name in (SUBMISSION_FILE, DOCUMENT_FILE)}
            document = parse_document(step_files[DOCUMENT_FILE].decode())
        except (KeyError, ValueError) as error:
            reason = f"{STEPS_FOLDER}/{step}: {error}."
            raise Rejected([SUBMISSION.make_damaged_plan_problem(stage, reason)]) from None
        job = Job(workload=document.workload, parameters=(), sources=document.sources)
        parts.append(replace(plan, run=document.run, job=job, files={**shared_files, **step_files}, shown=()))
    return [(part, SUBMISSION.load(part, stage)) for part in parts]
