"""Outputs of a run: what it published is downloaded through the cache, checkpoints registered as model versions."""

import contextlib
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain.cluster.outputs import RunLog, print_progress
from robotrain.errors import Rejected
from robotrain.messages import Messages
from robotrain.plugins.manager import Plugins
from robotrain.store import files, plans
from robotrain_runtime.checkpoints import model_lineage
from robotrain_runtime.contract.checkpoint import CheckpointManifest
from robotrain_runtime.contract.container_plugin import (
    ContainerContext,
    PublishingSpec,
    SourceContainerPlugin,
    WorkloadContainerPlugin,
)
from robotrain_runtime.contract.document import DOCUMENT_FILE, SCHEMA, JobDocument, JobSource, Placement, parse_document
from robotrain_runtime.contract.event import Registered
from robotrain_runtime.contract.failure import JobFailed
from robotrain_runtime.contract.plugin_loader import load_batch_fetcher, load_container_plugin
from robotrain_runtime.contract.problem import summarize_problem
from robotrain_runtime.environments import environment
from robotrain_runtime.process.stop import StopSignal

if TYPE_CHECKING:
    from robotrain_azure.models.workspace_models import WorkspaceModels

make_problem = Messages(__file__)


def download_source(kind: str, uri: str, to: Path) -> None:
    """Download a source of this kind into the folder `to`, through the cache. Raises OSError, JobFailed.

    The reason of JobFailed may hold secrets.
    """
    source = JobSource(role="resume", kind=kind, uri=uri)
    cache = files.get_cache_folder()
    plugin = load_container_plugin(Plugins().source_kinds()[kind].container_plugin, SourceContainerPlugin)
    carrier = load_batch_fetcher(plugin.CARRIER)
    lock, python = carrier.ENVIRONMENT.lock, carrier.ENVIRONMENT.python
    environment_folder = environment.build_environment(lock, python, cache, print_progress, StopSignal())
    context = ContainerContext(cache=cache, python=environment.get_python(environment_folder), log_line=print_progress)
    with contextlib.closing(carrier.deliver([source], {source.kind: plugin}, context, {})) as delivery:
        (survey,) = delivery.survey()
        if survey.problems:
            raise JobFailed("; ".join(map(summarize_problem, survey.problems)))
        shutil.copytree(delivery.fetch(lambda far: None)[source], to, dirs_exist_ok=True)


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


def make_model_metadata(
    run: str,
    platform: str,
    step: int,
    document: JobDocument | None,
    run_log: RunLog,
    ids: Mapping[str, str],
    checkpoint: CheckpointManifest | None = None,
    folder: str = "",
) -> ModelMetadata:
    """Return the metadata of the model version that a checkpoint is registered as.

    :param document: None if the submitted plan is not stored any more.
    :param ids: tags that find the run again.
    :param checkpoint: its manifest, if its files are at hand.
    :param folder: the name of the checkpoint's folder, unless it is the usual one.
    """
    folder = folder or f"{step:06}"
    manifest = checkpoint or CheckpointManifest(step=step, run=run, job=document.job if document else "", files={})
    document = document or JobDocument(
        schema=SCHEMA,
        run=run,
        job=manifest.job,
        workload="",
        platform=platform,
        container_plugins={},
        parameters={},
        placement=Placement(work="", cache=""),
    )
    module = document.container_plugins.get(f"workload.{document.workload}")
    plugin = load_container_plugin(module, WorkloadContainerPlugin) if module else None
    publishing = plugin.publishing(document, {}) if plugin else PublishingSpec()
    scores = model_lineage.make_score_tags(run_log.evaluation, run, publishing.evaluated_on)
    # a workload reads the policy's type from its files, which are not here: it comes from the tracking run
    policy_type = run_log.params.get(POLICY_TYPE) if run_log.evaluation else None
    own_tags = {**({POLICY_TYPE: str(policy_type)} if policy_type else {}), **publishing.tags, **ids}
    tags = model_lineage.make_version_tags(document, own_tags, Path(folder), manifest)
    if checkpoint is None:  # only the log knows the digest of the files
        tags = {name: value for name, value in tags.items() if name not in model_lineage.DIGEST_TAGS}
        if digest := run_log.tags.get(model_lineage.MODEL_DIGEST_TAG):
            tags[model_lineage.MODEL_DIGEST_TAG] = digest
    lineage = b""
    if publishing.lineage:
        run_id, experiment_id = (ids.get(name, "") for name in ("mlflow_run_id", "mlflow_experiment_id"))
        lineage = model_lineage.format_lineage({**publishing.lineage, **ids}, run_id, experiment_id)
    noun = "policy" if run_log.evaluation else "checkpoint"
    description = publishing.description or f"{noun} {folder} of {run}"
    return ModelMetadata({**tags, **scores}, scores, description, lineage)


def load_submitted_document(run: str, file: str) -> JobDocument | None:
    """Return the job document of a run from its stored plan. `file`: the document's name in the plan."""
    stored_plan = plans.find_stored_plan(run)
    files = stored_plan.plan.files if stored_plan else {}
    content = files.get(file) or files.get(DOCUMENT_FILE)  # all that is here of a run of another machine
    return parse_document(content.decode()) if content else None


def register_version(
    models: "WorkspaceModels", name: str, step: int, metadata: ModelMetadata, create: Callable[[], str]
) -> Registered:
    """Register a model version with `create`, or add the scores to the same one if it exists. Raises ArmError."""
    same_model = model_lineage.find_same_model(models.versions(name), metadata.tags, by_name=not metadata.scores)
    number, old_tags = same_model or (create(), {})
    if same_model and metadata.scores:
        models.tag(name, number, model_lineage.replace_score_tags(old_tags, metadata.scores))
    replaced_run = model_lineage.find_replaced_run(old_tags, metadata.scores) if same_model else ""
    uri = f"models:/{name}/{number}"
    return Registered(name=name, version=number, step=step, uri=uri, new=not same_model, replaced=replaced_run)


def choose_step(run: str, steps: Iterable[int], requested_step: int | None, note: str = "") -> int:
    """Return the step to register: the wanted one or the last. Raise Rejected if there is none. `note`: on `steps`."""
    saved_steps = sorted(steps)
    if saved_steps and requested_step in (None, *saved_steps):
        return saved_steps[-1] if requested_step is None else requested_step
    step_note, flag = ("", "") if requested_step is None else (f" of step {requested_step}", "--step")
    reason = f"Its checkpoints: {', '.join(map(str, saved_steps)) or 'none'}."
    raise Rejected([make_problem("checkpoint-missing", where=flag, run=run, of=step_note, why=reason, note=note)])
