"""Programs of the user's own in real runs: interrupted and started again, stopped, and removing what they saved."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from robotrain.store import files
from robotrain_runtime.contract import checkpoint, document, event
from robotrain_runtime.contract.document import JobDocument, Placement
from robotrain_runtime.contract.event import Checkpoint, Note, Published
from robotrain_runtime.process import stop
from robotrain_workloads.command import container
from robotrain_workloads.command.parameters import CommandParameters

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("supervision_environment")]
LONGEST_SECONDS = 60
TRAIN = """
import glob, json, os, shutil, sys, time

outputs, total, found = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
in_place = glob.glob(f"{outputs}/checkpoints/*/state.json")
chosen = [f"{found[-1]}/state.json"] if found else sorted(in_place, key=lambda path: int(path.split("/")[-2]))[-1:]
steps = json.load(open(chosen[0])) if chosen else []
for step in range(len(steps) + 1, total + 1):
    steps.append(step)
    time.sleep(0.05)
    if step % 5 == 0:
        os.makedirs(new := f"{outputs}/new", exist_ok=True)
        json.dump(steps, open(f"{new}/state.json", "w"))
        os.makedirs(f"{outputs}/checkpoints", exist_ok=True)
        os.rename(new, f"{outputs}/checkpoints/{step}")
        shutil.rmtree(f"{outputs}/checkpoints/{step - 10}", ignore_errors=True)
"""
STOPPED = """
import os, signal, subprocess, sys, time

outputs, how = sys.argv[1:]

def save(number, frame):
    os.makedirs(f"{outputs}/7")
    open(f"{outputs}/7/model", "w").write(how)
    sys.exit(0)

signal.signal(signal.SIGTERM, signal.SIG_IGN if how == "ignores" else save)
if how == "worker":
    worker = subprocess.Popen([sys.executable, __file__, outputs, "alone"])
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(worker.wait()))
print("ready", flush=True)
time.sleep(60)
"""


class Ran:
    """A run of the runtime, whose lines are read while it runs."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process, self.lines = process, list[str]()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def select(self, kind) -> list:
        records = [event.parse_event(line) for line in list(self.lines)]
        return [record.event for record in records if record and isinstance(record.event, kind)]

    def wait_for(self, condition) -> None:
        until = time.monotonic() + LONGEST_SECONDS
        while not condition(self):
            assert time.monotonic() < until, self.lines
            time.sleep(0.02)

    def end(self) -> int:
        code = self.process.wait(LONGEST_SECONDS)
        self._reader.join(5)
        return code


@pytest.fixture
def start(tmp_path):
    """Start a run of a program in the folder `work`, again if it is there."""
    started: list[Ran] = []

    def run(program: str, *arguments: str, environ=None, submission="", **values) -> Ran:
        (tmp_path / "program.py").write_text(program)
        made = JobDocument(
            schema=1,
            run="command-00000000-1",
            job="0" * 64,
            workload="command",
            platform="here",
            container_plugins={"workload.command": container.__name__},
            parameters=dataclasses.asdict(CommandParameters(system_metrics=False, **values)),
            placement=Placement(
                work=str(tmp_path / "work"), cache=str(files.get_cache_folder()), submission=submission
            ),
            trainer_args=(sys.executable, str(tmp_path / "program.py"), "{outputs}", *arguments),
        )
        (tmp_path / "job.json").write_text(document.format_document(made))
        process = subprocess.Popen(
            [sys.executable, "-m", "robotrain_runtime", "run", str(tmp_path / "job.json")],
            env={**os.environ, "ROBOTRAIN_GRACE_SECONDS": "5", **(environ or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(Ran(process))
        return started[-1]

    yield run
    for ran in started:
        with suppress(ProcessLookupError):
            os.killpg(ran.process.pid, signal.SIGKILL)
        with ran.process:
            pass


def kill_all(ran: Ran, folder: str) -> None:
    """Kill all processes of a run at once, as a machine does that is lost: the program has a group of its own."""
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        with suppress(OSError):
            if f"{folder}/work".encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(int(pid), signal.SIGKILL)
    os.killpg(ran.process.pid, signal.SIGKILL)
    ran.end()


FORMS = {
    "arguments": {"resume_args": '["{resume}"]'},
    "in place": {"resume_in_place": True},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("is_lost", [False, True], ids=["same machine", "another machine"])
def test_an_interrupted_training_ends_with_the_result_of_one_that_was_not(start, tmp_path, form, is_lost):
    publish = tmp_path / "published"
    publish.mkdir()
    common = {"checkpoints": "checkpoints/{step}", "checkpoint_complete": "rename", "publish_url": str(publish)}
    where = {"environ": {"THIS_ONE": "wf-1"}, "submission": "THIS_ONE"}
    first = start(TRAIN, "60", **common, **FORMS[form], **where)
    first.wait_for(lambda ran: len(ran.select(Published)) >= 2)
    kill_all(first, str(tmp_path))
    if is_lost:
        shutil.rmtree(tmp_path / "work")
    last = max(event.step for event in first.select(Published))
    again = start(TRAIN, "60", **common, **FORMS[form], **where)
    assert again.end() == 0, again.lines
    steps = [event.step for event in again.select(Checkpoint) if event.step > last]
    assert steps[-1] == 60
    published = list(checkpoint.list_checkpoints(publish))
    assert len(published) >= 4
    assert {checkpoint.validate_checkpoint(folder) for _, folder in published} == {""}
    assert json.loads((publish / "000060/state.json").read_text()) == list(range(1, 61))
    own = [step for step, _ in checkpoint.list_checkpoints(tmp_path / "work/outputs/checkpoints")]
    assert own[0] == 60
    assert len(own) <= 6, "what the program removed is removed"


def test_a_training_that_starts_over_is_warned_about(start, tmp_path):
    common = {"checkpoints": "checkpoints/{step}", "checkpoint_complete": "rename"}
    first = start(TRAIN, "60", **common)
    first.wait_for(lambda ran: len(ran.select(Checkpoint)) >= 2)
    time.sleep(0.3)
    kill_all(first, str(tmp_path))
    again = start(TRAIN, "20", **common)
    assert again.end() == 0, again.lines
    assert sum("starts again from the beginning" in note.text for note in again.select(Note)) == 1
    assert (tmp_path / "work/outputs/files.attempt-1/checkpoints").is_dir()
    state = tmp_path / "work/outputs/checkpoints/000020/state.json"
    assert json.loads(state.read_text()) == list(range(1, 21))


@pytest.mark.parametrize("how", ["alone", "worker"])
def test_what_a_program_saves_after_a_stop_is_published(start, tmp_path, how):
    (tmp_path / "published").mkdir()
    ran = start(STOPPED, how, checkpoints="{step}", publish_url=str(tmp_path / "published"))
    ran.wait_for(lambda ran: ran.lines.count("ready") == (2 if how == "worker" else 1))
    ran.process.terminate()
    assert ran.end() == 143
    assert [event.step for event in ran.select(Published)] == [7]
    assert checkpoint.validate_checkpoint(tmp_path / "published/000007") == ""


@pytest.mark.parametrize("signals", [1, 2])
def test_a_program_that_ignores_a_stop_is_killed_in_time(start, signals):
    ran = start(STOPPED, "ignores", checkpoints="{step}")
    ran.wait_for(lambda ran: "ready" in ran.lines)
    began = time.monotonic()
    for _ in range(signals - 1):
        ran.process.terminate()
        time.sleep(stop.ONE_STOP_SECONDS + 0.2)
    ran.process.terminate()
    assert ran.end() == 143
    took = time.monotonic() - began
    assert took < (5.0 if signals == 1 else 3.0), ran.lines
    assert not [line for line in ran.lines if "Traceback" in line]


APART = """
import pathlib, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if len(sys.argv) == 3:
    subprocess.Popen([sys.executable, *sys.argv, "rank"], start_new_session=True)
    time.sleep(60)
for number in range(600):
    pathlib.Path(sys.argv[2]).write_text(str(number))
    if number == 0:
        print("ready", flush=True)
    time.sleep(0.1)
"""


def test_processes_with_groups_of_their_own_do_not_outlive_a_stop(start, tmp_path):
    """As torchrun's have."""
    steps = tmp_path / "steps"
    ran = start(APART, str(steps))
    ran.wait_for(lambda ran: "ready" in ran.lines)
    ran.process.terminate()
    assert ran.end() == 143
    last = steps.read_text()
    time.sleep(0.5)
    assert steps.read_text() == last
