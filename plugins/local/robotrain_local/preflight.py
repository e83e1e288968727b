"""A look at this machine before anything is started: the runtime's own preflight, and the run's folder."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from robotrain.errors import Problem, Stage, Suggestion
from robotrain.model.health import convert_finding
from robotrain.model.plan import Plan
from robotrain_runtime.contract import document
from robotrain_runtime.machine.disk_cache import GIB
from robotrain_runtime.preflight import run_preflight as look

from robotrain_local import errors, spec, submit
from robotrain_local.render import DOCUMENT_FILE

MIN_FREE_GIB = 1.0


def run_preflight(plan: Plan) -> Iterator[Problem]:
    """What would make this plan fail here. The same code looks again when the run starts."""
    try:
        job, process = (
            document.parse_document(plan.files[DOCUMENT_FILE].decode()),
            spec.parse_spec(plan.files[plan.spec]),
        )
    except errors.PLAN_ERRORS as error:
        yield errors.make_damaged_plan_problem(error)
        return
    yield from map(convert_finding, look(job, _print_progress))
    if not submit.is_interrupted_submit(plan, Path(process.folder)):
        yield from _check_run_folder(Path(process.folder))


def _print_progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _check_run_folder(folder: Path) -> Iterator[Problem]:
    there = next(parent for parent in folder.parents if parent.exists())
    another = Suggestion("--runs-dir FOLDER", "a folder that can be written")
    if folder.exists():
        why = "A run of this name was submitted before."
        old = Suggestion(f"rm -r {folder}", "when that run is not needed")
        yield _make_folder_problem("run-folder-exists", "the run's folder is there already", folder, why, old, another)
    elif not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        why = f"{there} is {'a folder that does not let you write' if there.is_dir() else 'not a folder'}."
        yield _make_folder_problem("run-folder-unwritable", "the run's folder cannot be made", folder, why, another)
    elif (free := shutil.disk_usage(there).free / GIB) < MIN_FREE_GIB:
        why = f"{free:.2f} GiB are free there; a run that fills the disk loses its last checkpoint."
        larger = Suggestion("--runs-dir FOLDER", "on a larger disk")
        yield _make_folder_problem(
            "run-folder-full", "there is hardly any room for the run's folder", folder, why, larger
        )


def _make_folder_problem(code: str, title: str, folder: Path, why: str, *instead: Suggestion) -> Problem:
    return Problem(
        code=code,
        stage=Stage.PREFLIGHT,
        title=title,
        where="--runs-dir",
        given=str(folder.parent),
        why=why,
        suggestions=instead,
    )
