"""The rule about the syntax of a Python program: a script that Python cannot read ends the job at its start."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from robotrain.errors import Problem
from robotrain.messages import Messages
from robotrain.redaction import redact

from robotrain_workloads.command import program_files
from robotrain_workloads.command.rules import find_script

if TYPE_CHECKING:
    from robotrain.model.job import Job

make_problem = Messages(__file__)

MAX_TEXT = 80


def check_syntax(job: "Job") -> Iterator[Problem]:
    """Refuse a script that this Python cannot read; warn where the job has another one."""
    if (script := find_script(job)) is None:
        return
    folder, name = script
    if fault := program_files.read_syntax(folder / name)[1]:
        is_here = job["install"] and not job["python_version"] and not job["shipped_environment"]
        yield make_problem(
            "program-unreadable",
            where=f"{redact(name)}:{fault.lineno}",
            given=(fault.text or "").strip()[:MAX_TEXT],
            reason=fault.msg,
            minor=sys.version_info[1],
            severity="error" if is_here else "warning",
        )
