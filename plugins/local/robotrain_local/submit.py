"""Submit a plan: create the run's folder atomically and start its supervisor, exactly once."""

import contextlib
import dataclasses
import io
import os
import shutil
import sys
import time
import zipfile
from pathlib import Path

from robotrain import background
from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.messages import Messages
from robotrain.model import plan as plans
from robotrain.model.plan import Plan
from robotrain.model.reference import Reference
from robotrain.run_folder.facts import read_facts
from robotrain.run_folder.file_names import LOG_FILE, PAYLOAD_FOLDER
from robotrain.run_folder.placement import CODE_FOLDER, list_code_folders
from robotrain.run_folder.settings import SQLITE_SCHEME
from robotrain.store import code_folder, files
from robotrain_runtime.contract.document import DOCUMENT_FILE, parse_document
from robotrain_runtime.contract.files import make_atomically, write_atomically

from robotrain_local import process, spec
from robotrain_local.observe import LOCAL_FACT_FILES, explain_log
from robotrain_local.render import DATABASE

make_problem = Messages(__file__)

PLAN_ERRORS = (ValueError, KeyError, zipfile.BadZipFile)
"""Errors of reading a damaged plan."""
POLL_SECONDS = 0.01
STARTING_SECONDS = 2.0
PATIENCE_SECONDS = 30.0


def submit_plan(plan: Plan) -> Reference:
    """Start the process of `plan` in the background, once. Raise Rejected if it fails, leaving nothing behind."""
    try:
        process_spec = spec.parse_spec(plan.files[plan.spec])
        payload = zipfile.ZipFile(io.BytesIO(plan.files[spec.PAYLOAD_FILE]))
    except PLAN_ERRORS as error:
        raise Rejected([make_damaged_plan_problem(error)]) from error
    folder = Path(process_spec.folder)
    try:
        provide_run_folder(plan, folder, payload)
    except (OSError, zipfile.BadZipFile) as error:
        if folder.is_dir():
            taken_problem = make_problem(
                "run-folder-taken", given=str(folder.parent), folder=folder, stage=Stage.SUBMIT
            )
            raise Rejected([dataclasses.replace(taken_problem, taken_by=str(folder))]) from error
        reason = f"{getattr(error, 'strerror', None) or error}."
        fix = Suggestion("--runs-dir FOLDER", "a writable folder")
        raise Rejected([make_problem("run-folder-refused.not-created", fix, given=str(folder), why=reason)]) from error
    _make_database_private(plan)
    try:
        if not spec.has_started(folder):
            _wait_until_started(folder, _start_supervisor(folder, process_spec))
    except OSError as error:
        discard_run_folder(folder)
        raise Rejected(
            [make_problem("supervisor-not-started", given=sys.executable, strerror=error.strerror or error)]
        ) from error
    with contextlib.suppress(OSError):  # if missing, the next submit of this plan is taken for a repetition
        (folder / spec.SUBMITTED_FILE).touch(files.PRIVATE_FILE)
    return {"folder": str(folder)}


def _make_database_private(plan: Plan) -> None:
    """Let only the owner read robotrain's own database of runs; MLflow would create it with the user's umask."""
    path = files.get_state_folder() / DATABASE
    document = plan.files.get(DOCUMENT_FILE)
    with contextlib.suppress(OSError, ValueError):  # a document that cannot be read is the run's to refuse
        if document and parse_document(document.decode()).placement.tracking_uri == f"{SQLITE_SCHEME}{path}":
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, files.PRIVATE_FILE))
            path.chmod(files.PRIVATE_FILE)


def find_run(plan: Plan) -> Reference | None:
    """Return the run that another submit of `plan` started or is starting, or None. Raise Rejected on read errors."""
    try:
        folder = Path(spec.parse_spec(plan.files[plan.spec]).folder)
        if not has_same_plan(plan, folder):
            return None
        deadline = time.time() + STARTING_SECONDS
        while not spec.has_started(folder):
            if time.time() > min(deadline, folder.stat().st_mtime + STARTING_SECONDS):
                return None
            time.sleep(POLL_SECONDS)
    except PLAN_ERRORS as error:
        raise Rejected([make_damaged_plan_problem(error)]) from error
    except OSError as error:
        raise Rejected(
            [
                make_problem(
                    "run-folder-refused.not-readable", given=error.filename or "", strerror=error.strerror or error
                )
            ]
        ) from error
    return {"folder": str(folder)}


def _start_supervisor(folder: Path, process_spec: spec.ProcessSpec) -> int:
    """Start the supervisor, which outlives the terminal. Return its pid."""
    dropped_variables = {*process_spec.without, process.MARK_VARIABLE}
    environ = {name: value for name, value in os.environ.items() if name not in dropped_variables}
    log = folder / LOG_FILE
    return background.start_module("robotrain_local.supervisor", str(folder), log, environ, files.PRIVATE_FILE)


def _wait_until_started(folder: Path, pid: int) -> None:
    """Wait until a supervisor has claimed the run. Raise ChildProcessError if this one ends before."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not spec.has_started(folder) and time.monotonic() < deadline:
        if background.has_exited(pid) and not spec.has_started(folder):
            raise ChildProcessError(explain_log(read_facts(folder, LOCAL_FACT_FILES)) or "it ended without a message")
        time.sleep(POLL_SECONDS)


def make_damaged_plan_problem(error: Exception) -> Problem:
    """Return the problem of a plan that raised one of PLAN_ERRORS."""
    reason = f"{error} is missing." if isinstance(error, KeyError) else f"{error}."
    return make_problem("plan-unreadable", why=reason)


def provide_run_folder(plan: Plan, folder: Path, payload: zipfile.ZipFile) -> None:
    """Create or complete `folder` with `plan` and its payload. Raise FileExistsError if it holds something else."""
    if not os.path.lexists(folder):
        _create_run_folder(plan, folder, payload)
    elif not is_interrupted_submit(plan, folder):
        raise FileExistsError(f"{folder} exists")
    elif not spec.has_started(folder):
        _complete_run_folder(plan, folder, payload)
    for part in list_partial_folders(folder):  # of interrupted submits
        shutil.rmtree(part, ignore_errors=True)


def is_interrupted_submit(plan: Plan, folder: Path) -> bool:
    """Return whether `folder` was left by an interrupted submit of this plan.

    If the run has not started, the folder has only files of this plan, complete or not.
    """
    if spec.has_started(folder):
        return not (folder / spec.SUBMITTED_FILE).exists() and has_same_plan(plan, folder)
    try:
        file_names = os.listdir(folder)
    except OSError:
        return False
    planned_names = {path.partition("/")[0] for path in plan.files}
    expected_names = {PAYLOAD_FOLDER, CODE_FOLDER, LOG_FILE, *planned_names}
    has_same_files = all(
        planned_bytes.startswith(_read_bytes(folder / path)) for path, planned_bytes in plan.files.items()
    )
    return has_same_files and all(name in expected_names or name.startswith(".") for name in file_names)


def has_same_plan(plan: Plan, folder: Path) -> bool:
    """Return whether `folder` holds exactly this plan; the payload is compared by its digest in the spec."""
    try:
        stored_files = {path: file_bytes for path, file_bytes in plan.files.items() if path != spec.PAYLOAD_FILE}
        return all(
            files.read_limited_file(folder / path, len(stored_files[path])) == stored_files[path]
            for path in stored_files
        )
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False


def discard_run_folder(folder: Path) -> None:
    """Remove a folder, unless its run has started."""
    partial = folder.with_name(f".{folder.name}.{os.urandom(4).hex()}.part")
    with contextlib.suppress(OSError):
        os.rename(folder, partial)
        if spec.has_started(partial):
            os.rename(partial, folder)
        shutil.rmtree(partial, ignore_errors=True)


def list_partial_folders(folder: Path) -> list[Path]:
    """Return the folders that interrupted submits left beside the run's folder."""
    return sorted(folder.parent.glob(f".{folder.name}.*.part"))


def _create_run_folder(plan: Plan, folder: Path, payload: zipfile.ZipFile) -> None:
    try:
        files.make_private_folder(folder.parent)
        with make_atomically(folder) as part:
            files.make_private_folder(part)
            plans.write_plan_files(plan, part)
            payload.extractall(part / PAYLOAD_FOLDER)
            files.make_tree_private(part)
            _copy_code(plan, part)
    except OSError:
        if not has_same_plan(plan, folder):  # else another submit of this plan was faster
            raise


def _complete_run_folder(plan: Plan, folder: Path, payload: zipfile.ZipFile) -> None:
    """Write missing or incomplete files one by one: a supervisor may be starting in the folder."""
    unpacked = {f"{PAYLOAD_FOLDER}/{name}": payload.read(name) for name in payload.namelist() if not name.endswith("/")}
    for path, file_bytes in {**unpacked, **plan.files}.items():
        if _read_bytes(folder / path) != file_bytes:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            write_atomically(folder / path, file_bytes, files.PRIVATE_FILE)
    _copy_code(plan, folder)


def _copy_code(plan: Plan, folder: Path) -> None:
    """Copy the folders of code, as they were pinned, to a run folder, unless they are there. Raise OSError."""
    copy = folder / CODE_FOLDER
    for source in list_code_folders(plan.job.sources):
        if not copy.exists():
            staged_folder = code_folder.stage_folder(Path(source.uri), source.pin)
            with make_atomically(copy) as part:
                shutil.copytree(staged_folder, part)


def _read_bytes(path: Path) -> bytes:
    try:
        return files.read_state_file(path)
    except (OSError, ValueError):
        return b""
