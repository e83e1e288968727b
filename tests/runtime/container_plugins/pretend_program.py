"""A workload whose work starts a program in an environment of its own, whose lock the document has."""

from pathlib import Path

import pretend_work
from pretend_work import ENVIRONMENT as ENVIRONMENT
from pretend_work import tracked as tracked
from pretend_work import work as work
from robotrain_runtime.contract.container_plugin import PythonEnvironment
from robotrain_runtime.contract.document import JobDocument

RUNS_PROGRAM = True


def program_environment(document: JobDocument, work: Path) -> PythonEnvironment | None:
    if not document.program_lock:
        return None
    lock = work / "program.txt"
    lock.write_text(document.program_lock)
    return PythonEnvironment(lock=lock, python=document.program_python or pretend_work.VERSION, gib=0.01)
