"""The fetch program of registered models: finds a version, and fetches its files if they are remote.

Run in the run's environment as `python -m robotrain_sources.registered_model.fetch NAME VERSION --to FOLDER --cache
FOLDER`, with `MLFLOW_TRACKING_URI`.
"""

import argparse
import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from robotrain_runtime.checkpoints import model_lineage

from robotrain_sources.fetching import errors, files, mlflow_client


class RegisteredModelFetcher:
    """Fetches one version of a registered model. `tags` are those of the version, after `fetch_into`."""

    def __init__(self, mlflow: Any, address: str, name: str, version: str) -> None:
        self._mlflow = mlflow
        self._address = address
        self._name, self._version = name, version
        self.tags: Mapping[str, str] = {}

    def fetch_into(self, folder: Path) -> Path:
        """Return the folder of the files, fetched into `folder` if they are remote. Raise FetchError."""
        with mlflow_client.lock_tracking_database(self._address):
            self._client = self._mlflow.MlflowClient(self._address, registry_uri=self._address)
            version = self._find_version()
        self.tags = dict(version.tags)
        uri = str(self._client.get_model_version_download_uri(self._name, self._version))
        if (local_folder := mlflow_client.find_local_folder(uri)) is None:
            identity = hashlib.sha256(f"{self._address} {uri} {version.creation_timestamp}".encode()).hexdigest()
            return files.fill_cache_folder(folder / f"{self._version}-{identity[:16]}", self._fill_folder)
        if not local_folder.is_dir():
            raise errors.FetchError(
                f"{self._name} version {self._version} is in {local_folder}, and that folder does not exist"
            )
        return local_folder

    def _fill_folder(self, folder: Path) -> None:
        print(f"fetching {self._name} version {self._version}", flush=True)
        incoming = folder.with_name("incoming")
        incoming.mkdir()
        registry = {"tracking_uri": self._address, "registry_uri": self._address}
        uri = f"models:/{self._name}/{self._version}"
        downloaded = Path(
            self._mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(incoming), **registry)
        )
        if not any(path.is_file() for path in downloaded.rglob("*")):
            raise errors.FetchError(f"{self._name} version {self._version} has no files")
        folder.rmdir()
        os.replace(downloaded, folder)
        shutil.rmtree(incoming, ignore_errors=True)

    def _find_version(self) -> Any:
        try:
            return self._client.get_model_version(self._name, self._version)
        except self._mlflow.exceptions.MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
        if versions := [int(model.version) for model in self._client.search_model_versions(f"name='{self._name}'")]:
            known = ", ".join(map(str, sorted(versions)[-errors.MAX_SUGGESTIONS :]))
            raise errors.FetchError(
                f"the model registry has no version {self._version} of {self._name}; it has {known}"
            )
        models = sorted(model.name for model in self._client.search_registered_models())
        similar = errors.find_similar_names(self._name, models)
        known = f"it has {', '.join(similar)}" if similar else "it is empty"
        raise errors.FetchError(f"the model registry has no model {self._name}; {known}")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="fetch")
    parser.add_argument("name")
    parser.add_argument("version")
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True, help="where the policy's lineage is recorded")
    options = parser.parse_args()
    subject = f"{options.name} version {options.version}"
    mlflow_client.fetch_with_mlflow(lambda address: _fetch_model(options, address), subject, "the model registry")


def _fetch_model(options: argparse.Namespace, address: str) -> Path:
    fetcher = RegisteredModelFetcher(mlflow_client.import_mlflow(address), address, options.name, options.version)
    folder = fetcher.fetch_into(options.to)
    model_lineage.write_policy_lineage(options.cache, folder, mlflow_client.read_policy_lineage(fetcher.tags))
    return folder


if __name__ == "__main__":
    main()
