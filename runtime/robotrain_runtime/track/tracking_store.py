"""The MLflow store a run is written to, through the client alone: no global state, no telemetry."""

import importlib
import os
import shlex
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from robotrain_runtime import locking
from robotrain_runtime.document import Scalar
from robotrain_runtime.publish import laying, mirror
from robotrain_runtime.stop import Stop
from robotrain_runtime.track import plugins, tracking_address, tracking_tables

SQLITE = "sqlite:///"
STATUS_TAG = "training_status"
GONE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "INVALID_STATE")
"""What MLflow answers about a run that is not there, or was deleted."""

with plugins.none() if os.environ.get("MLFLOW_TRACKING_URI", "").startswith(SQLITE) else nullcontext():
    mlflow: Any = importlib.import_module("mlflow")  # only the training environment has it


class Store:
    """An MLflow address and, once started, the run in it. Every method raises what MLflow raises.

    attached: whether the run is another's: it is written to, and its status and its end are left alone.
    """

    def __init__(self, uri: str, *, attached: bool = False) -> None:
        self.uri = uri
        self._attached = attached
        self.experiment_id = ""
        self.run_id: str | None = None
        self._client: Any = None
        self._database = Path(uri.removeprefix(SQLITE)) if uri.startswith(SQLITE) else None

    @property
    def ui(self) -> str:
        """What to type to see the run; the training environment has only MLflow's small client."""
        if not self._database:
            return tracking_address.ui(self.uri, self.experiment_id, self.run_id or "")
        uv = os.environ.get("UV")
        uvx = "uvx" if shutil.which("uvx") or not uv else f"{shlex.quote(uv)} tool run"
        return f"{uvx} mlflow@{mlflow.__version__} ui --backend-store-uri {shlex.quote(self.uri)}"

    @property
    def client(self) -> Any:
        """MLflow's client. Raises OSError with a sentence when a half cannot tell the address."""
        if self._client is None:
            address = tracking_address.reached(self.uri)
            registry = {} if address == self.uri else {"registry_uri": address}
            self._client = mlflow.MlflowClient(address, **registry)
        return self._client

    def start(self, experiment: str, run_name: str, again: str = "") -> None:
        """Make the run, and the experiment and the database where they are not there yet.

        again: a run that goes on, if it is still there.
        """
        with nullcontext() if self._has_tables else self.alone():  # they are made once
            if not (again and self._reopen(again)):
                self.experiment_id = self._experiment(experiment)
                self.run_id = self.client.create_run(self.experiment_id, run_name=run_name).info.run_id

    @property
    def _has_tables(self) -> bool:
        return self._database is None or tracking_tables.made(self._database)

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

    def among(self, folder: Path, names: Sequence[str], at: str) -> None:
        """Add files of a folder, by their paths, below `at`, which is empty for the root; in place of others."""
        address = urlsplit(self.address)
        if address.scheme not in ("", "file"):
            self.client.log_artifacts(self._run, str(folder), at or None)
            return
        laying.files({name: folder / name for name in names}, Path(unquote(address.path), at), lambda: False)

    def file(self, content: bytes, name: str) -> None:
        """Add one file, in a folder or not; in place of one of its name."""
        folder, _, last = name.rpartition("/")
        address = urlsplit(self.address)
        if address.scheme in ("", "file"):
            target = Path(unquote(address.path), name)
            target.parent.mkdir(parents=True, exist_ok=True)
            scratch = target.with_name(f".{last}.part")
            scratch.write_bytes(content)
            os.replace(scratch, target)
            return
        with tempfile.TemporaryDirectory(prefix="robotrain-") as made:
            Path(made, last).write_bytes(content)
            self.client.log_artifact(self._run, str(Path(made, last)), folder or None)

    @property
    def address(self) -> str:
        """Where the run's artifacts lie."""
        return str(self.client.get_run(self._run).info.artifact_uri)

    def end(self, status: str, tags: Mapping[str, str]) -> None:
        """The run is over."""
        self.describe({}, tags)
        if self._attached:
            return
        self.client.set_terminated(self._run, status, int(time.time() * 1000))

    @property
    def _run(self) -> str:
        assert self.run_id is not None
        return self.run_id

    def _reopen(self, run_id: str) -> bool:
        """Let an earlier run go on; False when it was deleted meanwhile, or does not go on there."""
        if self._attached:
            self.find(run_id)
            self._forget_end(run_id)
            return True
        try:
            refused = not self._goes_on(run_id)
            self.find(run_id)  # raises for one who may not even read it, and is not told whether it goes on
            if refused and not self._goes_on(run_id):
                return False
        except mlflow.exceptions.MlflowException as error:
            if error.error_code not in GONE:
                raise
            return False
        self._forget_end(run_id)
        return True

    def _forget_end(self, run_id: str) -> None:
        """How an earlier attempt ended; it may not have."""
        with suppress(mlflow.exceptions.MlflowException):
            self.client.delete_tag(run_id, STATUS_TAG)

    def _goes_on(self, run_id: str) -> bool:
        """Whether a run may go on. Another service than MLflow's refuses in words of its own; a bad moment, in which
        MLflow asks again by itself, is no refusal, and is raised.
        """
        try:
            self.client.update_run(run_id, status="RUNNING")
        except mlflow.exceptions.RestException as refused:
            if refused.error_code in GONE or tracking_address.half(self.uri) is None:
                raise
            return False
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
