"""Runs in the run's environment: finds a policy among the artifacts of a run, and fetches it when it lies elsewhere.

`python -m robotrain_sources.mlflow_run.fetch RUN PATH --to FOLDER --cache FOLDER`, with `MLFLOW_TRACKING_URI`
"""

import argparse
import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from robotrain_runtime import parentage
from robotrain_runtime.track import tracking_address

from robotrain_sources.fetching import answer, landing, made_by, tracked, weights
from robotrain_sources.local_path import policy
from robotrain_sources.mlflow_run.listing import UNKNOWN, Listing


class Fetching:
    """The artifacts of one run, at a tracking address as MLflow's client takes it. shown: that address for people.

    tags: those of the run, once it was found.
    """

    def __init__(self, mlflow: Any, address: str, run: str, shown: str) -> None:
        self._mlflow = mlflow
        self._address = address
        self._run = run
        self._shown = shown
        self.tags: Mapping[str, str] = {}
        self._client = mlflow.MlflowClient(address, registry_uri=address)

    def into(self, path: str, to: Path) -> Path:
        """The folder of the policy at `path`, below `to` when it had to be fetched. Raises Refused, as MLflow does."""
        with tracked.alone(self._address):
            found = self._found()
        root, self.tags = str(found.info.artifact_uri), dict(found.data.tags)
        listing = Listing(self._client, self._run)
        if here := tracked.here(root):
            return _used(here, path, listing)
        part, files = listing.policy(path)
        told = f"{self._address} {root} {part} {sorted(files.items())}"
        identity = hashlib.sha256(told.encode()).hexdigest()[:16]
        return landing.land(to / identity, lambda folder: self._fill(folder, part, files))

    def _fill(self, folder: Path, part: str, files: Mapping[str, int]) -> None:
        print(f"fetching {part} of the run {self._run}", flush=True)
        incoming = folder.with_name("incoming")
        incoming.mkdir()
        came = Path(self._client.download_artifacts(self._run, part, str(incoming)))
        for name, size in files.items():
            if not (came / name).is_file() or size not in (UNKNOWN, (came / name).stat().st_size):
                raise answer.Refused(f"{name} of {part} did not come whole from the run {self._run}: start it again")
        for file in came.rglob("*.safetensors"):
            if why := weights.torn(file):
                raise answer.Refused(f"{part} of the run {self._run} is not whole: {file.name} {why}")
        folder.rmdir()
        os.replace(came, folder)
        shutil.rmtree(incoming, ignore_errors=True)

    def _found(self) -> Any:
        try:
            return self._client.get_run(self._run)
        except self._mlflow.exceptions.MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            why = f"there is no run {self._run} at {self._shown}: a run is named by its id there, not by its name"
            raise answer.Refused(why) from error


def _used(root: Path, path: str, listing: Listing) -> Path:
    """The part of a folder of this machine that is the policy, whole."""
    if not root.is_dir():
        raise answer.Refused(f"the artifacts of the run lie in {root}, and that folder is not there")
    if not (root / path).is_dir():
        raise listing.nothing(path)
    part = policy.used(root / path, "policy")
    if part is None:
        raise listing.no_policy(path)
    if why := policy.torn(part, "policy"):
        raise answer.Refused(why)
    return part


def main() -> None:
    """Find what the command line says."""
    parser = argparse.ArgumentParser(prog="fetch")
    parser.add_argument("run")
    parser.add_argument("path")
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True, help="where it is noted which run made the policy")
    asked = parser.parse_args()
    tracked.main(lambda uri: _fetched(asked, uri), f"{asked.path} of the run {asked.run}", "MLflow")


def _fetched(asked: argparse.Namespace, uri: str) -> Path:
    mlflow = tracked.mlflow(uri)
    try:
        address = tracking_address.reached(uri)
    except tracking_address.Unreached as error:
        raise answer.Refused(str(error)) from error
    fetching = Fetching(mlflow, address, asked.run, tracked.shown(uri))
    folder = fetching.into(asked.path, asked.to)
    parentage.keep(asked.cache, folder, made_by.of(fetching.tags))
    return folder


if __name__ == "__main__":
    main()
