"""Events survive a log: one strict line each, exact numbers, and nothing that is cut or strange breaks a reader."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import (
    Checkpoint,
    Delivered,
    Evaluated,
    Metrics,
    Note,
    Outcome,
    StageEvent,
    Track,
    Tracking,
)

TEXT = st.text(max_size=20)
SCALAR = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT
STEPS = st.integers(0, event.LAST_STEP)
NUMBERS = st.floats(allow_nan=False)

events = st.one_of(
    st.builds(
        StageEvent,
        name=st.sampled_from(["preflight", "environment", "data", "work", "publish"]),
        state=st.sampled_from(["started", "done", "failed", "stopped"]),
        seconds=st.none() | st.floats(0, 1e6),
        detail=TEXT,
    ),
    st.builds(
        Track,
        experiment=TEXT,
        run_name=TEXT,
        params=st.dictionaries(TEXT, st.none() | st.booleans() | st.integers() | TEXT, max_size=3),
        tags=st.dictionaries(TEXT, TEXT, max_size=3),
    ),
    st.builds(Tracking, uri=TEXT, experiment_id=TEXT, run_id=TEXT, ui=TEXT),
    st.builds(
        Metrics,
        values=st.dictionaries(TEXT, NUMBERS, max_size=3),
        step=st.none() | STEPS,
        total=st.none() | STEPS,
        unit=st.sampled_from(["step", "episode"]),
    ),
    st.builds(
        Evaluated,
        episodes=STEPS,
        scores=st.dictionaries(TEXT, NUMBERS, max_size=3),
        results=TEXT,
        policy=TEXT,
        step=STEPS,
        passed=st.none() | st.booleans(),
    ),
    st.builds(Delivered, to=TEXT, seconds=st.none() | st.floats(0, 1e6)),
    st.builds(Checkpoint, step=STEPS, path=TEXT, model=TEXT),
    st.builds(Note, level=st.sampled_from(["info", "warning", "error"]), text=TEXT),
    st.builds(
        Outcome, state=st.sampled_from(["succeeded", "failed", "cancelled"]), exit_code=st.integers(0, 255), reason=TEXT
    ),
)


def refuse(constant: str):
    raise AssertionError(f"{constant} is not JSON")


@given(events, st.floats(0, 4e9))
def test_an_event_comes_back_as_it_was_sent(sent, at):
    line = event.format_event(sent, at)
    assert "\n" not in line
    assert "\r" not in line
    assert line.isascii()
    json.loads(line.removeprefix(event.PREFIX), parse_constant=refuse)
    assert event.parse_event(line) == event.EventRecord(at, sent)


@given(events, st.data())
def test_a_cut_line_is_an_ordinary_line(sent, data):
    line = event.format_event(sent, 1.0)
    assert event.parse_event(line[: data.draw(st.integers(0, len(line) - 1))]) is None


@given(TEXT)
def test_ordinary_line_is_no_event(line):
    assert event.parse_event(line) is None
    assert event.parse_event(event.PREFIX + line) is None


def test_metrics_that_are_not_finite_are_read_back():
    read = event.parse_event(
        event.format_event(Metrics(values={"train/loss": math.nan, "train/grad_norm": -math.inf}, step=1))
    )
    assert math.isnan(read.event.values["train/loss"])
    assert read.event.values["train/grad_norm"] == -math.inf


def test_an_older_reader_skips_what_a_newer_runtime_adds():
    line = event.format_event(Checkpoint(step=1, path="/x"), 1.0)
    assert event.parse_event(line[:-1] + ', "novelty": 1}') == event.EventRecord(1.0, Checkpoint(step=1, path="/x"))
    assert event.parse_event(line.replace("checkpoint", "novelty")) is None


def test_metrics_of_an_older_runtime_count_steps_and_what_an_evaluation_gains_is_skipped():
    line = event.format_event(Metrics(values={}, step=1), 1.0)
    assert event.parse_event(line.replace(', "unit": "step"', "")) == event.EventRecord(1.0, Metrics(values={}, step=1))
    scored = Evaluated(episodes=1, scores={"rollout/success_rate": 1.0}, results="/x")
    assert event.parse_event(event.format_event(scored, 1.0)[:-1] + ', "novelty": 1}') == event.EventRecord(1.0, scored)
    assert event.parse_event(event.format_event(scored, 1.0).replace("1.0}, ", '"high"}, ')) is None


def test_a_line_that_no_number_can_hold_is_an_ordinary_line():
    assert event.parse_event(event.PREFIX + '{"event": "note", "time": 1' + "0" * 400 + "}") is None
    assert event.parse_event(event.PREFIX + "[" * 100_000) is None


@pytest.mark.parametrize(
    "body",
    [
        '{"event": "stage", "time": 1, "name": "work", "state": "done", "seconds": "12"}',
        '{"event": "metrics", "time": 1, "values": [], "step": 1}',
        '{"event": "metrics", "time": 1, "values": {}, "step": 1e400}',
        f'{{"event": "metrics", "time": 1, "values": {{}}, "step": {10**30}}}',
        '{"event": "checkpoint", "time": 1, "step": true, "path": "/x"}',
        '{"event": "note", "time": 1, "level": "shout", "text": "x"}',
        '{"event": "note", "time": 1, "level": "info"}',
    ],
)
def test_a_line_that_only_looks_like_an_event_is_none(body):
    assert event.parse_event(event.PREFIX + body) is None
