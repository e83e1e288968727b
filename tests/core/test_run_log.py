"""The progress of a run is that of its events, whatever else its log has; a series of values stays small."""

import dataclasses
import itertools
import json
import math
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from robotrain.model.platform import Platform, PlatformEngine
from robotrain.model.progress import Progress
from robotrain.model.run import RunRecord
from robotrain.model.series import MAX_POINTS, Series
from robotrain.model.workload_profile import Metric
from robotrain.store import records, run_log
from robotrain.store.run_log import read_events_file
from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import (
    Checkpoint,
    Delivered,
    Discarded,
    Download,
    Evaluated,
    Metrics,
    Note,
    Outcome,
    Processes,
    Published,
    Registered,
    Scored,
    StageEvent,
    Track,
    Tracking,
    Withdrawn,
)
from robotrain_workloads.lerobot_eval.workload import LEROBOT_EVAL
from robotrain_workloads.lerobot_train.workload import LEROBOT_TRAIN

RUN = "act-1"
METRICS = (*LEROBOT_TRAIN.profile.metrics, *LEROBOT_EVAL.profile.metrics)
EVENTS = (
    StageEvent(name="data", state="started"),
    Download(done=1 << 20, total=1 << 30, rate=1e6),
    Note(level="info", text="naïve ☃"),
    Note(level="warning", text="slow disk"),
    StageEvent(name="data", state="done", seconds=3.5, detail="2 files"),
    StageEvent(name="work", state="started"),
    Track(experiment="x", tags={"policy_run": "r"}),
    Processes(count=4, nodes=2, samples=64),
    Tracking(uri="http://u", experiment_id="1", run_id="2", ui="http://ui"),
    Metrics(values={"system/memory_percent": 40.0}),
    Metrics(step=20, total=100, values={"train/loss": 0.5, "train/lr": 1e-4}),
    Metrics(step=20, total=100, values={"val/loss": 0.25}),
    Metrics(step=30, total=100, values={}),
    Metrics(step=40, values={"train/loss": math.nan, "train/grad_norm": math.inf}),
    Metrics(step=3, total=9, unit="episode", values={"rollout/episode_3/success": 1.0}),
    Checkpoint(step=40, path="/x/000040", model="pretrained_model"),
    Published(step=40, to="runs:/r/40", seconds=2.0),
    Published(step=40, to="az://c/40"),
    Withdrawn(to="az://c/40"),
    Discarded(step=20, path="/x/000020"),
    Registered(name="act", version="3", step=40, uri="models:/act/3"),
    Evaluated(episodes=9, scores={"rollout/success_rate": 0.5, "other": math.nan}, results="/r", passed=False),
    Scored(step=9, episodes=2, scores={"rollout/success_rate": 0.5, "other": math.nan}),
    Scored(step=12, error="torn"),
    Delivered(to="az://c/results"),
    Outcome(state="failed", exit_code=1, reason="no", fault="code"),
)
ODD = (
    '::robotrain:: {"event": "metrics", "time": 5, "values": {"a": 1, "b": "nan"}, "step": 7}',
    '::robotrain:: {"event": "metrics", "time": 5.0, "values": {"a": true}, "step": 8, "total": null}',
    '::robotrain:: {"event": "metrics", "time": 5.0, "values": {"a": 1.0}, "step": true}',
    '::robotrain:: {"event": "metrics", "time": 5.0, "values": {"a": 1.0}, "step": 9.0}',
    '::robotrain:: {"event": "metrics", "time": 5.0, "values": {"a": 1.0}, "step": 99999999999999999999}',
    '::robotrain:: {"event": "metrics", "time": 5.0, "values": {"a": 1.0}, "step": 9, "unit": "hour"}',
    '::robotrain:: {"event": "metrics", "time": 5.0, "values": [1.0], "step": 9}',
    '::robotrain:: {"event": "metrics", "time": 5.0, "values": {"a": ' + "9" * 400 + '}, "step": 9}',
    '::robotrain:: {"event": "metrics", "time": 5.0, "values": {"a": 2.5}, "step": 9, "more": [1]}',
    '::robotrain:: {"event": "of a newer runtime", "time": 5.0}',
    '::robotrain:: {"event": "checkpoint", "time": 5.0, "st',
    "::robotrain:: 5",
    "::robotrain:: {}",
    "::robotrain:: null",
    '::robotrain:: {"a": [{}',
    "::robotrain:: {}]}, {}",
    "::robotrain:: [",
    "::robotrain:: " + "[" * 100_000,
    "",
    "an ordinary line",
    "a ::robotrain:: b",
    'x ::robotrain:: {"event": "note", "time": 1.0, "level": "error", "text": "inside of a line"}',
)


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunRecord:
    """A recorded run of a training."""
    monkeypatch.setenv("ROBOTRAIN_STATE", str(tmp_path / "state"))
    made = RunRecord(
        run=RUN,
        platform="local",
        phase="sent",
        job="a",
        plan="b",
        created=1.0,
        workload="lerobot-train",
        settings={},
        reference={},
        metrics=METRICS,
    )
    records.write_record(made)
    return made


def list_facts(progress: Progress) -> str:
    """All that is known; a text, since NaN does not equal itself."""
    return repr({field.name: getattr(progress, field.name) for field in dataclasses.fields(progress)})


def read_progress(lines: Sequence[str], declared: Sequence[Metric] = ()) -> Progress:
    """The progress of all events, each read by itself."""
    progress = Progress(declared)
    for line in lines:
        if record := event.parse_event(line):
            progress.add_event(record)
    return progress


def write_lines(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


CHANGES: tuple[dict[str, object], ...] = (
    *({"step": 0}, {"step": 9}, {"step": True}, {"step": 2**60}, {"time": 5}, {"unit": "episode"}, {"unit": "hour"}),
    *({"total": None}, {"total": 7}, {"total": "7"}, {"event": "checkpoint", "path": "/x"}, {"more": [1]}),
    *({"values": values} for values in ({}, {"val/loss": 1.0}, {"train/loss": 1}, {"train/loss": "nan"}, [1.0], "ab")),
)


NUMBERS = (
    *"0.5 -0.0 1e5 1E-7 1.25e+300 1e999 4.9e-324 0 7 -3 150 9007199254740993 NaN Infinity".split(),  # noqa: SIM905
    *'-Infinity "nan" null true [] 01.5 1. .5 +1.5 1_0.5 0x1p3 1.5, 1.5} \u0661.5 <float>'.split(),  # noqa: SIM905
    *("1" * 400, "", "1.5 ", " 1.5", '1.5, "more": 1', '1.5, "step": 3', '"<float>"', '"<step>"'),
)


PLAIN = {"event": "metrics", "time": 1.5, "values": {"train/loss": 0.25}, "step": 7, "total": 400, "unit": "step"}


def list_odd_metrics():
    """Lines of metrics, each with one part that may be no number or no name."""
    yield from (json.dumps(PLAIN | change) for change in CHANGES)
    for place in ("time", "train/loss", "step", "total"):
        before, mark, after = json.dumps(PLAIN).partition(f'"{place}": ')
        end = after[min(after.index(delimiter) for delimiter in ",}") :]
        yield from (f"{before}{mark}{text}{end}" for text in NUMBERS)


def test_metrics_are_read_as_any_other_event_is(monkeypatch):
    lines = [f"{event.PREFIX}{text}" for text in list_odd_metrics()]
    quick = [repr(event.parse_event(line)) for line in lines]
    monkeypatch.setattr(event, "_make_metrics", lambda data: event._make_event(Metrics, data))
    assert quick == [repr(event.parse_event(line)) for line in lines]
    assert 20 < sum(text != "None" for text in quick) < len(quick) - 20


def test_every_event_is_read(record, tmp_path):
    assert {type(run_event) for run_event in EVENTS} == set(event.EVENT_NAMES)
    path, lines = tmp_path / "events.jsonl", [event.format_event(run_event, 5.5) for run_event in EVENTS]
    write_lines(path, lines)
    progress, offset = read_events_file(record, path)
    assert offset == path.stat().st_size
    assert list_facts(progress) == list_facts(read_progress(lines, METRICS))


@pytest.mark.parametrize("line", ODD)
def test_odd_lines_count_as_they_do_alone(line, record, tmp_path):
    path, plain = tmp_path / "events.jsonl", event.format_event(EVENTS[9], 5.5)
    write_lines(path, [plain, line, plain.replace("20", "21")])
    wanted = read_progress([plain, line, plain.replace("20", "21")], METRICS)
    assert list_facts(read_events_file(record, path)[0]) == list_facts(wanted)


def test_an_incomplete_last_line_is_read_again_once_it_is_complete(record, tmp_path):
    path = tmp_path / "events.jsonl"
    lines = [event.format_event(Metrics(step=step, values={"train/loss": 0.5}), 5.5) for step in (1, 2, 3)]
    for end in range(len(lines[0]) + 1, 3 * len(lines[0]) + 2, 5):
        path.write_text("\n".join(lines)[:end])
        complete = "\n".join(lines)[:end].split("\n")
        assert read_events_file(record, path)[0].step == read_progress(complete, METRICS).step


def test_a_platform_with_a_file_of_events_is_not_asked_for_its_log(record, tmp_path):
    path = tmp_path / "events.jsonl"
    write_lines(path, [event.format_event(run_event, 5.5) for run_event in EVENTS])

    class Here(PlatformEngine):
        def events_file(self, reference):
            return path

        def logs(self, reference, follow, tail=None):
            assert tail is not None
            yield from ("an ordinary line", "::robotrain:: {}")

    class There(PlatformEngine):
        def logs(self, reference, follow, tail=None):
            yield from ("an ordinary line", *path.read_text().splitlines())

    platforms = (Platform(name="near", engine_class=engine_class) for engine_class in (Here, There))
    here, there = (run_log.read_run_log(record, platform, 5) for platform in platforms)
    assert (list_facts(here[0]), here[1]) == (list_facts(there[0]), there[1])
    assert here[1] == ["an ordinary line"]


def test_a_series_stays_small_and_keeps_its_ends_and_extremes():
    series, chosen = Series(), random.Random(3)
    values = [chosen.random() for _ in range(50_000)]
    values[31_234], values[7_777] = 9.0, -9.0
    for step, value in enumerate(values):
        series.add(step, value)
        assert len(series.closed) <= MAX_POINTS + 2
        assert series.points[-1] == (step, value) if step % 997 == 0 else True
    points = series.points
    assert points == sorted(points)
    assert points[0] == (0, values[0])
    assert points[-1] == (49_999, values[-1])
    assert {(31_234, 9.0), (7_777, -9.0)} <= set(points)
    assert len(points) > MAX_POINTS / 3
    gaps = [later - earlier for (earlier, _), (later, _) in itertools.pairwise(points)]
    assert max(gaps) < 50_000 / 100


def test_a_series_of_few_points_has_all_and_a_restart_replaces_what_it_repeats():
    series = Series()
    for step in (*range(MAX_POINTS), *range(500, 700)):
        series.add(step, float(step))
    assert series.points == [(step, float(step)) for step in range(700)]
    long = Series()
    for step in range(10 * MAX_POINTS):
        long.add(step, 1.0)
    for step in range(3 * MAX_POINTS, 3 * MAX_POINTS + 5):
        long.add(step, 2.0)
    points = long.points
    assert points == sorted(points)
    assert points[-1] == (3 * MAX_POINTS + 4, 2.0)
    assert sum(value == 2.0 for _, value in points) == 5
    for step in range(20):
        long.add(step, 3.0)
    assert long.points == [(step, 3.0) for step in range(20)]
