"""The jobs of a workspace: validated, created, and passed to a compute."""

import contextlib
import copy
import threading
from collections.abc import Mapping
from typing import Any

from azure_stand_in.ml import addresses, assets, pipelines, sweeps
from azure_stand_in.ml.contents import Here, Ml, make_system_data
from azure_stand_in.ml.job import Bound, Job
from azure_stand_in.ml.job_rules import judge
from azure_stand_in.ml.pipelines import Pipeline
from azure_stand_in.ml.request import Answer, Asked, missing, user_error
from azure_stand_in.ml.sweeps import Sweep

CHANGEABLE = ("description", "tags", "displayName", "properties", "isArchived")
"""Of a job that is there; the sentence and this list are those of azure-docs#122250."""


def create_job(here: Here, ml: Ml, asked: Asked, name: str) -> Answer:
    """A new job; or a word about one that is there."""
    body: dict[str, Any] = dict(asked.body.get("properties") or {})
    with _MAKING:
        if there := ml.jobs.get(name.lower()):
            _change(there, body)
            return 200, resource(ml, there)
        if body.get("jobType") in WITH_CHILDREN:
            job = _whole(here, ml, asked.body, name)
        else:
            judge(name, asked.body, ml)
            job = _made(here, ml, name, body)
        job = _begun(here, ml, name, job)
        answer = resource(ml, job)
    if isinstance(job, (Pipeline, Sweep)):
        job.advance()
    else:
        _hand_over(here, job)
    return 201, answer


def get_job(here: Here, ml: Ml, asked: Asked, name: str) -> Answer:
    return 200, resource(ml, _job(ml, name))


def cancel_job(here: Here, ml: Ml, asked: Asked, name: str) -> Answer:
    job = _job(ml, name)
    job.cancel()
    if not (here.runner or isinstance(job, (Pipeline, Sweep)) or job.finished) and here.cancelling == "at-once":
        job.state("Canceled")
    return 200, None


def resource(ml: Ml, job: Job) -> dict[str, Any]:
    at = ml.at
    if isinstance(job.parent, Pipeline):  # run history alone knows steps, says the SDK: `_is_pipeline_child_job`
        return {**ml.resource(f"/jobs/{job.name}", {}), "properties": None}
    studio = f"https://ml.azure.com/runs/{job.name}?wsid={at}"
    services = {
        "Tracking": {"jobServiceType": "Tracking", "port": None, "endpoint": f"azureml://{ADDRESS}/mlflow/v1.0{at}?"},
        "Studio": {"jobServiceType": "Studio", "port": None, "endpoint": studio},
    }
    usual = {"description": None, "tags": {}, "properties": {}, "isArchived": False, "experimentName": "Default"}
    whole = {**usual, **job.body, "status": job.status, "services": services}
    return ml.resource(f"/jobs/{job.name}", whole, systemData=make_system_data(job.times["createdUtc"]))


ADDRESS = "westeurope.api.azureml.ms"
WITH_CHILDREN = ("Pipeline", "Sweep")
_MAKING = threading.Lock()


def _job(ml: Ml, name: str) -> Job:
    if name.lower() not in ml.jobs:
        raise missing(f"Run {name} was not found.")
    return ml.jobs[name.lower()]


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


def _whole(here: Here, ml: Ml, sent: Mapping[str, Any], name: str) -> Job:
    """A new pipeline or sweep, whose children are jobs of the workspace. Raises Refused."""
    is_sweep = sent["properties"]["jobType"] == "Sweep"
    (sweeps if is_sweep else pipelines).judge(name, sent, ml)

    def make_child(child: str, body: dict[str, Any]) -> Job:
        return _begun(here, ml, child, _made(here, ml, child, body))

    body, at = copy.deepcopy(dict(sent["properties"])), f"{ml.at}/jobs/{name}"
    if is_sweep:
        return Sweep(name, at, body, here, make_child, lambda child: _hand_over(here, child))
    return Pipeline(name, at, body, here, ml, make_child, lambda child: _hand_over(here, child))


def _begun(here: Here, ml: Ml, name: str, job: Job) -> Job:
    ml.jobs[name.lower()] = job
    if here.runs:
        here.runs.begin(name, job.experiment, str(job.body.get("displayName") or ""))
    return job


def _hand_over(here: Here, job: Job) -> None:
    if here.runner:
        threading.Thread(target=_run, args=(here.runner, job), daemon=True, name=f"job {job.name}").start()


def _made(here: Here, ml: Ml, name: str, body: dict[str, Any]) -> Job:
    body = copy.deepcopy(body)
    code = addresses.asset(str(body.get("codeId") or ""), ml)
    found = addresses.folder(assets_uri(ml, code), ml) if code else None
    environment = addresses.asset(body["environmentId"], ml)
    known = ml.environments[environment.name.lower()][environment.version] if environment else {}
    inputs = {one: _bound(ml, given) for one, given in (body.get("inputs") or {}).items() if given.get("uri")}
    outputs = {one: _out(ml, name, one, given) for one, given in (body.get("outputs") or {}).items()}
    identity = ml.computes[addresses.part(body["computeId"], ml, "computes").lower()].get("identity") or {}
    users = {one["clientId"]: one["principalId"] for one in (identity.get("userAssignedIdentities") or {}).values()}
    image = known.get("image") or ""
    at = f"{ml.at}/jobs/{name}"
    where = (found.container, found.prefix) if found else None
    holder = _holder(body, users, identity.get("principalId") or "")
    return Job(name, at, body, here.blobs, where, inputs, outputs, tuple(users), str(image), holder)


def _holder(body: dict[str, Any], users: dict[str, str], system: str) -> str:
    """The principal that mounts inputs and writes outputs: a job that names none gets the system's, else the last."""
    identity = body.get("identity") or {}
    if identity.get("identityType") != "Managed":
        return ""
    return users[identity["clientId"]] if identity.get("clientId") else system or list(users.values())[-1]


def assets_uri(ml: Ml, of: addresses.Asset) -> str:
    """Where the version of an asset lies; empty for one that is not there."""
    if of.kind == "codes":
        return str(ml.codes.get(of.name.lower(), {}).get(of.version, {}).get("codeUri") or "")
    given = assets.find_versions(ml, of.kind, of.name, of.registry).get(of.version, {})
    return str(given.get("modelUri" if of.kind == "models" else "dataUri") or "")


def _bound(ml: Ml, given: dict[str, Any]) -> Bound:
    named = addresses.asset(given["uri"], ml)
    at = addresses.folder(assets_uri(ml, named) if named else given["uri"], ml)
    return Bound(given["jobInputType"], given.get("mode") or "ReadOnlyMount", at.account, at.container, at.prefix)


def _out(ml: Ml, job: str, name: str, given: dict[str, Any]) -> Bound:
    usual = f"azureml://datastores/workspaceblobstore/paths/azureml/{job}/{name}/"
    uri = str(given.get("uri") or usual).replace("${{name}}", job).replace("${{output_name}}", name)
    at = addresses.folder(uri, ml)
    return Bound(given["jobOutputType"], given.get("mode") or "ReadWriteMount", at.account, at.container, at.prefix)


def _run(runner: Any, job: Job) -> None:
    with contextlib.suppress(ValueError):  # a test said otherwise meanwhile
        try:
            job.state("Queued")
            runner(job)
        except Exception as error:
            if not job.finished:
                job.fail("ServiceError", f"{type(error).__name__}: {error}")
        else:
            if not job.finished:
                job.state("Canceled" if job.cancelled.is_set() else "Completed")


ROUTES = (
    ("PUT", "/jobs/([^/]+)", create_job),
    ("GET", "/jobs/([^/]+)", get_job),
    ("POST", "/jobs/([^/]+)/cancel", cancel_job),
)
