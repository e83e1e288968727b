"""The fetch program: a version of a registered model, or artifacts of a run, which MLflow downloads if they are remote.

Run in the run's environment as `python -m robotrain_sources.mlflow.fetch_program ADDRESS --role ROLE --to FOLDER
--cache FOLDER`, with `MLFLOW_TRACKING_URI`.
"""

import argparse
import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from robotrain_runtime.checkpoints import model_lineage
from robotrain_runtime.contract import files
from robotrain_runtime.contract.address import redact_address
from robotrain_runtime.tracking import address as tracking_address

from robotrain_sources.fetching import errors, program
from robotrain_sources.fetching.errors import FetchError
from robotrain_sources.local_path import folder_content
from robotrain_sources.local_path.folder_content import MODEL_FOLDER, POLICY_FILES
from robotrain_sources.mlflow import reference
from robotrain_sources.mlflow.reference import LATEST, RegisteredModel, RunArtifact
from robotrain_sources.transfer.origin import find_name_problem

QUIET_ENV = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
TIMEOUT_ENV = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
"""Defaults; the environment may override them."""
MANIFEST = "fetched.json"
QUIET_WAIT_SECONDS = 1.0
"""Seconds to wait for a lock before saying so."""
CHECKPOINT_ROLE = "checkpoint"
COMPANIONS = ("agent.yaml", "env.yaml")
"""Files that a checkpoint cannot be used without: they hold its activation, normalizer and clipping."""
COMPANION_FOLDERS = ("params", "config", "")
"""Where they are, in the checkpoint's folder or above it."""


class Fetched(NamedTuple):
    """A folder, and the tags that say where the policy in it comes from."""

    folder: Path
    tags: Mapping[str, str]


class MlflowFetcher:
    """Fetches from one tracking address into `to`. Methods raise what MLflow raises, and FetchError."""

    def __init__(self, mlflow: Any, address: str, to: Path) -> None:
        self._mlflow, self._address, self._to = mlflow, address, to
        self._client = mlflow.MlflowClient(address, registry_uri=address)

    def fetch_model(self, model: RegisteredModel) -> Fetched:
        """Return the files of a version of a registered model."""
        with lock_tracking_database(self._address):
            version = self._find_version(model)
        address = f"models:/{version.name}/{version.version}"
        uri = str(self._client.get_model_version_download_uri(version.name, version.version))
        local_folder = find_local_folder(uri)
        if local_folder and not local_folder.is_dir():
            raise FetchError(f"{address} is in {local_folder}, and that folder does not exist")
        key = f"{self._address} {uri} {version.creation_timestamp}"
        folder = local_folder or self._fill_cache(key, lambda folder: self._download(address, folder))
        return Fetched(folder, dict(version.tags))

    def fetch_artifacts(self, artifact: RunArtifact, role: str, may_be_any: bool) -> Fetched:
        """Return the policy or checkpoint at a path of a run's artifacts.

        :param may_be_any: whether a policy may be any files.
        """
        with lock_tracking_database(self._address):
            try:
                run = self._client.get_run(artifact.run)
            except self._mlflow.exceptions.MlflowException as error:
                if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    raise
                place = redact_address(os.environ["MLFLOW_TRACKING_URI"])
                reason = f"there is no run {artifact.run} at {place}: use the run's id, not its name"
                raise FetchError(reason) from error
        root, tags = str(run.info.artifact_uri), dict(run.data.tags)
        if role == CHECKPOINT_ROLE:
            paths = self._find_checkpoint(artifact)
        elif local_root := find_local_folder(root):
            part = folder_content.find_used_part(local_root / artifact.path, role)
            if part.is_dir() and folder_content.has_used_part(part, role, may_be_any):
                if reason := folder_content.find_corruption(part, role):
                    raise FetchError(reason)
                return Fetched(part, tags)
            paths = {}
        else:
            paths = self._find_policy(artifact, may_be_any)
        if not paths:
            what = "artifacts" if role == CHECKPOINT_ROLE else "policy"
            raise FetchError(f"the run {artifact.run} has no {what} at {artifact.path}")
        sizes = {path: dict(self._list_files(artifact.run, path)) for path in paths}
        for problem in (find_name_problem(name) for names in sizes.values() for name in names):
            if problem:
                raise FetchError(problem)

        def fill(folder: Path) -> None:
            for path, subfolder in paths.items():
                self._download(f"runs:/{artifact.run}/{path}", folder / subfolder, [*sizes[path].values()])
            for file in folder.rglob("*.safetensors"):
                if reason := find_truncation(file):
                    raise FetchError(f"{file.relative_to(folder)} of {artifact} is incomplete: it {reason}")

        return Fetched(self._fill_cache(f"{self._address} {root} {sizes}", fill), tags)

    def _find_version(self, model: RegisteredModel) -> Any:
        if model.version != LATEST:
            return self._client.get_model_version(model.name, model.version)
        versions = self._client.search_model_versions(f"name='{model.name}'")
        latest = max(versions, key=lambda version: int(version.version), default=None)
        if latest is None:
            raise FetchError(f"the model registry has no version of {model.name}")
        return latest

    def _find_policy(self, artifact: RunArtifact, may_be_any: bool) -> dict[str, str]:
        """Return the path of the policy, or of the model in it; of another one only if it may be any files."""
        paths = {path for path, _ in self._list_files(artifact.run, artifact.path)}
        for part in (artifact.path, f"{artifact.path}/{MODEL_FOLDER}"):
            if all(f"{part}/{name}" in paths for name in POLICY_FILES):
                return {part: ""}
        is_folder = bool(paths - {artifact.path})
        return {artifact.path: ""} if may_be_any and is_folder else {}

    def _find_checkpoint(self, artifact: RunArtifact) -> dict[str, str]:
        """Return the paths of a checkpoint, a file or a folder, and of its companions, with the folder for each.

        The companions are always in `params`, wherever the run has them.
        """
        folder = artifact.path.rpartition("/")[0]
        item = next((item for item in self._list_folder(artifact.run, folder) if item.path == artifact.path), None)
        if item is None:
            return {}
        folder = artifact.path if item.is_dir else folder
        while True:
            for subfolder in COMPANION_FOLDERS:
                companion_folder = "/".join(filter(None, (folder, subfolder)))
                items = self._list_folder(artifact.run, companion_folder)
                names = {item.path.rpartition("/")[2]: item.path for item in items}
                if COMPANIONS[0] in names:
                    return {artifact.path: ""} | {names[name]: "params" for name in COMPANIONS if name in names}
            if not folder:
                return {artifact.path: ""}
            folder = folder.rpartition("/")[0]

    def _list_files(self, run: str, path: str) -> Iterator[tuple[str, int | None]]:
        """Yield path and size of the file at a path, or of the files below it; the size may be unknown."""
        items = list(self._list_folder(run, path))
        if path and not items:
            parent = path.rpartition("/")[0]
            items = [item for item in self._list_folder(run, parent) if item.path == path and not item.is_dir]
        for item in items:
            if item.is_dir:
                yield from self._list_files(run, item.path)
            else:
                yield item.path, item.file_size

    def _list_folder(self, run: str, folder: str) -> list[Any]:
        """Return the items of a folder; some stores also list others whose path begins with its name."""
        start = f"{folder}/" if folder else ""
        items = self._client.list_artifacts(run, folder or None)
        return sorted((item for item in items if item.path.startswith(start)), key=lambda item: str(item.path))

    def _fill_cache(self, key: str, fill: Callable[[Path], None]) -> Path:
        return fill_cache_folder(self._to / hashlib.sha256(key.encode()).hexdigest()[:16], fill)

    def _download(self, uri: str, to: Path, sizes: Sequence[int | None] = (None,)) -> None:
        """Download a file, or the content of a folder, into a folder.

        :param sizes: of its files; None for one that is unknown.
        """
        print(f"fetching {uri}", flush=True)
        to.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=to.parent) as incoming:
            where = {"tracking_uri": self._address, "registry_uri": self._address}
            downloaded = Path(self._mlflow.artifacts.download_artifacts(uri, dst_path=incoming, **where))
            paths = [downloaded, *downloaded.rglob("*")]  # a store may send folders beside it whose names begin so
            stored_sizes = [path.stat().st_size for path in paths if path.is_file()]
            known_sizes = [size for size in sizes if size is not None and size >= 0]  # Azure ML's store says -1
            if not stored_sizes:
                raise FetchError(f"{uri} has no files")
            if len(known_sizes) == len(sizes) and sorted(known_sizes) != sorted(stored_sizes):
                raise FetchError(f"{uri} was not fetched completely: start the job again")
            for path in downloaded.iterdir() if downloaded.is_dir() else (downloaded,):
                os.replace(path, to / path.name)


def fill_cache_folder(folder: Path, fill: Callable[[Path], None]) -> Path:
    """Return the files of `folder`; if it is missing, `fill` fetches them into the new, empty folder it is given."""

    def fill_new_folder(to: Path) -> None:
        if folder.exists():
            print(f"{folder} was changed or damaged: fetching it again", flush=True)
        to.mkdir()
        fill(to)

    return files.fill_cache_folder(
        folder,
        MANIFEST,
        fill_new_folder,
        on_wait=lambda: print(f"another run is fetching {folder}: waiting", flush=True),
        quiet_seconds=QUIET_WAIT_SECONDS,
    )


def find_local_folder(uri: str) -> Path | None:
    """Return the local folder of an artifact address; None if it is remote."""
    address = urlsplit(uri)
    if address.scheme == "file" and address.netloc in ("", "localhost"):
        return Path(unquote(address.path))
    return Path(uri) if not address.scheme and uri.startswith("/") else None


def lock_tracking_database(address: str) -> contextlib.AbstractContextManager[None]:
    """Return a lock for creating the tables of a local database: the run's own tracking may create them just now."""
    if not address.startswith(tracking_address.SQLITE):
        return contextlib.nullcontext()
    database = Path(address.removeprefix(tracking_address.SQLITE))
    if tracking_address.has_mlflow_tables(database):
        return contextlib.nullcontext()
    return files.hold_lock(
        database.with_name(database.name + ".lock"),
        lambda: print(f"waiting for {database}, which another run is creating", flush=True),
        QUIET_WAIT_SECONDS,
    )


HEADER_LENGTH_BYTES = 8
MAX_HEADER_BYTES = 100 << 20
"""Largest header that the format allows."""


def find_truncation(file: Path) -> str:
    """Return why a safetensors file is truncated, as the end of a sentence; empty if its length is right."""
    with file.open("rb") as tensor_file:
        header_length = int.from_bytes(tensor_file.read(HEADER_LENGTH_BYTES), "little")
        header_bytes = tensor_file.read(header_length) if header_length <= MAX_HEADER_BYTES else b""
    try:
        tensors = json.loads(header_bytes)
        ends = [int(tensor["data_offsets"][1]) for name, tensor in tensors.items() if name != "__metadata__"]
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return "has no readable header"
    expected_bytes = HEADER_LENGTH_BYTES + header_length + max(ends, default=0)
    size = file.stat().st_size
    return "" if size == expected_bytes else f"has {size:,} bytes of {expected_bytes:,}"


EVALUATION_TAG = "policy_uri"
"""A tag of a version that an evaluation registered: its other tags belong to the evaluation, not the training."""
TRAINING_TAGS = {
    model_lineage.POLICY_RUN: "robotrain_run",
    model_lineage.POLICY_JOB: "job_digest",
    model_lineage.POLICY_DIGEST: "checkpoint_sha256",
}
CHECKPOINT_TAG = "checkpoint"
"""The tag with the step, in the form of a folder name."""


def read_policy_lineage(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the lineage in a model's or run's tags, under the names of `model_lineage`; only what is known."""
    if lineage := {name: tags[name] for name in (*TRAINING_TAGS, model_lineage.POLICY_STEP) if tags.get(name)}:
        return lineage
    run = {} if EVALUATION_TAG in tags else {name: tags[tag] for name, tag in TRAINING_TAGS.items() if tags.get(tag)}
    step = tags.get(CHECKPOINT_TAG, "")
    return {**run, model_lineage.POLICY_STEP: str(int(step))} if step.isdecimal() and int(step) else run


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="fetch")
    parser.add_argument("address")
    parser.add_argument("--role", required=True)
    parser.add_argument("--any-policy", action="store_true", help="a policy may be any files")
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True, help="where the policy's lineage is recorded")
    options = parser.parse_args()
    os.environ.update({**TIMEOUT_ENV, **os.environ, **QUIET_ENV})
    uri = os.environ["MLFLOW_TRACKING_URI"]

    def fetch() -> Fetched:
        mlflow = tracking_address.import_mlflow()
        fetcher = MlflowFetcher(mlflow, tracking_address.resolve_address(uri), options.to)
        if options.address.startswith("runs:"):
            artifact = reference.parse_run_artifact(options.address)
            return fetcher.fetch_artifacts(artifact, options.role, options.any_policy)
        return fetcher.fetch_model(reference.parse_registered_model(options.address))

    def fetch_and_record() -> Path:
        try:
            folder, tags = fetch()
            model_lineage.write_policy_lineage(options.cache, folder, read_policy_lineage(tags), tags)
            return folder
        except tracking_address.AddressUnavailable as error:
            raise FetchError(str(error)) from error
        except (FetchError, OSError):
            raise
        except ModuleNotFoundError as error:
            raise FetchError(f"the run's environment lacks {error.name}, needed to reach MLflow") from error
        except Exception as error:
            reason = f"{options.address} cannot be fetched from MLflow at {redact_address(uri)}"
            raise FetchError(f"{reason} ({errors.format_error(error)})") from error

    program.run_and_answer(fetch_and_record)


if __name__ == "__main__":
    main()
