"""The jobs of a workspace: validated, created, and passed to a compute."""

import threading
from typing import Any

from azure_stand_in.ml import job_rules, pipelines
from azure_stand_in.ml.contents import HOST, Ml, make_system_data
from azure_stand_in.ml.job import Job
from azure_stand_in.ml.request import Answer, Asked, missing, user_error

CHANGEABLE = ("description", "tags", "displayName", "properties", "isArchived")
"""Of a job that is there; the sentence and this list are those of azure-docs#122250."""
KINDS = {
    "Command": (job_rules.find_wrong, Job),
    "Pipeline": (pipelines.find_wrong, pipelines.Pipeline),
}
_MAKING = threading.RLock()


def create_job(ml: Ml, request: Asked, name: str) -> Answer:
    """A new job; or a word about one that is there."""
    body: dict[str, Any] = dict(request.body.get("properties") or {})
    with _MAKING:
        if there := ml.jobs.get(name.lower()):
            _change(there, body)
            return 200, resource(there)
        find_wrong, kind = KINDS[body["jobType"]]
        job_rules.judge(find_wrong(name, body, ml))
        job = kind(ml, name, body)
        answer = resource(job)
        job.begin()
    return 201, answer


def get_job(ml: Ml, request: Asked, name: str) -> Answer:
    return 200, resource(find_job(ml, name))


def list_jobs(ml: Ml, request: Asked) -> Answer:
    """The newest first, those with a tag if one is asked for; what a pipeline or a sweep started is not among them."""
    tag = request.query.get("tag")
    whole = [job for job in ml.jobs.values() if job.parent is None and (not tag or tag in job.body.get("tags", {}))]
    return 200, {"value": [resource(job) for job in reversed(whole)]}


def cancel_job(ml: Ml, request: Asked, name: str) -> Answer:
    find_job(ml, name).cancel()
    return 200, None


def find_job(ml: Ml, name: str) -> Job:
    if name.lower() not in ml.jobs:
        raise missing(f"Run {name} was not found.")
    return ml.jobs[name.lower()]


def resource(job: Job) -> dict[str, Any]:
    ml = job.ml
    if isinstance(job.parent, pipelines.Pipeline):  # as the SDK says: `_is_pipeline_child_job`
        return {**ml.resource(f"/jobs/{job.name}", {}), "properties": None}
    links = {
        "Tracking": f"azureml://{HOST}/mlflow/v1.0{ml.at}?",
        "Studio": f"https://ml.azure.com/runs/{job.name}?wsid={ml.at}",
    }
    services = {kind: {"jobServiceType": kind, "port": None, "endpoint": link} for kind, link in links.items()}
    usual = {"description": None, "tags": {}, "properties": {}, "isArchived": False, "experimentName": "Default"}
    whole = {**usual, **job.body, "status": job.status, "services": services}
    return ml.resource(f"/jobs/{job.name}", whole, systemData=make_system_data(job.times["createdUtc"]))


def _change(job: Job, body: dict[str, Any]) -> None:
    """Say something else of a job. Raises Refused when it would be another one."""
    names = sorted({*job.body, *body} - {*CHANGEABLE})
    other = [name for name in names if (job.body.get(name) or None) != (body.get(name) or None)]
    if other:
        parts = ",  ".join(name[0].upper() + name[1:] for name in other)
        raise user_error(
            "A job with this name already exists. If you are trying to create a new job, use a different name. If you "
            f"are trying to update an existing job, the existing job's {parts} cannot be changed. Only description, "
            "tags, displayName, properties, and isArchived can be updated.",
            "Immutable/JobPropertyImmutable",
        )
    job.body |= {name: body[name] for name in CHANGEABLE if body.get(name) is not None}


ROUTES = (
    ("GET", "/jobs", list_jobs),
    ("PUT", "/jobs/([^/]+)", create_job),
    ("GET", "/jobs/([^/]+)", get_job),
    ("POST", "/jobs/([^/]+)/cancel", cancel_job),
)
