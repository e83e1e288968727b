"""Submit a plan: create the run's folder atomically and start its supervisor, exactly once."""

import contextlib
import io
import os
import shutil
import sys
import time
import zipfile
from pathlib import Path

from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.model import plan as plans
from robotrain.model.plan import Plan
from robotrain.model.run import Reference

from robotrain_local import errors, process, spec
from robotrain_local import spec as files

POLL_SECONDS = 0.01
STARTING_SECONDS = 2.0
PATIENCE_SECONDS = 30.0


def submit_plan(plan: Plan) -> Reference:
    """Start the process of `plan` in the background, once. Raises Rejected; then nothing is left behind."""
    try:
        wanted = spec.parse_spec(plan.files[plan.spec])
        payload = zipfile.ZipFile(io.BytesIO(plan.files[files.PAYLOAD_FILE]))
    except errors.PLAN_ERRORS as error:
        raise errors.make_damaged_plan_rejection(error) from error
    folder = Path(wanted.folder)
    try:
        provide_run_folder(plan, folder, payload)
    except (OSError, zipfile.BadZipFile) as error:
        raise Rejected([_make_refused_folder_problem(folder, error)]) from error
    try:
        if not files.has_started(folder):
            _wait_until_started(folder, _start_supervisor(folder, wanted))
    except OSError as error:
        discard_run_folder(folder)
        raise Rejected([_make_start_problem(error)]) from error
    with contextlib.suppress(OSError):  # without it a submit of this very plan is taken for a repetition of this one
        (folder / files.SUBMITTED_FILE).touch()
    return {"folder": str(folder)}


def find_run(plan: Plan) -> Reference | None:
    """The run that an earlier submit of `plan` began, or is beginning at this moment. Raises Rejected."""
    try:
        folder = Path(spec.parse_spec(plan.files[plan.spec]).folder)
        if not has_same_plan(plan, folder):
            return None
        until = time.time() + STARTING_SECONDS
        while not files.has_started(folder):
            if time.time() > min(until, folder.stat().st_mtime + STARTING_SECONDS):
                return None
            time.sleep(POLL_SECONDS)
    except errors.PLAN_ERRORS as error:
        raise errors.make_damaged_plan_rejection(error) from error
    except OSError as error:
        raise Rejected([_make_unreadable_folder_problem(error)]) from error
    return {"folder": str(folder)}


def _start_supervisor(folder: Path, process_spec: spec.ProcessSpec) -> int:
    """The pid of the supervisor, in a session of its own: no terminal's end reaches it."""
    without = {*process_spec.without, process.MARK_VARIABLE}
    return os.posix_spawn(
        sys.executable,
        [sys.executable, "-P", "-m", "robotrain_local.supervisor", str(folder)],
        {name: value for name, value in os.environ.items() if name not in without},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(folder / files.LOG_FILE), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )


def _wait_until_started(folder: Path, pid: int) -> None:
    """Return when the supervisor, or that of another submit, has the run in hand. Raises ChildProcessError when it ends
    before; on a busy machine it may take longer than we wait.
    """
    until = time.monotonic() + PATIENCE_SECONDS
    while not files.has_started(folder) and time.monotonic() < until:
        if _has_exited(pid) and not files.has_started(folder):
            raise ChildProcessError(spec.read_failure_reason(folder) or "it ended without a word")
        time.sleep(POLL_SECONDS)


def _has_exited(child: int) -> bool:
    try:
        return os.waitpid(child, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return True


def _make_refused_folder_problem(folder: Path, error: Exception) -> Problem:
    if folder.is_dir():
        why, instead = (
            "A run of this name was submitted before.",
            Suggestion(f"rm -r {folder}", "when it is not needed"),
        )
    else:
        why = f"{getattr(error, 'strerror', None) or error}."
        instead = Suggestion("--runs-dir FOLDER", "a folder that can be written")
    return Problem(
        code="run-folder-refused",
        stage=Stage.SUBMIT,
        title="the run's folder cannot be made",
        where="--runs-dir",
        given=str(folder),
        why=why,
        suggestions=(instead,),
    )


def _make_start_problem(error: OSError) -> Problem:
    return Problem(
        code="supervisor-not-started",
        stage=Stage.SUBMIT,
        title="the process that watches over the run could not be started",
        given=sys.executable,
        why=f"{error.strerror or error}.",
    )


def _make_unreadable_folder_problem(error: OSError) -> Problem:
    return Problem(
        code="run-folder-unreadable",
        stage=Stage.SUBMIT,
        title="whether the run is there cannot be seen",
        where="--runs-dir",
        given=error.filename or "",
        why=f"{error.strerror or error}.",
    )


def provide_run_folder(plan: Plan, folder: Path, payload: zipfile.ZipFile) -> None:
    """Make `folder` hold `plan` and its payload. Raises FileExistsError when something else lies there, OSError."""
    if not os.path.lexists(folder):
        _create_run_folder(plan, folder, payload)
    elif not is_interrupted_submit(plan, folder):
        raise FileExistsError(f"{folder} is there already")
    elif not files.has_started(folder):
        _complete_run_folder(plan, folder, payload)
    for part in list_partial_folders(folder):  # of submits that were cut off
        shutil.rmtree(part, ignore_errors=True)


def is_interrupted_submit(plan: Plan, folder: Path) -> bool:
    """Whether `folder` is what a submit of this very plan left that was cut off: before its run began, or after."""
    if files.has_started(folder):
        return not (folder / files.SUBMITTED_FILE).exists() and has_same_plan(plan, folder)
    return _is_partial_submit(plan, folder)


def has_same_plan(plan: Plan, folder: Path) -> bool:
    """Whether `folder` is that of exactly this plan, the payload by its digest. Raises OSError."""
    try:
        return all(
            (folder / path).read_bytes() == plan.files[path] for path in plan.files if path != files.PAYLOAD_FILE
        )
    except (FileNotFoundError, NotADirectoryError):
        return False


def discard_run_folder(folder: Path) -> None:
    """Take a folder away again, unless its run began all the same."""
    aside = _make_partial_path(folder)
    with contextlib.suppress(OSError):
        os.rename(folder, aside)
        if files.has_started(aside):
            os.rename(aside, folder)
        shutil.rmtree(aside, ignore_errors=True)


def list_partial_folders(folder: Path) -> list[Path]:
    """What submits that were cut off left beside the run's folder."""
    return sorted(folder.parent.glob(f".{folder.name}.*.part"))


def _is_partial_submit(plan: Plan, folder: Path) -> bool:
    """Whether there is nothing but files of this plan, or the beginnings of them."""
    try:
        there = os.listdir(folder)
    except OSError:
        return False
    known = {files.PAYLOAD_FOLDER, files.LOG_FILE, *(path.partition("/")[0] for path in plan.files)}
    whole = all(content.startswith(_read_bytes(folder / path)) for path, content in plan.files.items())
    return whole and all(name in known or name.startswith(".") for name in there)


def _create_run_folder(plan: Plan, folder: Path, payload: zipfile.ZipFile) -> None:
    part = _make_partial_path(folder)
    try:
        plans.write_plan_files(plan, part)
        payload.extractall(part / files.PAYLOAD_FOLDER)
        os.rename(part, folder)
    except OSError:
        if not has_same_plan(plan, folder):  # else another submit of this very plan was quicker
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _complete_run_folder(plan: Plan, folder: Path, payload: zipfile.ZipFile) -> None:
    """Write what is missing or was torn, file by file: a supervisor may be starting there at this moment."""
    unpacked = {
        f"{files.PAYLOAD_FOLDER}/{name}": payload.read(name) for name in payload.namelist() if not name.endswith("/")
    }
    for path, content in {**unpacked, **plan.files}.items():
        if _read_bytes(folder / path) != content:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            files.write_atomically(folder / path, content)


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _make_partial_path(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.{os.urandom(4).hex()}.part")
