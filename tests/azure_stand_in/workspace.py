"""What answers for a workspace at `REGION.api.azureml.ms`: MLflow's protocol, for which a real server stands behind
it, the artifacts of runs, whose content goes to a storage account by addresses that are signed, and run history.
"""

import http.client
import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from azure_stand_in import keys
from azure_stand_in.blobs import signed_blob
from azure_stand_in.certificates import Certificates
from azure_stand_in.http_server import Handler, Server
from azure_stand_in.manager import Manager
from azure_stand_in.ml.contents import Ml
from azure_stand_in.ml.job import LOGS, Job
from azure_stand_in.ml.jobs import find_job
from azure_stand_in.ml.request import Answer, Asked, Refused
from azure_stand_in.mlflow_server import ROOT, Runs
from azure_stand_in.sign_in import audience_of

CONTAINER = "azureml"
_RESOURCE = r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.MachineLearningServices/workspaces/[^/]+"
_MLFLOW = rf"/mlflow/v2\.0(?P<at>{_RESOURCE})(?P<path>/api/.*)"
_ARTIFACTS = rf"/history/v1\.0{_RESOURCE}/experiments/[^/]+/runs/(?P<run>[^/]+)/artifacts(?P<path>.*)"


class Workspace(Server):
    """artifacts: of each run, their paths.

    mlflow: the port of the MLflow server. account: where artifacts go. runs: those of jobs, on that server.
    """

    def __init__(self, made: Certificates, manager: Manager, mlflow: int, account: str) -> None:
        self.manager = manager
        self.mlflow = mlflow
        self.runs = Runs(mlflow)
        self.account = account
        self.artifacts: dict[str, list[str]] = {}
        super().__init__(_Handler, made)

    def blob(self, run: str, path: str) -> str:
        return f"ExperimentRun/dcid.{run}/{path}"


class _Handler(Handler):
    server: Workspace

    def do_GET(self) -> None:
        sent = self.received()
        split = urlsplit(self.path)
        if self.fault.status:
            self._refuse(self.fault.status, self.fault.code, "The stand-in says so.")
        elif audience_of(self.headers) not in AUDIENCES:
            self._refuse(401, "UserError", "Bearer token not provided or not valid.")
        elif found := re.fullmatch(_MLFLOW, split.path):
            self._mlflow(found["at"], f"{found['path']}?{split.query}", sent)
        elif found := re.fullmatch(_ARTIFACTS, split.path):
            self._artifacts(found["run"], found["path"], json.loads(sent or b"{}"))
        else:
            self._history(unquote(split.path), split.query, sent)

    do_POST = do_PATCH = do_DELETE = do_GET

    def _mlflow(self, at: str, path: str, sent: bytes) -> None:
        """Passed on, but for what Azure does not do: models that are not in MLflow's own format."""
        if at.lower() not in self.server.manager.there.resources:
            self.answer_json(404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "There is no such workspace."})
            return
        if path.startswith("/api/2.0/mlflow/model-versions/create"):
            why = "The path holds no MLmodel file: a model that is not in MLflow's format cannot be registered."
            self.answer_json(400, {"error_code": "INVALID_PARAMETER_VALUE", "message": why})
            return
        if path.startswith("/api/2.0/mlflow/runs/log-batch") and (why := _too_long(json.loads(sent))):
            self._refuse(400, "UserError", why)
            return
        server = http.client.HTTPConnection("127.0.0.1", self.server.mlflow, timeout=60)
        path, sent = self.server.runs.inward(path, sent)
        server.request(self.command, path, sent, {"Content-Type": "application/json"})
        came = server.getresponse()
        body = self.server.runs.outward(came.read())
        server.close()
        host = f"azureml://{self.headers['Host']}/mlflow/v2.0{at}/experiments"
        text = re.sub(rf"{re.escape(ROOT)}/(\w+)/([\w-]+)/", rf"{host}/\1/runs/\2/", body.decode())
        self.answer(came.status, text.encode(), {"Content-Type": came.headers.get("Content-Type", "application/json")})

    def _history(self, path: str, query: str, sent: bytes) -> None:
        manager = self.server.manager
        parameters = {name: values[0] for name, values in parse_qs(query).items()}
        asked = Asked(self.command, path, parameters, json.loads(sent or b"{}"), self.headers["Host"])
        try:
            found = answer_history(manager.there.workspaces, asked)
        except Refused as no:
            found = no.status, no.body
        if found is None:
            self._refuse(404, "UserError", "There is no such route.")
        else:
            self.answer_json(*found)

    def _artifacts(self, run: str, path: str, sent: Mapping[str, Any]) -> None:
        there = self.server.artifacts.setdefault(run, [])
        if path == "/batch/metadata":
            asked = [one["path"] for one in sent["paths"]]
            taken = {one: _conflict(run, one) for one in asked if one in there}
            new = [one for one in asked if one not in taken]
            there += new
            self.answer_json(200, {"artifactContentInformation": self._contents(run, new), "errors": taken})
        elif path == "/contentinfo":
            one = parse_qs(urlsplit(self.path).query)["path"][0]
            found = self._contents(run, [one] if one in there else [])
            self.answer_json(200 if found else 404, found.get(one) or {"error": {"code": "UserError"}})
        else:
            self.answer_json(200, {"value": [{**_where(run), "path": one} for one in there]})

    def _refuse(self, status: int, code: str, message: str) -> None:
        self.answer_json(status, {"error": {"code": code, "message": message}})

    def _contents(self, run: str, paths: list[str]) -> dict[str, dict[str, str]]:
        account = self.server.account
        signed = keys.sas(account, CONTAINER, "rcw")
        base = f"https://{account}.blob.core.windows.net/{CONTAINER}"
        blobs = {path: f"{base}/{quote(self.server.blob(run, path))}?{signed}" for path in paths}
        return {path: {**_where(run), "path": path, "contentUri": uri} for path, uri in blobs.items()}


def _too_long(sent: Mapping[str, Any]) -> str:
    """Why a batch is refused whole; empty if it is not."""
    for kind, (name, value) in {"params": (255, 500), "tags": (100, 1000)}.items():
        for one in sent.get(kind) or ():
            if len(one["key"]) > name or len(one["value"]) > value:
                return f"Names of {kind} have at most {name} characters, their values {value}: {one['key'][:20]}."
    return ""


def _where(run: str) -> dict[str, str]:
    return {"origin": "ExperimentRun", "container": f"dcid.{run}"}


def _conflict(run: str, path: str) -> dict[str, Any]:
    why = f"Resource Conflict: ArtifactId ExperimentRun/dcid.{run}/{path} already exists."
    return {"error": {"code": "UserError", "message": why}}


PAGE = 2
AUDIENCES = ("https://ml.azure.com", "https://management.azure.com", "https://management.core.windows.net")
"""The SDK comes with a token for the resource manager, and with one for the workspaces' own services."""


def get_details(ml: Ml, asked: Asked, name: str) -> Answer:
    job = find_job(ml, name)
    with job.lock:
        files = {file: signed_blob(job.store, LOGS, job.blob(file)) for file in job.files}
        answer = {
            "runId": job.name,
            "target": job.compute,
            "status": job.status,
            "startTimeUtc": job.times.get("startTimeUtc"),
            "endTimeUtc": job.times.get("endTimeUtc"),
            "error": {"error": job.error} if job.error else None,
            "warnings": [],
            "properties": {},
            "inputs": {},
            "outputs": {},
            "runDefinition": None,
            "logFiles": files,
            "submittedBy": "somebody",
        }
    return 200, answer


def list_children(ml: Ml, asked: Asked, name: str) -> Answer:
    """The steps or trials that could begin so far, the newest first, two at a time; of a command job, none."""
    job = find_job(ml, name)
    whole = [*reversed(list(job.children.values()))]
    begin = int(asked.query.get("$continuationtoken") or 0)
    token = str(begin + PAGE) if begin + PAGE < len(whole) else None
    following = urlencode({**asked.query, "$continuationtoken": token})
    link = f"https://{asked.host}{asked.path}?{following}" if token else None
    value = [_run(child) for child in whole[begin : begin + PAGE]]
    return 200, {"value": value, "continuationToken": token, "nextLink": link}


def list_runs(ml: Ml, asked: Asked) -> Answer:
    """Several runs at once; those that are not there apart, and 207 then."""
    there, lacking = dict[str, Any](), dict[str, Any]()
    for key, wanted in asked.body["requests"].items():
        job = ml.jobs.get(str(wanted.get("runId") or "").lower())
        if job is None:
            lacking[key] = {"error": {"code": "UserError", "message": f"Run {wanted.get('runId')} was not found."}}
        else:
            with job.lock:
                metadata = {**_run(job), "warnings": []} if wanted.get("selectRunMetadata") else None
            there[key] = {"runMetadata": metadata, "runDefinition": None, "jobSpecification": None}
    return 207 if lacking else 200, {"successfulResults": there, "failedResults": lacking}


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
    ("GET", "/runs/([^/]+)/details", get_details),
    ("GET", "/runs/([^/]+)/children", list_children),
    ("POST", "/batchrundata", list_runs),
)


def answer_history(workspaces: Mapping[str, Ml], asked: Asked) -> Answer | None:
    """What is answered; None when it is about nothing of this. Raises Refused."""
    found = re.fullmatch(rf"/history/v1\.0(?P<at>{_WORKSPACE})(?P<rest>/.*)", asked.path, re.IGNORECASE)
    if found is None or found["at"].lower() not in workspaces:
        return None
    for method, pattern, act in ROUTES:
        match = re.fullmatch(pattern, found["rest"], re.IGNORECASE)
        if match and asked.method == method:
            return act(workspaces[found["at"].lower()], asked, *match.groups())
    return None
