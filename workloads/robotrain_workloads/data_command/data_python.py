"""The Python that reads datasets here: LeRobot's, where it is built on this machine, else a small one of its own."""

from collections.abc import Callable
from pathlib import Path

from robotrain.errors import Rejected
from robotrain.store import files
from robotrain.submission.checker import CheckOptions, build_environment, find_built_environment, find_checker
from robotrain_runtime.contract.container_plugin import PythonEnvironment

from robotrain_workloads.data_command.process import InspectionFailed
from robotrain_workloads.lerobot import run_setup

ENVIRONMENT = PythonEnvironment(lock=Path(__file__).parent / "locks/tables.txt", python="3.11-3.14", gib=0.4)
"""pandas, pyarrow, numpy, PyAV and Pillow."""


def find_data_python(checker: str = "") -> Path | None:
    """Return the Python; None if none is on this machine.

    :param checker: the value of `--checker`, if it is not `none`.
    """
    environment = find_checker(run_setup.make_environment("train"), CheckOptions(checker=checker)).checker
    environment = environment or find_built_environment(ENVIRONMENT)
    return environment.python if environment else None


def build_data_python(say: Callable[[str], None]) -> Path:
    """Build the small Python, once. Raise InspectionFailed with the reason.

    :param say: shows a message: it takes seconds.
    """
    size = f"{ENVIRONMENT.gib} GB in {files.get_cache_folder()}"
    progress_text = f"preparing a Python that reads datasets: once, {size}, which usually takes less than a minute"
    try:
        built_environment, problems = build_environment(
            ENVIRONMENT, lambda line: say(line) if line == progress_text else None, progress_text
        )
    except Rejected as rejected:
        raise InspectionFailed(rejected.problems[0].why.rstrip(".")) from rejected
    if built_environment is None:
        raise InspectionFailed(problems[0].title)
    return built_environment.python
