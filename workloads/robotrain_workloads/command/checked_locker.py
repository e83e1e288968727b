"""The locker of a program's packages that also compares them with what the program imports."""

import dataclasses
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

from robotrain.errors import Problem, Suggestion
from robotrain.messages import Messages
from robotrain.model.job import Job
from robotrain.model.locked_program import LockedProgram
from robotrain.nearest_name import find_nearest_name
from robotrain.redaction import redact

from robotrain_workloads.command import module_names, package_rules
from robotrain_workloads.package_lock import program_locker
from robotrain_workloads.package_lock.program_locker import PARAMETERS, find_locked

__all__ = ["PARAMETERS", "find_locked", "lock_program"]

make_problem = Messages(__file__)

PACKAGE = re.compile(r"[A-Za-z0-9][\w.-]*")


def lock_program(job: Job, say: Callable[[str], None]) -> LockedProgram | None:
    """Return the locked packages of a job's program, with a warning of imports that none of them seems to have.

    None if nothing is installed for it. Raise Rejected.

    :param say: shows a line of progress.
    """
    locked = program_locker.lock_program(job, say)
    return dataclasses.replace(locked, notes=(*locked.notes, *_find_unlocked(job, locked))) if locked else None


def _find_unlocked(job: Job, locked: LockedProgram) -> Iterator[Problem]:
    """Warn of what a script imports when it starts, if no locked package has a name like it, unless that is said."""
    if any(package_rules.check_lock_file(job)):
        return
    packages = {match[0] for lock_line in locked.lock.splitlines() if (match := PACKAGE.match(lock_line))}
    for module, import_place in package_rules.find_needed_modules(job).items():
        if module_names.comes_from(module, packages):
            continue
        nearest_name = find_nearest_name(module, packages)
        hint = f"It has {nearest_name}." if nearest_name else ""
        remark = "a list of all packages of the program, with that of this module"
        way = Suggestion("--requirements FILE", remark, replaces="--shipped-environment")
        ways = [way] if job["shipped_environment"] else []
        if job["requirements"]:
            file = Path(str(job["requirements"])).expanduser()
            file_text = shlex.quote(str(file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file))
            package = module_names.INSTALLED_AS.get(module)
            package_remark = "" if package else "if its package is called so"
            ways.append(Suggestion(f"echo {package or module} >> {file_text}", package_remark))
        yield make_problem(
            "import-unlocked", *ways, given=module, where=redact(import_place), origin=redact(locked.origin), hint=hint
        )
