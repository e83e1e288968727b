"""The checks of a scheduler and of its jobs: the submit command, what it answers, the folders, the secrets."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from robotrain_runtime.contract.document import Placement

from robotrain.cluster.secrets import check_secret_files
from robotrain.errors import Problem
from robotrain.messages import Messages
from robotrain.model.health import Check, HealthResult, report_missing, report_ok
from robotrain.model.plan import Plan
from robotrain.run_folder.folder_access import check_writable
from robotrain.run_folder.scheduler_plan import read_placements
from robotrain.run_folder.status import find_creation_problems

make_problem = Messages(__file__)


def check_scheduler(
    command: str, ask: Callable[[Plan | None], Iterable[Problem]], plan: Plan | None
) -> Iterator[Problem | HealthResult]:
    """Check that the submit command is on this machine, and `ask` the scheduler about a plan. Raise Rejected."""
    if not shutil.which(command):
        missing = report_missing(f"`{command}` is not on PATH: no job can be sent from this machine")
        yield make_problem("submit-command-missing.not-here", command=command) if plan else missing
        return
    problems = [*ask(plan)]
    yield from problems or (report_ok("it answers"),)


def make_folder_check(plan: Plan, folder: Path) -> Check:
    """Return the check of a plan's folders and secrets. Raise Rejected if the plan is damaged."""
    return Check(name="run folder", run=partial(_check_folders, plan, folder, read_placements(plan)))


def _check_folders(plan: Plan, folder: Path, placements: Iterable[Placement]) -> Iterator[Problem]:
    problems = [*find_creation_problems(plan, folder)]
    yield from problems or check_writable(folder.parent, "--runs-dir")
    for placement in placements:
        yield from check_writable(Path(placement.cache), "--cache-dir")
        yield from check_secret_files(placement.secrets)
