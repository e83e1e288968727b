"""A local run from submit to its end, as a user at a terminal sees it, with real processes."""

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # real processes and their patience

PLUGIN_FOLDER = Path(__file__).parents[1] / "local/container_plugins"
WORKLOAD = """
from dataclasses import dataclass
from typing import Annotated

from robotrain.plugin import Metric, Param, Workload, WorkloadProfile, hook

PROFILE = WorkloadProfile(metrics=(Metric(name="train/loss", kind="loss"),))

@dataclass(frozen=True, kw_only=True)
class Parameters:
    program: Annotated[str, Param(help="a few lines of Python")] = "pass"


@hook
def robotrain_workloads():
    half = "tiny_work.container"
    return [
        Workload(name="tiny", summary="", parameters=Parameters, roles={}, container_plugin=half, profile=PROFILE)
    ]
"""
TRAIN = """
import time
from robotrain_runtime.contract.event import emit_event
from robotrain_runtime.contract.event import Checkpoint, Metrics
for step in (1, 2, 3):
    emit_event(Metrics(step=step, total=3, values={"train/loss": 1 / step}))
emit_event(Checkpoint(step=3, path="/somewhere/000003"))
print("an ordinary line")
"""
WAIT = "import time; print('ready', flush=True); time.sleep(60)"


@pytest.fixture
def run(install, tmp_path, command):
    """Start `robotrain` as a process of its own; whatever it leaves running is ended with the test."""
    site = install("acme-tiny", {"workload.tiny": "acme_tiny"}, acme_tiny=WORKLOAD)
    environ = os.environ | {"PYTHONPATH": os.pathsep.join([str(site), str(PLUGIN_FOLDER)])}

    def start(*args: str) -> "subprocess.Popen[str]":
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([*command, *args], env=environ, text=True, start_new_session=True, **pipes)

    yield start
    for facts in (tmp_path / "state/local").glob("*/supervisor.json"):
        try:
            os.killpg(json.loads(facts.read_text())["pid"], signal.SIGKILL)
        except (ProcessLookupError, ValueError):
            continue


def finish_process(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    stdout, stderr = process.communicate(timeout=60)
    return process.returncode, stdout, stderr


def submit_program(run, program: str, *more: str):
    return run("submit", "tiny", "--platform", "local", "--environment", sys.prefix, "--program", program, *more)


def test_wait_ends_with_the_checkpoint_and_the_log_has_events_as_sentences(run):
    code, stdout, stderr = finish_process(submit_program(run, TRAIN, "--wait"))
    assert code == 0
    name = stdout.splitlines()[0]
    assert re.fullmatch("tiny-[0-9a-f]{8}-1", name)
    for text in (f"{name}  succeeded", "/somewhere/000003"):
        assert text in stdout
    assert "step 3/3 (100%)" in stderr
    code, stdout, _ = finish_process(run("logs", name))
    assert code == 0
    assert "an ordinary line" in stdout
    assert "[robotrain] checkpoint of step 3: /somewhere/000003" in stdout
    assert "::robotrain::" not in stdout
    assert "::robotrain::" in finish_process(run("logs", name, "--raw"))[1]


def test_json_of_a_run(run):
    code, stdout, _ = finish_process(submit_program(run, TRAIN, "--wait", "--json"))
    assert code == 0
    answer = json.loads(stdout)
    assert (answer["state"], answer["step"], answer["checkpoint"]) == ("succeeded", 3, "/somewhere/000003")
    assert json.loads(finish_process(run("status", "--json"))[1])["state"] == "succeeded"
    assert json.loads(finish_process(run("wait", "--json"))[1])["run"] == answer["run"]
    assert json.loads(finish_process(run("cancel", "--json"))[1]) == {
        "checkpoint": "/somewhere/000003",
        "checkpoint_step": 3,
        "run": answer["run"],
        "state": "succeeded",
        "was": "succeeded",
    }


def wait_until_ready(path: Path) -> None:
    end = time.monotonic() + 30
    while not any("ready" in log.read_text() for log in path.glob("*/log.txt")):
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("watch", [("wait",), ("logs", "-f")])
def test_ctrl_c_stops_only_the_watching(run, tmp_path, watch):
    name = finish_process(submit_program(run, WAIT))[1].strip()
    watching = run(*watch, name)
    wait_until_ready(tmp_path / "state/local")
    assert any(select.select([watching.stdout, watching.stderr], [], [], 60))  # it says something: it is at it
    os.kill(watching.pid, signal.SIGINT)
    code, _, stderr = finish_process(watching)
    assert code == 130
    assert f"robotrain cancel {name}" in stderr
    assert json.loads(finish_process(run("status", name, "--json"))[1])["state"] == "running"
    assert f"{name}  cancelled" in finish_process(run("cancel", name))[1]
    assert "had ended already" in finish_process(run("cancel", name[:8]))[2]
    assert finish_process(run("wait", name))[0] == 5
