"""The environment that the runtime itself runs in, for a job that needs more than the standard library.

A job whose container plugins declare the data environment is supervised in it. It is built before anything else, unless
this Python has its packages; then this process becomes the supervisor, and stays the same process.
"""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from robotrain_runtime import data_environment
from robotrain_runtime.command_line import report_error
from robotrain_runtime.contract import child_python, failure, job_node, plugin_loader, redaction, staged_data
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.event import Outcome
from robotrain_runtime.contract.failure import EXIT_FAILED, JobFailed
from robotrain_runtime.environments import environment, interpreter, other_environments, work_secrets
from robotrain_runtime.process import outcome_file
from robotrain_runtime.process.event_relay import EventRelay
from robotrain_runtime.process.stop import SIGNALS, StopRequested, StopSignal
from robotrain_runtime.publishing.end_notice import EndNotice

SUPERVISOR = "robotrain_runtime.supervisor"


def is_build_needed(document: JobDocument) -> bool:
    """Return whether a container plugin of the job needs the data environment, and this Python is another one."""
    if data_environment.is_here():
        return False
    try:
        needed_environments = other_environments.list_other_environments(staged_data.add_staged_mounts(document))
    except Exception:  # also of a plugin: the engine says why
        return False
    return data_environment.ENVIRONMENT in needed_environments


def build_python(document: JobDocument, log_line: Callable[[str], None], stop: StopSignal) -> Path | None:
    """Return the interpreter of the data environment; build it if necessary. None if this machine cannot have it.

    From its return on, stop signals wait for the supervisor. Raise JobFailed, StopRequested, OSError.
    """
    with stop.interruptible():
        is_refused = any(other_environments.find_other_problems(staged_data.add_staged_mounts(document)))
    python = None
    if not is_refused:
        python = environment.build_python(data_environment.ENVIRONMENT, Path(document.placement.cache), log_line, stop)
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    with stop.interruptible():
        return python


def start_supervisor(document: JobDocument, command: str, arguments: Sequence[str]) -> int | None:
    """Become the supervisor of the job, in its environment; return the exit code if that fails.

    The failure is the outcome of a run, and is printed otherwise. None if this machine cannot have the environment:
    then the job's preflight, which needs none, says so, and what else is wrong. Raise OSError, JobFailed if it cannot
    be reported.
    """
    is_run = command == "run"
    unkept = Path(os.devnull)
    with (
        outcome_file.open_relay(document) if is_run else EventRelay(unkept, job_node.read_node_rank(document)) as relay,
        StopSignal() as stop,
    ):
        outcome = _replace_process(document, arguments, relay, stop)
        if outcome is None:
            return None
        if is_run:
            return EndNotice(document).end_run(relay, outcome).exit_code
    if outcome.state == "failed":
        report_error(redaction.hide_secrets_of_event(outcome).reason)
    return outcome.exit_code


def _replace_process(
    document: JobDocument, arguments: Sequence[str], relay: EventRelay, stop: StopSignal
) -> Outcome | None:
    """Return what the run came to, if this process cannot become its supervisor; None if no other can be built."""
    try:
        with work_secrets.hidden_variables(document):
            python = build_python(document, relay.write_line, stop)
        if python is None:
            return None
        become_supervisor(python, document, arguments)
    except StopRequested:
        return outcome_file.make_cancelled(document, stop)
    except Exception as error:
        if stop.number is not None:
            return outcome_file.make_cancelled(document, stop)
        if isinstance(error, OSError):
            reason = f"the job's supervisor cannot be started: {error}"
            error = JobFailed(reason, EXIT_FAILED, failure.classify_error(reason))
        return (
            outcome_file.make_failure(error) if isinstance(error, JobFailed) else outcome_file.make_crash(relay, error)
        )


def become_supervisor(python: Path, document: JobDocument, arguments: Sequence[str]) -> NoReturn:
    """Replace the program of this process. Raise OSError."""
    folders = map(os.path.abspath, plugin_loader.list_import_folders(document))
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONHOME"}
    environ |= {"PYTHONPATH": os.pathsep.join(folders), interpreter.STARTED_VARIABLE: sys.executable}
    os.execve(python, [str(python), "-c", child_python.RUN_MODULE, SUPERVISOR, *arguments], environ)
