"""The command line of the runtime, read by its bootstrap and, in the job's environment, by its supervisor."""

import argparse
import os
import sys
from pathlib import Path

from robotrain_runtime.contract import document
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.document_limits import MAX_DOCUMENT_BYTES
from robotrain_runtime.contract.failure import EXIT_REFUSED, JobFailed
from robotrain_runtime.contract.files import read_limited_file


def parse_arguments(words: list[str]) -> argparse.Namespace:
    """Return the options; `command` is the name of the command. Raise SystemExit."""
    parser = argparse.ArgumentParser(prog="python -m robotrain_runtime")
    commands = parser.add_subparsers(required=True, dest="command")
    run = commands.add_parser("run", help="run a job document")
    run.add_argument("job", type=Path, metavar="JOB.json")
    run.add_argument("--once", metavar="NAME", help="do nothing if a job of another name started the run")
    run.add_argument("--log", type=Path, metavar="FILE", help="append the output to FILE")
    fetch = commands.add_parser("fetch", help="fetch what a job needs into its cache, and do none of its work")
    fetch.add_argument("job", type=Path, metavar="JOB.json")
    fetch.add_argument("--to", type=Path, metavar="FOLDER", help="the run's folder: write where the data is")
    register = commands.add_parser("register", help="register the result of an ended run as a version of a model")
    register.add_argument("job", type=Path, metavar="JOB.json")
    register.add_argument("name", metavar="MODEL")
    register.add_argument("--step", type=int, help="step of the checkpoint or the evaluated policy (the last one)")
    build = commands.add_parser("environment", help="build the environment of a lock file; print its path")
    build.add_argument("lock", type=Path, metavar="LOCK")
    build.add_argument("--python", default="3.12", help="Python version, or a range such as 3.10-3.14 (3.12)")
    build.add_argument("--gib", type=float, default=1.0, help="disk space of the environment in GiB (1)")
    build.add_argument("--torch-backend", metavar="NAME", help="another build of PyTorch, such as cu126")
    build.add_argument("--cache", type=Path, help="cache folder")
    options = parser.parse_args(words)
    if options.command == "environment" and options.cache is None:
        options.cache = _get_default_cache()
    return options


def _get_default_cache() -> Path:
    if configured := os.environ.get("ROBOTRAIN_CACHE"):  # a user without a home can set it
        return Path(configured).expanduser()

    mac = Path.home() / "Library" / "Caches"
    linux = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return (mac if sys.platform == "darwin" else linux) / "robotrain"


def read_document(options: argparse.Namespace) -> JobDocument:
    """Return the job document. Raise JobFailed."""
    try:
        return document.parse_document(read_limited_file(options.job, MAX_DOCUMENT_BYTES).decode())
    except (OSError, ValueError) as error:
        raise JobFailed(f"{options.job} is not a valid job document: {error}", EXIT_REFUSED) from error


def print_line(line: str) -> None:
    """Print a line of the runtime's own."""
    print(line, file=sys.stderr, flush=True)


def report_error(sentence: str, code: int = EXIT_REFUSED) -> int:
    """Print an error; return the exit code."""
    print_line(f"error: {sentence}")
    return code
