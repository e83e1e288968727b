"""The MLflow store a run is written to, through the client alone: no global state, no telemetry."""

import importlib
import os
import shlex
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from robotrain_runtime import locking
from robotrain_runtime.document import Scalar
from robotrain_runtime.stop import Stop

SQLITE = "sqlite:///"

mlflow: Any = importlib.import_module("mlflow")  # only the training environment has it


class Store:
    """An MLflow address and, once started, the run in it. Every method raises what MLflow raises."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.experiment_id = ""
        self.run_id: str | None = None
        self._database = Path(uri.removeprefix(SQLITE)) if uri.startswith(SQLITE) else None

    @property
    def ui(self) -> str:
        """What to type to see the run; the training environment has only MLflow's small client."""
        if not self._database:
            return self.uri
        uv = os.environ.get("UV")
        uvx = "uvx" if shutil.which("uvx") or not uv else f"{shlex.quote(uv)} tool run"
        return f"{uvx} mlflow@{mlflow.__version__} ui --backend-store-uri {shlex.quote(self.uri)}"

    def start(self, experiment: str, run_name: str) -> None:
        """Make the run, and the experiment and the database where they are not there yet."""
        if self._database is None:
            self._open(experiment, run_name)
            return
        self._database.parent.mkdir(parents=True, exist_ok=True)
        with locking.held(self._database.with_name(self._database.name + ".lock"), Stop()):  # its tables are made once
            self._open(experiment, run_name)

    def describe(self, params: Mapping[str, Scalar], tags: Mapping[str, str]) -> None:
        """Add parameters and tags; a parameter without a value is left out."""
        self._client.log_batch(
            self._run,
            params=[mlflow.entities.Param(name, _text(value)) for name, value in params.items() if value is not None],
            tags=[mlflow.entities.RunTag(name, value) for name, value in tags.items()],
        )

    def metrics(self, values: Mapping[str, float], step: int, at: float) -> None:
        """Add values at a step."""
        entities, moment = mlflow.entities, int(at * 1000)
        found = [entities.Metric(name, value, moment, step) for name, value in values.items()]
        self._client.log_batch(self._run, metrics=found)

    def artifacts(self, folder: Path, name: str) -> None:
        """Add a folder of files. On the same disk they are linked: a checkpoint is not stored twice."""
        address = urlsplit(self._client.get_run(self._run).info.artifact_uri)
        if address.scheme not in ("", "file"):
            self._client.log_artifacts(self._run, str(folder), name)
            return
        target = Path(unquote(address.path), name)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(folder, target, copy_function=_link, dirs_exist_ok=True)

    def end(self, status: str, tags: Mapping[str, str]) -> None:
        """The run is over."""
        self.describe({}, tags)
        self._client.set_terminated(self._run, status, int(time.time() * 1000))

    @property
    def _run(self) -> str:
        assert self.run_id is not None
        return self.run_id

    def _open(self, experiment: str, run_name: str) -> None:
        self._client = mlflow.MlflowClient(self.uri)
        self.experiment_id = self._experiment(experiment)
        self.run_id = self._client.create_run(self.experiment_id, run_name=run_name).info.run_id

    def _experiment(self, name: str) -> str:
        if found := self._client.get_experiment_by_name(name):
            return str(found.experiment_id)
        beside = self._database and (self._database.parent / "artifacts" / quote(name, safe="")).as_uri()
        try:
            return str(self._client.create_experiment(name, artifact_location=beside))
        except mlflow.exceptions.MlflowException:
            if found := self._client.get_experiment_by_name(name):  # another run was quicker
                return str(found.experiment_id)
            raise


def _text(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
