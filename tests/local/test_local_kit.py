"""The local platform passes the kit of platforms; real processes that do nothing stand for its supervisors."""

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from robotrain.model.reference import Reference
from robotrain.run_folder.facts import read_facts
from robotrain.testing import PlatformKit, World
from robotrain_local import observe, process_list, submit
from robotrain_local import spec as files

pytestmark = pytest.mark.slow  # about ninety command lines

SUPERVISOR = """#!/bin/sh
if [ "$3" != robotrain_local.supervisor ]; then exec {python} "$@"; fi
cd "$4" && read -r stat < /proc/$$/stat && set -- ${{stat##*) }}
birth=$((${{20}} / 100)).$(printf %02d $((${{20}} % 100)))@{boot}
printf '{{"pid": %s, "birth": "%s", "started": {now}, "host": {{}}}}' $$ "$birth" > .claim
ln .claim supervisor.json && echo ran >> {taken}/${{PWD##*/}} && exec sleep 600
"""
"""Claims its run as a supervisor does, and stays."""
CLAIM_SECONDS = 5.0
"""How long a supervisor that has claimed its run may take to write that it did."""
OUTCOMES = {"succeeded": 0, "failed": 1, "cancelled": 143}


class SubmitInterrupted(BaseException):
    """A submit ends here."""


class LocalWorld(World):
    """natives: what the files and the processes of a run say. `exits` is an end of which nobody wrote down how.

    No `requests`: a process has what its machine has.
    """

    native_states = {  # noqa: RUF012 - the kit reads it of an instance
        "waits": "pending",
        "runs": "running",
        "succeeded": "succeeded",
        "failed": "failed",
        "cancelled": "cancelled",
        "exits": "failed",
        "is killed": "lost",
    }
    only_native_states = True

    def __init__(self, folder: Path, patched: pytest.MonkeyPatch) -> None:
        self.options = ("--environment", sys.prefix, "--runs-dir", str(folder / "runs"))
        self._folder, self._patched = folder, patched
        (folder / "taken").mkdir(parents=True)
        program = folder / "python"
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        facts = {"python": sys.executable, "taken": folder / "taken", "boot": boot, "now": time.time()}
        program.write_text(SUPERVISOR.format(**facts))
        program.chmod(0o755)
        patched.setattr(sys, "executable", str(program))
        patched.setattr("robotrain_local.submit.STARTING_SECONDS", 0.2)

    def count_runs(self, run: str) -> int:
        path, claim = self._folder / "taken" / run, self._folder / "runs" / run / files.SUPERVISOR_FILE
        until = time.monotonic() + CLAIM_SECONDS
        while claim.exists() and not path.exists() and time.monotonic() < until:
            time.sleep(0.01)
        return len(path.read_text().splitlines()) if path.exists() else 0

    def set_native_state(self, reference: Reference, native: str) -> None:
        run = Path(reference["folder"])
        (run / files.EXIT_FILE).unlink(missing_ok=True)
        (run / "outcome.json").unlink(missing_ok=True)
        if native == "waits":
            self._kill(run)
            (run / files.SUPERVISOR_FILE).unlink()
        elif native == "runs":
            self._start(run)
        elif native == "is killed":
            self._start(run)
            self._kill(run)
        else:
            self._ends(run, native)

    def interruptions(self) -> Iterator[AbstractContextManager[object]]:
        yield self._after(os, "mkdir")
        yield self._after(submit, "provide_run_folder")
        yield self._after(os, "posix_spawn")

    def clear(self) -> None:
        """End what was started."""
        for run in (self._folder / "runs").glob("*"):
            self._kill(run)

    @contextlib.contextmanager
    def _after(self, module: object, name: str) -> Iterator[None]:
        """A submit that ends after it called a function for the first time."""
        function = getattr(module, name)

        def cut_off(*args: object, **more: object) -> None:
            if any(str(self._folder / "runs") in str(arg) for arg in args):
                function(*args, **more)
                raise SubmitInterrupted
            function(*args, **more)

        with self._patched.context() as patched:
            patched.setattr(module, name, cut_off)
            yield

    def _start(self, run: Path) -> None:
        supervisor = observe.read_supervisor(read_facts(run, observe.LOCAL_FACT_FILES))
        if supervisor is None or not process_list.is_alive(supervisor):
            (run / files.SUPERVISOR_FILE).unlink(missing_ok=True)
            os.posix_spawn(sys.executable, [sys.executable, "", "", "robotrain_local.supervisor", str(run)], os.environ)
            while not (run / files.SUPERVISOR_FILE).exists():
                time.sleep(0.001)

    def _kill(self, run: Path) -> None:
        if supervisor := observe.read_supervisor(read_facts(run, observe.LOCAL_FACT_FILES)):
            process_list.send_signal([supervisor.pid] * process_list.is_alive(supervisor), signal.SIGKILL)
            while process_list.is_alive(supervisor):
                time.sleep(0.001)

    def _ends(self, run: Path, native: str) -> None:
        self._start(run)
        code = OUTCOMES.get(native, 3)
        if native in OUTCOMES:
            (run / "outcome.json").write_text(json.dumps({"state": native, "exit_code": code}))
        self._kill(run)
        files.record_exit(run, code)


class TestLocal(PlatformKit):
    platform = "local"

    @pytest.fixture
    def world(self, tmp_path, monkeypatch):
        world = LocalWorld(tmp_path / "machine", monkeypatch)
        yield world
        world.clear()
