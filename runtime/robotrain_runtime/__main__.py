"""Bootstrap of the runtime: `python -m robotrain_runtime run|fetch|register|environment`. Standard library only."""

import argparse
import os
import signal
import sys
from pathlib import Path

from robotrain_runtime import bootstrap, supervisor
from robotrain_runtime.command_line import parse_arguments, print_line, read_document, report_error
from robotrain_runtime.contract import claim
from robotrain_runtime.contract.address import TRACKING_VARIABLES
from robotrain_runtime.contract.container_plugin import PythonEnvironment
from robotrain_runtime.contract.document import Placement
from robotrain_runtime.contract.failure import EXIT_FAILED, EXIT_PREFLIGHT, JobFailed
from robotrain_runtime.environments import environment, environment_check
from robotrain_runtime.process import outcome_file
from robotrain_runtime.process.stop import StopRequested, StopSignal

CANCELLED = "the run was cancelled"


def claim_run(folder: Path, name: str) -> str:
    """Claim the run in `folder` for the job `name`. Return why there is nothing to do; empty if the job may start.

    A job that claimed the run before continues it: its engine restarted it, and an earlier process of it ends. The
    process leaves its group, so that a Ctrl-C for its parent does not reach it, and drops the tracking variables of
    other projects.
    """
    if os.getpgrp() != os.getpid():
        os.setsid()
    owner = claim.take_claim(folder, name)
    if owner != name:
        return f"the job {owner} does the work of this run"
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # before the check: a cancel writes the file, then signals
    for variable in TRACKING_VARIABLES:
        os.environ.pop(variable, None)
    claim.start_watch()
    return CANCELLED if (folder / claim.CANCELLED_FILE).exists() else ""


def redirect_output(path: Path) -> None:
    """Append the output of this process and its children to `path` from now on."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    options = parse_arguments(words)
    if options.command == "environment":
        return _build_environment(options)
    if options.command != "run":
        return _start(options, words)
    try:
        idle_reason = claim_run(options.job.parent, options.once) if options.once else ""
        if options.log and not idle_reason:
            redirect_output(options.log)
    except OSError as error:
        return report_error(f"the run cannot be started: {error}")
    if idle_reason:
        print_line(f"nothing to do: {idle_reason}")
        return EXIT_FAILED if idle_reason == CANCELLED else 0  # a job that waits for its success must not begin
    try:
        return _start(options, words)
    finally:
        if options.once:
            claim.release_claim()


def _start(options: argparse.Namespace, words: list[str]) -> int:
    """Become the supervisor of the job, or be it; return its exit code."""
    try:
        job_document = read_document(options)
        if options.command == "run":
            outcome_file.prepare_work_folder(job_document)
        if options.command != "register" and bootstrap.is_build_needed(job_document):
            code = bootstrap.start_supervisor(job_document, options.command, words)
            if code is not None:
                return code
    except JobFailed as failed:
        return report_error(failed.reason, failed.exit_code)
    except OSError as error:
        return report_error(f"the run's folder {job_document.placement.work} cannot be used: {error}")
    return supervisor.act(options, job_document)


def _build_environment(options: argparse.Namespace) -> int:
    if not options.lock.is_file():
        return report_error(f"the lock file {options.lock} does not exist")
    python_environment = PythonEnvironment(lock=options.lock, python=options.python, gib=options.gib)
    placement = Placement(work="", cache=str(options.cache), torch_backend=options.torch_backend)
    for finding in environment_check.find_environment_problems(python_environment, placement):
        ways = "".join(f"\n  {'or' if index else 'use':<5} {way}" for index, way in enumerate(finding.suggestions))
        title = f"{finding.title} ({finding.given or options.lock})"
        return report_error(f"{title}\n  {finding.why}{ways}", EXIT_PREFLIGHT)
    try:
        with StopSignal() as stop:
            build_arguments = (options.lock, options.python, options.cache, print_line, stop)
            environment_folder = environment.build_environment(*build_arguments, options.torch_backend)
    except StopRequested:
        return stop.exit_code
    except (JobFailed, OSError) as error:
        return report_error(str(error), EXIT_FAILED)
    print(environment_folder, flush=True)
    return 0


if __name__ == "__main__":
    supervisor.run_and_exit(main)
