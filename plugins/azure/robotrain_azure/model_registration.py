"""Registration of a run's checkpoint as a model version: tags, description, lineage."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain.store import plans
from robotrain_runtime.checkpoints import model_lineage
from robotrain_runtime.contract import document
from robotrain_runtime.contract.checkpoint import CheckpointManifest
from robotrain_runtime.contract.container_plugin import PublishingSpec
from robotrain_runtime.contract.document import JobDocument, Placement
from robotrain_runtime.contract.event import Registered

if TYPE_CHECKING:
    from robotrain_azure.outputs import RunLog
    from robotrain_azure.tracking.model_registry import WorkspaceModels

POLICY_TYPE = "policy_type"
"""A tag of every policy, and a parameter of the run that evaluated it."""


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """tags: what can be searched for; scores: those of them that an evaluation adds. description: some lines for
    people. lineage: the content of the file beside the model; empty where nobody knows it any more.
    """

    tags: Mapping[str, str]
    scores: Mapping[str, str]
    description: str
    lineage: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """What is registered. folder: of the checkpoint, as it is called. made: its seal; None where it is not at hand.

    ids: those that find the run again, as tags.
    """

    run: str
    platform: str
    step: int
    folder: str
    manifest: CheckpointManifest | None
    ids: Mapping[str, str]


def make_model_metadata(model_version: ModelVersion, document: JobDocument | None, run_log: RunLog) -> ModelMetadata:
    """sent: the document of the run; None where the plan that was sent is not here any more."""
    known = model_version.manifest or CheckpointManifest(
        step=model_version.step, run=model_version.run, job=document.job if document else "", files={}
    )
    of = document or _make_document(model_version, known)
    asked = _load_publishing(of)
    scores = model_lineage.make_score_tags(run_log.evaluation, model_version.run, asked.evaluated_on)
    given = {**_make_measured_tags(run_log), **asked.tags, **model_version.ids}
    tags = model_lineage.make_version_tags(of, given, Path(model_version.folder), known)
    if model_version.manifest is None:  # which bytes it has, the log alone can say
        tags = {name: value for name, value in tags.items() if name not in model_lineage.DIGEST_TAGS}
        tags |= (
            {model_lineage.MODEL_DIGEST_TAG: found}
            if (found := run_log.tags.get(model_lineage.MODEL_DIGEST_TAG))
            else {}
        )
    lineage = _dump_lineage(asked.lineage, model_version.ids) if asked.lineage else b""
    what = "policy" if run_log.evaluation else "checkpoint"
    return ModelMetadata(
        {**tags, **scores},
        scores,
        asked.description or f"{what} {model_version.folder} of {model_version.run}",
        lineage,
    )


def load_submitted_document(run: str, file: str) -> JobDocument | None:
    """The document of a run, from the plan that was sent. file: its name in it."""
    rendered = plans.find_stored_plan(run)
    if rendered is None or file not in rendered.plan.files:
        return None
    return document.parse_document(rendered.plan.files[file].decode())


def _make_measured_tags(run_log: RunLog) -> dict[str, str]:
    """What a workload tells from the policy's files, which are not here: the run told tracking."""
    return (
        {POLICY_TYPE: str(run_log.params[POLICY_TYPE])}
        if run_log.evaluation and run_log.params.get(POLICY_TYPE)
        else {}
    )


def _dump_lineage(lineage: Mapping[str, object], ids: Mapping[str, str]) -> bytes:
    run_id, experiment_id = (ids.get(name, "") for name in ("mlflow_run_id", "mlflow_experiment_id"))
    return model_lineage.format_lineage({**lineage, **ids}, run_id, experiment_id)


def _make_document(model_version: ModelVersion, manifest: CheckpointManifest) -> JobDocument:
    """What a seal tells of a run's document."""
    return JobDocument(
        schema=document.SCHEMA,
        run=model_version.run,
        job=manifest.job,
        workload="",
        platform=model_version.platform,
        halves={},
        parameters={},
        placement=Placement(work="", cache=""),
    )


def _load_publishing(document: JobDocument) -> PublishingSpec:
    """What its workload says of everything that is registered."""
    half = document.halves.get(f"workload.{document.workload}")
    say = getattr(importlib.import_module(half), "publishing", None) if half else None
    said: PublishingSpec = say(document, {}) if say else PublishingSpec()
    return said


def register_version(
    models: WorkspaceModels, name: str, step: int, metadata: ModelMetadata, create: Callable[[], str]
) -> Registered:
    """The version; one that is there gets the scores. create: makes the next one. Raises ArmError."""
    if not (found := model_lineage.find_same_model(models.versions(name), metadata.tags, by_name=not metadata.scores)):
        return _make_registered(name, create(), step)
    number, has = found
    if metadata.scores:
        models.tag(name, number, model_lineage.replace_score_tags(has, metadata.scores))
    replaced = model_lineage.find_replaced_run(has, metadata.scores)
    return _make_registered(name, number, step, new=False, replaced=replaced)


def _make_registered(name: str, number: str, step: int, *, new: bool = True, replaced: str = "") -> Registered:
    uri = f"models:/{name}/{number}"
    return Registered(name=name, version=number, step=step, uri=uri, new=new, replaced=replaced)
