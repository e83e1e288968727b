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
from azure_stand_in.ml.request import Answer, Asked, Refused, user_error
from azure_stand_in.mlflow_server import ROOT, Runs
from azure_stand_in.sign_in import audience_of

CONTAINER = "azureml"
PAGE = 2
AUDIENCES = ("https://ml.azure.com", "https://management.azure.com", "https://management.core.windows.net")
"""The SDK comes with a token for the resource manager, and with one for the workspaces' own services."""
_AT = r"(?P<at>/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.MachineLearningServices/workspaces/[^/]+)"
_MLFLOW = rf"/mlflow/v2\.0{_AT}(?P<path>/api/.*)"
_ARTIFACTS = rf"/history/v1\.0{_AT}/experiments/[^/]+/runs/(?P<run>[^/]+)/artifacts(?P<path>.*)"
_HISTORY = rf"/history/v1\.0{_AT}(?P<path>/.*)"


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
        path, there = unquote(split.path), self.server.manager.there
        try:
            if self.fault.status:
                raise Refused(self.fault.status, self.fault.code, "The stand-in says so.")
            if audience_of(self.headers) not in AUDIENCES:
                raise user_error("Bearer token not provided or not valid.", status=401)
            if match := re.fullmatch(_MLFLOW, split.path, re.IGNORECASE):
                self._mlflow(match["at"], f"{match['path']}?{split.query}", sent)
                return
            if match := re.fullmatch(_ARTIFACTS, split.path, re.IGNORECASE):
                status, answer = self._artifacts(match["run"], match["path"], json.loads(sent or b"{}"))
            elif (match := re.fullmatch(_HISTORY, path, re.IGNORECASE)) and match["at"].lower() in there.workspaces:
                query = {name: values[0] for name, values in parse_qs(split.query).items()}
                request = Asked(
                    self.command, path, query, json.loads(sent or b"{}"), self.headers["Host"], match["path"]
                )
                status, answer = answer_history(there.workspaces[match["at"].lower()], request)
            else:
                raise user_error("There is no such route.", status=404)
        except Refused as no:
            status, answer = no.status, no.body
        self.answer_json(status, answer)

    do_POST = do_PATCH = do_DELETE = do_GET

    def _mlflow(self, at: str, path: str, sent: bytes) -> None:
        """Passed on, but for what Azure does not do: models that are not in MLflow's own format, texts too long."""
        error = ()
        if at.lower() not in self.server.manager.there.resources:
            error = (404, "RESOURCE_DOES_NOT_EXIST", "There is no such workspace.")
        elif path.startswith("/api/2.0/mlflow/model-versions/create"):
            message = "The path holds no MLmodel file: a model that is not in MLflow's format cannot be registered."
            error = (400, "INVALID_PARAMETER_VALUE", message)
        if error:
            self.answer_json(error[0], {"error_code": error[1], "message": error[2]})
            return
        if path.startswith("/api/2.0/mlflow/runs/log-batch"):
            _check_lengths(json.loads(sent))
        server = http.client.HTTPConnection("127.0.0.1", self.server.mlflow, timeout=60)
        path, sent = self.server.runs.inward(path, sent)
        server.request(self.command, path, sent, {"Content-Type": "application/json"})
        came = server.getresponse()
        body = self.server.runs.outward(came.read())
        server.close()
        host = f"azureml://{self.headers['Host']}/mlflow/v2.0{at}/experiments"
        text = re.sub(rf"{re.escape(ROOT)}/(\w+)/([\w-]+)/", rf"{host}/\1/runs/\2/", body.decode())
        self.answer(came.status, text.encode(), {"Content-Type": came.headers.get("Content-Type", "application/json")})

    def _artifacts(self, run: str, path: str, sent: Mapping[str, Any]) -> Answer:
        there = self.server.artifacts.setdefault(run, [])
        if path == "/batch/metadata":
            paths = [artifact["path"] for artifact in sent["paths"]]
            message = f"Resource Conflict: ArtifactId ExperimentRun/dcid.{run}/{{}} already exists."
            taken = {
                artifact: {"error": {"code": "UserError", "message": message.format(artifact)}}
                for artifact in paths
                if artifact in there
            }
            new = [artifact for artifact in paths if artifact not in taken]
            there += new
            return 200, {"artifactContentInformation": self._contents(run, new), "errors": taken}
        if path == "/contentinfo":
            requested = parse_qs(urlsplit(self.path).query)["path"][0]
            if requested not in there:
                raise user_error(f"There is no artifact {requested}.", status=404)
            return 200, self._contents(run, [requested])[requested]
        return 200, {"value": [{**_where(run), "path": artifact} for artifact in there]}

    def _contents(self, run: str, paths: list[str]) -> dict[str, dict[str, str]]:
        account = self.server.account
        signed = keys.sas(account, CONTAINER, "rcw")
        base = f"https://{account}.blob.core.windows.net/{CONTAINER}"
        blobs = {path: f"{base}/{quote(self.server.blob(run, path))}?{signed}" for path in paths}
        return {path: {**_where(run), "path": path, "contentUri": uri} for path, uri in blobs.items()}


def _check_lengths(sent: Mapping[str, Any]) -> None:
    """A batch with a text that is too long is refused whole."""
    for kind, (name, value) in {"params": (255, 500), "tags": (100, 1000)}.items():
        for field in sent.get(kind) or ():
            if len(field["key"]) > name or len(field["value"]) > value:
                message = f"Names of {kind} have at most {name} characters, their values {value}: {field['key'][:20]}."
                raise user_error(message)


def _where(run: str) -> dict[str, str]:
    return {"origin": "ExperimentRun", "container": f"dcid.{run}"}


def answer_history(ml: Ml, request: Asked) -> Answer:
    """Of run history. Raises Refused."""
    for method, pattern, act in ROUTES:
        match = re.fullmatch(pattern, request.rest, re.IGNORECASE)
        if match and request.method == method:
            return act(ml, request, *match.groups())
    raise user_error("There is no such route.", status=404)


def get_details(ml: Ml, request: Asked, name: str) -> Answer:
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


def list_children(ml: Ml, request: Asked, name: str) -> Answer:
    """The steps or trials that could begin so far, the newest first, two at a time; of a command job, none."""
    job = find_job(ml, name)
    whole = [*reversed(list(job.children.values()))]
    begin = int(request.query.get("$continuationtoken") or 0)
    token = str(begin + PAGE) if begin + PAGE < len(whole) else None
    following = urlencode({**request.query, "$continuationtoken": token})
    link = f"https://{request.host}{request.path}?{following}" if token else None
    value = [_run(child) for child in whole[begin : begin + PAGE]]
    return 200, {"value": value, "continuationToken": token, "nextLink": link}


def list_runs(ml: Ml, request: Asked) -> Answer:
    """Several runs at once; those that are not there apart, and 207 then."""
    there, lacking = dict[str, Any](), dict[str, Any]()
    for key, wanted in request.body["requests"].items():
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


ROUTES: tuple[tuple[str, str, Callable[..., Answer]], ...] = (
    ("GET", "/runs/([^/]+)/details", get_details),
    ("GET", "/runs/([^/]+)/children", list_children),
    ("POST", "/batchrundata", list_runs),
)
