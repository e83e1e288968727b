"""The environment that the runtime itself runs in, for a job that needs more than the standard library.

A job whose container plugins declare the data environment is supervised in it. It is built before anything else, unless
this Python has its packages; then this process becomes the supervisor, and stays the same process.
"""

import dataclasses
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from robotrain_runtime import data_environment
from robotrain_runtime.checkpoints import targets
from robotrain_runtime.contract import child_python, plugin_loader, staged_data
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.event import StageEvent
from robotrain_runtime.contract.failure import JobFailed
from robotrain_runtime.contract.finding import Finding
from robotrain_runtime.environments import environment, environment_check, interpreter
from robotrain_runtime.process import run_outcome
from robotrain_runtime.process.stop import SIGNALS, StopRequested, StopSignal

SUPERVISOR = "robotrain_runtime.supervisor"


def is_build_needed(document: JobDocument) -> bool:
    """Return whether a container plugin of the job needs the data environment, and this Python is another one."""
    if data_environment.is_here():
        return False
    try:
        document = staged_data.add_staged_mounts(document)
        if plugin_loader.load_tracking_plugin(document) or plugin_loader.load_secret_stores(document):
            return True
        needed = [*plugin_loader.list_other_environments(document), targets.get_target_environment(document)]
    except (JobFailed, ValueError, OSError):
        return False  # the engine says why
    return data_environment.ENVIRONMENT in needed


class EnvironmentRefused(Exception):
    """This machine cannot have the environment."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__("; ".join(f"{one.title}. {one.why}" for one in findings))
        self.findings = findings


def build_python(document: JobDocument, log_line: Callable[[str], None], stop: StopSignal) -> Path:
    """Return the interpreter of the data environment; build it if necessary.

    From its return on, stop signals wait for the supervisor. Raise EnvironmentRefused, JobFailed, StopRequested,
    OSError.
    """
    placement = dataclasses.replace(document.placement, environment=None, torch_backend=None)
    required = data_environment.ENVIRONMENT
    if findings := list(environment_check.find_environment_problems(required, placement)):
        ways = (tuple(way for way in one.ways if way.text != environment_check.ENVIRONMENT_OPTION) for one in findings)
        raise EnvironmentRefused([one._replace(ways=way) for one, way in zip(findings, ways, strict=True)])
    python = environment.build_python(required, Path(placement.cache), log_line, stop)
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    with stop.interruptible():
        return python


@contextmanager
def reported_failures(document: JobDocument) -> Iterator[tuple[Callable[[str], None], StopSignal]]:
    """Yield the log and the stop signal of a run whose supervisor is not there yet.

    A failure becomes the run's outcome. Raise SystemExit with its exit code; OSError, JobFailed.
    """
    run_outcome.prepare_work_folder(document)
    with run_outcome.open_relay(document) as relay, StopSignal() as stop:
        try:
            yield relay.write_line, stop
            return
        except StopRequested:
            outcome = run_outcome.make_cancelled(document, stop)
        except EnvironmentRefused as refused:
            relay.emit(StageEvent(name="preflight", state="started"))
            failed = run_outcome.report_findings(relay, refused.findings)
            relay.emit(StageEvent(name="preflight", state="failed", seconds=0.0))
            outcome = run_outcome.make_failure(failed)
        except JobFailed as failed:
            outcome = run_outcome.make_failure(failed)
        run_outcome.write_outcome(document, relay, outcome)
    raise SystemExit(outcome.exit_code)


def become_supervisor(python: Path, document: JobDocument, arguments: Sequence[str]) -> NoReturn:
    """Replace the program of this process. Raise OSError."""
    folders = map(os.path.abspath, plugin_loader.list_import_folders(document))
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONHOME"}
    environ |= {"PYTHONPATH": os.pathsep.join(folders), interpreter.STARTED_VARIABLE: sys.executable}
    os.execve(python, [str(python), "-c", child_python.RUN_MODULE, SUPERVISOR, *arguments], environ)
