"""A sweep on OSMO: a workflow for each trial, all at once or so many at a time."""

import threading
import time

import pytest
from robotrain.pipelines import driven_engine, driver, progress
from robotrain.store import records
from robotrain.submission import pin

pytestmark = pytest.mark.slow

FIND_LOST_PINS = pin.find_lost_pins

WORDS = ("--platform", "osmo", "--pool", "default", "-d", f"lerobot/pusht@{'a' * 40}", "--tracking-uri", "none")


@pytest.fixture
def sweep(robotrain, osmo, monkeypatch):
    """Submit a sweep whose driver is a thread of this process: its run, and what was said on stderr."""
    drivers = []

    def start(run: str, plugins: object) -> None:
        drivers.append(threading.Thread(target=driver.drive_pipeline, args=(run, plugins), daemon=True))
        drivers[-1].start()
        wait_until(lambda: progress.read_progress(run) is not None)

    monkeypatch.setattr(driven_engine, "start_driver", start)
    monkeypatch.setattr(driver, "MAX_POLL_SECONDS", 0.3)
    monkeypatch.setattr(pin, "find_lost_pins", lambda *_: [])  # no Hub is asked here

    def submit(*options: str) -> tuple[str, str]:
        answer = robotrain("sweep", *WORDS, "--over", "seed=1..3", *options)
        assert answer.exit_code == 0, answer.stderr
        return next(records.iterate_runs(with_steps=False)), answer.stderr

    yield submit
    for thread in drivers:
        thread.join(30)
        assert not thread.is_alive()


def wait_until(condition) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until, [progress.read_progress(run) for run in records.iterate_runs(with_steps=False)]
        time.sleep(0.05)


def has_ended(run: str) -> bool:
    current = progress.read_progress(run)
    return current is not None and current.finished


def test_without_a_limit_all_trials_are_sent_at_once(sweep, osmo, robotrain):
    run, printed = sweep()
    assert "driven-here" not in printed
    wait_until(lambda: len(osmo.workflows) == 3)
    for name in list(osmo.workflows):
        osmo.set_state(name, task_status="COMPLETED", exit_code=0)
    wait_until(lambda: has_ended(run))
    assert robotrain("status", run, "--json").json["state"] == "succeeded"
    assert len(osmo.workflows) == 3


def test_with_a_limit_the_next_trial_is_sent_when_one_ends_and_cancel_stops_all(sweep, osmo, robotrain):
    run, printed = sweep("--at-most", "2")
    assert "[driven-here]" in printed
    wait_until(lambda: len(osmo.workflows) == 2)
    osmo.set_state(next(iter(osmo.workflows)), task_status="FAILED", exit_code=1)
    wait_until(lambda: len(osmo.workflows) == 3)
    assert robotrain("cancel", run).exit_code == 0
    states = [step.state for step in progress.read_progress(run).steps.values()]
    assert states == ["failed", "cancelled", "cancelled"]


def test_unreachable_service_is_waited_for_and_a_commit_needs_no_hub(sweep, osmo, robotrain, monkeypatch):
    monkeypatch.setattr(driver, "RETRY_SECONDS", 0.2)
    monkeypatch.setattr(pin, "find_lost_pins", FIND_LOST_PINS)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    for words in ("pool list", "workflow submit"):
        osmo.fail(words, "refused", times=3, after=1 if words == "pool list" else 0)  # not the preflight of the sweep
    run, _ = sweep("--at-most", "2")
    wait_until(lambda: len(osmo.workflows) == 2)
    wait_until(lambda: robotrain("status", run, "--json").json["state"] == "pending")
    states = [step["state"] for step in robotrain("status", run, "--json").json["steps"]]
    assert states == ["pending", "pending", "waiting"]
    for _ in range(3):
        for name in list(osmo.workflows):
            osmo.set_state(name, task_status="COMPLETED", exit_code=0)
        wait_until(lambda: has_ended(run) or len(osmo.workflows) == 3)
    wait_until(lambda: has_ended(run))
    assert robotrain("status", run, "--json").json["state"] == "succeeded"
