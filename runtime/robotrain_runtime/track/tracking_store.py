"""The MLflow store a run is written to, through the client alone: no global state, no telemetry."""

import importlib
import os
import shlex
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from robotrain_runtime import locking
from robotrain_runtime.document import Scalar
from robotrain_runtime.publish import mirror
from robotrain_runtime.stop import Stop

SQLITE = "sqlite:///"
STATUS_TAG = "training_status"
GONE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "INVALID_STATE")
"""What MLflow answers about a run that is not there, or was deleted."""

mlflow: Any = importlib.import_module("mlflow")  # only the training environment has it


class Store:
    """An MLflow address and, once started, the run in it. Every method raises what MLflow raises."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.experiment_id = ""
        self.run_id: str | None = None
        self._client: Any = None
        self._database = Path(uri.removeprefix(SQLITE)) if uri.startswith(SQLITE) else None

    @property
    def ui(self) -> str:
        """What to type to see the run; the training environment has only MLflow's small client."""
        if not self._database:
            return self.uri
        uv = os.environ.get("UV")
        uvx = "uvx" if shutil.which("uvx") or not uv else f"{shlex.quote(uv)} tool run"
        return f"{uvx} mlflow@{mlflow.__version__} ui --backend-store-uri {shlex.quote(self.uri)}"

    @property
    def client(self) -> Any:
        """MLflow's client."""
        if self._client is None:
            self._client = mlflow.MlflowClient(self.uri)
        return self._client

    def start(self, experiment: str, run_name: str, again: str = "") -> None:
        """Make the run, and the experiment and the database where they are not there yet.

        again: a run that goes on, if it is still there.
        """
        with self.alone():  # its tables are made once
            if not (again and self._reopen(again)):
                self.experiment_id = self._experiment(experiment)
                self.run_id = self.client.create_run(self.experiment_id, run_name=run_name).info.run_id

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No other process of robotrain writes to the database meanwhile; a server looks after itself."""
        if self._database is None:
            yield
            return
        self._database.parent.mkdir(parents=True, exist_ok=True)
        with locking.held(self._database.with_name(self._database.name + ".lock"), Stop()):
            yield

    def find(self, run_id: str) -> None:
        """Write to a run as it is."""
        if self._database and not self._database.exists():
            raise FileNotFoundError(f"{self._database} is not there any more")
        info = self.client.get_run(run_id).info
        self.experiment_id, self.run_id = str(info.experiment_id), run_id

    def describe(self, params: Mapping[str, Scalar], tags: Mapping[str, str]) -> None:
        """Add parameters and tags; a parameter without a value is left out."""
        self.client.log_batch(
            self._run,
            params=[mlflow.entities.Param(name, _text(value)) for name, value in params.items() if value is not None],
            tags=[mlflow.entities.RunTag(name, value) for name, value in tags.items()],
        )

    def metrics(self, values: Mapping[str, float], step: int, at: float) -> None:
        """Add values at a step."""
        entities, moment = mlflow.entities, int(at * 1000)
        found = [entities.Metric(name, value, moment, step) for name, value in values.items()]
        self.client.log_batch(self._run, metrics=found)

    def tag(self, name: str) -> str:
        """What a tag of the run says; empty when it has none of that name."""
        return str(self.client.get_run(self._run).data.tags.get(name, ""))

    def artifacts(self, folder: Path, name: str) -> None:
        """Add a folder of files. On the same disk they are linked: a checkpoint is not stored twice."""
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder} is not there")
        address = urlsplit(self.address)
        if address.scheme not in ("", "file"):
            self.client.log_artifacts(self._run, str(folder), name)
            return
        target = Path(unquote(address.path), name)
        target.parent.mkdir(parents=True, exist_ok=True)
        files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        mirror.place(files, target, lambda: False, key=self._run, linked=True)

    @property
    def address(self) -> str:
        """Where the run's artifacts lie."""
        return str(self.client.get_run(self._run).info.artifact_uri)

    def end(self, status: str, tags: Mapping[str, str]) -> None:
        """The run is over."""
        self.describe({}, tags)
        self.client.set_terminated(self._run, status, int(time.time() * 1000))

    @property
    def _run(self) -> str:
        assert self.run_id is not None
        return self.run_id

    def _reopen(self, run_id: str) -> bool:
        """Let an earlier run go on; False when it was deleted meanwhile."""
        try:
            self.client.update_run(run_id, status="RUNNING")
            self.find(run_id)
        except mlflow.exceptions.MlflowException as error:
            if error.error_code not in GONE:
                raise
            return False
        with suppress(mlflow.exceptions.MlflowException):  # how the earlier attempt ended; it may not have
            self.client.delete_tag(run_id, STATUS_TAG)
        return True

    def _experiment(self, name: str) -> str:
        if found := self.client.get_experiment_by_name(name):
            return str(found.experiment_id)
        beside = self._database and (self._database.parent / "artifacts" / quote(name, safe="")).as_uri()
        try:
            return str(self.client.create_experiment(name, artifact_location=beside))
        except mlflow.exceptions.MlflowException:
            if found := self.client.get_experiment_by_name(name):  # another run was quicker
                return str(found.experiment_id)
            raise


def _text(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
