"""Outputs of a run: what its log says about them, their download, and their registration as model versions."""

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from robotrain.errors import Rejected, Suggestion, make_problem
from robotrain.model.progress import Progress
from robotrain.model.run import Output
from robotrain.redaction import redact
from robotrain.store import plans
from robotrain_runtime.checkpoints import model_lineage
from robotrain_runtime.contract import checkpoint, event
from robotrain_runtime.contract.checkpoint import CheckpointManifest
from robotrain_runtime.contract.container_plugin import PublishingSpec, WorkloadContainerPlugin
from robotrain_runtime.contract.document import SCHEMA, JobDocument, Placement, Scalar, parse_document
from robotrain_runtime.contract.event import Checkpoint, Evaluated, Registered, Track
from robotrain_runtime.contract.failure import JobFailed
from robotrain_runtime.contract.plugin_loader import load_container_plugin

if TYPE_CHECKING:
    from robotrain_azure.tracking.container import WorkspaceModels

BLOB_KIND = "blob_url"
"""The source kind of published outputs."""
POLICY_TAG = "policy_artifact"
"""The tag of a run that holds the artifact path of the evaluated policy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLog:
    """What the log of a run says about its progress, outputs and tracking run."""

    progress: Progress
    models: Mapping[int, str]
    """The path of the model in each checkpoint, by step."""
    tags: Mapping[str, str]
    params: Mapping[str, Scalar]

    def list_published(self) -> Iterator[Output]:
        """Yield the checkpoints and results that were published to a URL; a folder of the machine is gone with it."""
        for published in self.progress.published:
            if published.to.startswith("https://"):
                yield self.make_checkpoint(published.step, BLOB_KIND, published.to)
        if self.results_url:
            yield Output(name=self.results_name, kind="file", source=BLOB_KIND, uri=self.results_url)

    def make_checkpoint(self, step: int, source: str, uri: str) -> Output:
        """Return a checkpoint as an output. `source`: the source kind that reads `uri`."""
        name, model = make_checkpoint_name(step), self.models.get(step, "")
        others = tuple(address for address in self.progress.list_addresses(step) if address != uri)
        return Output(name=name, kind="checkpoint", source=source, uri=uri, step=step, model=model, addresses=others)

    @property
    def results_url(self) -> str:
        """The URL that the results were copied to; empty if none."""
        return next((to for to in reversed(self.progress.results) if to.startswith("https://")), "")

    @property
    def results_name(self) -> str:
        """The name of the results folder."""
        return PurePosixPath(self.evaluation.results).name if self.evaluation else ""

    @property
    def evaluation(self) -> Evaluated | None:
        """The result of an evaluation."""
        return self.progress.evaluated

    @property
    def run_id(self) -> str:
        """The id of the tracking run; empty if it is not known."""
        return str((self.progress.tracking or {}).get("run_id") or "")

    @property
    def experiment_id(self) -> str:
        """The id of the tracking run's experiment; empty if it is not known."""
        return str((self.progress.tracking or {}).get("experiment_id") or "")

    def find_artifacts(self, run_id: str) -> dict[int, str]:
        """Return the artifact path of each model, or of the evaluated policy, by step."""
        start, published = f"runs:/{run_id}/", self.progress.published if run_id else ()
        paths = {item.step: item.to.removeprefix(start) for item in published if item.to.startswith(start)}
        if self.evaluation and (policy := self.tags.get(POLICY_TAG)):
            paths[self.evaluation.step] = policy
        return paths


def parse_run_log(lines: Iterable[str]) -> RunLog:
    """Parse the lines of a log."""
    progress, models = Progress(), dict[int, str]()
    tags, params = dict[str, str](), dict[str, Scalar]()
    for line in lines:
        if record := event.parse_event(line):
            progress.add_event(record)
            if isinstance(record.event, Checkpoint):
                models[record.event.step] = record.event.model
            elif isinstance(record.event, Track):
                tags |= record.event.tags
                params |= record.event.params
    return RunLog(progress=progress, models=models, tags=tags, params=params)


def make_checkpoint_name(step: int) -> str:
    """Return the name of a checkpoint among the outputs."""
    return f"checkpoints/{step:06}"


def download_atomically(output: Output, to: Path, fetch: Callable[[Path], None]) -> None:
    """Call `fetch` with a temporary folder beside `to`, then rename it to `to`. Raises Rejected."""
    if os.path.lexists(to):
        raise Rejected([make_problem("output-exists", "the target exists already", given=str(to))])
    scratch = to.with_name(f".{to.name}.{os.urandom(4).hex()}.part")
    title = f"cannot download {output.name}"
    try:
        scratch.mkdir(parents=True)
        fetch(scratch)
        os.rename(scratch, to)
    except JobFailed as error:
        why = redact(error.reason, max_length=1000)
        raise Rejected([make_problem("output-not-copied", title, "", output.uri, why)]) from None
    except OSError as error:  # shutil.Error is one
        why = f"{error.strerror or error}."
        raise Rejected([make_problem("output-not-copied", title, "", str(to), why)]) from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def require_content(output: Output, folder: Path, suggestion: Suggestion) -> None:
    """Raise Rejected if nothing was downloaded. `suggestion`: what lists the present outputs."""
    if not any(folder.iterdir()):
        title = f"{output.name} does not exist any more"
        raise Rejected([make_problem("output-gone", title, "", output.uri, "", suggestion)])


def verify_checkpoint(output: Output, folder: Path, submission: str, run: str, *, complete: bool) -> None:
    """Raise Rejected if a checkpoint is damaged or belongs to another run.

    An empty `run` accepts any run. `complete`: whether all files must be present.
    """
    if complete and (damage := checkpoint.validate_checkpoint(folder)):
        title = f"{output.name} was damaged in the download"
        why = f"{damage.replace(str(folder), output.uri)}."
        raise Rejected([make_problem("output-not-copied", title, "", output.uri, why)])
    if (manifest := checkpoint.read_manifest(folder)) and is_foreign_checkpoint(manifest, submission, run):
        title = f"{output.name} belongs to another run"
        owner = f"{manifest.run} ({manifest.submission})" if manifest.submission else manifest.run
        raise Rejected([make_problem("output-not-copied", title, "", output.uri, f"Its manifest names {owner}.")])


def is_foreign_checkpoint(manifest: CheckpointManifest, submission: str, run: str) -> bool:
    """Return whether a checkpoint belongs to another run or submission. An empty `run` accepts any run."""
    return manifest.run != (run or manifest.run) or manifest.submission not in ("", submission)


def download_blobs(kind: str, uri: str, to: Path) -> None:
    """Download a source of this kind into the folder `to`, through the cache. Raises OSError, JobFailed.

    The reason of JobFailed may hold secrets.
    """
    from robotrain.plugins.manager import Plugins
    from robotrain.store import files
    from robotrain_runtime.contract import plugin_loader
    from robotrain_runtime.contract.container_plugin import ContainerContext, SourceContainerPlugin
    from robotrain_runtime.contract.document import JobSource
    from robotrain_runtime.environments import environment
    from robotrain_runtime.process.stop import StopSignal

    source, cache = JobSource(role="resume", kind=kind, uri=uri), files.get_cache_folder()
    plugin = plugin_loader.load_container_plugin(Plugins().source_kinds()[kind].container_plugin, SourceContainerPlugin)
    carrier = plugin_loader.load_batch_fetcher(plugin.CARRIER)
    lock, python = carrier.ENVIRONMENT.lock, carrier.ENVIRONMENT.python
    built = environment.build_environment(lock, python, cache, print_progress, StopSignal())
    context = ContainerContext(cache=cache, python=environment.get_python(built), log_line=print_progress)
    with contextlib.closing(carrier.deliver([source], {source.kind: plugin}, context, {})) as delivery:
        (survey,) = delivery.survey()
        if survey.problems:
            raise JobFailed("; ".join(sentence.replace("\n", ": ") for sentence in survey.problems))
        shutil.copytree(delivery.fetch(lambda far: None)[source], to, dirs_exist_ok=True)


def print_progress(line: str) -> None:
    """Print a line to the user."""
    print(line, file=sys.stderr, flush=True)


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
    chosen = {name: run_log.params[name] for name in document.space if name in run_log.params}  # of a trial of a sweep
    document = replace(document, parameters={**document.parameters, **chosen})
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
    models: "WorkspaceModels", name: str, step: int, metadata: ModelMetadata, create: Callable[[], str]
) -> Registered:
    """Register a model version with `create`, or add the scores to the same one if it exists. Raises ArmError."""
    same = model_lineage.find_same_model(models.versions(name), metadata.tags, by_name=not metadata.scores)
    number, old_tags = same or (create(), {})
    if same and metadata.scores:
        models.tag(name, number, model_lineage.replace_score_tags(old_tags, metadata.scores))
    replaced = model_lineage.find_replaced_run(old_tags, metadata.scores) if same else ""
    uri = f"models:/{name}/{number}"
    return Registered(name=name, version=number, step=step, uri=uri, new=not same, replaced=replaced)
