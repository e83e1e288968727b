"""The run folder of a submit: created as a whole, taken over from an interrupted one, or refused."""

import errno
import os
import shlex
from contextlib import suppress
from pathlib import Path

from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.messages import Messages
from robotrain.model.plan import Plan
from robotrain.run_folder import status as run_folder
from robotrain.run_folder.code_copy import StageCode, copy_code
from robotrain.run_folder.folder_access import find_owner, format_user
from robotrain_runtime.contract.files import remove_folder

from robotrain_slurm.spec.render import list_code_copies
from robotrain_slurm.spec.submission_spec import PAYLOAD_FILE, SlurmSpec
from robotrain_slurm.submit.sbatch import find_number, read_answer
from robotrain_slurm.submit.step_jobs import SENT_FILE

make_problem = Messages(__file__)

ELSEWHERE = Suggestion("--runs-dir FOLDER", "a folder that you may write to, and that all nodes see")
FULL = (errno.ENOSPC, errno.EDQUOT)


def create_run_folder(plan: Plan, spec: SlurmSpec, stage_code: StageCode | None = None) -> bool:
    """Create the run folder with the plan's files, its unpacked payload and its code; return whether it is new.

    Raise Rejected, also if the run in it was sent already.
    """
    folder = Path(spec.folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        is_new = run_folder.create_run_folder(plan, folder, PAYLOAD_FILE)
        for source, place in list_code_copies(plan.files, spec.jobs):
            copy_code(source, Path(place), stage_code)
    except OSError as error:
        if os.path.lexists(folder):
            raise Rejected([make_existing_folder_problem(folder, Stage.SUBMIT)]) from None
        raise Rejected([_make_refused_problem(error, folder)]) from None
    if not is_new and is_sent(spec):
        raise Rejected([make_existing_folder_problem(folder, Stage.SUBMIT)])
    return is_new


def is_sent(spec: SlurmSpec) -> bool:
    """Return whether all jobs of the run folder were sent. Raise OSError."""
    root = Path(spec.folder)
    if spec.is_pipeline:
        return (root / SENT_FILE).exists()
    return all(find_number(read_answer(root, job)) for job in spec.jobs)


def discard_run_folder(spec: SlurmSpec) -> None:
    """Remove the folder of a run that Slurm refused."""
    with suppress(OSError):
        remove_folder(Path(spec.folder))


def make_existing_folder_problem(folder: Path, stage: Stage) -> Problem:
    """Return the problem of a run folder with another run in it."""
    owner, me = find_owner(folder), os.geteuid()
    is_mine = owner == me
    why = "A run of this name was submitted before." if is_mine else f"It belongs to {format_user(owner)}."
    another = Suggestion("--runs-dir FOLDER", "another folder, which all nodes see")
    remove = Suggestion(f"rm -r {shlex.quote(str(folder))}", "if you do not need that run") if is_mine else ""
    return make_problem("run-folder-taken", another, remove, given=str(folder), stage=stage, why=why)


def _make_refused_problem(error: OSError, folder: Path) -> Problem:
    if error.errno in FULL:
        return make_problem("run-folder-full", ELSEWHERE, given=str(folder.parent), strerror=error.strerror or error)
    return make_problem("run-folder-refused", ELSEWHERE, given=str(folder.parent), strerror=error.strerror or error)
