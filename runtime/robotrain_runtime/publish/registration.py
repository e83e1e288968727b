"""One checkpoint of a run as a version of a model, in the registry of the run's tracking."""

import contextlib
import dataclasses
import functools
import hashlib
import re
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from pathlib import Path

from robotrain_runtime import attempts, checkpoint, surroundings
from robotrain_runtime.checkpoint import Manifest
from robotrain_runtime.courier import Never, words
from robotrain_runtime.document import JobDocument
from robotrain_runtime.event import Registered
from robotrain_runtime.failure import PREFLIGHT, REFUSED, Failed
from robotrain_runtime.half import Publishing
from robotrain_runtime.publish import publishing
from robotrain_runtime.stop import Stop
from robotrain_runtime.track.asking import REGISTER
from robotrain_runtime.track.tracker import Tracker

NAME = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}"
PAUSES = (1.0, 2.0, 4.0)
LONGEST_TAG = 256

Say = Callable[[str], None]
Ask = Callable[[], Mapping[str, object]]


def register(
    document: JobDocument,
    asked: Publishing,
    folder: Path,
    *,
    run_id: str,
    python: Path,
    stop: Stop,
    say: Say,
    tracker: Tracker | None = None,
) -> Registered:
    """Make the checkpoint in `folder` a version of the model `asked.register`; one that is already stays as it is.

    run_id: of the tracking run. tracker: one that runs already. Raises Failed when that does not work after some tries,
    Stopped.
    """
    name, manifest = asked.register, checkpoint.read(folder)
    if manifest is None:
        raise Failed(f"the model {name} was not registered: {folder} is not complete")
    if not run_id:
        raise Failed(f"the model {name} was not registered: the run was not tracked")
    wanted = {
        "run_id": run_id,
        "folder": str(folder),
        "model": manifest.model,
        "digest": manifest.digest,
        "name": name,
        "description": asked.description or f"checkpoint {folder.name} of {document.run}",
        "tags": _tags(document, asked.tags, folder, manifest),
    }
    with contextlib.closing(_asks(document, tracker, python, wanted)) as asks:
        done = _until_it_worked(asks, name, stop, say)
    version = str(done["version"])
    if not done["new"]:
        say(f"checkpoint {folder.name} was version {version} of {name} already")
    return Registered(name=name, version=version, step=manifest.step, uri=f"models:/{name}/{version}")


def later(document: JobDocument, name: str, step: int | None, stop: Stop, say: Say) -> Registered:
    """Register a checkpoint of a run that has ended, from what lies in its work folder. Raises Failed, Stopped."""
    work, uri = Path(document.placement.work), document.placement.tracking_uri
    if not re.fullmatch(NAME, name):
        raise Failed(f"{name!r} is no name for a model: letters, digits, `_`, `.` and `-`, at most 255", REFUSED)
    if not (work / attempts.FILE).exists():
        raise Failed(f"{work} holds no run", PREFLIGHT)
    earlier = attempts.read(work)
    if not (run_id := earlier.run_id(uri)):
        raise Failed(f"the model {name} was not registered: the run was not tracked", PREFLIGHT)
    parents = {Path(path).parent for path in earlier.checkpoints}
    folder = choose(document, parents, step, say)
    asked = dataclasses.replace(publishing.kept(work), register=name)
    python = surroundings.python(document, say, stop)
    say(f"registering {folder} as {name}")
    return register(document, asked, folder, run_id=run_id, python=python, stop=stop, say=say)


def choose(document: JobDocument, parents: Iterable[Path], step: int | None, say: Say) -> Path:
    """The folder of the checkpoint of `step` (None: the last that is complete to the byte). Raises Failed."""
    among = sorted(parents)
    if step is None:
        found = [
            good
            for parent in among
            if (good := checkpoint.last_good(parent, run=document.run, skipped=lambda folder, why: say(why)))
        ]
        if not found:
            raise Failed("the run left no complete checkpoint", PREFLIGHT)
        return max(found)[1]
    for parent in among:
        for at, folder in checkpoint.steps(parent):
            if at == step:
                if why := checkpoint.wrong_with(folder):
                    raise Failed(why, PREFLIGHT)
                return folder
    raise Failed(f"the run left no checkpoint of step {step}", PREFLIGHT)


def _tags(document: JobDocument, given: Mapping[str, str], folder: Path, manifest: Manifest) -> dict[str, str]:
    tags = {
        **given,
        "checkpoint": folder.name,
        "source": f"{document.platform} {document.run}",
        "job_digest": document.job,
        "robotrain_run": document.run,
        "checkpoint_sha256": manifest.digest,
    }
    return {name: _cut(value) for name, value in tags.items()}


def _cut(value: str) -> str:
    if len(value) <= LONGEST_TAG:
        return value
    end = f"...sha256:{hashlib.sha256(value.encode()).hexdigest()[:16]}"
    return value[: LONGEST_TAG - len(end)] + end


def _until_it_worked(asks: Iterator[Ask], name: str, stop: Stop, say: Say) -> Mapping[str, object]:
    for pause in (*PAUSES, None):
        try:
            with stop.armed():
                return next(asks)()
        except (OSError, Never) as error:
            if pause is None:
                raise Failed(f"the model {name} was not registered: {words(error)}") from error
            say(f"the model {name} is not registered yet: {words(error)}; trying again")
            with stop.armed():
                time.sleep(pause)
    raise AssertionError


def _asks(
    document: JobDocument, tracker: Tracker | None, python: Path, wanted: Mapping[str, object]
) -> Generator[Ask, None, None]:
    """Ways to ask: first the tracking process of the run; it may have ended, so then one for this alone."""
    if tracker is not None and tracker.run_id:
        yield functools.partial(tracker.ask, REGISTER, wanted, _go_on)
    environ, uri = surroundings.environ(document), document.placement.tracking_uri
    while True:
        try:
            own = Tracker(python, uri, machine=False, environ=environ, on_event=lambda record: None)
        except OSError as error:
            yield functools.partial(_fail, error)
            continue
        try:
            while own.alive:
                yield functools.partial(own.ask, REGISTER, wanted, _go_on)
        finally:
            own.close(None)


def _go_on() -> bool:
    return False


def _fail(error: OSError) -> Mapping[str, object]:
    raise error
