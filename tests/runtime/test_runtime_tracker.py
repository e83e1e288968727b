"""The runtime's end of tracking, beside a process that does what it should not."""

import os
import sys
from pathlib import Path

import pytest
from robotrain_runtime.contract.event import Outcome
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


def go_on() -> bool:
    return False


@pytest.fixture
def notes(tmp_path):
    """What is told when the tracking process is a shell script."""

    def close(script: str) -> list[str]:
        python = Path(tmp_path / "python")
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o755)
        told: list[str] = []
        tracking = Tracker(
            python,
            "http://tracking.example",
            system_metrics=False,
            environ={},
            on_event=lambda record: told.append(record.event.text),
        )
        tracking.close(Outcome(state="succeeded", exit_code=0))
        for reader in tracking._readers:
            reader.join(60)
        return told

    return close


def test_one_that_does_not_finish_is_stopped_and_told_once(notes, monkeypatch):
    monkeypatch.setattr(tracker, "END_SECONDS", 0.5)
    (told,) = notes("echo retrying; exec sleep 60")
    assert told == "tracking at http://tracking.example did not finish within 0.5 s and was stopped: retrying"


def test_one_that_fails_is_told_with_its_reason(notes):
    (told,) = notes("echo 'error: no such store'; exit 3")
    assert told == "the run is not tracked, or only partly: no such store"


def test_one_that_ends_well_says_nothing(notes):
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


def test_what_is_asked_is_answered(answering):
    assert answering.wait_for_run(go_on) == "the-run"
    assert [answering.send_request(ARTIFACT_REQUEST, {"folder": name}, go_on)["to"] for name in "abc"] == [
        "a",
        "b",
        "c",
    ]


def test_what_could_not_be_done_is_an_error_with_its_reason(answering):
    with pytest.raises(OSError, match="the store is full"):
        answering.send_request(ARTIFACT_REQUEST, {"folder": "a", "error": "the store is full"}, go_on)


def test_one_that_ends_before_it_answers_is_told_at_once(answering):
    with pytest.raises(PermanentError, match="tracking has ended: error: out of memory"):
        answering.send_request(ARTIFACT_REQUEST, {"folder": "a", "last": True}, go_on)


def test_an_answer_need_not_be_waited_for(answering):
    with pytest.raises(Cancelled):
        answering.send_request(ARTIFACT_REQUEST, {"folder": "a"}, lambda: True)
