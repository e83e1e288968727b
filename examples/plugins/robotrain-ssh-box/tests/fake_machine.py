"""The machine is this one: `bin/ssh` runs here what would run there."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from robotrain.plugin import RunState
from robotrain.testing import World

PYTHON = '#!/bin/sh\ncase "$2" in robotrain_runtime) exec sleep 600;; *) exec python3 "$@";; esac\n'
"""A Python whose runtime only waits: the kit sets the states."""


def wait_until(is_so: Callable[[], bool]) -> None:
    """Wait, up to 20 s."""
    until = time.monotonic() + 20
    while not is_so() and time.monotonic() < until:
        time.sleep(0.01)


class FakeMachine(World):
    # Written once more, by hand: a table that is compared with itself is always right.
    native_states: Mapping[str, RunState] = {
        "starting": "pending",
        "running": "running",
        "0": "succeeded",
        "1": "failed",
        "cancelled": "cancelled",
        "vanished": "lost",
    }
    only_native_states = True

    def __init__(self, folder: Path, patched: pytest.MonkeyPatch) -> None:
        self.runs, self._fault = folder / "runs", folder / "fault"
        self.python = folder / "python"
        self.python.write_text(PYTHON)
        self.python.chmod(0o755)
        self.options = ("--folder", str(self.runs), "--interpreter", str(self.python))
        patched.setenv("FAKE_SSH_FAULT", str(self._fault))
        patched.setenv("PATH", f"{Path(__file__).parent / 'bin'}:{os.environ['PATH']}")

    @contextlib.contextmanager
    def lose(self, what: str) -> Iterator[None]:
        """Lose the `questions` that are asked in this block, or the `answers`."""
        self._fault.write_text(what)
        yield
        self._fault.unlink()

    def away(self) -> AbstractContextManager[object]:
        return self.lose("questions")

    def interruptions(self) -> Iterator[AbstractContextManager[object]]:
        yield self.lose("questions")
        yield self.lose("answers")

    def count_runs(self, run: str) -> int:
        return int((self.runs / run / "started").is_dir())

    def set_native_state(self, reference: Mapping[str, str], native_state: str) -> None:
        folder = Path(reference["folder"])
        self.stop(folder)
        for name in ("exit", "cancelled"):
            (folder / name).unlink(missing_ok=True)
        if native_state == "starting":
            (folder / "pid").unlink()
        elif native_state == "running":
            self._start(folder)
        elif native_state == "cancelled":
            (folder / "cancelled").touch()
        elif native_state.isdigit():
            (folder / "exit").write_text(native_state)

    def _start(self, folder: Path) -> None:
        for name in ("pid", "runtime"):
            (folder / name).unlink(missing_ok=True)
        line = 'setsid sh start.sh "$1" >/dev/null 2>&1 </dev/null &'
        subprocess.run(["sh", "-c", line, "sh", str(self.python)], cwd=folder, check=True)
        wait_until((folder / "pid").exists)

    def stop(self, folder: Path) -> None:
        """Kill what works on a run, once it has begun."""
        wait_until((folder / "runtime").exists)
        if (folder / "pid").exists():
            process = int((folder / "pid").read_text())
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process, signal.SIGKILL)
            wait_until(lambda: not Path(f"/proc/{process}").exists())

    def stop_all(self) -> None:
        """Kill what works on any run."""
        for folder in self.runs.glob("[!.]*"):
            self.stop(folder)
