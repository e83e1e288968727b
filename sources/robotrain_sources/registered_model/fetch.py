"""Runs in the run's environment: finds a version of a registered model, and fetches its files when they lie elsewhere.

`python -m robotrain_sources.registered_model.fetch NAME VERSION --to FOLDER`, with `MLFLOW_TRACKING_URI`
"""

import argparse
import contextlib
import difflib
import hashlib
import importlib
import os
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from robotrain_sources.fetching import answer, landing

QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
"""Unless the environment says otherwise."""
SQLITE = "sqlite:///"
MOST_TOLD = 5


class Fetching:
    """One version of a model, in the registry at a tracking address."""

    def __init__(self, mlflow: Any, address: str, name: str, version: str) -> None:
        self._mlflow = mlflow
        self._address = address
        self._name, self._version = name, version

    def into(self, to: Path) -> Path:
        """The folder of the files, below `to` when they had to be fetched. Raises Refused, and what MLflow raises."""
        with _database(self._address):
            self._client = self._mlflow.MlflowClient(self._address, registry_uri=self._address)
            found = self._found()
        uri = str(self._client.get_model_version_download_uri(self._name, self._version))
        if (here := _here(uri)) is None:
            identity = hashlib.sha256(f"{self._address} {uri} {found.creation_timestamp}".encode()).hexdigest()
            return landing.land(to / f"{self._version}-{identity[:16]}", self._fill)
        if not here.is_dir():
            raise answer.Refused(f"{self._name} version {self._version} lies in {here}, and that folder is not there")
        return here

    def _fill(self, folder: Path) -> None:
        print(f"fetching {self._name} version {self._version}", flush=True)
        incoming = folder.with_name("incoming")
        incoming.mkdir()
        registry = {"tracking_uri": self._address, "registry_uri": self._address}
        uri = f"models:/{self._name}/{self._version}"
        came = Path(self._mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(incoming), **registry))
        if not any(path.is_file() for path in came.rglob("*")):
            raise answer.Refused(f"{self._name} version {self._version} has no files")
        folder.rmdir()
        os.replace(came, folder)
        shutil.rmtree(incoming, ignore_errors=True)

    def _found(self) -> Any:
        try:
            return self._client.get_model_version(self._name, self._version)
        except self._mlflow.exceptions.MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
        if versions := [int(one.version) for one in self._client.search_model_versions(f"name='{self._name}'")]:
            told = ", ".join(map(str, sorted(versions)[-MOST_TOLD:]))
            raise answer.Refused(f"the model registry has no version {self._version} of {self._name}; it has {told}")
        models = sorted(one.name for one in self._client.search_registered_models())
        near = difflib.get_close_matches(self._name, models, n=MOST_TOLD) or models[:MOST_TOLD]
        there = f"it has {', '.join(near)}" if near else "it is empty"
        raise answer.Refused(f"the model registry has no model {self._name}; {there}")


def _here(uri: str) -> Path | None:
    """The folder of this machine that an artifact address means; None when it lies elsewhere."""
    address = urlsplit(uri)
    if address.scheme == "file" and address.netloc in ("", "localhost"):
        return Path(unquote(address.path))
    return Path(uri) if not address.scheme and uri.startswith("/") else None


def _database(address: str) -> contextlib.AbstractContextManager[None]:
    """Its tables are made once, by whoever comes first: the run's own tracking may be doing so at that moment."""
    if not address.startswith(SQLITE):
        return contextlib.nullcontext()
    database = Path(address.removeprefix(SQLITE))
    database.parent.mkdir(parents=True, exist_ok=True)
    return landing.held(
        database.with_name(database.name + ".lock"), f"waiting for {database}, which is being written to"
    )


def main() -> None:
    """Find what the command line says."""
    parser = argparse.ArgumentParser(prog="fetch")
    parser.add_argument("name")
    parser.add_argument("version")
    parser.add_argument("--to", type=Path, required=True)
    asked = parser.parse_args()
    os.environ.update({**PATIENCE, **os.environ, **QUIET})
    answer.main(lambda: _fetched(asked, os.environ["MLFLOW_TRACKING_URI"]))


def _fetched(asked: argparse.Namespace, address: str) -> Path:
    try:
        return Fetching(importlib.import_module("mlflow"), address, asked.name, asked.version).into(asked.to)
    except (answer.Refused, OSError):
        raise
    except ModuleNotFoundError as error:
        why = f"the run's environment holds no {error.name}, which asks the model registry"
        raise answer.Refused(why) from error
    except Exception as error:
        shown = address if "@" not in address else address.rpartition("@")[2]
        why = f"{asked.name} version {asked.version} could not be had from the model registry at {shown}"
        raise answer.Refused(f"{why} ({answer.plain(error)})") from error


if __name__ == "__main__":
    main()
