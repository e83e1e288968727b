"""`python -m robotrain_runtime run JOB.json`; `… register JOB.json MODEL` for a run that has ended; and
`… environment LOCK` to build an environment and print its path.
"""

import argparse
import dataclasses
import io
import json
import os
import sys
from pathlib import Path

from robotrain_runtime import document
from robotrain_runtime.document import JobDocument, Placement
from robotrain_runtime.environments import environment, environment_check
from robotrain_runtime.failure import FAILED, PREFLIGHT, REFUSED, Failed
from robotrain_runtime.half import Environment
from robotrain_runtime.stop import Stop, Stopped


def main(arguments: list[str] | None = None) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m robotrain_runtime")
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="run a job document")
    run.add_argument("job", type=Path, metavar="JOB.json")
    run.add_argument("--once", metavar="NAME", help="do nothing where a job of another name began it")
    run.add_argument("--log", type=Path, metavar="FILE", help="where to write what would be printed, at its end")
    run.set_defaults(act=_run)
    register = commands.add_parser("register", help="make what a run that has ended left a version of a model")
    register.add_argument("job", type=Path, metavar="JOB.json")
    register.add_argument("name", metavar="MODEL")
    register.add_argument(
        "--step", type=int, help="that of the checkpoint (the last complete one), or of the policy that it evaluated"
    )
    register.set_defaults(act=_register)
    build = commands.add_parser("environment", help="build the environment of a lock; print its path")
    build.add_argument("lock", type=Path, metavar="LOCK")
    build.add_argument("--python", default="3.12", help="its version, or any of a range, as 3.10-3.14 (3.12)")
    build.add_argument("--gib", type=float, default=1.0, help="the disk space it takes once unpacked (1)")
    build.add_argument("--torch-backend", metavar="NAME", help="another build of PyTorch than the locked one, as cu126")
    build.add_argument("--cache", type=Path, help="where environments are kept", default=_cache())
    build.set_defaults(act=_environment)
    given = parser.parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    return int(given.act(given))


def _run(given: argparse.Namespace) -> int:
    from robotrain_runtime import engine

    try:
        if idle := _begin(given):
            _narrate(f"nothing to do: {idle}")
            return 0
        read = _document(given.job)
    except Failed as failed:
        return _refuse(failed.reason)
    try:
        return engine.run(read).exit_code
    except OSError as error:
        return _refuse(f"the run's folder {read.placement.work} cannot be used: {error}")


def _begin(given: argparse.Namespace) -> str:
    """Why there is nothing to do, or empty."""
    from robotrain_runtime import once

    try:
        idle = once.begin(given.job.parent, given.once) if given.once else ""
        if given.log and not idle:
            once.log_to(given.log)
    except OSError as error:
        raise Failed(f"the run cannot be begun: {error}", REFUSED) from error
    return idle


def _register(given: argparse.Namespace) -> int:
    from robotrain_runtime.publish import registration

    try:
        with Stop() as stop:
            made = registration.later(_document(given.job), given.name, given.step, stop, _narrate)
    except Stopped:
        return stop.exit_code
    except Failed as failed:
        return _refuse(failed.reason, failed.exit_code)
    except OSError as error:
        return _refuse(str(error), FAILED)
    print(json.dumps(dataclasses.asdict(made)))
    return 0


def _document(job: Path) -> JobDocument:
    try:
        return document.load(job.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Failed(f"{job} is no job document: {error}", REFUSED) from error


def _environment(given: argparse.Namespace) -> int:
    if not given.lock.is_file():
        return _refuse(f"there is no lock {given.lock}")
    wanted = Environment(lock=given.lock, python=given.python, gib=given.gib)
    placement = Placement(work="", cache=str(given.cache), torch_backend=given.torch_backend)
    for finding in environment_check.findings(wanted, placement):
        ways = "".join(f"\n  {'or' if index else 'use':<5} {way}" for index, way in enumerate(finding.ways))
        return _refuse(f"{finding.title} ({finding.given or given.lock})\n  {finding.why}{ways}", PREFLIGHT)
    try:
        with Stop() as stop:
            built = environment.build(given.lock, given.python, given.cache, _narrate, stop, given.torch_backend)
    except Stopped:
        return stop.exit_code
    except (Failed, OSError) as error:
        return _refuse(str(error), FAILED)
    print(built, flush=True)
    return 0


def _narrate(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _refuse(sentence: str, code: int = REFUSED) -> int:
    _narrate(f"error: {sentence}")
    return code


def _cache() -> Path:
    if said := os.environ.get("ROBOTRAIN_CACHE"):
        return Path(said).expanduser()
    mac = Path.home() / "Library" / "Caches"
    linux = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return (mac if sys.platform == "darwin" else linux) / "robotrain"


if __name__ == "__main__":
    sys.exit(main())
