"""Local runs of a few lines of Python, with the real runtime in a real background process."""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from robotrain.model.job import Job
from robotrain.model.plan import Plan
from robotrain.model.reference import Reference
from robotrain.model.run import Status
from robotrain.submission.packing import pack_modules
from robotrain_local import process_list, spec
from robotrain_local.platform import LOCAL
from robotrain_local.settings import LocalSettings
from robotrain_runtime.contract import checkpoint

PLUGIN_MODULES = {"workload.tiny": "tiny_work.container"}
PATIENCE = 30.0
SLEEP = "import time; print('ready', flush=True); time.sleep(600)"
SAVES = """
import os, pathlib, time
from robotrain_runtime.contract.event import emit_event
from robotrain_runtime.contract.event import Checkpoint
parent = pathlib.Path(os.environ["WORK"], "outputs", "checkpoints")
for step in (200, 400):
    folder = parent / f"{step:06}"
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "weights.txt").write_text("w" * step)
    emit_event(Checkpoint(step=step, path=str(folder), model="model"))
(parent / "last").symlink_to("000400")
(parent.parent / "notes.txt").write_text("seven")
print("ready", flush=True)
"""
"""Leaves two checkpoints, a link to the last, and a file beside them."""
T = TypeVar("T")


def wait_for(look: Callable[[], T]) -> T:
    """What `look` finds, as soon as it finds something."""
    end = time.monotonic() + PATIENCE
    while not (outcome := look()):
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)
    return outcome


class Runs:
    """The local platform with a folder of its own. Whatever is started is ended with the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.local = LOCAL.engine
        self.settings = LocalSettings(environment=sys.prefix, runs_dir=str(folder / "runs"))

    def plan(self, program: str, *, run: str = "tiny-1", grace: float | None = None, **parameters: str) -> Plan:
        job = Job(workload="tiny", parameters=(("program", program), *parameters.items()))
        plan = LOCAL.plans.render(job, self.settings, run, pack_modules(PLUGIN_MODULES.values()), PLUGIN_MODULES)
        if grace is None:
            return plan
        wanted = spec.parse_spec(plan.files[plan.spec])
        shorter = replace(
            wanted,
            grace_seconds=grace,
            environment={**wanted.environment, "ROBOTRAIN_GRACE_SECONDS": "60"},
        )
        return replace(plan, files={**plan.files, plan.spec: spec.dump_spec(shorter)})

    def submit(self, program: str, *, run: str = "tiny-1", grace: float | None = None, **parameters: str) -> Reference:
        return self.local.submit(self.plan(program, run=run, grace=grace, **parameters))

    def wait_for_end(self, reference: Reference) -> Status:
        wait_for(lambda: self.local.status(reference).finished)
        return self.local.status(reference)

    def sealed(self, reference: Reference) -> list[Path]:
        """Return once both checkpoints of SAVES are sealed: they, oldest first."""
        made = [Path(reference["folder"], "outputs", "checkpoints", step) for step in ("000200", "000400")]
        wait_for(lambda: all((path / checkpoint.MANIFEST).exists() for path in made))
        return made

    def wait_until_ready(self, reference: Reference, word: str = "ready") -> None:
        """Return once the program has printed `word`."""
        wait_for(lambda: word in self.local.logs(reference, follow=False))

    def supervisor(self, reference: Reference) -> int:
        return int(json.loads(Path(reference["folder"], "supervisor.json").read_text())["pid"])

    def runtime(self, reference: Reference) -> int:
        return next(pid for pid in self.processes(reference) if b"robotrain_runtime\0run" in command_line_of(pid))

    def processes(self, reference: Reference) -> list[int]:
        return process_list.list_session(self.supervisor(reference))


def command_line_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
