"""Runs in the run's environment: finds a policy among a run's artifacts, and fetches what lies elsewhere.

`python -m robotrain_sources.mlflow_run.fetch RUN PATH --to FOLDER --cache FOLDER`, with `MLFLOW_TRACKING_URI`
"""

import argparse
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from robotrain_runtime.checkpoints import model_lineage
from robotrain_runtime.tracking import address as tracking_address

from robotrain_sources.fetching import errors, files, mlflow_client
from robotrain_sources.fetching import files as fetching_files
from robotrain_sources.local_path import folder_content
from robotrain_sources.local_path.folder_content import MODEL_FOLDER, POLICY_FILES

HEADER_LENGTH_BYTES = 8
MAX_HEADER_BYTES = 100 << 20
"""The bytes of a header, as the format allows them."""


def find_truncation(file: Path) -> str:
    """Why a safetensors file is not whole, as the end of a sentence; empty when it is as long as it says."""
    with file.open("rb") as content:
        header = int.from_bytes(content.read(HEADER_LENGTH_BYTES), "little")
        told = content.read(header) if header <= MAX_HEADER_BYTES else b""
    try:
        tensors = json.loads(told)
        ends = [int(one["data_offsets"][1]) for name, one in tensors.items() if name != "__metadata__"]
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        return "has no readable header"
    wanted, found = HEADER_LENGTH_BYTES + header + max(ends, default=0), file.stat().st_size
    return "" if found == wanted else f"has {found:,} bytes of {wanted:,}"


UNKNOWN_SIZE = -1
"""The size of what the store does not tell it of."""


class ArtifactListing:
    """The artifacts of one run. Every method raises what MLflow raises, and Refused."""

    def __init__(self, client: Any, run: str) -> None:
        self._client = client
        self._run = run

    def find_policy(self, path: str) -> tuple[str, Mapping[str, int]]:
        """Where at `path` a policy lies, and the size of each file: there, or in the model part of a checkpoint."""
        files = dict(self._list_below(path))
        if not files:
            raise self.explain_empty(path)
        for part in ("", f"{MODEL_FOLDER}/"):
            if all(f"{part}{name}" in files for name in POLICY_FILES):
                found = {name.removeprefix(part): size for name, size in files.items() if name.startswith(part)}
                return f"{path}/{part}".rstrip("/"), found
        raise self._explain_no_policy(path, files)

    def explain_no_policy(self, path: str) -> errors.FetchError:
        """That there is none at `path`, and where below it there are some."""
        return self._explain_no_policy(path, dict(self._list_below(path)))

    def explain_empty(self, path: str) -> errors.FetchError:
        """That nothing lies at `path`, and what was probably meant."""
        parts = path.split("/")
        for depth in range(len(parts) - 1, -1, -1):
            above = "/".join(parts[:depth])
            there = {one.path: one.is_dir for one in self._list_folder(above)}
            if there.get(path) is False:
                return errors.FetchError(f"{path} of the run {self._run} is a single file: name the folder above it")
            if near := mlflow_client.find_similar_names(path, sorted(name for name, folder in there.items() if folder)):
                return errors.FetchError(f"the run {self._run} has no artifacts at {path}; it has {', '.join(near)}")
        return errors.FetchError(f"the run {self._run} has no artifacts at {path}, and no other folders of them")

    def _explain_no_policy(self, path: str, files: Mapping[str, int]) -> errors.FetchError:
        folders = sorted(
            name.removesuffix(f"/{POLICY_FILES[0]}") for name in files if name.endswith(f"/{POLICY_FILES[0]}")
        )
        whole = [f"{path}/{folder}" for folder in folders if f"{folder}/{POLICY_FILES[1]}" in files]
        missing = " and ".join(name for name in POLICY_FILES if name not in files)
        way = f"; below it there is {', '.join(whole[-mlflow_client.MAX_SUGGESTIONS :])}" if whole else ""
        return errors.FetchError(f"{path} of the run {self._run} holds no policy: it lacks {missing}{way}")

    def _list_below(self, path: str) -> Iterator[tuple[str, int]]:
        """The files of a folder, by their paths below it."""
        for name, size in self._list_files(path):
            if wrong := files.find_name_problem(inside := name.removeprefix(f"{path}/")):
                raise errors.FetchError(wrong)
            yield inside, size

    def _list_files(self, folder: str) -> Iterator[tuple[str, int]]:
        for one in self._list_folder(folder):
            if one.is_dir:
                yield from self._list_files(one.path)
            else:
                yield one.path, UNKNOWN_SIZE if one.file_size is None else one.file_size

    def _list_folder(self, folder: str) -> Iterator[Any]:
        """What lies in a folder; some stores list whatever begins with its name."""
        below = f"{folder}/" if folder else ""
        return (one for one in self._client.list_artifacts(self._run, folder or None) if one.path.startswith(below))


class RunArtifactFetcher:
    """The artifacts of one run, at a tracking address as MLflow's client takes it. shown: that address for people.

    tags: those of the run, once it was found.
    """

    def __init__(self, mlflow: Any, address: str, run: str, shown_address: str) -> None:
        self._mlflow = mlflow
        self._address = address
        self._run = run
        self._shown_address = shown_address
        self.tags: Mapping[str, str] = {}
        self._client = mlflow.MlflowClient(address, registry_uri=address)

    def fetch_into(self, path: str, to: Path) -> Path:
        """The folder of the policy at `path`, below `to` when it had to be fetched. Raises Refused, as MLflow does."""
        with mlflow_client.lock_tracking_database(self._address):
            found = self._find_run()
        root, self.tags = str(found.info.artifact_uri), dict(found.data.tags)
        listing = ArtifactListing(self._client, self._run)
        if here := mlflow_client.find_local_folder(root):
            return _find_local_policy(here, path, listing)
        part, files = listing.find_policy(path)
        told = f"{self._address} {root} {part} {sorted(files.items())}"
        identity = hashlib.sha256(told.encode()).hexdigest()[:16]
        return fetching_files.fill_cache_folder(to / identity, lambda folder: self._fill_folder(folder, part, files))

    def _fill_folder(self, folder: Path, part: str, files: Mapping[str, int]) -> None:
        print(f"fetching {part} of the run {self._run}", flush=True)
        incoming = folder.with_name("incoming")
        incoming.mkdir()
        came = Path(self._client.download_artifacts(self._run, part, str(incoming)))
        for name, size in files.items():
            if not (came / name).is_file() or size not in (UNKNOWN_SIZE, (came / name).stat().st_size):
                raise errors.FetchError(f"{name} of {part} did not come whole from the run {self._run}: start it again")
        for file in came.rglob("*.safetensors"):
            if why := find_truncation(file):
                raise errors.FetchError(f"{part} of the run {self._run} is not whole: {file.name} {why}")
        folder.rmdir()
        os.replace(came, folder)
        shutil.rmtree(incoming, ignore_errors=True)

    def _find_run(self) -> Any:
        try:
            return self._client.get_run(self._run)
        except self._mlflow.exceptions.MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            why = (
                f"there is no run {self._run} at {self._shown_address}: a run is named by its id there, not by its name"
            )
            raise errors.FetchError(why) from error


def _find_local_policy(root: Path, path: str, listing: ArtifactListing) -> Path:
    """The part of a folder of this machine that is the policy, whole."""
    if not root.is_dir():
        raise errors.FetchError(f"the artifacts of the run lie in {root}, and that folder is not there")
    if not (root / path).is_dir():
        raise listing.explain_empty(path)
    part = folder_content.find_used_part(root / path, "policy")
    if part is None:
        raise listing.explain_no_policy(path)
    if why := folder_content.find_corruption(part, "policy"):
        raise errors.FetchError(why)
    return part


def main() -> None:
    """Find what the command line says."""
    parser = argparse.ArgumentParser(prog="fetch")
    parser.add_argument("run")
    parser.add_argument("path")
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True, help="where it is noted which run made the policy")
    asked = parser.parse_args()
    mlflow_client.fetch_with_mlflow(
        lambda uri: _fetch_policy(asked, uri), f"{asked.path} of the run {asked.run}", "MLflow"
    )


def _fetch_policy(options: argparse.Namespace, uri: str) -> Path:
    mlflow = mlflow_client.import_mlflow(uri)
    try:
        address = tracking_address.resolve_address(uri)
    except tracking_address.AddressUnavailable as error:
        raise errors.FetchError(str(error)) from error
    fetching = RunArtifactFetcher(mlflow, address, options.run, mlflow_client.redact_address(uri))
    folder = fetching.fetch_into(options.path, options.to)
    model_lineage.write_policy_lineage(options.cache, folder, mlflow_client.read_policy_lineage(fetching.tags))
    return folder


if __name__ == "__main__":
    main()
