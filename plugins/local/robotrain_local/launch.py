"""Submitting: the run's folder, and the process that goes on without us. A submit may be killed at any step of it."""

import contextlib
import io
import os
import sys
import time
import zipfile
from pathlib import Path

from robotrain.plan import Plan
from robotrain.problem import Instead, Problem, Rejected, Stage
from robotrain.run import Reference

from robotrain_local import damaged, process, spec, staging, told
from robotrain_local import folder as files

POLL = 0.01
STARTING_SECONDS = 2.0
PATIENCE_SECONDS = 30.0


def launch(plan: Plan) -> Reference:
    """Start the process of `plan` in the background, once. Raises Rejected; then nothing is left behind."""
    try:
        wanted = spec.load(plan.files[plan.spec])
        payload = zipfile.ZipFile(io.BytesIO(plan.files[files.PAYLOAD]))
    except damaged.ERRORS as error:
        raise damaged.rejected(error) from error
    folder = Path(wanted.folder)
    try:
        staging.provide(plan, folder, payload)
    except (OSError, zipfile.BadZipFile) as error:
        raise Rejected([_refused(folder, error)]) from error
    try:
        if not files.begun(folder):
            _until_begun(folder, _spawn(folder, wanted))
    except OSError as error:
        staging.discard(folder)
        raise Rejected([_not_started(error)]) from error
    with contextlib.suppress(OSError):  # without it a submit of this very plan is taken for a repetition of this one
        (folder / files.SENT).touch()
    return {"folder": str(folder)}


def find(plan: Plan) -> Reference | None:
    """The run that an earlier submit of `plan` began, or is beginning at this moment. Raises Rejected."""
    try:
        folder = Path(spec.load(plan.files[plan.spec]).folder)
        if not staging.holds(plan, folder):
            return None
        until = time.time() + STARTING_SECONDS
        while not files.begun(folder):
            if time.time() > min(until, folder.stat().st_mtime + STARTING_SECONDS):
                return None
            time.sleep(POLL)
    except damaged.ERRORS as error:
        raise damaged.rejected(error) from error
    except OSError as error:
        raise Rejected([_unreadable(error)]) from error
    return {"folder": str(folder)}


def _spawn(folder: Path, wanted: spec.Spec) -> int:
    """The pid of the supervisor, in a session of its own: no terminal's end reaches it."""
    without = {*wanted.without, process.MARK}
    return os.posix_spawn(
        sys.executable,
        [sys.executable, "-P", "-m", "robotrain_local.supervisor", str(folder)],
        {name: value for name, value in os.environ.items() if name not in without},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(folder / files.LOG), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )


def _until_begun(folder: Path, pid: int) -> None:
    """Return when the supervisor, or that of another submit, has the run in hand. Raises ChildProcessError when it ends
    before; on a busy machine it may take longer than we wait.
    """
    until = time.monotonic() + PATIENCE_SECONDS
    while not files.begun(folder) and time.monotonic() < until:
        if _ended(pid) and not files.begun(folder):
            raise ChildProcessError(told.last_words(folder) or "it ended without a word")
        time.sleep(POLL)


def _ended(child: int) -> bool:
    try:
        return os.waitpid(child, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return True


def _refused(folder: Path, error: Exception) -> Problem:
    if folder.is_dir():
        why, instead = "A run of this name was submitted before.", Instead(f"rm -r {folder}", "when it is not needed")
    else:
        why = f"{getattr(error, 'strerror', None) or error}."
        instead = Instead("--runs-dir FOLDER", "a folder that can be written")
    return Problem(
        code="run-folder-refused",
        stage=Stage.SUBMIT,
        title="the run's folder cannot be made",
        where="--runs-dir",
        given=str(folder),
        why=why,
        instead=(instead,),
    )


def _not_started(error: OSError) -> Problem:
    return Problem(
        code="supervisor-not-started",
        stage=Stage.SUBMIT,
        title="the process that watches over the run could not be started",
        given=sys.executable,
        why=f"{error.strerror or error}.",
    )


def _unreadable(error: OSError) -> Problem:
    return Problem(
        code="run-folder-unreadable",
        stage=Stage.SUBMIT,
        title="whether the run is there cannot be seen",
        where="--runs-dir",
        given=error.filename or "",
        why=f"{error.strerror or error}.",
    )
