"""Registration of a checkpoint or an evaluated policy as a version of a model."""

import contextlib
import dataclasses
import functools
import json
import os
import re
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from robotrain_runtime.checkpoints import model_lineage, recovery
from robotrain_runtime.checkpoints.model_lineage import make_version_tags
from robotrain_runtime.checkpoints.recovery import EarlierAttempts
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.checkpoint import CheckpointManifest
from robotrain_runtime.contract.container_plugin import PublishingSpec
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.event import Evaluated, Registered
from robotrain_runtime.contract.failure import EXIT_PREFLIGHT, EXIT_REFUSED, JobFailed, PermanentError, describe_error
from robotrain_runtime.environments import run_environment
from robotrain_runtime.process.stop import StopSignal
from robotrain_runtime.publishing import sealing
from robotrain_runtime.tracking.tracker import REGISTER_REQUEST, Tracker

LogFunction = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationCandidate:
    """A checkpoint or a policy, and what is sealed of it. evaluated: what came of evaluating the policy."""

    folder: Path
    manifest: CheckpointManifest
    kind: Literal["checkpoint", "policy"] = "checkpoint"
    evaluated: Evaluated | None = None

    @property
    def display_name(self) -> str:
        """For people."""
        return f"{'checkpoint' if self.kind == 'checkpoint' else 'policy'} {self.folder.name}"


def choose_from_run(
    document: JobDocument, earlier: EarlierAttempts, step: int | None, log_line: LogFunction
) -> RegistrationCandidate:
    """Of a run that has ended. step: that of the checkpoint or policy; None for the last. Raises JobFailed."""
    if evaluated := earlier.evaluated:
        return _choose_policy(document, evaluated, step)
    return choose_checkpoint(document, {Path(path).parent for path in earlier.checkpoints}, step, log_line)


def choose_checkpoint(
    document: JobDocument, parents: Iterable[Path], step: int | None, log_line: LogFunction
) -> RegistrationCandidate:
    """The checkpoint of `step` (None: the last that is complete to the byte). Raises JobFailed."""
    folder = _find_checkpoint(document, sorted(parents), step, log_line)
    manifest = checkpoint.read_manifest(folder)
    if manifest is None:
        raise JobFailed(f"{folder} is not complete", EXIT_PREFLIGHT)
    return RegistrationCandidate(folder=folder, manifest=manifest)


def make_policy_candidate(evaluated: Evaluated, manifest: CheckpointManifest) -> RegistrationCandidate:
    """The policy of an evaluation."""
    return RegistrationCandidate(folder=Path(evaluated.policy), manifest=manifest, kind="policy", evaluated=evaluated)


def make_missing_policy_error() -> JobFailed:
    """Why there is no policy."""
    return JobFailed("the run did not keep the policy that it evaluated", EXIT_PREFLIGHT)


def _choose_policy(document: JobDocument, evaluated: Evaluated, step: int | None) -> RegistrationCandidate:
    if not evaluated.policy:
        raise make_missing_policy_error()
    if step not in (None, evaluated.step):
        raise JobFailed(
            f"the run evaluated the policy of step {evaluated.step}, and left none of step {step}", EXIT_PREFLIGHT
        )
    folder, at = Path(evaluated.policy), sealing.get_policy_seal_path(document)
    manifest = checkpoint.read_manifest(folder, at)
    if (why := checkpoint.validate_checkpoint(folder, at)) or manifest is None:
        raise JobFailed(why, EXIT_PREFLIGHT)
    return make_policy_candidate(evaluated, manifest)


def _find_checkpoint(document: JobDocument, folders: Iterable[Path], step: int | None, log_line: LogFunction) -> Path:
    if step is None:
        found = [
            good
            for parent in folders
            if (
                good := checkpoint.find_last_complete(
                    parent, run=document.run, on_skip=lambda folder, why: log_line(why)
                )
            )
        ]
        if not found:
            raise JobFailed("the run left no complete checkpoint", EXIT_PREFLIGHT)
        return max(found)[1]
    for parent in folders:
        for at, folder in checkpoint.list_checkpoints(parent):
            if at == step:
                if why := checkpoint.validate_checkpoint(folder):
                    raise JobFailed(why, EXIT_PREFLIGHT)
                return folder
    raise JobFailed(f"the run left no checkpoint of step {step}", EXIT_PREFLIGHT)


MODEL_NAME_PATTERN = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}"
RETRY_PAUSES = (1.0, 2.0, 4.0)

RegistrationLogFunction = Callable[[str], None]
RegistrationCall = Callable[[], Mapping[str, object]]


def register_model(
    document: JobDocument,
    spec: PublishingSpec,
    chosen: RegistrationCandidate,
    *,
    run_id: str,
    python: Path,
    stop: StopSignal,
    log_line: RegistrationLogFunction,
    tracker: Tracker | None = None,
) -> Registered:
    """Make what was chosen a version of the model `asked.register`; one that is already stays, with its new scores.

    run_id: of the tracking run. tracker: one that runs already. Raises JobFailed when that does not work after some tries,
    Stopped.
    """
    name, folder, manifest = spec.register, chosen.folder, chosen.manifest
    if not run_id:
        raise JobFailed(f"the model {name} was not registered: the run was not tracked")
    wanted = {
        "run_id": run_id,
        "folder": str(folder),
        "what": chosen.kind,
        "model": manifest.model,
        "digest": manifest.digest,
        "name": name,
        "description": spec.description or f"{chosen.display_name} of {document.run}",
        "tags": make_version_tags(document, spec.tags, folder, manifest),
        "scores": model_lineage.make_score_tags(chosen.evaluated, document.run, spec.evaluated_on),
        "lineage": dict(spec.lineage),
    }
    with contextlib.closing(_make_calls(document, tracker, python, wanted)) as asks:
        done = _call_with_retries(asks, name, stop, log_line)
    version, new, replaced = str(done["version"]), bool(done["new"]), str(done.get("replaced") or "")
    if not new:
        log_line(
            f"{chosen.display_name} was version {version} of {name} already{_describe_replaced_scores(replaced, document.run)}"
        )
    uri = f"models:/{name}/{version}"
    return Registered(name=name, version=version, step=manifest.step, uri=uri, new=new, replaced=replaced)


def register_ended_run(
    document: JobDocument, name: str, step: int | None, stop: StopSignal, log_line: RegistrationLogFunction
) -> Registered:
    """Register what a run that has ended left, from what lies in its work folder: the policy that it evaluated, or a
    checkpoint. Raises JobFailed, StopRequested.
    """
    work, uri = Path(document.placement.work), document.placement.tracking_uri
    if not re.fullmatch(MODEL_NAME_PATTERN, name):
        raise JobFailed(
            f"{name!r} is no name for a model: letters, digits, `_`, `.` and `-`, at most 255", EXIT_REFUSED
        )
    if not (work / recovery.EVENTS_FILE).exists():
        raise JobFailed(f"{work} holds no run", EXIT_PREFLIGHT)
    earlier = recovery.read_earlier_attempts(work)
    if not (run_id := earlier.get_tracking_run(uri)):
        raise JobFailed(f"the model {name} was not registered: the run was not tracked", EXIT_PREFLIGHT)
    chosen = choose_from_run(document, earlier, step, log_line)
    asked = dataclasses.replace(read_publishing_spec(work), register=name)
    python = run_environment.get_run_python(document, log_line, stop)
    log_line(f"registering {chosen.folder} as {name}")
    return register_model(document, asked, chosen, run_id=run_id, python=python, stop=stop, log_line=log_line)


def _describe_replaced_scores(replaced: str, run: str) -> str:
    """What became of the scores of the run that evaluated it before."""
    return f": the scores of {replaced} are replaced by those of {run}" if replaced else ""


def _call_with_retries(
    calls: Iterator[RegistrationCall], name: str, stop: StopSignal, log_line: RegistrationLogFunction
) -> Mapping[str, object]:
    for pause in (*RETRY_PAUSES, None):
        try:
            with stop.interruptible():
                return next(calls)()
        except (OSError, PermanentError) as error:
            if pause is None:
                raise JobFailed(f"the model {name} was not registered: {describe_error(error)}") from error
            log_line(f"the model {name} is not registered yet: {describe_error(error)}; trying again")
            with stop.interruptible():
                time.sleep(pause)
    raise AssertionError


def _make_calls(
    document: JobDocument, tracker: Tracker | None, python: Path, request: Mapping[str, object]
) -> Generator[RegistrationCall, None, None]:
    """Ways to ask: first the tracking process of the run; it may have ended, so then one for this alone."""
    if tracker is not None and tracker.run_id:
        yield functools.partial(tracker.send_request, REGISTER_REQUEST, request, _is_never_cancelled)
    environ, uri = run_environment.make_program_environ(document), document.placement.tracking_uri
    while True:
        try:
            own = Tracker(python, uri, system_metrics=False, environ=environ, on_event=lambda record: None)
        except OSError as error:
            yield functools.partial(_raise_error, error)
            continue
        try:
            while own.is_alive:
                yield functools.partial(own.send_request, REGISTER_REQUEST, request, _is_never_cancelled)
        finally:
            own.close(None)


def _is_never_cancelled() -> bool:
    return False


def _raise_error(error: OSError) -> Mapping[str, object]:
    raise error


PUBLISHING_FILE = "publishing.json"


def write_publishing_spec(work: Path, publishing: PublishingSpec) -> None:
    """Write it down. Raises OSError."""
    scratch = work / f"{PUBLISHING_FILE}.part"
    scratch.write_text(json.dumps(dataclasses.asdict(publishing), indent=1, sort_keys=True) + "\n", encoding="utf-8")
    os.replace(scratch, work / PUBLISHING_FILE)


def read_publishing_spec(work: Path) -> PublishingSpec:
    """What was written down; nothing asked when that is gone."""
    try:
        return PublishingSpec(**json.loads((work / PUBLISHING_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return PublishingSpec()
