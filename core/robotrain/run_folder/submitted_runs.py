"""A run that another machine sent to a scheduler, found by its run folder, which has all that was sent."""

import os
import re
import shlex
from dataclasses import replace
from pathlib import Path

from robotrain.errors import Rejected
from robotrain.messages import Messages
from robotrain.model.platform import SubmittedRun
from robotrain.model.run import RunGone
from robotrain.run_folder.run_archive import DIGEST_FILE
from robotrain.run_folder.scheduler_plan import SchedulerSpec, make_spec_file
from robotrain.run_folder.submit import SchedulerRuns
from robotrain.run_folder.transport import Transport

make_problem = Messages(__file__)

CLOSED = "closed"
"""What is printed of a folder that may not be entered."""


def find_submitted_run(scheduler: SchedulerRuns, folder: str) -> SubmittedRun | None:
    """Return the run in a folder where the scheduler is; None if the folder has none of this scheduler.

    Raise RunGone, Rejected.
    """
    at, spec_file = scheduler.at, make_spec_file(scheduler.name, scheduler.engine)
    content = read_whole_file(at, os.path.join(folder, spec_file.name))
    if content is None:
        name = shlex.quote(folder)
        if at.run(f"[ -d {name} ] && [ ! -x {name} ] && echo {CLOSED}; true").text.strip() == CLOSED:
            raise Rejected([make_problem("run-not-adopted.closed", given=folder)])
        return None
    try:
        spec = spec_file.parse(content)
    except ValueError as error:
        raise Rejected([make_problem("run-not-adopted.unreadable", given=folder, why=error)]) from None
    first = spec.jobs[0]
    if spec.is_pipeline or first.trials:
        raise Rejected([make_problem("run-not-adopted.parts", given=folder)])
    if not scheduler.folders.exists(spec.folder):  # seen under another path from here
        spec = replace(spec, folder=folder)
    job = _find_sent_job(scheduler, spec)
    document = read_whole_file(at, os.path.join(folder, first.documents[0]))
    digest_file = os.path.join(folder, DIGEST_FILE)
    written = at.read({digest_file: 0})[digest_file]
    variable = scheduler.cluster_variable
    cluster = at.run(f'printf %s "${{{variable}-}}"').text if variable else ""
    reference = dict(scheduler.make_reference(replace(spec, login=at.host), {"": job}, cluster))
    return SubmittedRun(document or b"", lambda job, settings: reference, written.modified if written else None)


def _find_sent_job(scheduler: SchedulerRuns, spec: SchedulerSpec) -> str:
    """Return the job that the submit command named. Raise RunGone if it has named none."""
    answer = read_whole_file(scheduler.at, os.path.join(spec.folder, scheduler.get_answer_file(spec.jobs[0])))
    if found := re.search(scheduler.job_pattern, (answer or b"").decode(errors="replace"), re.M):
        return found[1]
    raise RunGone(f"{spec.folder} has a run that was not sent yet: its submit goes on, or was interrupted")


def read_whole_file(at: Transport, path: str) -> bytes | None:
    """Return a file where a scheduler is, in pieces; None if it cannot be read."""
    content = b""
    while (found := at.read({path: len(content)})[path]) and found.content:
        content += found.content
        if len(content) >= found.size:
            break
    return content if found else None


def split_address(text: str) -> tuple[str, str]:
    """Return the host, empty for this machine, and the folder or job of `HOST:FOLDER`."""
    if text.startswith(("/", "~", ".")) or ":" not in text:
        return "", text
    host, _, rest = text.partition(":")
    return host, rest


def make_absolute(folder: str) -> str:
    """Return a folder of this machine that a user typed."""
    return str(Path(folder).expanduser().absolute())
