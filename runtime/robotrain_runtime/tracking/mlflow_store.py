"""An MLflow run: parameters, metrics, tags and artifacts. Imports mlflow."""

import os
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from robotrain_runtime.checkpoints import atomic_copy
from robotrain_runtime.contract import files
from robotrain_runtime.contract.document import Scalar
from robotrain_runtime.contract.failure import PermanentError
from robotrain_runtime.tracking import address as tracking_address

STATUS_TAG = "training_status"
BATCH_SIZE, METRICS_BATCH_SIZE = 100, 1000
"""The most parameters and tags, and the most metrics, of one request to MLflow."""
MAX_PARAM_LENGTH, MAX_TAG_LENGTH = 500, 1000
"""The most characters of a value at Azure ML; MLflow's own limits are higher."""
CUT_MARK = " … (cut)"
MAX_NAME_LENGTH = 80
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
"""MLflow's pages show an experiment of this kind as model training, not as work on language models."""
MISSING_RUN_CODES = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "INVALID_STATE")
"""MLflow's error codes for a run that does not exist or was deleted."""
VALUE_CODES = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST", "INTERNAL_ERROR")
"""Error codes for values that are refused: the first by MLflow's client too, the others by servers alone."""

mlflow: Any = tracking_address.import_mlflow()
"""Only the training environment has it."""


class MetricValue(NamedTuple):
    """A value of a metric at a step; `time` in seconds since 1970."""

    name: str
    value: float
    time: float
    step: int


class MlflowStore:
    """An MLflow address and, once started, the run in it. Every method raises what MLflow raises.

    If `attached`, the run belongs to the platform: its status is left alone.
    """

    def __init__(self, uri: str, *, attached: bool = False) -> None:
        self.uri = uri
        self._attached = attached
        self.experiment_id = ""
        self.run_id: str | None = None
        self._client: Any = None
        self._database = (
            Path(os.path.realpath(uri.removeprefix(tracking_address.SQLITE)))
            if uri.startswith(tracking_address.SQLITE)
            else None
        )

    @property
    def run_page(self) -> str:
        """The command or URL that shows the run; LeRobot's environment has no MLflow server."""
        if not self._database:
            return tracking_address.get_run_page(self.uri, self.experiment_id, self.run_id or "")
        uv = os.environ.get("UV")
        server = f"{shlex.quote(uv)} tool run" if uv and not shutil.which("uvx") else "uvx"
        server += f" mlflow@{mlflow.__version__}"
        if Path(mlflow.__file__).with_name("server").joinpath("js/build/index.html").exists():
            server = f"{shlex.quote(sys.executable)} -m mlflow"
        return f"{server} ui --backend-store-uri {shlex.quote(self.uri)}"

    @property
    def client(self) -> Any:
        """MLflow's client. Raise OSError if a container plugin cannot resolve the address."""
        if self._client is None:
            address = tracking_address.resolve_address(self.uri)
            registry = {} if address == self.uri else {"registry_uri": address}
            self._client = mlflow.MlflowClient(address, **registry)
        return self._client

    def start_run(self, experiment: str, run_name: str, resume_run: str = "") -> None:
        """Create the run, and the experiment and database if necessary, or resume `resume_run` if it exists."""
        if self._database and not tracking_address.has_mlflow_tables(self._database):
            self._make_database(self._database)
        if not (resume_run and self._resume_run(resume_run)):
            self.experiment_id = self._get_experiment(experiment)
            self.run_id = self.client.create_run(self.experiment_id, run_name=run_name).info.run_id

    def _make_database(self, database: Path) -> None:
        """Make a new database under another name and rename it: of one that is cut off no later run sees a part."""
        if database.exists() and database.stat().st_size > 0:  # one of MLflow's own, which finishes it
            return
        with self.lock_database():
            if tracking_address.has_mlflow_tables(database):
                return
            scratch_folder = database.with_name(f".{database.name}.part")
            shutil.rmtree(scratch_folder, ignore_errors=True)
            scratch_folder.mkdir(mode=0o700)
            scratch_database = scratch_folder / database.name
            mlflow.MlflowClient(f"{tracking_address.SQLITE}{scratch_database}")
            if database.exists():
                shutil.copymode(database, scratch_database)
            os.replace(scratch_database, database)
            scratch_folder.rmdir()

    @contextmanager
    def lock_database(self) -> Iterator[None]:
        """Keep other robotrain processes from writing to a database file; a server needs no lock."""
        if self._database is None:
            yield
            return
        with files.hold_lock_beside(self._database):
            yield

    def open_run(self, run_id: str) -> None:
        """Select an existing run to write to."""
        if self._database and not self._database.exists():
            raise FileNotFoundError(f"{self._database} does not exist any more")
        run_info = self.client.get_run(run_id).info
        self.experiment_id, self.run_id = str(run_info.experiment_id), run_id

    def log_params(self, params: Mapping[str, Scalar], tags: Mapping[str, str]) -> None:
        """Add parameters and tags; a parameter without a value is left out.

        A value that is refused is cut, if it is long. Raise PermanentError with the names of those that are refused
        nevertheless, when all others are recorded.
        """
        texts_by_param = {
            name: str(entry_value).lower() if isinstance(entry_value, bool) else str(entry_value)
            for name, entry_value in params.items()
        }
        params_and_tags = [
            mlflow.entities.Param(name, texts_by_param[name]) for name in texts_by_param if params[name] is not None
        ]
        params_and_tags += [mlflow.entities.RunTag(name, entry_value) for name, entry_value in tags.items()]
        self._log_entries(params_and_tags, BATCH_SIZE)

    def log_metrics(self, metrics: Sequence[MetricValue]) -> None:
        """Add values of metrics. Raise PermanentError if some are refused, when all others are recorded."""
        metric_entities = [
            # of a value that is no float, such as the 7 % that a GPU is used, MLflow asks the hidden numpy
            mlflow.entities.Metric(metric.name, float(metric.value), int(metric.time * 1000), metric.step)
            for metric in metrics
        ]
        self._log_entries(metric_entities, METRICS_BATCH_SIZE)

    def _log_entries(self, entities: Sequence[Any], batch_size: int) -> None:
        refusals: list[tuple[str, Exception]] = []
        for start in range(0, len(entities), batch_size):
            batch = entities[start : start + batch_size]
            if self._find_refusal(batch):
                for entity in batch:
                    if (refusal := self._find_refusal([entity])) and self._find_refusal([_cut(entity)]):
                        refusals.append((entity.key, refusal))
        if refusals and len(refusals) == len(entities):
            raise refusals[0][1]
        if refusals:
            refused_names = ", ".join(dict.fromkeys(name[:MAX_NAME_LENGTH] for name, _ in refusals))
            reason = str(refusals[0][1]).splitlines()[0]
            raise PermanentError(f"these values were refused: {refused_names} ({reason})") from refusals[0][1]

    def _find_refusal(self, entities: Sequence[Any]) -> Exception | None:
        """Add entries; return why one of them is refused."""
        try:
            self._log_batch(entities)
        except mlflow.exceptions.MlflowException as error:
            # a server or MLflow's client refused values; Azure's answers have no error code of MLflow's
            codes = VALUE_CODES if isinstance(error, mlflow.exceptions.RestException) else VALUE_CODES[:1]
            if error.error_code not in codes:
                raise
            refusal: Exception = error
            return refusal
        return None

    def _log_batch(self, entities: Sequence[Any]) -> None:
        kinds: dict[Any, list[Any]] = {kind: [] for kind in ("Metric", "Param", "RunTag")}
        for entity in entities:
            kinds[type(entity).__name__].append(entity)
        self.client.log_batch(self._run, *kinds.values())

    def get_tag(self, name: str) -> str:
        """Return a tag of the run; empty if it does not exist."""
        return str(self.client.get_run(self._run).data.tags.get(name, ""))

    def upload_folder(self, folder: Path, name: str) -> None:
        """Upload a folder. On the same disk files are linked, so that a checkpoint is not stored twice."""
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder} does not exist")
        if (artifacts := self._local_artifacts) is None:
            self.client.log_artifacts(self._run, str(folder), name)
            return
        target = artifacts / name
        target.parent.mkdir(parents=True, exist_ok=True)
        files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        atomic_copy.replace_folder(files, target, lambda: False, key=self._run, linked=True)

    def upload_files(self, folder: Path, names: Sequence[str], target_folder: str) -> None:
        """Upload files of a folder, by path, to `target_folder` (empty for the root), replacing existing ones."""
        if artifacts := self._local_artifacts:
            sources = {name: folder / name for name in names}
            atomic_copy.copy_files_into(sources, artifacts / target_folder, lambda: False)
        else:
            self.client.log_artifacts(self._run, str(folder), target_folder or None)

    def upload_file(self, content_bytes: bytes, name: str) -> None:
        """Upload one file, in place of an existing one where the store allows that."""
        if artifacts := self._local_artifacts:
            (artifacts / name).parent.mkdir(parents=True, exist_ok=True)
            files.write_atomically(artifacts / name, content_bytes)
            return
        folder, _, file_name = name.rpartition("/")
        with tempfile.TemporaryDirectory(prefix="robotrain-") as temporary_folder:
            Path(temporary_folder, file_name).write_bytes(content_bytes)
            try:
                self.client.log_artifact(self._run, str(Path(temporary_folder, file_name)), folder or None)
            except Exception as error:
                if ALREADY_EXISTS not in str(error):
                    raise

    @property
    def artifact_uri(self) -> str:
        """The address of the run's artifacts."""
        return str(self.client.get_run(self._run).info.artifact_uri)

    @property
    def _local_artifacts(self) -> Path | None:
        """The folder of the run's artifacts; None if they are not on this machine."""
        address = urlsplit(self.artifact_uri)
        return Path(unquote(address.path)) if address.scheme in ("", "file") else None

    def end_run(self, status: str, tags: Mapping[str, str]) -> None:
        """End the run."""
        self.log_params({}, tags)
        if self._attached:
            return
        self.client.set_terminated(self._run, status, int(time.time() * 1000))

    @property
    def _run(self) -> str:
        assert self.run_id is not None
        return self.run_id

    def _resume_run(self, run_id: str) -> bool:
        """Resume an earlier run; return False if it was deleted, or its service refuses twice."""
        try:
            self.open_run(run_id)  # raises an error without read access, where a refusal says nothing
            if not (self._attached or self._can_resume(run_id) or self._can_resume(run_id)):
                return False
        except mlflow.exceptions.MlflowException as error:
            if self._attached or error.error_code not in MISSING_RUN_CODES:
                raise
            return False
        with suppress(mlflow.exceptions.MlflowException):  # an earlier attempt may have left no end
            self.client.delete_tag(run_id, STATUS_TAG)
        return True

    def _can_resume(self, run_id: str) -> bool:
        """Return whether a run can be resumed: other services than MLflow's refuse with errors of their own."""
        try:
            self.client.update_run(run_id, status="RUNNING")
        except mlflow.exceptions.RestException as error:
            if error.error_code in MISSING_RUN_CODES or tracking_address.find_tracking_plugin(self.uri) is None:
                raise
            return False
        return True

    def _get_experiment(self, name: str) -> str:
        if experiment := self.client.get_experiment_by_name(name):
            return str(experiment.experiment_id)
        artifact_uri = self._database and (self._database.parent / "artifacts" / quote(name, safe="")).as_uri()
        try:
            return str(self.client.create_experiment(name, artifact_location=artifact_uri, tags=EXPERIMENT_TAGS))
        except mlflow.exceptions.MlflowException:
            if experiment := self.client.get_experiment_by_name(name):  # another run created it meanwhile
                return str(experiment.experiment_id)
            raise


def _cut(entity: Any) -> Any:
    """Return a parameter or a tag whose value has its end cut off, if it is long."""
    length = MAX_PARAM_LENGTH if isinstance(entity, mlflow.entities.Param) else MAX_TAG_LENGTH
    if not isinstance(entity.value, str) or len(entity.value) <= length:
        return entity
    return type(entity)(entity.key, entity.value[: length - len(CUT_MARK)] + CUT_MARK)


def is_worth_retry(error: Exception) -> bool:
    """Return whether a request that failed may succeed later: no answer came, or one that says so."""
    if isinstance(error, mlflow.exceptions.RestException):
        return bool(error.error_code == "TEMPORARILY_UNAVAILABLE")
    is_permanent = isinstance(error, (PermanentError, ImportError))  # a package is as hidden the next time
    return not is_permanent and getattr(error, "error_code", "") not in MISSING_RUN_CODES


MAX_NAMES = 10
ALREADY_EXISTS = "already exists"
"""The error of an artifact store that does not allow overwriting."""
ARTIFACT_FOLDERS = {"checkpoint": "checkpoints", "policy": "policy"}
RESULTS_TAG, RESULTS_DIGEST_TAG = "results_artifact", "results_sha256"
"""Tags of a run for the folder and the digest of its results."""
RESULTS_FOLDER = "eval_results"
"""The folder of results if they cannot be written to the root."""


def upload_model(store: MlflowStore, request: Mapping[str, Any]) -> dict[str, Any]:
    """Upload the model of a checkpoint, or an evaluated policy, as an artifact of its run.

    The request has run_id, folder, model, digest and what, and may have the `places` of single files by their pattern.
    Return its address (`to`), its path in the run (`artifact`), whether it is `new`, and the address of the first
    `file` that has a place of its own.
    """
    store.open_run(request["run_id"])
    name = Path(request["folder"]).name
    kind = request.get("what", "checkpoint")
    digest_tag, artifact_tag = f"{kind}_{name}_sha256", f"{kind}_{name}_artifact"
    if is_new := store.get_tag(digest_tag) != request["digest"]:
        folder = Path(request["folder"], request["model"])
        first_folder = f"{ARTIFACT_FOLDERS[kind]}/{name}"
        artifact = _upload_to_free_name(lambda to: store.upload_folder(folder, to), first_folder, first_folder)
        store.log_params({}, {artifact_tag: artifact, digest_tag: request["digest"]})
    else:
        artifact = store.get_tag(artifact_tag)
    start, file = f"runs:/{request['run_id']}/", ""
    for pattern, to in (request.get("places") or {}).items():
        for path in sorted(Path(request["folder"]).glob(pattern)):
            store.upload_file(path.read_bytes(), f"{to}/{path.name}")
            file = file or f"{start}{to}/{path.name}"
    return {"to": f"{start}{artifact}", "artifact": artifact, "new": is_new, "file": file}


def upload_results(store: MlflowStore, request: Mapping[str, Any]) -> dict[str, Any]:
    """Upload result files as artifacts of their run, to the root. The request has run_id, folder, files and digest.

    Return their address (`to`), and whether they are `new`.
    """
    store.open_run(request["run_id"])
    if is_new := store.get_tag(RESULTS_DIGEST_TAG) != request["digest"]:
        artifact = _upload_to_free_name(
            lambda to: store.upload_files(Path(request["folder"]), request["files"], to), "", RESULTS_FOLDER
        )
        store.log_params({}, {RESULTS_TAG: artifact, RESULTS_DIGEST_TAG: request["digest"]})
    else:
        artifact = store.get_tag(RESULTS_TAG)
    return {"to": f"runs:/{request['run_id']}/{artifact}".rstrip("/"), "new": is_new}


def _upload_to_free_name(upload: Callable[[str], None], first_folder: str, other_prefix: str) -> str:
    """Upload to the first free folder, and return it: some stores do not allow overwriting an interrupted upload."""
    for number in range(1, MAX_NAMES):
        to = first_folder if number == 1 else f"{other_prefix}.{number}"
        try:
            upload(to)
        except Exception as error:
            if ALREADY_EXISTS not in str(error):
                raise
        else:
            return to
    raise OSError(f"{other_prefix} and {MAX_NAMES - 2} names like it are taken")
