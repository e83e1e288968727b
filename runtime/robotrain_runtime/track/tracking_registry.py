"""Checkpoints and evaluated policies as versions of a model. Asked twice, it is done once."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from robotrain_runtime.publish import lineage_file, same_model, score_tags
from robotrain_runtime.track import tracking_address
from robotrain_runtime.track.tracking_artifacts import TAKEN, publish
from robotrain_runtime.track.tracking_store import Store, mlflow


class Registry(Protocol):
    """A registry of models: MLflow's, or what a tracking half brings in its place as `registry(uri)`."""

    def versions(self, name: str) -> Iterator[tuple[str, Mapping[str, str]]]:
        """The number and the tags of each version of a model; none when there is no such model."""

    def create(self, name: str, run_id: str, artifact: str, tags: Mapping[str, str], description: str) -> str:
        """Make an artifact folder of a run the next version of a model: its number."""

    def tag(self, name: str, version: str, tags: Mapping[str, str]) -> None:
        """Add tags to a version; one that it has already changes, and is removed where the text is empty."""


class Models:
    """MLflow's registry at a store's address."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def versions(self, name: str) -> Iterator[tuple[str, Mapping[str, str]]]:
        """Of all pages."""
        token = None
        while True:
            page = self._store.client.search_model_versions(f"name='{name}'", max_results=1000, page_token=token)
            yield from ((str(version.version), version.tags) for version in page)
            if not (token := page.token):
                return

    def create(self, name: str, run_id: str, artifact: str, tags: Mapping[str, str], description: str) -> str:
        """The model is made when it is not there."""
        self._make_model(name)
        source = f"{self._store.address}/{artifact}"
        make = self._store.client.create_model_version
        return str(make(name, source=source, run_id=run_id, tags=dict(tags), description=description).version)

    def tag(self, name: str, version: str, tags: Mapping[str, str]) -> None:
        """One after another."""
        for key, value in tags.items():
            if value:
                self._store.client.set_model_version_tag(name, version, key, value)
            else:
                self._store.client.delete_model_version_tag(name, version, key)

    def _make_model(self, name: str) -> None:
        try:
            self._store.client.create_registered_model(name)
        except mlflow.exceptions.MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise


def register(store: Store, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Make a checkpoint or a policy a version of a model, unless it is one: then its scores alone are told.

    asked: name, description, tags, scores, lineage, and what `publish` needs. scores: tags of a policy that was
    evaluated. Returns its `version`, whether it is `new`, and the run whose scores were `replaced`.
    """
    at, name, models = publish(store, asked)["artifact"], asked["name"], _models(store)
    run = {"mlflow_run_id": asked["run_id"], "mlflow_experiment_id": store.experiment_id}
    with store.alone():
        scores = asked.get("scores") or {}
        if found := same_model.newest(models.versions(name), asked["tags"], by_name=not scores):
            version, has = found
            if scores:
                models.tag(name, version, score_tags.instead_of(has, scores))
            return {"version": version, "new": False, "replaced": score_tags.replaced(has, scores)}
        _tell(store, at, asked)
        tags = {**asked["tags"], **scores, **run}
        made = models.create(name, asked["run_id"], at, tags, asked["description"])
    return {"version": made, "new": True}


def _tell(store: Store, at: str, asked: Mapping[str, Any]) -> None:
    """Lay its lineage beside the model. One that is there says the same, and perhaps cannot be written again; one that
    came with the model says where that is from.
    """
    lineage = asked.get("lineage")
    if not lineage or Path(asked["folder"], asked["model"], lineage_file.NAME).exists():
        return
    content = lineage_file.content(lineage, asked["run_id"], store.experiment_id)
    try:
        store.file(content, f"{at}/{lineage_file.NAME}")
    except Exception as error:
        if TAKEN not in str(error):
            raise


def _models(store: Store) -> Registry:
    own = getattr(tracking_address.half(store.uri), "registry", None)
    registry: Registry = own(store.uri) if own else Models(store)
    return registry
