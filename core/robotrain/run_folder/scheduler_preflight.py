"""Preflight of a scheduler's job: the submit command, the folders, the secrets, and what its platform checks."""

import shutil
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from robotrain_runtime.contract.document import Placement

from robotrain.cluster.platform import PreflightCheck, run_checks
from robotrain.cluster.secrets import check_secret_files
from robotrain.errors import Problem, select_errors
from robotrain.messages import Messages
from robotrain.model.health import HealthResult, report_failure, report_ok, report_warning
from robotrain.model.plan import Plan
from robotrain.run_folder.folder_access import check_writable
from robotrain.run_folder.scheduler_plan import read_placement
from robotrain.run_folder.status import find_creation_problems

make_problem = Messages(__file__)


def find_problems(plan: Plan, command: str, folder: Path, checks: Iterable[PreflightCheck]) -> list[Problem]:
    """Return the problems of a plan, all at once. Without the submit command, the scheduler is not asked.

    :param checks: those of the platform, which ask the scheduler. Raise Rejected if the plan is damaged.
    """
    placement = read_placement(plan)
    asked = checks if shutil.which(command) else [partial(_report_missing_command, command)]
    return run_checks([*asked, partial(_check_folders, plan, folder, placement)])


def _report_missing_command(command: str) -> list[Problem]:
    return [make_problem("submit-command-missing.not-here", command=command)]


def _check_folders(plan: Plan, folder: Path, placement: Placement) -> Iterator[Problem]:
    problems = [*find_creation_problems(plan, folder)]
    yield from problems or check_writable(folder.parent, "--runs-dir")
    yield from check_writable(Path(placement.cache), "--cache-dir")
    yield from check_secret_files(placement.secrets)


def check_health(command: str, check: PreflightCheck) -> Iterator[HealthResult]:
    """Report whether the submit command is on this machine, and whether the scheduler answers.

    :param check: asks the scheduler.
    """
    if not shutil.which(command):
        yield report_warning(f"`{command}` is not on PATH: no job can be sent from this machine")
    elif problems := select_errors(run_checks([check])):
        yield from (report_failure(f"{one.title}: {one.why}".rstrip(":. "), *one.suggestions) for one in problems)
    else:
        yield report_ok("it answers")
