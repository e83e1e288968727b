"""robotrain's own tests of a platform, on this one: `python -m pytest -v` lists what they try."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from robotrain.testing import PlatformKit, World

from robotrain_earlier_platform import engine


class Interrupted(BaseException):
    """The power failed."""


class FakeEngine(World):
    """Stands in for the engine's functions, and says what the kit makes it say. The folders are real."""

    # Written once more, by hand: a table that is compared with itself is always right.
    native_states = {"running": "running", "ended": "lost"}

    def __init__(self, folder: Path, patched: pytest.MonkeyPatch) -> None:
        self.options = ("--folder", str(folder))
        self.folder = folder
        self.words: dict[str, str] = {}
        for function in (self.start, self.find_state, self.stop):
            patched.setattr(engine, function.__name__, function)

    def start(self, folder: Path) -> str:
        job = str(len(self.words) + 1)
        self.words[job] = "running"
        return job

    def find_state(self, job: str) -> str:
        return self.words.get(job, "")

    def stop(self, job: str) -> None:
        self.words[job] = "ended"

    def count_runs(self, run: str) -> int:
        return int((self.folder / run).is_dir())

    def set_native_state(self, reference: Mapping[str, str], native_state: str) -> None:
        self.words[reference["job"]] = native_state

    def write_log(self, reference: Mapping[str, str], *lines: str) -> None:
        with Path(reference["folder"], "log.txt").open("a") as log:
            log.writelines(f"{line}\n" for line in lines)

    def interruptions(self) -> Iterator[contextlib.AbstractContextManager[None]]:
        yield self.interrupt_start()

    @contextlib.contextmanager
    def interrupt_start(self) -> Iterator[None]:
        """Interrupt a submit when the job has begun, before anybody wrote that down."""

        def start(folder: Path) -> str:
            self.start(folder)
            raise Interrupted

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(engine, "start", start)
            yield


class TestEarlierPlatform(PlatformKit):
    platform = "earlier-platform"

    @pytest.fixture
    def world(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
        return FakeEngine(tmp_path / "runs", monkeypatch)


def test_a_job_is_started_and_stopped(tmp_path: Path) -> None:
    """The engine itself, with a runtime that only waits."""
    (tmp_path / "payload").mkdir()
    (tmp_path / "payload/robotrain_runtime.py").write_text("import time\ntime.sleep(600)\n")
    job = engine.start(tmp_path)
    assert engine.find_state(job) == "running"
    engine.stop(job)
    until = time.monotonic() + 20
    while engine.find_state(job) == "running" and time.monotonic() < until:
        time.sleep(0.01)
    assert engine.find_state(job) == "ended"
