"""What a run left as a version of a model, in the registry of its tracking: a checkpoint, or the evaluated policy."""

import contextlib
import dataclasses
import functools
import re
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path

from robotrain_runtime import attempts, model_digest, surroundings
from robotrain_runtime.checkpoint import Manifest
from robotrain_runtime.courier import Never, words
from robotrain_runtime.document import JobDocument
from robotrain_runtime.event import Registered
from robotrain_runtime.failure import PREFLIGHT, REFUSED, Failed
from robotrain_runtime.half import Publishing
from robotrain_runtime.publish import choice, publishing, same_model, score_tags
from robotrain_runtime.publish.choice import Chosen
from robotrain_runtime.publish.tag_value import cut
from robotrain_runtime.stop import Stop
from robotrain_runtime.track.asking import REGISTER
from robotrain_runtime.track.tracker import Tracker

NAME = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}"
PAUSES = (1.0, 2.0, 4.0)

Say = Callable[[str], None]
Ask = Callable[[], Mapping[str, object]]


def register(
    document: JobDocument,
    asked: Publishing,
    chosen: Chosen,
    *,
    run_id: str,
    python: Path,
    stop: Stop,
    say: Say,
    tracker: Tracker | None = None,
) -> Registered:
    """Make what was chosen a version of the model `asked.register`; one that is already stays, with its new scores.

    run_id: of the tracking run. tracker: one that runs already. Raises Failed when that does not work after some tries,
    Stopped.
    """
    name, folder, manifest = asked.register, chosen.folder, chosen.manifest
    if not run_id:
        raise Failed(f"the model {name} was not registered: the run was not tracked")
    wanted = {
        "run_id": run_id,
        "folder": str(folder),
        "what": chosen.what,
        "model": manifest.model,
        "digest": manifest.digest,
        "name": name,
        "description": asked.description or f"{chosen.called} of {document.run}",
        "tags": tags(document, asked.tags, folder, manifest),
        "scores": score_tags.of(chosen.evaluated, document.run, asked.evaluated_on),
        "lineage": dict(asked.lineage),
    }
    with contextlib.closing(_asks(document, tracker, python, wanted)) as asks:
        done = _until_it_worked(asks, name, stop, say)
    version, new, replaced = str(done["version"]), bool(done["new"]), str(done.get("replaced") or "")
    if not new:
        say(f"{chosen.called} was version {version} of {name} already{_rescored(replaced, document.run)}")
    uri = f"models:/{name}/{version}"
    return Registered(name=name, version=version, step=manifest.step, uri=uri, new=new, replaced=replaced)


def later(document: JobDocument, name: str, step: int | None, stop: Stop, say: Say) -> Registered:
    """Register what a run that has ended left, from what lies in its work folder: the policy that it evaluated, or a
    checkpoint. Raises Failed, Stopped.
    """
    work, uri = Path(document.placement.work), document.placement.tracking_uri
    if not re.fullmatch(NAME, name):
        raise Failed(f"{name!r} is no name for a model: letters, digits, `_`, `.` and `-`, at most 255", REFUSED)
    if not (work / attempts.FILE).exists():
        raise Failed(f"{work} holds no run", PREFLIGHT)
    earlier = attempts.read(work)
    if not (run_id := earlier.run_id(uri)):
        raise Failed(f"the model {name} was not registered: the run was not tracked", PREFLIGHT)
    chosen = choice.of_run(document, earlier, step, say)
    asked = dataclasses.replace(publishing.kept(work), register=name)
    python = surroundings.python(document, say, stop)
    say(f"registering {chosen.folder} as {name}")
    return register(document, asked, chosen, run_id=run_id, python=python, stop=stop, say=say)


def tags(document: JobDocument, given: Mapping[str, str], folder: Path, manifest: Manifest) -> dict[str, str]:
    """What a version says of itself. given: what the workload has to say. folder: that of the checkpoint."""
    told = {
        "source": f"{document.platform} {document.run}",
        **given,
        same_model.CHECKPOINT: folder.name,
        "job_digest": document.job,
        same_model.RUN: document.run,
        same_model.WHOLE: manifest.digest,
    }
    model = {same_model.MODEL: found} if (found := model_digest.of(manifest)) else {}
    return {name: cut(value) for name, value in {**told, **model}.items()}


def _rescored(replaced: str, run: str) -> str:
    """What became of the scores of the run that evaluated it before."""
    return f": the scores of {replaced} are replaced by those of {run}" if replaced else ""


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
