"""Processes that are killed at a chosen step, and a run that writes a line each time it runs."""

import io
import itertools
import os
import signal
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from local_runs import Runs
from robotrain.model.plan import Plan
from robotrain_local import spec, submit
from robotrain_local import spec as files

ASKS_THE_SYSTEM = {"posix", "time", "fcntl", "_io", "_posixsubprocess", "_signal"}
CHANGES_NOTHING = {
    "fspath",
    "stat",
    "lstat",
    "fstat",
    "listdir",
    "scandir",
    "fileno",
    "isatty",
    "waitpid",
    "time",
    "tell",
}
"""Killed before one of these is killed before what follows it."""
MOST = 400
ADDS_A_LINE = "import sys; open(sys.argv[1], 'a').write('ran\\n')"


def line_plan(runs: Runs, lines: Path, run: str = "tiny-1", program: str = ADDS_A_LINE) -> Plan:
    """A plan whose process adds a line to `lines`; its payload is one small module."""
    plan = runs.plan("pass", run=run)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as payload:
        payload.writestr(zipfile.ZipInfo("adds/a_line.py"), program)
    process = replace(spec.parse_spec(plan.files[plan.spec]), module="adds.a_line", arguments=(str(lines),))
    return replace(plan, files={**plan.files, plan.spec: spec.dump_spec(process), "payload.zip": archive.getvalue()})


def folder_of(plan: Plan) -> Path:
    return Path(spec.parse_spec(plan.files[plan.spec]).folder)


def put_in_place(plan: Plan) -> Path:
    """What a submit that was cut off before its process left."""
    submit.provide_run_folder(plan, folder_of(plan), zipfile.ZipFile(io.BytesIO(plan.files[files.PAYLOAD_FILE])))
    return folder_of(plan)


def kill_at_each_step(make_action: Callable[[int], Callable[[], object]]) -> int:
    """Run `make_action(1)()`, `make_action(2)()`, … each in a process of its own, which is killed (SIGKILL) before its
    first, second, … system call. Return how many were killed: the next one came to its end.
    """
    for step in range(1, MOST):
        if not _killed_at(step, make_action(step)):
            return step - 1
    raise AssertionError(f"more than {MOST} steps")


def _killed_at(step: int, act: Callable[[], object]) -> bool:
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    counter = itertools.count(1)

    def count(frame: FrameType, event: str, called: Any) -> None:
        if event == "c_call" and _of_the_system(called) and next(counter) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        sys.setprofile(count)
        act()
    finally:
        sys.setprofile(None)
        os._exit(0)


def _of_the_system(called: Any) -> bool:
    module = called.__module__ or type(called.__self__).__module__  # a method of a file has its module from its class
    return module in ASKS_THE_SYSTEM and called.__name__ not in CHANGES_NOTHING
