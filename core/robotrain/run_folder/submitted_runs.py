"""A run that another machine sent to a scheduler, found by its run folder, which has all that was sent."""

import os
import re
import shlex
from dataclasses import replace

from robotrain_runtime.contract.document_limits import MAX_DOCUMENT_BYTES

from robotrain.errors import Rejected
from robotrain.messages import Messages
from robotrain.model.run import RunGone
from robotrain.model.submitted_run import SubmittedRun
from robotrain.run_folder.run_archive import DIGEST_FILE
from robotrain.run_folder.scheduler_plan import SchedulerSpec, make_spec_file
from robotrain.run_folder.submit import SchedulerRuns
from robotrain.run_folder.transport import FIND_PATH, Transport

make_problem = Messages(__file__)

CLOSED = "closed"
"""What is printed of a folder that may not be entered."""


def find_submitted_run(scheduler: SchedulerRuns, folder: str) -> SubmittedRun | None:
    """Return the run in a folder where the scheduler is; None if the folder has none of this scheduler.

    Raise RunGone, Rejected.
    """
    transport = scheduler.at
    spec_file = make_spec_file(scheduler.platform.name, scheduler.engine_name)
    spec_bytes = _read_document(transport, folder, spec_file.name)
    if spec_bytes is None:
        name = shlex.quote(folder)
        script = f"{FIND_PATH}if has_path {name} && [ -d {name} ] && [ ! -x {name} ]; then echo {CLOSED}; fi"
        if transport.query(script).text.strip() == CLOSED:
            raise Rejected([make_problem("run-not-adopted.closed", given=folder)])
        return None
    try:
        spec = spec_file.parse(spec_bytes)
    except ValueError as error:
        raise _make_unreadable_error(folder, str(error)) from None
    if not spec.jobs:
        raise _make_unreadable_error(folder, f"{spec_file.name} has no job")
    if spec.is_pipeline:
        raise Rejected([make_problem("run-not-adopted.parts", given=folder)])
    if not scheduler.folders.exists(spec.folder):  # seen under another path from here
        spec = replace(spec, folder=folder)
    job = _find_sent_job(scheduler, spec)
    document = _read_document(transport, folder, spec.jobs[0].document)
    digest_file = os.path.join(folder, DIGEST_FILE)
    digest_state = transport.read({digest_file: 0})[digest_file]
    variable = scheduler.cluster_variable
    cluster = transport.query(f'printf %s "${{{variable}-}}"').text if variable else ""
    reference = dict(scheduler.make_reference(replace(spec, login=transport.host), {"": job}, cluster))
    return SubmittedRun(
        document or b"", lambda job, settings: reference, digest_state.modified if digest_state else None
    )


def _find_sent_job(scheduler: SchedulerRuns, spec: SchedulerSpec) -> str:
    """Return the job that the submit command named. Raise RunGone if it has named none."""
    answer_bytes = _read_document(scheduler.at, spec.folder, scheduler.get_answer_file(spec.jobs[0]))
    if match := re.search(scheduler.job_pattern, (answer_bytes or b"").decode(errors="replace"), re.M):
        return match[1]
    raise RunGone(f"{spec.folder} has a run that was not sent yet: its submit goes on, or was interrupted")


def _make_unreadable_error(folder: str, reason: str) -> Rejected:
    return Rejected([make_problem("run-not-adopted.unreadable", given=folder, why=reason)])


def _read_document(transport: Transport, folder: str, name: str) -> bytes | None:
    """Return a file where a scheduler is; None if it cannot be read. Raise Rejected if it is too large."""
    try:
        return transport.read_whole(os.path.join(folder, name), MAX_DOCUMENT_BYTES)
    except ValueError as error:
        raise _make_unreadable_error(folder, str(error)) from None


def split_address(text: str) -> tuple[str, str]:
    """Return the host, empty for this machine, and the folder or job of `HOST:FOLDER`."""
    if text.startswith(("/", "~", ".")) or ":" not in text:
        return "", text
    host, _, path = text.partition(":")
    return host, path


def names_folder(text: str) -> bool:
    """Return whether a text may name a folder, not only a run or a job."""
    return ("/" in text or text in (".", "..")) and "\0" not in text


def resolve_folder(folder: str) -> str:
    """Return a folder of this machine that a user typed, the same however it is spelled."""
    return os.path.realpath(os.path.expanduser(folder))
