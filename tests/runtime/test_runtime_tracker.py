"""The runtime's end of tracking, beside a process that does what it should not."""

import os
import shlex
import sys
import time
from pathlib import Path

import pytest
from problem_assertions import check_refusals
from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import Metrics, Note, Outcome, Track
from robotrain_runtime.contract.failure import Cancelled, PermanentError
from robotrain_runtime.tracking import tracker
from robotrain_runtime.tracking.tracker import ARTIFACT_REQUEST, Tracker

ANSWERING = """#!{python}
import sys
from robotrain_runtime.contract import event
from robotrain_runtime.process import helper_process
from robotrain_runtime.process.helper_process import HelperReply
from robotrain_runtime.contract.event import Tracking
event.emit_event(Tracking(uri="x", experiment_id="1", run_id="the-run"))
for line in sys.stdin:
    asked = helper_process.parse_message(line.rstrip())
    if asked.body.get("last"):
        sys.exit("error: out of memory")
    body = {{"to": asked.body["folder"]}}
    reply = HelperReply(number=asked.number, body=body, error=asked.body.get("error", ""))
    event.emit_line(helper_process.format_message(reply))
"""


def never_halted() -> bool:
    return False


@pytest.fixture
def notes(tmp_path):
    """What is told when the tracking process is a shell script."""

    def close(script: str) -> list[str]:
        python = Path(tmp_path / "python")
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o755)
        messages: list[str] = []
        tracking = Tracker(
            python,
            "http://tracking.example",
            system_metrics=False,
            environ={},
            on_event=lambda record: messages.append(record.event.text),
        )
        tracking.close(Outcome(state="succeeded", exit_code=0))
        for reader in tracking._readers:
            reader.join(60)
        return messages

    return close


def test_tracking_that_does_not_start_is_stopped_and_reported_once(notes, monkeypatch):
    monkeypatch.setattr(tracker, "END_SECONDS", 0.5)
    (result,) = notes("echo retrying; exec sleep 60")
    assert result.startswith("tracking at http://tracking.example did not start within 0.5 s and was stopped")
    assert "the run is not tracked: retrying" in result


def test_tracking_that_fails_is_reported_with_its_reason(notes):
    (result,) = notes("echo 'error: no such store'; exit 3")
    assert result == "the run is not tracked, or only partly: no such store"


def test_what_follows_from_a_failure_that_was_told_is_not_told_too(notes):
    told = event.format_event(Note(level="warning", text="tracking could not record an event"))
    assert notes(f"echo {shlex.quote(told)}; echo 'error: no such store'; exit 3") == [
        "tracking could not record an event"
    ]


def test_tracking_that_succeeds_reports_nothing(notes):
    assert notes("cat > /dev/null") == []


@pytest.fixture
def answering(tmp_path):
    """A tracker whose process answers what it is asked."""
    python = Path(tmp_path / "python")
    python.write_text(ANSWERING.format(python=sys.executable))
    python.chmod(0o755)
    made = Tracker(
        python, "http://tracking.example", system_metrics=False, environ=os.environ, on_event=lambda record: None
    )
    yield made
    made.close(None)


def test_requests_to_tracking_are_answered(answering):
    assert answering.wait_for_run(never_halted) == "the-run"
    ids = {"MLFLOW_EXPERIMENT_ID": "1", "MLFLOW_RUN_ID": "the-run"}
    assert answering.run_environ == {"MLFLOW_TRACKING_URI": "http://tracking.example", **ids}
    assert [answering.send_request(ARTIFACT_REQUEST, {"folder": name}, never_halted)["to"] for name in "abc"] == [
        "a",
        "b",
        "c",
    ]


def test_a_failed_request_to_tracking_is_an_error_with_its_reason(answering):
    with pytest.raises(OSError) as refused:
        answering.send_request(ARTIFACT_REQUEST, {"folder": "a", "error": "the store is full"}, never_halted)
    check_refusals(refused.value, "os-error")


def test_tracking_that_ends_before_it_answers_is_a_permanent_error(answering):
    with pytest.raises(PermanentError) as refused:
        answering.send_request(ARTIFACT_REQUEST, {"folder": "a", "last": True}, never_halted)
    check_refusals(refused.value, "permanent-error")


def test_a_request_to_tracking_can_be_cancelled(answering):
    with pytest.raises(Cancelled):
        answering.send_request(ARTIFACT_REQUEST, {"folder": "a"}, lambda: True)


@pytest.fixture
def recording(tmp_path):
    """A tracker whose process writes the lines that it gets to a file; and a function that waits for so many."""
    python, received = tmp_path / "python", tmp_path / "received"
    received.touch()
    python.write_text(f"#!/bin/sh\nexec cat >> {received}\n")
    python.chmod(0o755)

    def wait_for_lines(count: int) -> list[str]:
        until = time.monotonic() + 30
        while len(lines := received.read_text().splitlines()) < count and time.monotonic() < until:
            time.sleep(0.01)
        return [type(record.event).__name__ for record in map(event.parse_event, lines) if record]

    made: list[Tracker] = []

    def start() -> Tracker:
        uri = "http://tracking.example"
        made.append(Tracker(python, uri, system_metrics=False, environ={}, on_event=lambda record: None))
        for sent in (Track(experiment="e", run_name="r"), Metrics(values={"system/memory": 1.0})):
            made[-1].send(event.make_record(sent))
        return made[-1]

    yield start, wait_for_lines
    for made_tracker in made:
        made_tracker.close()


def test_events_are_held_back_until_the_first_step(recording):
    start, wait_for_lines = recording
    tracking = start()
    tracking.send(event.make_record(Metrics(values={"data/read": 1.0})))
    time.sleep(0.3)
    assert wait_for_lines(0) == []
    tracking.send(event.make_record(Metrics(values={"train/loss": 1.0}, step=1)))
    tracking.send(event.make_record(Track(tags={"late": "yes"})))
    assert wait_for_lines(5) == ["Track", "Metrics", "Metrics", "Metrics", "Track"]


def test_events_are_not_held_back_once_the_tracking_run_is_needed(recording, monkeypatch):
    monkeypatch.setattr(tracker, "START_SECONDS", 0.0)
    start, wait_for_lines = recording
    with pytest.raises(OSError) as refused:
        start().wait_for_run(never_halted)
    check_refusals(refused.value, "os-error")
    assert wait_for_lines(2) == ["Track", "Metrics"]


def test_events_are_not_held_back_for_long(recording, monkeypatch):
    monkeypatch.setattr(tracker, "HOLD_SECONDS", 0.05)
    start, wait_for_lines = recording
    start()
    assert wait_for_lines(2) == ["Track", "Metrics"]


def test_a_run_that_ends_before_its_first_step_is_tracked(recording):
    start, wait_for_lines = recording
    start().close(Outcome(state="failed", exit_code=1))
    assert wait_for_lines(3) == ["Track", "Metrics", "Outcome"]
