"""Pipelines on the fake platform that a driver runs: their steps, and the processes that drive them."""

import os
import signal
import time
from pathlib import Path

from fake_engine import set_run_state
from robotrain.pipelines import progress
from robotrain.store import records

PUSHT = Path(__file__).parents[2] / "examples/pusht-mini"
STEPS = """
name: shift
steps:
  train: {job: EXAMPLE/job.yaml, parameters: {training_steps: 3}}
  evaluate: {job: EXAMPLE/evaluate.yaml, parameters: {register_model: pusht-act}, sources: {policy: {from: train}}}
  again: {job: EXAMPLE/evaluate.yaml, parameters: {seed: 7}, sources: {policy: {from: train}}, after: evaluate}
"""


def find_drivers(run: str) -> list[int]:
    """Return the drivers of a run of this test: another one beside it may have a run of the same name."""
    pids, state = [], os.environ["ROBOTRAIN_STATE"].encode()
    for place in Path("/proc").iterdir():
        if place.name.isdecimal():
            try:
                words = (place / "cmdline").read_bytes().split(b"\0")
                is_driver = b"robotrain.pipelines.driver" in words and run.encode() in words
                is_own = is_driver and state in (place / "environ").read_bytes()
            except OSError:
                continue
            if is_own:
                pids.append(int(place.name))
    return pids


def stop_driver(run: str) -> None:
    for pid in find_drivers(run):
        os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + 20
    while progress.is_driven(run) and time.monotonic() < until:
        time.sleep(0.02)


def read_states(run: str) -> dict[str, str]:
    current = progress.read_progress(run)
    return {name: step.state for name, step in current.steps.items()} if current else {}


def get_step_run(run: str, step: str) -> str:
    current = progress.read_progress(run)
    assert current is not None
    return current.steps[step].run


def wait_for(run: str, step: str, *wanted: str) -> None:
    until = time.monotonic() + 60
    while read_states(run).get(step) not in wanted:
        assert time.monotonic() < until, (read_states(run), (records.get_run_folder(run) / "driver.log").read_text())
        time.sleep(0.05)


def finish_training(engine: Path, run: str) -> None:
    wait_for(run, "train", "running")
    set_run_state(engine, get_step_run(run, "train"), checkpoints=[3])
