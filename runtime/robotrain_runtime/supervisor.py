"""Supervisor of a job: its engine, in a Python that has the packages that its container plugins need.

`python -m robotrain_runtime.supervisor ARGUMENTS` is what the bootstrap becomes, with its own arguments.
"""

import argparse
import dataclasses
import io
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from robotrain_runtime import command_line, engine
from robotrain_runtime.command_line import print_line, report_error
from robotrain_runtime.contract import claim, staged_data
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.failure import EXIT_FAILED, JobFailed
from robotrain_runtime.process.stop import STOPPED_STATUS, StopRequested, StopSignal
from robotrain_runtime.publishing import registration


def main() -> int:
    """Go on with what the bootstrap began; return the exit code."""
    options = command_line.parse_arguments(sys.argv[1:])
    is_claimed = options.command == "run" and bool(options.once)
    if is_claimed:
        claim.end_if_superseded()
        claim.start_watch()
    try:
        return act(options, command_line.read_document(options))
    except JobFailed as failed:
        return report_error(failed.reason, failed.exit_code)
    finally:
        if is_claimed:
            claim.release_claim()


def act(options: argparse.Namespace, document: JobDocument) -> int:
    """Run a command on a document; return its exit code."""
    actions = {"run": _run_job, "fetch": _fetch_job, "register": _register_model}
    try:
        return actions[options.command](options, document)
    except StopRequested:
        return STOPPED_STATUS
    except JobFailed as failed:
        return report_error(failed.reason, failed.exit_code)


def _run_job(options: argparse.Namespace, document: JobDocument) -> int:
    try:
        return engine.run_job(document).exit_code
    except OSError as error:
        return report_error(f"the run's folder {document.placement.work} cannot be used: {error}")


def _fetch_job(options: argparse.Namespace, document: JobDocument) -> int:
    mounts = document.placement.mounts
    mounts = tuple(mount for mount in mounts if Path(mount.folder).is_dir() or not Path(mount.uri).is_absolute())
    try:
        with tempfile.TemporaryDirectory(prefix="robotrain-") as work:
            placement = dataclasses.replace(document.placement, work=work, mounts=mounts)
            staged_mounts = engine.fetch_job(dataclasses.replace(document, placement=placement))
        if options.to:
            staged_data.write_staged(options.to, staged_mounts)
    except OSError as error:
        return report_error(str(error), EXIT_FAILED)
    return 0


def _register_model(options: argparse.Namespace, document: JobDocument) -> int:
    try:
        with StopSignal() as stop:
            registered = registration.register_ended_run(document, options.name, options.step, stop, print_line)
    except StopRequested:
        return stop.exit_code
    except OSError as error:
        return report_error(str(error), EXIT_FAILED)
    print(json.dumps(dataclasses.asdict(registered)))
    return 0


def run_and_exit(main: Callable[[], int]) -> NoReturn:
    """Exit with what `main` returns, whatever threads still wait for a service."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files may be no text
    try:
        code = main()
    except Exception:
        traceback.print_exc()
        code = EXIT_FAILED
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it any more
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    run_and_exit(main)
