"""A run of this machine that another state folder, or another user, has the record of: found by its run folder."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from robotrain.errors import Rejected
from robotrain.messages import Messages
from robotrain.model.run import RUN_PATTERN
from robotrain.model.submitted_run import ListedSubmission, SubmittedRun
from robotrain.run_folder import submitted_runs
from robotrain.run_folder.folder_access import format_user
from robotrain_runtime.contract.document import DOCUMENT_FILE
from robotrain_runtime.contract.document_limits import MAX_DOCUMENT_BYTES
from robotrain_runtime.contract.files import read_limited_file

from robotrain_local import spec
from robotrain_local.observe import read_status
from robotrain_local.render import get_run_folder
from robotrain_local.settings import LocalSettings

make_problem = Messages(__file__)


def find_submitted(text: str) -> SubmittedRun | None:
    """Return the run in a folder; None if it is no run folder of this platform. Raise Rejected."""
    if not submitted_runs.names_folder(text):
        return None
    folder = Path(submitted_runs.resolve_folder(text))
    if not folder.is_dir():
        return None
    try:
        created_at = (folder / spec.SPEC_FILE).stat().st_mtime
        document = read_limited_file(folder / DOCUMENT_FILE, MAX_DOCUMENT_BYTES)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Rejected([make_problem("run-not-adopted", given=str(folder), why=reason)]) from None
    return SubmittedRun(document, lambda job, settings: {"folder": str(folder)}, created_at)


def list_submitted(settings: LocalSettings, everyone: bool) -> Iterator[ListedSubmission]:
    """Yield the runs in the folder for runs, the newest first."""
    top = get_run_folder(settings, "runs").parent
    run_folders = list[tuple[float, int, Path]]()
    for name in os.listdir(top) if top.is_dir() else ():
        with suppress(OSError):
            file_status = (top / name / spec.SPEC_FILE).stat()
            if RUN_PATTERN.fullmatch(name) and (everyone or file_status.st_uid == os.geteuid()):
                run_folders.append((file_status.st_mtime, file_status.st_uid, top / name))
    for created_at, owner, folder in sorted(run_folders, reverse=True):
        with suppress(OSError):
            keys = {"folder": str(folder)}
            yield ListedSubmission(
                str(folder), folder.name, read_status(folder).state, keys, created_at, format_user(owner)
            )
