"""Registration of a checkpoint or an evaluated policy as a version of a model."""

import dataclasses
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path

from robotrain_runtime.checkpoints import model_lineage, recovery
from robotrain_runtime.checkpoints.model_lineage import make_version_tags
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.container_plugin import PublishingSpec
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.event import Evaluated, Registered
from robotrain_runtime.contract.failure import EXIT_PREFLIGHT, EXIT_REFUSED, JobFailed, PermanentError, describe_error
from robotrain_runtime.contract.files import write_atomically
from robotrain_runtime.contract.parameter import MODEL_NAME_PATTERN
from robotrain_runtime.environments import run_environment
from robotrain_runtime.process.stop import StopSignal
from robotrain_runtime.publishing import sealing
from robotrain_runtime.publishing.sealing import SealedArtifact
from robotrain_runtime.tracking.tracker import REGISTER_REQUEST, Tracker

LogFunction = Callable[[str], None]


NOT_BEGUN = "the run has no checkpoint yet, and its tracking has not begun"
NO_POLICY = "the run did not keep the policy that it evaluated"


def choose_checkpoint(
    document: JobDocument, parents: Iterable[Path], step: int | None, log_line: LogFunction
) -> SealedArtifact:
    """Return the checkpoint of `step`, or the last complete one. Raise JobFailed if there is none."""
    candidates: list[tuple[int, Path]] = []
    for parent in sorted(parents):
        if step is not None:
            candidates += [
                saved_checkpoint
                for saved_checkpoint in checkpoint.list_checkpoints(parent)
                if saved_checkpoint[0] == step
            ]
        elif last_checkpoint := checkpoint.find_last_complete(
            parent, run=document.run, on_skip=lambda _, reason: log_line(reason)
        ):
            candidates.append(last_checkpoint)
    if not candidates:
        description = "complete checkpoint" if step is None else f"checkpoint of step {step}"
        raise JobFailed(f"the run has no {description}", EXIT_PREFLIGHT)
    folder = max(candidates)[1]
    if step is not None and (problem := checkpoint.validate_checkpoint(folder)):
        raise JobFailed(problem, EXIT_PREFLIGHT)
    manifest = checkpoint.read_manifest(folder)
    assert manifest is not None
    return SealedArtifact(folder=folder, manifest=manifest)


def _choose_policy(document: JobDocument, evaluated: Evaluated, step: int | None) -> SealedArtifact:
    if not evaluated.policy:
        raise JobFailed(NO_POLICY, EXIT_PREFLIGHT)
    if step not in (None, evaluated.step):
        raise JobFailed(f"the run evaluated the policy of step {evaluated.step}, not of step {step}", EXIT_PREFLIGHT)
    folder = Path(evaluated.policy)
    manifest_path = sealing.get_policy_seal_path(document)
    if problem := checkpoint.validate_checkpoint(folder, manifest_path):
        raise JobFailed(problem, EXIT_PREFLIGHT)
    manifest = checkpoint.read_manifest(folder, manifest_path)
    assert manifest is not None
    return SealedArtifact(folder=folder, manifest=manifest, kind="policy", evaluated=evaluated)


RETRY_PAUSES = (1.0, 2.0, 4.0)


def register_model(
    document: JobDocument,
    spec: PublishingSpec,
    candidate: SealedArtifact,
    *,
    run_id: str,
    python: Path,
    stop: StopSignal,
    log_line: LogFunction,
    tracker: Tracker | None = None,
) -> Registered:
    """Register a candidate as a version of the model `spec.register`, or update the scores of its existing version.

    `run_id` is that of the tracking run, `tracker` the one that is running, if any. Raise JobFailed after some tries,
    StopRequested.
    """
    name, folder, manifest = spec.register, candidate.folder, candidate.manifest
    if not run_id:
        raise JobFailed(f"the model {name} was not registered: the run was not tracked")
    request = {
        "run_id": run_id,
        "folder": str(folder),
        "what": candidate.kind,
        "model": manifest.model,
        "digest": manifest.digest,
        "name": name,
        "description": spec.description or f"{candidate.display_name} of {document.run}",
        "tags": make_version_tags(document, spec.tags, folder, manifest),
        "scores": model_lineage.make_score_tags(candidate.evaluated, document.run, spec.evaluated_on),
        "lineage": dict(spec.lineage),
    }
    reply = _request_with_retries(document, tracker, python, request, stop, log_line)
    version = str(reply["version"])
    is_new = bool(reply["new"])
    replaced_run = str(reply.get("replaced") or "")
    if not is_new:
        scores = f": the scores of {replaced_run} are replaced by those of {document.run}" if replaced_run else ""
        log_line(f"{candidate.display_name} is already version {version} of {name}{scores}")
    uri = f"models:/{name}/{version}"
    return Registered(name=name, version=version, step=manifest.step, uri=uri, new=is_new, replaced=replaced_run)


def register_ended_run(
    document: JobDocument, name: str, step: int | None, stop: StopSignal, log_line: LogFunction
) -> Registered:
    """Register the evaluated policy or a checkpoint of an ended run. Raise JobFailed or StopRequested."""
    work = Path(document.placement.work)
    uri = document.placement.tracking_uri
    if not re.fullmatch(MODEL_NAME_PATTERN, name):
        raise JobFailed(
            f"{name!r} is not a valid model name: use at most 255 letters, digits, `_`, `.` and `-`", EXIT_REFUSED
        )
    if not (work / recovery.EVENTS_FILE).exists():
        raise JobFailed(f"there is no run in {work}", EXIT_PREFLIGHT)
    earlier_attempts = recovery.read_earlier_attempts(work)
    if not (run_id := earlier_attempts.get_tracking_run(uri)):
        has_model = bool(earlier_attempts.checkpoints) or earlier_attempts.evaluated is not None
        has_begun = not uri or has_model or earlier_attempts.tracking is not None
        reason = "the run was not tracked" if has_begun else NOT_BEGUN
        raise JobFailed(f"the model {name} was not registered: {reason}", EXIT_PREFLIGHT)
    if earlier_attempts.evaluated:
        candidate = _choose_policy(document, earlier_attempts.evaluated, step)
    else:
        candidate = choose_checkpoint(
            document, {Path(path).parent for path in earlier_attempts.checkpoints}, step, log_line
        )
    spec = dataclasses.replace(read_publishing_spec(work), register=name)
    python = run_environment.get_run_python(document, log_line, stop)
    log_line(f"registering {candidate.folder} as {name}")
    return register_model(document, spec, candidate, run_id=run_id, python=python, stop=stop, log_line=log_line)


def _request_with_retries(
    document: JobDocument,
    tracker: Tracker | None,
    python: Path,
    request: Mapping[str, object],
    stop: StopSignal,
    log_line: LogFunction,
) -> Mapping[str, object]:
    name = request["name"]
    for pause in (*RETRY_PAUSES, None):
        try:
            with _open_tracker(document, tracker, python) as process, stop.interruptible():
                return process.send_request(REGISTER_REQUEST, request, lambda: False)
        except (OSError, PermanentError) as error:
            if pause is None:
                raise JobFailed(f"the model {name} was not registered: {describe_error(error)}") from error
            log_line(f"the model {name} is not registered yet: {describe_error(error)}; trying again")
            with stop.interruptible():
                time.sleep(pause)
    raise AssertionError


def _open_tracker(document: JobDocument, tracker: Tracker | None, python: Path) -> AbstractContextManager[Tracker]:
    """Return the run's tracking process; if that has ended, or has no run, one for a request."""
    if tracker is not None and tracker.run_id and tracker.is_alive:
        return nullcontext(tracker)
    environ = run_environment.make_program_environ(document)
    uri = document.placement.tracking_uri
    return closing(Tracker(python, uri, system_metrics=False, environ=environ, on_event=lambda record: None))


PUBLISHING_FILE = "publishing.json"


def write_publishing_spec(work: Path, publishing: PublishingSpec) -> None:
    """Save the publishing spec in the work folder. Raise OSError."""
    spec_json = json.dumps(dataclasses.asdict(publishing), indent=1, sort_keys=True) + "\n"
    write_atomically(work / PUBLISHING_FILE, spec_json.encode())


def read_publishing_spec(work: Path) -> PublishingSpec:
    """Return the saved publishing spec; an empty one if it is gone."""
    try:
        return PublishingSpec(**json.loads((work / PUBLISHING_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return PublishingSpec()
