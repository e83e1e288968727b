"""The runtime's end of tracking, beside a process that does what it should not."""

from pathlib import Path

import pytest
from robotrain_runtime import tracker
from robotrain_runtime.event import Outcome
from robotrain_runtime.tracker import Tracker


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
            machine=False,
            environ={},
            on_event=lambda record: told.append(record.event.text),
        )
        tracking.close(Outcome(state="succeeded", exit_code=0))
        for reader in tracking._readers:
            reader.join(10)
        return told

    return close


def test_one_that_does_not_finish_is_stopped_and_told_once(notes, monkeypatch):
    monkeypatch.setattr(tracker, "END_SECONDS", 0.5)
    (told,) = notes("echo retrying; exec sleep 60")
    assert (
        told == "tracking at http://tracking.example did not finish within 0.5 s of the end and was stopped: retrying"
    )


def test_one_that_fails_is_told_with_its_reason(notes):
    (told,) = notes("echo 'error: no such store'; exit 3")
    assert told == "the run is not tracked, or only in part: error: no such store"


def test_one_that_ends_well_says_nothing(notes):
    assert notes("cat > /dev/null") == []
