"""The fetch program of registered models: finds a version, and fetches its files if they are remote.

Run in the run's environment as `python -m robotrain_sources.mlflow.model_fetch NAME VERSION --to FOLDER --cache
FOLDER`, with `MLFLOW_TRACKING_URI`.
"""

import hashlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from robotrain_runtime.tracking import address as tracking_address

from robotrain_sources.fetching import errors
from robotrain_sources.mlflow import fetch_program, reference


class RegisteredModelFetcher:
    """Fetches one version of a registered model."""

    def __init__(self, mlflow: Any, address: str, name: str, version: str) -> None:
        self._mlflow = mlflow
        self._address = address
        self._name, self._version = name, version

    def fetch_into(self, folder: Path) -> tuple[Path, Mapping[str, str]]:
        """Return the folder of the files, fetched into `folder` if they are remote, and the tags. Raise FetchError."""
        with fetch_program.lock_tracking_database(self._address):
            self._client = self._mlflow.MlflowClient(self._address, registry_uri=self._address)
            version = self._find_version()
        self._version = str(version.version)
        tags = dict(version.tags)
        uri = str(self._client.get_model_version_download_uri(self._name, self._version))
        if (local_folder := fetch_program.find_local_folder(uri)) is None:
            identity = hashlib.sha256(f"{self._address} {uri} {version.creation_timestamp}".encode()).hexdigest()
            return fetch_program.fill_cache_folder(folder / f"{self._version}-{identity[:16]}", self._fill_folder), tags
        if not local_folder.is_dir():
            raise errors.FetchError(
                f"{self._name} version {self._version} is in {local_folder}, and that folder does not exist"
            )
        return local_folder, tags

    def _fill_folder(self, folder: Path) -> None:
        print(f"fetching {self._name} version {self._version}", flush=True)
        download = partial(
            self._mlflow.artifacts.download_artifacts,
            f"models:/{self._name}/{self._version}",
            tracking_uri=self._address,
            registry_uri=self._address,
        )

        def check_files(downloaded: Path) -> None:
            if not any(path.is_file() for path in downloaded.rglob("*")):
                raise errors.FetchError(f"{self._name} version {self._version} has no files")

        fetch_program.fill_from_download(folder, lambda to: download(dst_path=to), check_files)

    def _find_version(self) -> Any:
        try:
            if self._version != reference.LATEST:
                return self._client.get_model_version(self._name, self._version)
        except self._mlflow.exceptions.MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
        if models := list(self._client.search_model_versions(f"name='{self._name}'")):
            models.sort(key=lambda model: int(model.version))
            if self._version == reference.LATEST:
                return models[-1]
            available_note = ", ".join(str(model.version) for model in models[-errors.MAX_SUGGESTIONS :])
            raise errors.FetchError(
                f"the model registry has no version {self._version} of {self._name}; it has {available_note}"
            )
        model_names = sorted(model.name for model in self._client.search_registered_models())
        similar_names = errors.find_similar_names(self._name, model_names)
        available_note = f"it has {', '.join(similar_names)}" if similar_names else "it is empty"
        raise errors.FetchError(f"the model registry has no model {self._name}; {available_note}")


def main() -> None:
    """Run the command line."""
    options = fetch_program.parse_arguments("name", "version")

    def fetch(address: str) -> tuple[Path, Mapping[str, str]]:
        mlflow = tracking_address.import_mlflow(address)
        return RegisteredModelFetcher(mlflow, address, options.name, options.version).fetch_into(options.to)

    subject = f"{options.name} version {options.version}"
    fetch_program.fetch_with_mlflow(fetch, options.cache, subject, "the model registry")


if __name__ == "__main__":
    main()
