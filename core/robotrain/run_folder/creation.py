"""Atomic creation of a run folder from a plan."""

import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from robotrain.errors import Problem, Stage, Suggestion
from robotrain.model import plan as plans
from robotrain.model.plan import Plan

PAYLOAD_FOLDER = "payload"


def create_run_folder(plan: Plan, folder: Path, payload: str = "payload.zip") -> bool:
    """Write the files of `plan` to `folder`, and unpack its payload to `payload/`; return False if they exist already.

    `PYTHONPATH=payload python3 -m robotrain_runtime run job.json` in the folder runs the job. Raise FileExistsError if
    the folder has another content, OSError.

    :param payload: the path of the payload in the plan.
    """
    import zipfile

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
            raise FileExistsError(f"{folder} already exists with another content") from error
        return False
    finally:
        shutil.rmtree(part, ignore_errors=True)


def has_plan_files(plan: Plan, folder: Path) -> bool:
    """Return whether `folder` has the unchanged files of the plan."""
    return all((folder / path).is_file() and (folder / path).read_bytes() == plan.files[path] for path in plan.files)


def find_creation_problems(plan: Plan, folder: Path) -> Iterator[Problem]:
    """Yield problems that would make `create_run_folder` fail, without changing anything."""
    above = next((parent for parent in folder.parents if parent.is_dir()), folder.parent)
    if os.path.lexists(folder) and not has_plan_files(plan, folder):
        yield _make_problem(f"{folder} already exists with another content")
    elif not os.access(above, os.W_OK):
        yield _make_problem(f"{folder} cannot be created: {above} is not writable")


def _make_problem(title: str) -> Problem:
    suggestion = Suggestion("another folder for runs")
    return Problem(code="run-folder-refused", stage=Stage.PREFLIGHT, title=title, suggestions=(suggestion,))
