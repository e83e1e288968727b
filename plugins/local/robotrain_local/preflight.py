"""A look at this machine before anything is started: the runtime's own preflight, and the run's folder."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from robotrain.findings import problem_of
from robotrain.plan import Plan
from robotrain.problem import Instead, Problem, Stage
from robotrain_runtime import document
from robotrain_runtime.disk_use import GIB
from robotrain_runtime.preflight import preflight as look

from robotrain_local import damaged, spec, staging
from robotrain_local.render import JOB

ROOM_GIB = 1.0


def preflight(plan: Plan) -> Iterator[Problem]:
    """What would make this plan fail here. The same code looks again when the run starts."""
    try:
        job, process = document.load(plan.files[JOB].decode()), spec.load(plan.files[plan.spec])
    except damaged.ERRORS as error:
        yield damaged.problem(error)
        return
    yield from map(problem_of, look(job, _narrate))
    if not staging.cut_off(plan, Path(process.folder)):
        yield from _folder(Path(process.folder))


def _narrate(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _folder(folder: Path) -> Iterator[Problem]:
    there = next(parent for parent in folder.parents if parent.exists())
    another = Instead("--runs-dir FOLDER", "a folder that can be written")
    if folder.exists():
        why = "A run of this name was submitted before."
        old = Instead(f"rm -r {folder}", "when that run is not needed")
        yield _problem("run-folder-exists", "the run's folder is there already", folder, why, old, another)
    elif not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        why = f"{there} is {'a folder that does not let you write' if there.is_dir() else 'not a folder'}."
        yield _problem("run-folder-unwritable", "the run's folder cannot be made", folder, why, another)
    elif (free := shutil.disk_usage(there).free / GIB) < ROOM_GIB:
        why = f"{free:.2f} GiB are free there; a run that fills the disk loses its last checkpoint."
        larger = Instead("--runs-dir FOLDER", "on a larger disk")
        yield _problem("run-folder-full", "there is hardly any room for the run's folder", folder, why, larger)


def _problem(code: str, title: str, folder: Path, why: str, *instead: Instead) -> Problem:
    return Problem(
        code=code,
        stage=Stage.PREFLIGHT,
        title=title,
        where="--runs-dir",
        given=str(folder.parent),
        why=why,
        instead=instead,
    )
