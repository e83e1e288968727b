"""Checkpoints as MLflow artifacts, and as versions of a model. Asked twice, it is done once."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from robotrain_runtime.track.tracking_store import Store, mlflow

RUN, CHECKPOINT, DIGEST = "robotrain_run", "checkpoint", "checkpoint_sha256"
"""Tags of a version that say which checkpoint it is."""


def publish(store: Store, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Make the model part of a checkpoint an artifact of its run.

    asked: run_id, folder, model, digest. Returns where it is (`to`), and whether it is `new` there.
    """
    store.find(asked["run_id"])
    name = Path(asked["folder"]).name
    at, sealed = f"checkpoints/{name}", f"checkpoint_{name}_sha256"
    new = store.tag(sealed) != asked["digest"]
    if new:
        store.artifacts(Path(asked["folder"], asked["model"]), at)
        store.describe({}, {f"checkpoint_{name}_artifact": at, sealed: asked["digest"]})
    return {"to": f"runs:/{asked['run_id']}/{at}", "new": new}


def register(store: Store, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Make a checkpoint a version of a model, unless it is one.

    asked: name, description, tags, and what `publish` needs. Returns its `version`, and whether it is `new`.
    """
    publish(store, asked)
    name, checkpoint = asked["name"], Path(asked["folder"]).name
    with store.alone():
        if found := _version(store, name, asked["tags"]):
            return {"version": found, "new": False}
        _make_model(store, name)
        made = store.client.create_model_version(
            name,
            source=f"{store.address}/checkpoints/{checkpoint}",
            run_id=asked["run_id"],
            tags={
                **asked["tags"],
                "mlflow_run_id": asked["run_id"],
                "mlflow_experiment_id": store.experiment_id,
            },
            description=asked["description"],
        )
    return {"version": str(made.version), "new": True}


def _version(store: Store, name: str, tags: Mapping[str, str]) -> str:
    """The version that is this checkpoint by its bytes, else by its run and step; empty for none."""
    versions = sorted(_versions(store, name), key=lambda version: int(version.version), reverse=True)
    same = [version for version in versions if version.tags.get(DIGEST) == tags[DIGEST]]
    same += [version for version in versions if all(version.tags.get(key) == tags[key] for key in (RUN, CHECKPOINT))]
    return str(same[0].version) if same else ""


def _versions(store: Store, name: str) -> Iterator[Any]:
    token = None
    while True:
        page = store.client.search_model_versions(f"name='{name}'", max_results=1000, page_token=token)
        yield from page
        if not (token := page.token):
            return


def _make_model(store: Store, name: str) -> None:
    try:
        store.client.create_registered_model(name)
    except mlflow.exceptions.MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
