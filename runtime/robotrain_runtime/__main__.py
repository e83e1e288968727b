"""Command line of the runtime: `python -m robotrain_runtime run|fetch|register|environment`."""

import argparse
import dataclasses
import io
import json
import os
import signal
import sys
import tempfile
from pathlib import Path

from robotrain_runtime.contract import claim, document
from robotrain_runtime.contract.container_plugin import PythonEnvironment
from robotrain_runtime.contract.document import JobDocument, Placement
from robotrain_runtime.contract.failure import EXIT_FAILED, EXIT_PREFLIGHT, EXIT_REFUSED, JobFailed
from robotrain_runtime.contract.files import read_limited_file
from robotrain_runtime.environments import environment, environment_check
from robotrain_runtime.process.stop import STOPPED_STATUS, StopRequested, StopSignal

MLFLOW_VARIABLES = ("MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN_ID", "MLFLOW_TRACKING_URI")


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
    for variable in MLFLOW_VARIABLES:
        os.environ.pop(variable, None)
    claim.start_watch()
    return "the run was cancelled" if (folder / claim.CANCELLED_FILE).exists() else ""


def redirect_output(path: Path) -> None:
    """Append the output of this process and its children to `path` from now on."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m robotrain_runtime")
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="run a job document")
    run.add_argument("job", type=Path, metavar="JOB.json")
    run.add_argument("--once", metavar="NAME", help="do nothing if a job of another name started the run")
    run.add_argument("--log", type=Path, metavar="FILE", help="append the output to FILE")
    run.add_argument("--set", action="append", metavar="NAME=VALUE", help="a value of a trial of a sweep")
    run.set_defaults(act=_run_job)
    fetch = commands.add_parser("fetch", help="fetch what a job needs into its cache, and do none of its work")
    fetch.add_argument("job", type=Path, metavar="JOB.json")
    fetch.add_argument("--to", type=Path, metavar="FOLDER", help="the run's folder: write where the data is")
    fetch.set_defaults(act=_fetch_job)
    register = commands.add_parser("register", help="register the result of an ended run as a version of a model")
    register.add_argument("job", type=Path, metavar="JOB.json")
    register.add_argument("name", metavar="MODEL")
    register.add_argument("--step", type=int, help="step of the checkpoint or the evaluated policy (the last one)")
    register.set_defaults(act=_register_model)
    build = commands.add_parser("environment", help="build the environment of a lock file; print its path")
    build.add_argument("lock", type=Path, metavar="LOCK")
    build.add_argument("--python", default="3.12", help="Python version, or a range such as 3.10-3.14 (3.12)")
    build.add_argument("--gib", type=float, default=1.0, help="disk space of the environment in GiB (1)")
    torch = build.add_mutually_exclusive_group()
    torch.add_argument("--torch-backend", metavar="NAME", help="another build of PyTorch, such as cu126")
    base = "use the image's PyTorch of the locked release, whatever its build"
    torch.add_argument("--base-torch", action="store_true", help=base)
    build.add_argument("--cache", type=Path, help="cache folder", default=_get_default_cache())
    build.set_defaults(act=_build_environment)
    options = parser.parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    return int(options.act(options))


def _run_job(options: argparse.Namespace) -> int:
    from robotrain_runtime import engine

    try:
        try:
            idle_reason = claim_run(options.job.parent, options.once) if options.once else ""
            if options.log and not idle_reason:
                redirect_output(options.log)
        except OSError as error:
            return _report_error(f"the run cannot be started: {error}")
        if idle_reason:
            _print_line(f"nothing to do: {idle_reason}")
            return 0
        job_document = _read_document(options.job)
        if options.set or job_document.space:
            from robotrain_runtime.contract import trial_values

            job_document = trial_values.set_trial_values(job_document, options.set or ())
    except JobFailed as failed:
        return _report_error(failed.reason)
    except ValueError as error:
        return _report_error(f"the values of the trial are invalid: {error}")
    try:
        return engine.run_job(job_document).exit_code
    except JobFailed as failed:
        return _report_error(failed.reason, failed.exit_code)
    except OSError as error:
        return _report_error(f"the run's folder {job_document.placement.work} cannot be used: {error}")
    finally:
        if options.once:
            claim.release_claim()


def _fetch_job(options: argparse.Namespace) -> int:
    from robotrain_runtime import engine
    from robotrain_runtime.contract import staged_data

    try:
        with tempfile.TemporaryDirectory(prefix="robotrain-") as work:
            job_document = _read_document(options.job)
            mounts = job_document.placement.mounts
            mounts = tuple(one for one in mounts if Path(one.folder).is_dir() or not Path(one.uri).is_absolute())
            placement = dataclasses.replace(job_document.placement, work=work, mounts=mounts)
            staged = engine.fetch_job(dataclasses.replace(job_document, placement=placement))
        if options.to:
            staged_data.write_staged(options.to, staged)
    except StopRequested:
        return STOPPED_STATUS
    except JobFailed as failed:
        return _report_error(failed.reason, failed.exit_code)
    except OSError as error:
        return _report_error(str(error), EXIT_FAILED)
    return 0


def _register_model(options: argparse.Namespace) -> int:
    from robotrain_runtime.publishing import registration

    try:
        with StopSignal() as stop:
            job_document = _read_document(options.job)
            registered = registration.register_ended_run(job_document, options.name, options.step, stop, _print_line)
    except StopRequested:
        return stop.exit_code
    except JobFailed as failed:
        return _report_error(failed.reason, failed.exit_code)
    except OSError as error:
        return _report_error(str(error), EXIT_FAILED)
    print(json.dumps(dataclasses.asdict(registered)))
    return 0


MAX_DOCUMENT_BYTES = 64 << 20


def _read_document(job: Path) -> JobDocument:
    try:
        return document.parse_document(read_limited_file(job, MAX_DOCUMENT_BYTES).decode())
    except (OSError, ValueError) as error:
        raise JobFailed(f"{job} is not a valid job document: {error}", EXIT_REFUSED) from error


def _build_environment(options: argparse.Namespace) -> int:
    if not options.lock.is_file():
        return _report_error(f"the lock file {options.lock} does not exist")
    required = PythonEnvironment(lock=options.lock, python=options.python, gib=options.gib)
    placement = Placement(work="", cache=str(options.cache), torch_backend=options.torch_backend)
    for finding in environment_check.find_environment_problems(required, placement):
        ways = "".join(f"\n  {'or' if index else 'use':<5} {way}" for index, way in enumerate(finding.ways))
        title = f"{finding.title} ({finding.given or options.lock})"
        return _report_error(f"{title}\n  {finding.why}{ways}", EXIT_PREFLIGHT)
    try:
        with StopSignal() as stop:
            where = (options.lock, options.python, options.cache, _print_line, stop)
            if options.base_torch:
                built = environment.build_on_base_torch(*where)
            else:
                built = environment.build_environment(*where, options.torch_backend)
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
    if configured := os.environ.get("ROBOTRAIN_CACHE"):  # a user without a home can set it
        return Path(configured).expanduser()

    mac = Path.home() / "Library" / "Caches"
    linux = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return (mac if sys.platform == "darwin" else linux) / "robotrain"


if __name__ == "__main__":
    sys.exit(main())
