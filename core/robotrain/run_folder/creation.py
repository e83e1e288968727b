"""Putting a run's folder in its place: whole, or not at all."""

import io
import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

from robotrain.errors import Problem, Stage, Suggestion
from robotrain.model import plan as plans
from robotrain.model.plan import Plan

PAYLOAD_FOLDER = "payload"


def create_run_folder(plan: Plan, folder: Path, payload: str = "payload.zip") -> bool:
    """Make `folder` hold the files of `plan`, and in `payload/` what its payload holds; False when they are there
    already, as an earlier submit of this very plan left them.

    Run there, `PYTHONPATH=payload python3 -m robotrain_runtime run job.json` is the job. payload: its path in the plan.
    Raises FileExistsError when something else lies there, OSError.
    """
    part = folder.with_name(f".{folder.name}.{os.urandom(4).hex()}.part")
    try:
        plans.write_plan_files(plan, part)
        zipfile.ZipFile(io.BytesIO(plan.files[payload])).extractall(part / PAYLOAD_FOLDER)
        os.rename(part, folder)
        return True
    except OSError as error:
        if not folder.is_dir():
            raise
        if not has_plan_files(plan, folder):
            raise FileExistsError(f"{folder} is there already, and holds something else") from error
        return False
    finally:
        shutil.rmtree(part, ignore_errors=True)


def has_plan_files(plan: Plan, folder: Path) -> bool:
    """Whether `folder` has the files of this very plan, as an earlier submit left them."""
    return all((folder / path).is_file() and (folder / path).read_bytes() == plan.files[path] for path in plan.files)


def find_creation_problems(plan: Plan, folder: Path) -> Iterator[Problem]:
    """Why `place` would fail, for a preflight; it looks, and makes nothing."""
    above = next((parent for parent in folder.parents if parent.is_dir()), folder.parent)
    if os.path.lexists(folder) and not has_plan_files(plan, folder):
        yield _make_problem(f"{folder} is there already, and holds something else")
    elif not os.access(above, os.W_OK):
        yield _make_problem(f"{folder} cannot be made: nothing may be written into {above}")


def _make_problem(title: str) -> Problem:
    way = Suggestion("another folder for runs")
    return Problem(code="run-folder-refused", stage=Stage.PREFLIGHT, title=title, suggestions=(way,))
