"""Run history at `REGION.api.azureml.ms`: how a run is, and where its logs are."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from azure_stand_in.ml.asked import Answer, Asked, missing
from azure_stand_in.ml.contents import Ml
from azure_stand_in.ml.here import Here
from azure_stand_in.ml.job import LOGS, Job
from azure_stand_in.ml.store import signed_blob

PAGE = 2
NAMES = ("history", "api", "catalog", "artifact", "hyperdrive", "execution", "mlflow", "experimentation", "notebooks")
AUDIENCES = ("https://ml.azure.com", "https://management.azure.com", "https://management.core.windows.net")
"""The SDK comes with a token for the resource manager, and with one for the workspaces' own services."""


def discovery(host: str) -> dict[str, str]:
    """Which service is where."""
    return {**{name: f"https://{host}" for name in NAMES}, "studio": "https://ml.azure.com"}


def details(here: Here, ml: Ml, asked: Asked, name: str) -> Answer:
    """How a run is."""
    job = _job(ml, name)
    with job.lock:
        files = {file: signed_blob(job.store, LOGS, job.blob(file)) for file in job.files}
        said = {
            "runId": job.name,
            "target": job.compute,
            "status": job.status,
            "startTimeUtc": job.times.get("startTimeUtc"),
            "endTimeUtc": job.times.get("endTimeUtc"),
            "error": {"error": job.error} if job.error else None,
            "warnings": list(job.warnings),
            "properties": {},
            "inputs": {},
            "outputs": {},
            "runDefinition": None,
            "logFiles": files,
            "submittedBy": "somebody",
        }
    return 200, said


def run(here: Here, ml: Ml, asked: Asked, name: str) -> Answer:
    """A run, as the studio shows it."""
    return 200, _run(_job(ml, name))


def change(here: Here, ml: Ml, asked: Asked, experiment: str, name: str) -> Answer:
    """Say something else of a run."""
    job = _job(ml, name)
    for key in ("displayName", "description", "tags", "properties"):
        if asked.body.get(key) is not None:
            job.body[key] = asked.body[key]
    return 200, _run(job)


def children(here: Here, ml: Ml, asked: Asked, name: str) -> Answer:
    """The steps or trials that could begin so far, the newest first, two at a time; of a command job, none."""
    job = _job(ml, name)
    whole = [*reversed(list(job.children.values()))]
    begin = int(asked.query.get("$continuationtoken") or 0)
    token = str(begin + PAGE) if begin + PAGE < len(whole) else None
    following = urlencode({**asked.query, "$continuationtoken": token})
    link = f"https://{asked.host}{asked.path}?{following}" if token else None
    value = [_run(child) for child in whole[begin : begin + PAGE]]
    return 200, {"value": value, "continuationToken": token, "nextLink": link}


def data(here: Here, ml: Ml, asked: Asked) -> Answer:
    """What a run read and wrote, as the SDK asks before it downloads."""
    job = _job(ml, str(asked.body.get("runId") or ""))
    outputs = {one: {"assetId": f"azureml://jobs/{job.name}/outputs/{one}", "type": "UriFolder"} for one in job.outputs}
    return 200, {"runMetadata": {**_run(job), "outputs": outputs, "inputs": {}}}


def many(here: Here, ml: Ml, asked: Asked) -> Answer:
    """Several runs at once; those that are not there apart, and 207 then."""
    there, lacking = dict[str, Any](), dict[str, Any]()
    for key, wanted in asked.body["requests"].items():
        job = ml.jobs.get(str(wanted.get("runId") or "").lower())
        if job is None:
            lacking[key] = {"error": {"code": "UserError", "message": f"Run {wanted.get('runId')} was not found."}}
        else:
            with job.lock:
                told = {**_run(job), "warnings": list(job.warnings)} if wanted.get("selectRunMetadata") else None
            there[key] = {"runMetadata": told, "runDefinition": None, "jobSpecification": None}
    return 207 if lacking else 200, {"successfulResults": there, "failedResults": lacking}


def _job(ml: Ml, name: str) -> Job:
    if name.lower() not in ml.jobs:
        raise missing(f"Run {name} was not found.")
    return ml.jobs[name.lower()]


def _run(job: Job) -> dict[str, Any]:
    return {
        "runId": job.name,
        "status": job.status,
        "displayName": job.body.get("displayName") or job.name,
        "description": job.body.get("description"),
        "tags": job.body.get("tags") or {},
        "properties": job.body.get("properties") or {},
        "createdUtc": job.times["createdUtc"],
        "startTimeUtc": job.times.get("startTimeUtc"),
        "endTimeUtc": job.times.get("endTimeUtc"),
        "error": {"error": job.error} if job.error else None,
        "target": job.compute,
        "compute": {"target": job.compute},
        "parentRunId": job.parent.name if job.parent else None,
        "rootRunId": (job.parent or job).name,
        "runType": "azureml.StepRun" if job.parent else "azureml.scriptrun",
    }


_WORKSPACE = r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.MachineLearningServices/workspaces/[^/]+"
ROUTES: tuple[tuple[str, str, Callable[..., Answer]], ...] = (
    ("GET", "/runs/([^/]+)/details", details),
    ("GET", "/runs/([^/]+)/children", children),
    ("GET", "/runs/([^/]+)", run),
    ("PATCH", "/experiments/([^/]+)/runs/([^/]+)", change),
    ("POST", "/rundata", data),
    ("POST", "/batchrundata", many),
)


def answer(here: Here, workspaces: Mapping[str, Ml], asked: Asked) -> Answer | None:
    """What is answered; None when it is about nothing of this. Raises Refused."""
    if asked.path == "/discovery" or asked.path.startswith("/discovery/"):
        return 200, discovery(asked.host)
    found = re.fullmatch(rf"/history/v1\.0(?P<at>{_WORKSPACE})(?P<rest>/.*)", asked.path, re.IGNORECASE)
    if found is None or found["at"].lower() not in workspaces:
        return None
    for method, pattern, act in ROUTES:
        match = re.fullmatch(pattern, found["rest"], re.IGNORECASE)
        if match and asked.method == method:
            return act(here, workspaces[found["at"].lower()], asked, *match.groups())
    return None
