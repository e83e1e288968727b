"""`python -m robotrain_runtime run|register|environment`: a job's document is run, what it left registered."""

import argparse
import dataclasses
import io
import json
import os
import signal
import sys
from pathlib import Path

from robotrain_runtime.contract import document
from robotrain_runtime.contract.container_plugin import PythonEnvironment
from robotrain_runtime.contract.document import JobDocument, Placement
from robotrain_runtime.contract.failure import EXIT_FAILED, EXIT_PREFLIGHT, EXIT_REFUSED, JobFailed
from robotrain_runtime.environments import environment, environment_check
from robotrain_runtime.process.stop import StopRequested, StopSignal

CLAIM_LINK = "taken"
"""A link in the run's folder to NAME:PROCESS of the job that does the work; it is made in one step."""
CANCELLED_FILE = "cancelled"
"""A file in the run's folder: a job that only now begins does nothing."""
MLFLOW_VARIABLES = ("MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN_ID", "MLFLOW_TRACKING_URI")


def claim_run(folder: Path, name: str) -> str:
    """Take the work of `folder` for the job `name`; why there is nothing to do, or empty.

    A job that took it before goes on: its engine started it again. The process is then its own: no Ctrl-C for who
    started it reaches it, a SIGTERM does, and no tracking run of another project.
    """
    if os.getpgrp() != os.getpid():
        os.setsid()
    taker = _claim_link(folder, name)
    if taker != name:
        return f"the job {taker} does the work of this run"
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # before looking: who cancels leaves the file, then signals
    for stray in MLFLOW_VARIABLES:
        os.environ.pop(stray, None)
    return "the run was cancelled" if (folder / CANCELLED_FILE).exists() else ""


def redirect_output(path: Path) -> None:
    """Whatever this process and those it starts print goes to the end of `path` from here on."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)


def _claim_link(folder: Path, name: str) -> str:
    """The name of the job that has the work."""
    link = folder / CLAIM_LINK
    claim = f"{name}:{os.getpid()}"
    try:
        link.symlink_to(claim)
    except FileExistsError:
        taker = os.readlink(link).rpartition(":")[0]
        if taker == name:
            again = folder / f".{CLAIM_LINK}.{os.getpid()}"
            again.symlink_to(claim)
            again.replace(link)
        return taker
    return name


def main(arguments: list[str] | None = None) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m robotrain_runtime")
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="run a job document")
    run.add_argument("job", type=Path, metavar="JOB.json")
    run.add_argument("--once", metavar="NAME", help="do nothing where a job of another name began it")
    run.add_argument("--log", type=Path, metavar="FILE", help="where to write what would be printed, at its end")
    run.set_defaults(act=_run_job)
    register = commands.add_parser("register", help="make what a run that has ended left a version of a model")
    register.add_argument("job", type=Path, metavar="JOB.json")
    register.add_argument("name", metavar="MODEL")
    register.add_argument(
        "--step", type=int, help="that of the checkpoint (the last complete one), or of the policy that it evaluated"
    )
    register.set_defaults(act=_register_model)
    build = commands.add_parser("environment", help="build the environment of a lock; print its path")
    build.add_argument("lock", type=Path, metavar="LOCK")
    build.add_argument("--python", default="3.12", help="its version, or any of a range, as 3.10-3.14 (3.12)")
    build.add_argument("--gib", type=float, default=1.0, help="the disk space it takes once unpacked (1)")
    build.add_argument("--torch-backend", metavar="NAME", help="another build of PyTorch than the locked one, as cu126")
    build.add_argument("--cache", type=Path, help="where environments are kept", default=_get_default_cache())
    build.set_defaults(act=_build_environment)
    given = parser.parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    return int(given.act(given))


def _run_job(options: argparse.Namespace) -> int:
    from robotrain_runtime import engine

    try:
        if idle := _begin_run(options):
            _print_line(f"nothing to do: {idle}")
            return 0
        read = _read_document(options.job)
    except JobFailed as failed:
        return _report_error(failed.reason)
    try:
        return engine.run_job(read).exit_code
    except OSError as error:
        return _report_error(f"the run's folder {read.placement.work} cannot be used: {error}")


def _begin_run(options: argparse.Namespace) -> str:
    """Why there is nothing to do, or empty."""
    pass

    try:
        idle = claim_run(options.job.parent, options.once) if options.once else ""
        if options.log and not idle:
            redirect_output(options.log)
    except OSError as error:
        raise JobFailed(f"the run cannot be begun: {error}", EXIT_REFUSED) from error
    return idle


def _register_model(options: argparse.Namespace) -> int:
    from robotrain_runtime.publishing import registration

    try:
        with StopSignal() as stop:
            made = registration.register_ended_run(
                _read_document(options.job), options.name, options.step, stop, _print_line
            )
    except StopRequested:
        return stop.exit_code
    except JobFailed as failed:
        return _report_error(failed.reason, failed.exit_code)
    except OSError as error:
        return _report_error(str(error), EXIT_FAILED)
    print(json.dumps(dataclasses.asdict(made)))
    return 0


def _read_document(job: Path) -> JobDocument:
    try:
        return document.parse_document(job.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise JobFailed(f"{job} is no job document: {error}", EXIT_REFUSED) from error


def _build_environment(options: argparse.Namespace) -> int:
    if not options.lock.is_file():
        return _report_error(f"there is no lock {options.lock}")
    wanted = PythonEnvironment(lock=options.lock, python=options.python, gib=options.gib)
    placement = Placement(work="", cache=str(options.cache), torch_backend=options.torch_backend)
    for finding in environment_check.find_environment_problems(wanted, placement):
        ways = "".join(f"\n  {'or' if index else 'use':<5} {way}" for index, way in enumerate(finding.ways))
        return _report_error(
            f"{finding.title} ({finding.given or options.lock})\n  {finding.why}{ways}", EXIT_PREFLIGHT
        )
    try:
        with StopSignal() as stop:
            built = environment.build_environment(
                options.lock, options.python, options.cache, _print_line, stop, options.torch_backend
            )
    except StopRequested:
        return stop.exit_code
    except (JobFailed, OSError) as error:
        return _report_error(str(error), EXIT_FAILED)
    print(built, flush=True)
    return 0


def _print_line(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _report_error(sentence: str, code: int = EXIT_REFUSED) -> int:
    _print_line(f"error: {sentence}")
    return code


def _get_default_cache() -> Path:
    if said := os.environ.get("ROBOTRAIN_CACHE"):
        return Path(said).expanduser()
    mac = Path.home() / "Library" / "Caches"
    linux = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return (mac if sys.platform == "darwin" else linux) / "robotrain"


if __name__ == "__main__":
    sys.exit(main())
