"""Registration of a run's checkpoint as a model version: tags, description, lineage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain.store import plans
from robotrain_runtime.checkpoints import model_lineage
from robotrain_runtime.contract.checkpoint import CheckpointManifest
from robotrain_runtime.contract.container_plugin import PublishingSpec, WorkloadContainerPlugin
from robotrain_runtime.contract.document import SCHEMA, JobDocument, Placement, parse_document
from robotrain_runtime.contract.event import Registered
from robotrain_runtime.contract.plugin_loader import load_container_plugin

if TYPE_CHECKING:
    from robotrain_azure.outputs import RunLog
    from robotrain_azure.tracking.container import WorkspaceModels

POLICY_TYPE = "policy_type"
"""A tag of every policy, and a parameter of the run that evaluated it."""


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """What is stored with a model version."""

    tags: Mapping[str, str]
    scores: Mapping[str, str]
    """The tags among `tags` that an evaluation adds."""
    description: str
    lineage: bytes = b""
    """The content of the lineage file beside the model; empty if it is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """A checkpoint to be registered."""

    run: str
    platform: str
    step: int
    folder: str
    """The name of the checkpoint's folder."""
    manifest: CheckpointManifest | None
    """None if the checkpoint's files are not at hand."""
    ids: Mapping[str, str]
    """Tags that find the run again."""


def make_model_metadata(model_version: ModelVersion, document: JobDocument | None, run_log: RunLog) -> ModelMetadata:
    """Return the metadata of a model version. `document` is None if the submitted plan is not stored any more."""
    manifest = model_version.manifest or CheckpointManifest(
        step=model_version.step, run=model_version.run, job=document.job if document else "", files={}
    )
    document = document or JobDocument(
        schema=SCHEMA,
        run=model_version.run,
        job=manifest.job,
        workload="",
        platform=model_version.platform,
        halves={},
        parameters={},
        placement=Placement(work="", cache=""),
    )
    publishing, ids = _load_publishing(document), model_version.ids
    scores = model_lineage.make_score_tags(run_log.evaluation, model_version.run, publishing.evaluated_on)
    # a workload reads the policy's type from its files, which are not here: it comes from the tracking run
    policy_type = run_log.params.get(POLICY_TYPE) if run_log.evaluation else None
    own_tags = {**({POLICY_TYPE: str(policy_type)} if policy_type else {}), **publishing.tags, **ids}
    tags = model_lineage.make_version_tags(document, own_tags, Path(model_version.folder), manifest)
    if model_version.manifest is None:  # only the log knows the digest of the files
        tags = {name: value for name, value in tags.items() if name not in model_lineage.DIGEST_TAGS}
        if digest := run_log.tags.get(model_lineage.MODEL_DIGEST_TAG):
            tags[model_lineage.MODEL_DIGEST_TAG] = digest
    lineage = b""
    if publishing.lineage:
        run_id, experiment_id = (ids.get(name, "") for name in ("mlflow_run_id", "mlflow_experiment_id"))
        lineage = model_lineage.format_lineage({**publishing.lineage, **ids}, run_id, experiment_id)
    noun = "policy" if run_log.evaluation else "checkpoint"
    description = publishing.description or f"{noun} {model_version.folder} of {model_version.run}"
    return ModelMetadata({**tags, **scores}, scores, description, lineage)


def load_submitted_document(run: str, file: str) -> JobDocument | None:
    """Return the job document of a run from its stored plan. `file`: the document's name in the plan."""
    stored = plans.find_stored_plan(run)
    if stored is None or file not in stored.plan.files:
        return None
    return parse_document(stored.plan.files[file].decode())


def _load_publishing(document: JobDocument) -> PublishingSpec:
    module = document.halves.get(f"workload.{document.workload}")
    if not module:
        return PublishingSpec()
    return load_container_plugin(module, WorkloadContainerPlugin).publishing(document, {})


def register_version(
    models: WorkspaceModels, name: str, step: int, metadata: ModelMetadata, create: Callable[[], str]
) -> Registered:
    """Register a model version with `create`, or add the scores to the same one if it exists. Raises ArmError."""
    same = model_lineage.find_same_model(models.versions(name), metadata.tags, by_name=not metadata.scores)
    number, old_tags = same or (create(), {})
    if same and metadata.scores:
        models.tag(name, number, model_lineage.replace_score_tags(old_tags, metadata.scores))
    replaced = model_lineage.find_replaced_run(old_tags, metadata.scores) if same else ""
    uri = f"models:/{name}/{number}"
    return Registered(name=name, version=number, step=step, uri=uri, new=not same, replaced=replaced)
