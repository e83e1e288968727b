"""What answers for a workspace at `REGION.api.azureml.ms`: MLflow's protocol, for which a real server stands behind
it, the artifacts of runs, whose content goes to a storage account by addresses that are signed, and run history.
"""

import http.client
import json
import re
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from azure_stand_in import keys
from azure_stand_in.bearer import audience_of
from azure_stand_in.certificates import Certificates
from azure_stand_in.fault import Fault, done, meeting, send
from azure_stand_in.manager import Manager
from azure_stand_in.ml import history
from azure_stand_in.ml.asked import Asked, Refused
from azure_stand_in.mlflow_server import ROOT, Runs
from azure_stand_in.serving import Server

CONTAINER = "azureml"
_RESOURCE = r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.MachineLearningServices/workspaces/[^/]+"
_MLFLOW = rf"/mlflow/v2\.0(?P<at>{_RESOURCE})(?P<path>/api/.*)"
_ARTIFACTS = rf"/history/v1\.0{_RESOURCE}/experiments/[^/]+/runs/(?P<run>[^/]+)/artifacts(?P<path>.*)"


class Workspace(Server):
    """requests: `METHOD path?query`, as they came. faults: the first that fits. artifacts: of each run, their paths.

    mlflow: the port of the MLflow server. account: where artifacts go. runs: those of jobs, on that server.
    """

    def __init__(self, made: Certificates, manager: Manager, mlflow: int, account: str) -> None:
        self.manager = manager
        self.mlflow = mlflow
        self.runs = Runs(mlflow)
        self.account = account
        self.requests: list[str] = []
        self.faults: list[Fault] = []
        self.artifacts: dict[str, list[str]] = {}
        super().__init__(_Handler, made)

    def blob(self, run: str, path: str) -> str:
        """The name of the blob of an artifact."""
        return f"ExperimentRun/dcid.{run}/{path}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Workspace

    def do_GET(self) -> None:
        self.server.requests.append(f"{self.command} {self.path}")
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.fault = meeting(self, self.server.faults, self.server.ended)
        split = urlsplit(self.path)
        if self.fault.status:
            self._refuse(self.fault.status, self.fault.code, "The stand-in says so.")
        elif split.path.startswith("/discovery"):  # asked by those who have signed in nowhere yet
            self._answer(200, json.dumps(history.discovery(self.headers["Host"])).encode())
        elif audience_of(self.headers) not in history.AUDIENCES:
            self._refuse(401, "UserError", "Bearer token not provided or not valid.")
        elif found := re.fullmatch(_MLFLOW, split.path):
            self._mlflow(found["at"], f"{found['path']}?{split.query}", sent)
        elif found := re.fullmatch(_ARTIFACTS, split.path):
            self._artifacts(found["run"], found["path"], json.loads(sent or b"{}"))
        else:
            self._history(unquote(split.path), split.query, sent)

    do_POST = do_PATCH = do_DELETE = do_GET

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def _mlflow(self, at: str, path: str, sent: bytes) -> None:
        """Passed on, but for what Azure does not do: models that are not in MLflow's own format."""
        if at.lower() not in self.server.manager.there.resources:
            self._json(404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "There is no such workspace."})
            return
        if path.startswith("/api/2.0/mlflow/model-versions/create"):
            why = "The path holds no MLmodel file: a model that is not in MLflow's format cannot be registered."
            self._json(400, {"error_code": "INVALID_PARAMETER_VALUE", "message": why})
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
        self._answer(came.status, text.encode(), came.headers.get("Content-Type", "application/json"))

    def _history(self, path: str, query: str, sent: bytes) -> None:
        manager = self.server.manager
        said = {name: values[0] for name, values in parse_qs(query).items()}
        asked = Asked(self.command, path, said, json.loads(sent or b"{}"), self.headers["Host"])
        try:
            answer = history.answer(manager.here, manager.there.workspaces, asked)
        except Refused as no:
            answer = no.status, no.body
        if answer is None:
            self._refuse(404, "UserError", "There is no such route.")
        else:
            self._json(*answer)

    def _artifacts(self, run: str, path: str, sent: Mapping[str, Any]) -> None:
        there = self.server.artifacts.setdefault(run, [])
        if path == "/batch/metadata":
            asked = [one["path"] for one in sent["paths"]]
            taken = {one: _conflict(run, one) for one in asked if one in there}
            new = [one for one in asked if one not in taken]
            there += new
            self._json(200, {"artifactContentInformation": self._contents(run, new), "errors": taken})
        elif path == "/contentinfo":
            one = parse_qs(urlsplit(self.path).query)["path"][0]
            found = self._contents(run, [one] if one in there else [])
            self._json(200 if found else 404, found.get(one) or {"error": {"code": "UserError"}})
        else:
            self._json(200, {"value": [{**_where(run), "path": one} for one in there]})

    def _refuse(self, status: int, code: str, message: str) -> None:
        self._json(status, {"error": {"code": code, "message": message}})

    def _json(self, status: int, content: Any) -> None:
        self._answer(status, json.dumps(content).encode())

    def _answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        """The whole of an answer, as the fault has it."""
        done(self.fault)
        self.send_response(status)
        told = {**self.fault.headers, "Content-Type": kind, "Content-Length": str(len(body))}
        for name, value in told.items():
            self.send_header(name, value)
        self.end_headers()
        send(self, body, self.fault, self.server.ended)

    def _contents(self, run: str, paths: list[str]) -> dict[str, dict[str, str]]:
        """The signed address of each."""
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
