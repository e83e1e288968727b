"""What is done with the folder of an ended run: registering its model with its own runtime, or removing it.

Removing a run keeps tracked, registered and published checkpoints, and what it wrote outside its folder.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from robotrain_runtime.contract import child_python, failure
from robotrain_runtime.contract.address import TRACKING_VARIABLES
from robotrain_runtime.contract.document import DOCUMENT_FILE, parse_fields
from robotrain_runtime.contract.event import Registered
from robotrain_runtime.machine import disk_cache

from robotrain.errors import Problem, Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.model.run import RemovedInPart, Status
from robotrain.redaction import MAX_SENTENCE, redact
from robotrain.run_folder import file_names, log
from robotrain.store import ownership

make_problem = Messages(__file__)

REGISTER_COMMAND = "register"


RunRuntime = Callable[[Path, list[str], Path], subprocess.CompletedProcess[str]]
"""Run the runtime in a folder with arguments, and a payload."""


def _run_runtime(folder: Path, arguments: list[str], payload: Path) -> subprocess.CompletedProcess[str]:
    """Run the runtime that was sent with the run, in `payload`."""
    environ = {name: value for name, value in os.environ.items() if name not in TRACKING_VARIABLES}
    return subprocess.run(
        child_python.make_module_command("robotrain_runtime", *arguments),
        cwd=folder,
        env=environ | {"PYTHONPATH": str(payload)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def register_model(
    folder: Path,
    name: str,
    step: int | None,
    payload: Path | None = None,
    run: RunRuntime = _run_runtime,
    find_other_writer: Callable[[Path], str] = ownership.find_other_writer,
) -> Registered:
    """Register the checkpoint of `step`, the last one, or the evaluated policy as a version of the model `name`.

    Raise Rejected if the registration fails, or others may have written what it runs.

    :param payload: the folder of the run's payload, if it is not below `folder`.
    :param run: runs the runtime; of a run on another machine, there.
    :param find_other_writer: as that of `ownership`; of a run on another machine, there.
    """
    payload = payload or folder / file_names.PAYLOAD_FOLDER
    for path in dict.fromkeys((folder, payload.parent, payload)):
        if reason := find_other_writer(path):
            raise Rejected([_make_open_folder_problem(folder, name, path, reason)])
    arguments = [REGISTER_COMMAND, DOCUMENT_FILE, name, *(() if step is None else ("--step", str(step)))]
    completed = run(folder, arguments, payload)  # the runtime that fits the run's plugins and lock
    if completed.returncode:
        _, separator, message = f"\n{completed.stderr}".rpartition("\nerror: ")
        reason = message.strip() if separator else failure.explain_output(completed.stderr.splitlines())
        reason = reason or f"It ended with exit code {completed.returncode}."
        raise Rejected([_make_registration_problem(folder, name, step, reason)])
    try:
        return parse_fields(Registered, completed.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        reason = "The runtime did not report the version."
        raise Rejected([_make_registration_problem(folder, name, step, reason)]) from None


def _make_open_folder_problem(folder: Path, name: str, path: Path, reason: str) -> Problem:
    copying = Suggestion(f"robotrain outputs {folder.name} --to FOLDER", "copies what the run left")
    ways = [*ownership.suggest_closing(folder, reason), copying]
    return make_problem("not-registered.open-to-others", *ways, given=folder.name, name=name, place=path, why=reason)


def _make_registration_problem(folder: Path, name: str, step: int | None, message: str) -> Problem:
    evaluated = log.read_evaluation(folder)
    last = "the policy that it evaluated" if evaluated else "its last checkpoint"
    which = last if step is None or evaluated else f"the checkpoint of step {step}"
    reason = "\n".join(redact(line, max_length=MAX_SENTENCE) for line in message.splitlines())
    return make_problem("not-registered", given=folder.name, which=which, name=name, why=reason)


REMOVED_SUFFIX = ".gone"
LINKED = "its folder is a link to another one"


def make_removed_path(folder: Path) -> Path:
    """Return the name that a run folder has while it is removed: a part of it is never visible under its own."""
    return folder.with_name(f".{folder.name}.{os.urandom(4).hex()}{REMOVED_SUFFIX}")


def make_files_left_error(folder: Path, left: Path, reason: str) -> RemovedInPart:
    """Return the error of a run folder of which something is left under the name that it has while it is removed."""
    return RemovedInPart([make_problem("run-files-left", name=folder.name, folder=left, why=reason.rstrip("."))])


def remove_folder(folder: Path, dry_run: bool) -> int | None:
    """Remove a folder unless `dry_run` is set. Return the bytes freed; None if it stays: another user's is theirs.

    Raise OSError, before anything is removed, or RemovedInPart.
    """
    if folder.is_symlink():  # its name could be removed, and its files would stay
        raise OSError(errno.ELOOP, LINKED)
    if folder.stat().st_uid != os.geteuid():
        return None
    freed = disk_cache.measure_folder(folder).reclaimable
    if not dry_run:
        removed = make_removed_path(folder)
        os.rename(folder, removed)
        try:
            shutil.rmtree(removed)
        except OSError as error:
            raise make_files_left_error(folder, removed, error.strerror or str(error)) from error
    return freed


def remove_run_folder(
    folder: Path,
    owner: str,
    spec_file: str,
    status: Status,
    dry_run: bool = False,
    remove: Callable[[Path, bool], int | None] = remove_folder,
) -> int | None:
    """Remove the folder of an ended run unless `dry_run` is set. Raise Rejected.

    Return the bytes freed; None if it belongs to another user, and stays.

    :param owner: the run that the folder says it is of, in `spec_file`; empty if it does not.
    :param remove: as `remove_folder`; of a run on another machine, there.
    """
    if owner != folder.name:  # a record may name any folder
        raise Rejected([make_problem("not-a-run-folder", folder=folder, spec_file=spec_file)])
    if not status.finished:
        raise Rejected([make_problem("run-goes-on", name=folder.name, state=status.state, why=status.reason)])
    return remove(folder, dry_run)
