"""Metrics of a program of the user's own: found in its output, its files and its reports, and sent at a rate."""

import json
import math
import os
import struct
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from robotrain.model.progress import Progress, read_newest_progress
from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import LAST_STEP, Metrics, Note, make_record
from robotrain_workloads.command import metric_patterns
from robotrain_workloads.command.metric_follower import MetricFollower
from robotrain_workloads.command.metric_patterns import LineReader
from robotrain_workloads.command.workload import COMMAND
from robotrain_workloads.supervision import event_files, metric_sender, output_pipe
from robotrain_workloads.supervision.json_lines import MetricsFile
from robotrain_workloads.supervision.metric_row import MetricRow
from robotrain_workloads.supervision.metric_sender import MetricSender
from robotrain_workloads.supervision.output_pipe import OutputLines, OutputSplitter

LOSS = r"loss[=: ]+([0-9.eE+-]+|nan|inf)"


class Clock:
    """A clock that only a test moves."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def split(pieces):
    splitter = OutputSplitter()
    return [line for piece in pieces for line in splitter.feed(piece)] + splitter.flush()


@given(st.lists(st.text("ab\r\n", max_size=6).map(str.encode), max_size=12))
def test_lines_do_not_depend_on_how_the_output_arrives(pieces):
    whole = b"".join(pieces)
    assert split(pieces) == [line for line in whole.replace(b"\r", b"\n").split(b"\n") if line]


def test_a_line_of_any_length_is_cut(monkeypatch):
    monkeypatch.setattr(output_pipe, "MAX_LINE_BYTES", 8)
    assert split([b"abc", b"defghijk", b"lmn\nnext\n"]) == split([b"abcdefghijklmn\nnext\n"]) == [b"abcdefgh", b"next"]


def test_a_line_of_100_mb_costs_little():
    lines, splitter, piece = OutputLines(), OutputSplitter(), b"x" * output_pipe.PIECE_BYTES
    began = time.process_time()
    for _ in range(100 * 2**20 // len(piece)):
        lines.add(splitter.feed(piece))
    lines.add(splitter.feed(b"\nloss=1\n"))
    assert [len(line) for line in lines.take_lines()] == [output_pipe.MAX_LINE_BYTES, 6]
    assert time.process_time() - began < 2


def test_of_too_many_lines_the_last_ones_are_kept(monkeypatch):
    monkeypatch.setattr(output_pipe, "KEPT_BYTES", 10)
    lines = OutputLines()
    lines.add([b"aaaa", b"bbbb", b"cccc"])
    assert (lines.take_lines(), lines.take_lines()) == ([b"bbbb", b"cccc"], [])


FOUND = {
    "values are counted": ({"loss": LOSS}, None, "loss=0.5|?|loss: 1e-3", [(1, 0.5), (2, 1e-3)]),
    "the step of the same line": ({"loss": LOSS}, r"step (\d+)", "step 5 loss=0.5", [(5, 0.5)]),
    "the step of an earlier line": ({"loss": LOSS}, r"step (\d+)", "step 5|loss=1|loss=2", [(5,), (5, 1.0), (5, 2.0)]),
    "with the last step": ({"loss": LOSS}, r"(\d+)/(\d+)", "3/9 loss=1", [(3, 1.0, 9)]),
    "the step alone": ({}, r"(\d+)/(\d+)", "3/9", [(3, 9)]),
    "a group named step": ({"loss": rf"(?P<step>\d+): {LOSS}"}, None, "7: loss=1", [(7, 1.0)]),
    "colours": ({"loss": LOSS}, None, "\x1b[1mloss\x1b[0m=2", [(1, 2.0)]),
    "no numbers": ({"loss": LOSS}, None, "loss=1e|loss=.|loss=3", [(1, 3.0)]),
    "no step": ({"loss": LOSS}, r"(\S+) ", f"{LAST_STEP * 4} loss=1|-3 loss=1", [(1, 1.0), (2, 1.0)]),
    "not finite": ({"loss": LOSS}, None, "loss=inf", [(1, math.inf)]),
    "a group that took no part": ({"a": r"a(\d)?b"}, None, "ab|a1b", [(1, 1.0)]),
}


@pytest.mark.parametrize(("metrics", "step", "lines", "expected"), FOUND.values(), ids=FOUND)
def test_metrics_are_found_in_lines(metrics, step, lines, expected):
    rows = LineReader(metrics, step).read_lines(line.encode() for line in lines.split("|"))
    assert [(row.step, *row.values.values(), *([row.total] if row.total else [])) for row in rows] == expected


def test_metrics_of_one_line_are_one_row():
    reader = LineReader({"loss": LOSS, "acc": r"acc=(\d+)"}, r"step (\d+)")
    assert reader.read_lines([b"step 1 loss=2 acc=3"]) == [MetricRow(1, {"loss": 2.0, "acc": 3.0})]


@pytest.mark.parametrize("text", ["loss=(", "loss", "(a)(b)", r"(?P<step>\d)"])
def test_patterns_of_a_metric_that_find_no_number(text):
    with pytest.raises(ValueError, match=r"regular expression|needs one"):
        metric_patterns.compile_metric(text)


@pytest.mark.parametrize("text", [r"(\d)(\d)(\d)", "step", "*"])
def test_patterns_of_the_step_that_find_no_number(text):
    with pytest.raises(ValueError, match=r"regular expression|needs one"):
        metric_patterns.compile_step(text)


def test_an_expression_of_exponential_time_is_given_up_and_others_are_read(follow, sent):
    hard, slow = "a" * 60 + "!", "((?:a+)+)$"
    follower = follow({"bad": slow, "loss": LOSS}, [b"loss=1", hard.encode(), b"loss=2"], rf"step {slow}|(x)")
    follower.reader.max_cpu_seconds = 0.05
    follower.read_new()
    list(follower.finish(0, is_stopped=False))
    assert [event.values for event in sent if isinstance(event, Metrics)] == [{"loss": 1.0}, {"loss": 2.0}]
    (note,) = [event.text for event in sent if isinstance(event, Note) and "too long" in event.text]
    assert note.startswith("--metric bad takes too long")


def keep(sent):
    return lambda record: sent.append(record.event)


@pytest.fixture
def sent():
    """The events that were sent."""
    return []


@pytest.fixture
def clock():
    """The clock of what follows."""
    return Clock()


def test_a_short_program_keeps_all_values(sent, clock):
    sender = MetricSender(keep(sent), clock)
    for step in range(metric_sender.BURST):
        sender.add("log", MetricRow(step, {"loss": 1.0}, 500))
    sender.flush()
    assert [(event.step, event.total) for event in sent] == [(step, 500) for step in range(metric_sender.BURST)]


def test_values_are_of_the_time_when_they_were_measured(clock):
    records = []
    sender = MetricSender(records.append, clock)
    now = time.time()
    for step, at in enumerate((now, 12.5, now + 1e6)):
        sender.add("log", MetricRow(step, {"loss": 1.0}, time=at))
    sender.flush()
    assert records[0].time == now
    assert all(now <= record.time <= time.time() for record in records)


def test_a_thousand_values_a_second_are_two_events_a_second(sent, clock):
    sender, seconds = MetricSender(keep(sent), clock), 60
    for step in range(1, 1000 * seconds + 1):
        sender.add("log", MetricRow(step, {"loss": 1.0 / step, "lr": 0.1}))
        if step % 250 == 0:
            clock.now += 0.25
            sender.flush()
    sender.flush(is_last=True)
    assert metric_sender.BURST <= len(sent) <= metric_sender.BURST + metric_sender.RATE * seconds + 1
    assert sent[-1].step == 1000 * seconds
    assert [event.step for event in sent] == sorted(event.step for event in sent)


def test_the_last_value_of_a_rare_name_is_sent(sent, clock):
    sender = MetricSender(keep(sent), clock)
    for step in range(5000):
        sender.add("log", MetricRow(step, {"loss": 1.0, **({"val_loss": float(step)} if step in (100, 203) else {})}))
    sender.flush(is_last=True)
    assert [event.values["val_loss"] for event in sent if "val_loss" in event.values][-1] == 203
    assert len(sent) <= metric_sender.BURST + 1


def test_one_value_of_two_sources_is_sent_once(sent, clock):
    sender = MetricSender(keep(sent), clock)
    sender.add("log", MetricRow(1, {"loss": 1.0}))
    sender.add("file", MetricRow(1, {"loss": 1.0, "lr": 2.0}))
    sender.flush()
    assert [(event.step, event.values) for event in sent] == [(1, {"loss": 1.0, "lr": 2.0})]


def test_steps_of_sources_that_are_read_one_after_another_are_in_order(sent, clock):
    sender = MetricSender(keep(sent), clock)
    for step in range(1, 6):
        sender.add("log", MetricRow(step, {"loss": 1.0}))
    for step in (2, 7):
        sender.add("file", MetricRow(step, {"acc": 1.0}))
    sender.flush()
    assert [event.step for event in sent] == [1, 2, 3, 4, 5, 7]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ({"step": 3, "loss": 0.5}, (3, {"loss": 0.5})),
        ({"global_step": 3, "epoch": 1, "loss": 0.5}, (3, {"epoch": 1.0, "loss": 0.5})),
        ({"epoch": 2.0, "train": {"loss": 1, "acc": {"top1": 2}}}, (2, {"train/loss": 1.0, "train/acc/top1": 2.0})),
        ({"loss": 0.5}, (1, {"loss": 0.5})),
        ({"step": "x", "loss (mean)": 0.5, "timestamp": 9.0, "x": False}, (1, {"loss _mean_": 0.5})),
        ({"step": 1, "loss": 10**400}, (1, {"loss": math.inf})),
        ({"step": 1, "done": True, "name": "x", "none": None, "list": [1]}, None),
        ([1, 2], None),
        ("loss", None),
    ],
)
def test_lines_of_metrics_files(tmp_path, line, expected):
    (tmp_path / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    rows = [(row.step, row.values) for row in MetricsFile(tmp_path / "metrics.jsonl").read_new()]
    assert rows == ([expected] if expected else [])


def test_a_metrics_file_is_read_as_it_grows(tmp_path):
    path, read = tmp_path / "metrics.jsonl", []
    file = MetricsFile(path)
    content = b"".join(b'{"step": %d, "loss": %d}\n' % (step, step) for step in range(3)) + b"not json\n"
    for end in range(len(content) + 1):
        path.write_bytes(content[:end])
        read += [row.step for row in file.read_new()]
    assert read == [0, 1, 2]
    path.write_bytes(b'{"step": 9, "loss": 1}\n')  # written anew
    assert [row.step for row in file.read_new()] == [9]


def make_record_bytes(data: bytes) -> bytes:
    return struct.pack("<QI", len(data), 0) + data + b"\0" * 4


def test_records_of_event_files_are_read_once_they_are_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(event_files, "_parse_event", lambda data: MetricRow(int(data), {"loss": 1.0}))
    path, read = tmp_path / "events.out.tfevents.1", []
    file = event_files.EventFile(path)
    big = make_record_bytes(b"0" * (event_files.MAX_RECORD_BYTES + 1))  # an image
    content = make_record_bytes(b"1") + make_record_bytes(b"22")
    for end in range(len(content) + 1):
        path.write_bytes(content[:end])
        read += [row.step for row in file.read_new()]
    path.write_bytes(content + big + make_record_bytes(b"333"))
    assert [*read, *(row.step for row in file.read_new())] == [1, 22, 333]


@pytest.fixture
def follow(tmp_path, sent, clock):
    """Make a follower of a program: `follow({"loss": REGEX}, lines)`."""
    (tmp_path / "outputs").mkdir()

    def make(metrics=None, lines=(), step=None):
        reader = LineReader(metrics or {}, step) if metrics or step else None
        places = {"outputs": tmp_path / "outputs", "report": tmp_path / "report.jsonl"}
        batches = iter([list(lines)])
        take = lambda: next(batches, [])  # noqa: E731
        return MetricFollower(**places, reader=reader, take_lines=take, emit=keep(sent), clock=clock)

    return make


def write_metrics(folder, *rows):
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "metrics.jsonl").open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def test_files_that_appear_anywhere_below_the_outputs_are_followed(follow, tmp_path, sent, clock):
    write_metrics(tmp_path / "outputs", {"step": 1, "old": 1})  # of an earlier attempt
    os.mkfifo(tmp_path / "outputs/events.out.tfevents.1")
    follower = follow()
    write_metrics(tmp_path / "outputs", {"step": 2, "loss": 1})
    write_metrics(tmp_path / "outputs/a/b", {"step": 2, "lr": 1})
    clock.now += 5
    follower.read_new()
    write_metrics(tmp_path / "outputs/a/b", {"step": 3, "lr": 1})
    assert list(follower.finish(0, is_stopped=False)) == []
    assert [(event.step, event.values) for event in sent] == [(2, {"loss": 1.0, "lr": 1.0}), (3, {"lr": 1.0})]


@pytest.mark.parametrize("names", [("train", "eval"), ("1", "0-val"), ("x", "validation")])
def test_names_of_several_folders_are_told_apart(follow, tmp_path, sent, names):
    follower = follow()
    for value, name in enumerate(names):
        write_metrics(tmp_path / "outputs" / name, {"step": 1, "loss": value})
    list(follower.finish(0, is_stopped=False))
    assert [event.values for event in sent] == [{"loss": 0.0, f"{names[1]}/loss": 1.0}]


def test_what_the_user_asks_for_comes_from_the_output_alone(follow, tmp_path, sent):
    follower = follow({"loss": LOSS}, [b"loss=3"])
    write_metrics(tmp_path / "outputs", {"step": 1, "loss": 7, "lr": 1})
    list(follower.finish(0, is_stopped=False))
    assert sorted(value for event in sent for value in event.values.items()) == [("loss", 3.0), ("lr", 1.0)]


def test_a_large_file_is_read_in_parts_without_loss(follow, tmp_path, sent, clock, monkeypatch):
    monkeypatch.setattr("robotrain_workloads.command.metric_follower.MAX_ROWS", 3)
    follower = follow()
    write_metrics(tmp_path / "outputs", *({"step": step, "loss": 1} for step in range(10)))
    for _ in range(2):
        clock.now += 5
        follower.read_new()
    assert len(sent) == 6
    list(follower.finish(0, is_stopped=False))
    assert [event.step for event in sent] == list(range(10))


def test_a_file_that_cannot_be_read_is_named_once_and_the_others_are_read(follow, tmp_path, sent, clock, monkeypatch):
    monkeypatch.setattr(event_files, "_parse_event", lambda data: MetricRow(int(data), {}))
    follower = follow()
    write_metrics(tmp_path / "outputs", {"step": 1, "loss": 1})
    (tmp_path / "outputs/events.out.tfevents.1").write_bytes(make_record_bytes(b"?"))
    for _ in range(3):
        clock.now += 5
        follower.read_new()
    list(follower.finish(0, is_stopped=False))
    (note,) = [event.text for event in sent if isinstance(event, Note)]
    assert "events.out.tfevents.1" in note
    assert [event.values for event in sent if isinstance(event, Metrics)] == [{"loss": 1.0}]


def test_expressions_that_found_nothing_are_named(follow, sent):
    list(follow({"loss": LOSS, "acc": r"acc (\d)"}, [b"loss=3"], r"step (\d)").finish(0, is_stopped=False))
    notes = [event.text for event in sent if isinstance(event, Note)]
    assert len(notes) == 2
    assert "--metric acc" in notes[0]
    assert "--step" in notes[1]


REPORT = """
import os, threading
from robotrain_runtime import report
report.progress(1, 10)
report.metrics(2, {"val/acc": 0.5}, loss=float("nan"))
report.checkpoint("here", step=3)
report.metrics("?", loss=1)
if os.fork() == 0:
    report.metrics(4, forked=1)
    os._exit(0)
os.wait()
threads = [threading.Thread(target=lambda: [report.metrics(step, thread=1) for step in range(200)]) for _ in range(4)]
[one.start() for one in threads], [one.join() for one in threads]
"""


@pytest.mark.parametrize("is_inside", [True, False])
def test_a_program_reports(follow, tmp_path, sent, is_inside):
    import robotrain_runtime

    path = os.path.dirname(os.path.dirname(str(robotrain_runtime.__file__)))
    environ = {"PYTHONPATH": path, **({"ROBOTRAIN_REPORT": str(tmp_path / "report.jsonl")} if is_inside else {})}
    command = [sys.executable, "-S", "-c", REPORT]
    ended = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, check=True)
    list(follow().finish(0, is_stopped=False))
    if not is_inside:
        assert (sent, ended.stderr) == ([], "")
        return
    assert ended.stderr.count("RuntimeWarning") == 1
    lines = [json.loads(line) for line in (tmp_path / "report.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines].count("metrics") == 802
    assert next(line for line in lines if line["event"] == "checkpoint")["path"] == str(tmp_path / "here")
    values = {name: value for event in sent for name, value in event.values.items()}
    assert math.isnan(values.pop("loss"))
    assert values == {"val/acc": 0.5, "forked": 1.0, "thread": 1.0}
    assert sent[-1].total == 10


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"lr": 0.1, "loss": 0.25}, "loss 0.25"),
        ({"train/loss": 0.25, "policy_loss": 9}, "loss 0.25"),
        ({"policy_loss": 9, "train_loss": 0.25}, "loss 0.25"),
        ({"Loss/train": 0.25, "Loss/val": 0.5}, "loss 0.25  val 0.5 at 3"),
        ({"val_loss": 0.5, "loss": 0.25}, "loss 0.25  val 0.5 at 3"),
        ({"epoch_loss": 0.25, "validation/epoch_loss": 0.5}, "loss 0.25  val 0.5 at 3"),
        ({"losses/value_loss": 3, "charts/episodic_return": 12}, "reward 12"),
        ({"rollout/ep_rew_mean": 12}, "reward 12"),
        ({"losses/value_loss": 3}, "loss 3"),
        ({"accuracy": 0.75}, "accuracy 0.75"),
        ({"val/accuracy": 0.75, "test_loss": 0.5}, "accuracy 0.75  val 0.5 at 3"),
        ({"mse": 0.75, "lr": 0.1, "epoch": 1}, "mse 0.75  lr 0.1"),
    ],
)
def test_the_usual_names_show_in_one_line(values, expected):
    record = make_record(Metrics(values={name: float(value) for name, value in values.items()}, step=3, total=4))
    progress = Progress(COMMAND.profile.metrics)
    progress.add_event(record)
    assert progress.format_line(has_ended=True) == f"step 3/4 (75%)  {expected}"
    lines = [event.format_event(record.event, record.time), event.format_event(Metrics(values={"lr": 1.0}, step=4))]
    if progress.main_metric:
        newest = read_newest_progress(lines, COMMAND.profile.metrics)
        assert (newest.step, newest.curve) == (4, progress.curve)
