"""A real MLflow server: installed once, in an environment of its own outside of the repository, and started.

`Runs` are those that the workspace itself makes: on Azure, the run of a job has the job's name for its id.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from free_ports import find_free_port

from azure_stand_in import program

VERSION = "3.15.0"
"""Azure ML's plugin takes no newer one."""
ROOT = "azureml://stand-in/experiments"
"""Where it says that artifacts lie; what stands in front of it says it as Azure does."""
NO_JOBS = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
"""Else it starts nine processes more, half a minute of a core, for evaluations that nobody asks it for."""
NAMING = ("run_id", "run_uuid")
"""What the id of a run stands under, in a request."""


class Runs:
    """The runs of jobs. ids: that of the server, by the job's name. port: of the server."""

    def __init__(self, port: int) -> None:
        self.ids: dict[str, str] = {}
        self._experiments: dict[str, str] = {}
        self._port = port
        self._lock = threading.Lock()

    def begin(self, name: str, experiment: str, display: str = "") -> str:
        """Make the run of a job, unless it is there: the id of its experiment, which is made too."""
        with self._lock:
            if name not in self.ids:
                at = self._experiments[name] = self._experiment(experiment)
                now = int(time.time() * 1000)
                made = {"experiment_id": at, "run_name": display or name, "start_time": now}
                self.ids[name] = self._ask("runs/create", made)["run"]["info"]["run_id"]
            return self._experiments[name]

    def end(self, name: str, status: str) -> None:
        changes = {"run_id": self.ids[name], "status": status, "end_time": int(time.time() * 1000)}
        self._ask("runs/update", changes)

    def get_run(self, name: str) -> dict[str, Any]:
        run: dict[str, Any] = self._ask(f"runs/get?run_id={self.ids[name]}")["run"]
        return run

    def inward(self, path: str, body: bytes) -> tuple[str, bytes]:
        """What a caller asks, with the server's own ids. path: with its query."""
        path, _, query = path.partition("?")
        pairs = [(name, self._id(name, value)) for name, value in parse_qsl(query, keep_blank_values=True)]
        with contextlib.suppress(ValueError):
            body = json.dumps({name: self._id(name, value) for name, value in json.loads(body).items()}).encode()
        return f"{path}?{urlencode(pairs)}", body

    def outward(self, body: bytes) -> bytes:
        """What the server answers, with the names of jobs."""
        names = {own: name for name, own in tuple(self.ids.items())}
        return re.sub(rb"[0-9a-f]{32}", lambda match: names.get(match[0].decode(), match[0].decode()).encode(), body)

    def _id(self, name: str, value: Any) -> Any:
        return self.ids.get(value, value) if name in NAMING else value

    def _experiment(self, name: str) -> str:
        try:
            experiment = self._ask(f"experiments/get-by-name?experiment_name={quote(name)}")["experiment"]
        except urllib.error.HTTPError as error:
            error.close()
            if error.code != 404:
                raise
            experiment = self._ask("experiments/create", {"name": name})
        return str(experiment["experiment_id"])

    def _ask(self, what: str, sent: Mapping[str, Any] | None = None) -> dict[str, Any]:
        address = f"http://127.0.0.1:{self._port}/api/2.0/mlflow/{what}"
        body = None if sent is None else json.dumps(sent).encode()
        request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as came:
            answer: dict[str, Any] = json.load(came)
        return answer


@contextlib.contextmanager
def running(folder: Path, artifacts: Path | None = None) -> Iterator[int]:
    """One with a new database in `folder`: its port. artifacts: where it keeps them itself, for its clients."""
    port = find_free_port()
    python = installed()
    artifact_options = ("--artifacts-destination", artifacts) if artifacts else ("--default-artifact-root", ROOT)
    stores = ("--backend-store-uri", f"sqlite:///{folder}/mlflow.db", *artifact_options)
    server_options = (
        *(() if artifacts else ("--no-serve-artifacts",)),
        "--workers",
        "1",
        "--host",
        "127.0.0.1",
        "--port",
        port,
    )
    words = (python / "bin/python", "-m", "mlflow", "server", *stores, *server_options)
    environ = {**_plain(), "MLFLOW_DISABLE_TELEMETRY": "true", **NO_JOBS}
    ask = lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()  # noqa: E731
    with program.running(words, environ, folder / "mlflow.log", ask):
        yield port


def installed() -> Path:
    """Its environment, installed on the first call."""
    return program.install_once(f"mlflow-{VERSION}-{sys.version_info.major}.{sys.version_info.minor}", install)


def install(scratch: Path) -> Path:
    _uv("venv", "--python", sys.executable, "--relocatable", str(scratch / "whole"))
    _uv("pip", "install", "--python", str(scratch / "whole/bin/python"), f"mlflow=={VERSION}")
    return scratch / "whole"


def _uv(*arguments: str) -> None:
    uv = os.environ.get("UV") or shutil.which("uv")  # `uv run` says where it is
    assert uv, "the MLflow server is installed with uv: install it"
    done = subprocess.run([uv, *arguments], env=_plain(), capture_output=True, text=True)
    assert done.returncode == 0, f"uv could not install MLflow: {done.stderr}"


def _plain() -> dict[str, str]:
    """This process's names without those that lead to the stand-in."""
    ours = ("HTTPS_PROXY", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "PYTHONPATH", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if name not in ours and not name.startswith("MLFLOW_")}
