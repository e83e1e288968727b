"""The parts of a plan: the plan of a job has one, that of a pipeline one for each step, in a folder of the plan."""

from dataclasses import replace

from robotrain.errors import Rejected, Stage
from robotrain.model.job import Job
from robotrain.model.plan import Plan
from robotrain_runtime.contract.document import parse_document

from robotrain_osmo.spec.submission_spec import (
    DOCUMENT_FILE,
    PAYLOAD_FILE,
    SUBMISSION,
    SUBMISSION_FILE,
    OsmoSubmissionSpec,
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
    parts = [_select_step(plan, step, stage) for step in submission.task.split(",")]
    return [(part, SUBMISSION.load(part, stage)) for part in parts]


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
