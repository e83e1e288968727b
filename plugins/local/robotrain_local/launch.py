"""Submitting: the run's folder, and the process that goes on without us."""

import dataclasses
import io
import os
import shutil
import sys
import zipfile
from pathlib import Path

from robotrain import plan as plans
from robotrain.plan import Plan
from robotrain.problem import Instead, Problem, Rejected, Stage
from robotrain.run import Reference

from robotrain_local import damaged, process, spec
from robotrain_local import folder as files


def launch(plan: Plan) -> Reference:
    """Start the process of `plan` in the background. Raises Rejected; then nothing is left behind."""
    try:
        wanted = spec.load(plan.files[plan.spec])
        payload = zipfile.ZipFile(io.BytesIO(plan.files[files.PAYLOAD]))
    except damaged.ERRORS as error:
        raise damaged.rejected(error) from error
    folder = Path(wanted.folder)
    _make(folder)
    try:
        plans.write(plan, folder)
        payload.extractall(folder / files.UNPACKED)
        pid = _spawn(folder, wanted)
    except (OSError, zipfile.BadZipFile) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise Rejected([_refused(folder, error)]) from error
    # The supervisor writes the same: whichever of the two is interrupted, the run can be found.
    files.write(folder / files.SUPERVISOR, dataclasses.asdict(process.identify(pid)))
    return {"folder": str(folder)}


def _make(folder: Path) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir()
    except OSError as error:
        raise Rejected([_refused(folder, error)]) from error


def _spawn(folder: Path, wanted: spec.Spec) -> int:
    """The pid of the supervisor, in a session of its own: no terminal's end reaches it."""
    return os.posix_spawn(
        sys.executable,
        [sys.executable, "-P", "-m", "robotrain_local.supervisor", str(folder)],
        {name: value for name, value in os.environ.items() if name not in wanted.without},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(folder / files.LOG), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )


def _refused(folder: Path, error: Exception) -> Problem:
    if isinstance(error, FileExistsError) and folder.is_dir():
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
