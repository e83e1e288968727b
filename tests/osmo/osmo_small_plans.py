"""Small plans for tests of submission and preflight, with the same files as rendered ones."""

import dataclasses

import yaml
from robotrain.model.job import Job
from robotrain.model.plan import Plan
from robotrain_osmo.spec import submission_spec as orders
from robotrain_osmo.spec.submission_spec import OsmoSubmissionSpec
from robotrain_osmo.submit.submit import SUBMIT_VARIABLE
from robotrain_runtime.contract import document
from robotrain_runtime.contract.document import DOCUMENT_FILE, JobDocument, Placement

RUN = "lerobot-train-fab69e8c-1"
TASK = "lerobot-train"
RESOURCES = {"cpu": 1, "gpu": 0, "memory": "1Gi", "storage": "1Gi", "platform": "gpu_platform"}
MARK = "5e" * 32
SUBMIT_MARK = "b7" * 16
SUBMISSION_SPEC = OsmoSubmissionSpec(
    run=RUN, cli="osmo", pool="default", server="6.4", task=TASK, gpu_platform="gpu_platform"
)


def make_workflow(mark: str = MARK, run: str = RUN, credentials=(), **task) -> str:
    """The text of a workflow with one task."""
    named = {credential.name: {credential.key.upper(): credential.key} for credential in credentials}
    values = {"name": TASK, "image": "ubuntu:24.04", "command": ["true"], "environment": {"ROBOTRAIN_PLAN": mark}}
    body = {"name": run, "resources": {"default": RESOURCES}, "tasks": [{**values, "credentials": named, **task}]}
    return yaml.safe_dump({"workflow": body}, sort_keys=False)


def make_plan(mark: str = MARK, sources=(), text: str = "", files=(), placement=None, **order) -> Plan:
    """A plan whose `osmo.json` has the values of `order`."""
    wanted = dataclasses.replace(SUBMISSION_SPEC, **order)
    given_document = JobDocument(
        schema=document.SCHEMA,
        run=RUN,
        job="fab69e8c" * 8,
        workload=TASK,
        platform="osmo",
        container_plugins={},
        parameters={},
        placement=placement or Placement(work="/tmp/work", cache="/tmp/cache"),
        sources=tuple(sources),
    )
    own = {
        orders.WORKFLOW_FILE: (text or make_workflow(mark, credentials=wanted.credentials)).encode(),
        orders.SUBMISSION_FILE: orders.SUBMISSION.dump(wanted),
        DOCUMENT_FILE: document.format_document(given_document).encode(),
    }
    job = Job(workload=TASK, parameters=(), sources=tuple(sources))
    return Plan(platform="osmo", run=RUN, job=job, spec=orders.WORKFLOW_FILE, files={**own, **dict(files)})


def add_workflow(osmo, mark: str = SUBMIT_MARK, run: str = RUN) -> str:
    """Add such a workflow to the service, of a submit with a mark; return its id."""
    return osmo.submit(make_workflow(run=run), f"{SUBMIT_VARIABLE}={mark}")
