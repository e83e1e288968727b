"""The fetch program of run artifacts: finds a policy or checkpoint among them, and fetches it if it is remote.

Run in the run's environment as `python -m robotrain_sources.mlflow.run_fetch RUN PATH --role ROLE --to FOLDER --cache
FOLDER`, with `MLFLOW_TRACKING_URI`.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from robotrain_runtime.contract.address import redact_address
from robotrain_runtime.contract.checkpoint import OUTPUT_TAG
from robotrain_runtime.tracking import address as tracking_address

from robotrain_sources.fetching import errors
from robotrain_sources.local_path import folder_content
from robotrain_sources.local_path.folder_content import MODEL_FOLDER, POLICY_FILES
from robotrain_sources.mlflow import fetch_program
from robotrain_sources.transfer.origin import find_name_problem

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


UNKNOWN_SIZE = -1
"""Size of a file if the store does not report it."""


CHECKPOINT_ROLE = "checkpoint"
ANY_POLICY = "any"
"""A policy that may be any files."""
COMPANIONS = ("agent.yaml", "env.yaml")
"""Files that a checkpoint cannot be used without: they hold its activation, normalizer and clipping."""
COMPANION_FOLDERS = ("params", "config", "")
"""Where they are, in the checkpoint's folder or above it."""


class Artifact(NamedTuple):
    """A file among the artifacts."""

    path: str
    size: int


class ArtifactListing:
    """The artifacts of one run. Methods raise what MLflow raises, and FetchError."""

    def __init__(self, client: Any, run: str, tags: Mapping[str, str]) -> None:
        self._client = client
        self._run = run
        self._tags = tags

    def find_policy(self, path: str, may_be_any: bool) -> Mapping[str, Artifact]:
        """Return the artifacts of the policy at `path`, or in the model folder there, by their names below it.

        :param may_be_any: it may be any files.
        """
        files_by_name = self._list_below(path)
        if not files_by_name:
            raise self.explain_empty(path)
        for part in ("", f"{MODEL_FOLDER}/"):
            if all(f"{part}{name}" in files_by_name for name in POLICY_FILES):
                return {name.removeprefix(part): file for name, file in files_by_name.items() if name.startswith(part)}
        if may_be_any:
            return files_by_name
        raise self.explain_no_policy(path)

    def find_checkpoint(self, path: str) -> Mapping[str, Artifact]:
        """Return the artifacts of the checkpoint at `path`, a file or a folder, by their names in a new folder.

        Its companions are always in `params`, wherever the run has them.
        """
        files_by_name = self._list_below(path)
        folder, _, name = path.rpartition("/")
        if not files_by_name:
            neighbors_by_path = {artifact_info.path: artifact_info for artifact_info in self._list_folder(folder)}
            if path not in neighbors_by_path or neighbors_by_path[path].is_dir:
                raise self.explain_empty(path)
            files_by_name = {name: _make_artifact(neighbors_by_path[path])}
        companions = self._find_companions(path if name not in files_by_name else folder)
        return {**{f"params/{companion}": artifact for companion, artifact in companions.items()}, **files_by_name}

    def _find_companions(self, folder: str) -> Mapping[str, Artifact]:
        while True:
            for subfolder in COMPANION_FOLDERS:
                companion_folder = "/".join(filter(None, (folder, subfolder)))
                items_by_name = {
                    artifact_info.path.rpartition("/")[2]: artifact_info
                    for artifact_info in self._list_folder(companion_folder)
                    if not artifact_info.is_dir
                }
                if COMPANIONS[0] in items_by_name:
                    return {name: _make_artifact(items_by_name[name]) for name in COMPANIONS if name in items_by_name}
            if not folder:
                return {}
            folder = folder.rpartition("/")[0]

    def explain_empty(self, path: str) -> errors.FetchError:
        """Return the error for a path without artifacts, with suggestions."""
        parts = path.split("/")
        if location := next(filter(None, (self._tags.get(OUTPUT_TAG.format(part)) for part in parts)), ""):
            return errors.FetchError(
                f"the run {self._run} has no artifacts at {path}: that checkpoint is at {location}"
            )
        for depth in range(len(parts) - 1, -1, -1):
            is_folder_by_path = {
                artifact_info.path: artifact_info.is_dir for artifact_info in self._list_folder("/".join(parts[:depth]))
            }
            if is_folder_by_path.get(path) is False:
                return errors.FetchError(f"{path} of the run {self._run} is a single file: use its folder")
            if similar_names := errors.find_similar_names(
                path, sorted(name for name, is_dir in is_folder_by_path.items() if is_dir)
            ):
                return errors.FetchError(
                    f"the run {self._run} has no artifacts at {path}; it has {', '.join(similar_names)}"
                )
        return errors.FetchError(f"the run {self._run} has no artifacts at {path}, and no other folders")

    def explain_no_policy(self, path: str) -> errors.FetchError:
        """Return the error for a path without a policy, with suggestions."""
        files_by_name = self._list_below(path)
        configs = sorted(name for name in files_by_name if name.endswith(f"/{POLICY_FILES[0]}"))
        folders = [name.removesuffix(f"/{POLICY_FILES[0]}") for name in configs]
        policies = [f"{path}/{folder}" for folder in folders if f"{folder}/{POLICY_FILES[1]}" in files_by_name]
        missing_names = " and ".join(name for name in POLICY_FILES if name not in files_by_name)
        hint = f"; below it there is {', '.join(policies[-errors.MAX_SUGGESTIONS :])}" if policies else ""
        return errors.FetchError(f"{path} of the run {self._run} contains no policy: it lacks {missing_names}{hint}")

    def _list_below(self, path: str) -> dict[str, Artifact]:
        files_by_name = {
            artifact_info.path.removeprefix(f"{path}/"): _make_artifact(artifact_info)
            for artifact_info in self._list_files(path)
        }
        for problem in filter(None, map(find_name_problem, files_by_name)):
            raise errors.FetchError(problem)
        return files_by_name

    def _list_files(self, folder: str) -> Iterator[Any]:
        for artifact_info in self._list_folder(folder):
            if artifact_info.is_dir:
                yield from self._list_files(artifact_info.path)
            else:
                yield artifact_info

    def _list_folder(self, folder: str) -> Iterator[Any]:
        """Yield the items of a folder; some stores also list others whose path begins with its name."""
        start = f"{folder}/" if folder else ""
        return (
            artifact_info
            for artifact_info in self._client.list_artifacts(self._run, folder or None)
            if artifact_info.path.startswith(start)
        )


def _make_artifact(artifact_info: Any) -> Artifact:
    return Artifact(artifact_info.path, UNKNOWN_SIZE if artifact_info.file_size is None else artifact_info.file_size)


class RunArtifactFetcher:
    """Fetches a policy or checkpoint of one run."""

    def __init__(
        self, mlflow: Any, address: str, run: str, shown_address: str, role: str, may_be_any: bool = False
    ) -> None:
        """Fetch for a role; of a policy that may be any files, whatever is there."""
        self._role, self._may_be_any = role, may_be_any
        self._mlflow = mlflow
        self._address = address
        self._run = run
        self._shown_address = shown_address
        self._client = mlflow.MlflowClient(address, registry_uri=address)

    def fetch_into(self, path: str, to: Path) -> tuple[Path, Mapping[str, str]]:
        """Return the folder of what is at `path`, fetched into `to` if it is remote, and the run's tags.

        Raise FetchError.
        """
        with fetch_program.lock_tracking_database(self._address):
            try:
                run = self._client.get_run(self._run)
            except self._mlflow.exceptions.MlflowException as error:
                if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    raise
                reason = f"there is no run {self._run} at {self._shown_address}: use the run's id, not its name"
                raise errors.FetchError(reason) from error
        root = str(run.info.artifact_uri)
        tags = dict(run.data.tags)
        listing = ArtifactListing(self._client, self._run, tags)
        if self._role == CHECKPOINT_ROLE:
            artifacts = listing.find_checkpoint(path)
        elif local_folder := fetch_program.find_local_folder(root):
            return _find_local_policy(local_folder, path, listing, self._may_be_any), tags
        else:
            artifacts = listing.find_policy(path, self._may_be_any)
        key = f"{self._address} {root} {sorted(artifacts.items())}"
        target = to / hashlib.sha256(key.encode()).hexdigest()[:16]
        return fetch_program.fill_cache_folder(target, lambda folder: self._fetch_files(folder, artifacts)), tags

    def _fetch_files(self, folder: Path, artifacts: Mapping[str, Artifact]) -> None:
        with tempfile.TemporaryDirectory(dir=folder) as incoming:
            for name, (path, size) in artifacts.items():
                print(f"fetching {path} of the run {self._run}", flush=True)
                file = Path(self._client.download_artifacts(self._run, path, incoming))
                if size not in (UNKNOWN_SIZE, file.stat().st_size):
                    reason = f"{path} was not fetched completely from the run {self._run}"
                    raise errors.FetchError(f"{reason}: start the job again")
                if file.suffix == ".safetensors" and (reason := find_truncation(file)):
                    raise errors.FetchError(f"{path} of the run {self._run} is incomplete: it {reason}")
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(file, folder / name)


def _find_local_policy(root: Path, path: str, listing: ArtifactListing, may_be_any: bool) -> Path:
    if not root.is_dir():
        raise errors.FetchError(f"the artifacts of the run are in {root}, and that folder does not exist")
    if not (root / path).is_dir():
        raise listing.explain_empty(path)
    part = folder_content.find_used_part(root / path, "policy")
    if not folder_content.has_used_part(root / path, "policy", may_be_any):
        raise listing.explain_no_policy(path)
    if reason := folder_content.find_corruption(part, "policy"):
        raise errors.FetchError(reason)
    return part


def main() -> None:
    """Run the command line."""
    options = fetch_program.parse_arguments("run", "path", "--role", "--policy")

    def fetch(uri: str) -> tuple[Path, Mapping[str, str]]:
        mlflow = tracking_address.import_mlflow(uri)
        try:
            address = tracking_address.resolve_address(uri)
        except tracking_address.AddressUnavailable as error:
            raise errors.FetchError(str(error)) from error
        redacted_uri = redact_address(uri)
        may_be_any = options.policy == ANY_POLICY
        fetcher = RunArtifactFetcher(mlflow, address, options.run, redacted_uri, options.role, may_be_any)
        return fetcher.fetch_into(options.path, options.to)

    fetch_program.fetch_with_mlflow(fetch, options.cache, f"{options.path} of the run {options.run}", "MLflow")


if __name__ == "__main__":
    main()
