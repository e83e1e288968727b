"""`robotrain report` of a run: self-contained, complete, and safe against HTML in logs and names."""

import json
import math
import os
import re
import shutil
import stat
import threading

import pytest
from parsed_page import Page, read_page
from robotrain.cli.page_file import SUBJECT
from robotrain.model.series import thin_points
from robotrain.report.charts import MAX_POINTS, compute_ticks, format_tick, make_chart
from robotrain.store import stored_job
from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import Checkpoint, Metrics, Note, Published, Registered, StageEvent, Tracking
from snapshots import check_snapshot


@pytest.fixture
def run(robotrain, fake_platform, pusht):
    arguments = ("--platform", "fake", "--dataset-path", pusht, "--training-steps", 40, "--job-name", "<b>bold</b>")
    return robotrain("submit", *arguments).stdout.strip()


def write_state(fake_platform, run, *log, **state):
    lines = [line if isinstance(line, str) else event.format_event(line) for line in log]
    (fake_platform / f"{run}.json").write_text(json.dumps({"state": "succeeded", "log": lines} | state))


def test_page_shows_the_run(robotrain, fake_platform, run, pusht):
    robotrain("rename", run, "pick-v3")
    write_state(
        fake_platform,
        run,
        StageEvent(name="environment", state="done", seconds=12.0),
        *(Metrics(values={"train/loss": 1 / step, "train/grad_norm": step}, step=step, total=40) for step in (10, 20)),
        Metrics(values={"val/loss": 0.75}, step=20, total=40),
        Checkpoint(step=20, path="/fake/000020"),
        Registered(name="pusht", version="3", step=20, uri="models:/pusht/3"),
        Note(level="warning", text="the disk is nearly full"),
        "the last line",
        checkpoints=[20],
    )
    page = read_page(robotrain, run)
    for text in (
        run,
        "pick-v3 (lerobot-train-",
        "succeeded",
        "0.75",
        "train/grad_norm",
        f"/fake/{run}/checkpoints/000020",
        "pusht version 3",
    ):
        assert text in page.text
    for text in (str(pusht), "training_steps", "flag --training-steps", "the disk is nearly full", "the last line"):
        assert text in page.text
    assert page.count["svg"] == 3, "a validation loss that is far away, and the other metric, have a chart of their own"


def test_settings_have_their_own_names_and_defaults_without_a_value_are_only_counted(robotrain, fake_platform, pusht):
    words = ("--platform", "fake", "--dataset-path", pusht, "--", "--policy.dropout=0.2")
    page = read_page(robotrain, robotrain("submit", *words).stdout.strip())
    assert {"--policy.dropout", "0.2", "flag after --", "frame_cache"} <= {*page.texts}
    assert not {"trainer_args", "image_topics", "exclude_bags"} & {*page.texts}
    assert any(text.endswith(" other settings have no value.") for text in page.texts)


def test_values_that_are_not_finite_are_counted():
    chart = make_chart({"loss": [(1, 4.0), (2, math.nan), (3, 2.0)], "other": [(2, math.inf), (3, 1.0)]})
    assert chart.omitted == 2


def test_page_has_no_links_and_no_scripts(robotrain, fake_platform, run):
    write_state(fake_platform, run, Metrics(values={"train/loss": 0.5}, step=10, total=40))
    text = robotrain("report", run, "--to", "-").stdout
    assert Page(text).addresses == []
    assert not re.search(r"<script|@import|url\(|https?://", text)


def test_page_of_a_resumed_run_shows_the_whole_training(robotrain, fake_platform, run):
    def log_losses(*steps):
        for step in steps:
            yield Metrics(values={"train/loss": step / 100}, step=step, total=40)
        yield Metrics(values={"val/loss": 0.625 + steps[-1] / 1000}, step=steps[-1], total=40)

    robotrain("rename", run, "pick-v3")
    write_state(fake_platform, run, *log_losses(5, 25), *log_losses(20), *log_losses(25), checkpoints=[20])
    resumed = robotrain("resume", run).stdout.strip()
    write_state(fake_platform, resumed, *log_losses(30, 40), checkpoints=[40])
    page = read_page(robotrain, resumed)
    assert f"pick-v3 ({resumed})" in page.texts
    assert f" ({run}) from step 20." in page.texts
    assert {"training loss 0.05 at 5", "training loss 0.2 at 20"} <= set(page.texts)
    assert not any(text.endswith(" at 25") for text in page.texts), "what came after the checkpoint was done again"
    assert {"0.645", "0.665"} <= set(page.texts), "the validation losses of both checkpoints"


LOSS = Metrics(values={"train/loss": 0.5}, step=10, total=40)
SHOWN_TIMES = {
    "ended": ([], {"ended": 1060.0}, ["1:00 min"]),
    "until its last values": (LOSS, {}, ["1:30 min"]),
    "never started": (LOSS, {"started": None}, []),
    "until its outcome": (event.Outcome(state="succeeded", exit_code=0), {}, ["1:30 min"]),
    "until its last event": (StageEvent(name="work", state="started"), {}, ["1:30 min"]),
    "no sign": ([], {}, []),
}


def test_time_of_a_run_whose_end_nobody_saw_does_not_grow(robotrain, fake_platform, run):
    for name, (log, times, shown) in SHOWN_TIMES.items():
        lines = [event.format_event(log, 1090.0)] if log else []
        write_state(fake_platform, run, *lines, **{"state": "lost", "started": 1000.0} | times)
        page = read_page(robotrain, run)
        assert [text for text in page.texts if re.fullmatch(r"[\d:]+ (s|min|h)", text)] == shown, name


def test_page_of_a_new_run_has_no_measurements_yet(robotrain, fake_platform, run):
    write_state(fake_platform, run, StageEvent(name="environment", state="started"), state="running")
    check_snapshot("cli/snapshots/report-new-run.txt", read_page(robotrain, run).sentences)
    answer = robotrain("report", run)
    assert "in stage environment, no measurements yet" in answer.stderr
    write_state(fake_platform, run, Metrics(values={"train/loss": 0.5}, step=10, total=40), state="running")
    assert "training loss 0.5 at 10" in read_page(robotrain, run).sentences
    assert "no measurements" not in robotrain("report", run).stderr


def test_page_of_a_failed_run_has_the_fault_and_the_next_command(robotrain, fake_platform, run):
    outcome = event.Outcome(state="failed", exit_code=1, reason="no room", fault="disk_full", remedy="Make room.")
    write_state(fake_platform, run, outcome, state="failed", reason="no room")
    page = robotrain("report", run, "--to", "-").stdout
    assert "disk full: Make room." in page
    assert "<code>robotrain logs --tail 40 " in page
    write_state(fake_platform, run, state="succeeded")
    assert "Next: " not in robotrain("report", run, "--to", "-").stdout


@pytest.mark.parametrize(
    ("log", "state", "missing"),
    [
        ([], "succeeded", "The run logged no values."),
        ([Metrics(values={"train/loss": math.nan}, step=10, total=40)], "succeeded", "no finite value"),
        (["ValueError: no"], "failed", "The run logged no values."),
    ],
    ids=["no events", "no finite loss", "failed"],
)
def test_page_explains_what_is_missing_and_shows_the_log_of_a_failure(
    robotrain, fake_platform, run, log, state, missing
):
    write_state(fake_platform, run, *log, state=state)
    sentences = read_page(robotrain, run).sentences
    assert (missing in sentences, "The run has no complete checkpoint." in sentences) == (True, True)
    assert ("<details open><summary>Last" in robotrain("report", run, "--to", "-").stdout) == (state == "failed")


@pytest.mark.parametrize(
    ("points", "circles", "text"),
    [
        ([(step, step) for step in (10, 20, 30, 20, 30, 40)], 4, ""),
        (enumerate((math.nan, math.inf, 1e308, -1e308, 0.5, 5e-324)), 2, "not drawn: 4 values"),
    ],
    ids=["steps repeated after a restart", "values that cannot be drawn"],
)
def test_each_step_is_drawn_once_and_values_that_cannot_be_drawn_are_counted(
    robotrain, fake_platform, run, points, circles, text
):
    lines = (Metrics(values={"train/loss": value}, step=step, total=40) for step, value in points)
    write_state(fake_platform, run, *lines)
    page = read_page(robotrain, run)
    assert (page.count["circle"], text in page.text) == (circles, True)


def test_page_is_written_to_a_file_with_the_name_of_the_run(robotrain, fake_platform, run, tmp_path):
    robotrain("rename", run, "pick-v3")
    answer = robotrain("report", run)
    assert answer.stdout.strip() == "pick-v3.html"
    assert robotrain("report", run, "--to", tmp_path / "new/page.html", "--json").json == {
        "run": run,
        "path": str(tmp_path / "new/page.html"),
    }
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["page.html"]
    assert robotrain("report", run, "--to", tmp_path / "newer").stdout.strip() == str(tmp_path / "newer/pick-v3.html")
    assert robotrain("report", run, "--to", tmp_path).stdout.strip() == str(tmp_path / "pick-v3.html")


def test_pages_of_runs_with_one_name_are_different_files(robotrain, scripted):
    for name in ("train-1", "train-2", "train-3"):
        scripted.run(name, state="succeeded")
    robotrain("rename", "train-1", "pick-v3")
    assert robotrain("report", "pick-v3").stdout.strip() == "pick-v3.html"
    robotrain("rename", "train-2", "pick-v3")
    names = [robotrain("report", run).stdout.strip() for run in ("train-1", "train-2", "train-3")]
    assert names == ["pick-v3.train-1.html", "pick-v3.train-2.html", "train-3.html"]
    assert "pick-v3 is train-2" in robotrain("report", "pick-v3").stderr


@pytest.mark.parametrize("content", ["<title>a page of mine</title>", SUBJECT.format("train-2"), "", None])
def test_page_replaces_only_an_earlier_page_of_its_run(robotrain, scripted, tmp_path, content):
    scripted.run("train-1", state="succeeded")
    robotrain("rename", "train-1", "index")
    other = tmp_path / "pages/index.html"
    other.parent.mkdir()
    if content is not None:
        other.write_text(content)
    wanted = "index.html" if content is None else "index.train-1.html"
    for _ in range(2):
        assert robotrain("report", "train-1", "--to", other.parent).stdout.strip() == str(other.parent / wanted)
    assert content is None or other.read_text() == content


def test_page_of_several_runs_replaces_only_a_page_of_these(robotrain, scripted, tmp_path):
    for name in ("train-1", "train-2", "train-3", "train-4"):
        scripted.run(name, state="succeeded")
    (tmp_path / "pages").mkdir()
    lines = {
        "train-1 train-2": "train-1-vs-train-2.html",
        "train-1 train-3": "train-1-vs-train-3.html",
        "train-1 train-2 train-3 train-4": "train-1-and-3-others.html",
        "train-1 train-4 train-3 train-2": "train-1-and-3-others.2.html",
    }
    for line, file in [*lines.items(), *lines.items()]:
        answer = robotrain("report", *line.split(), "--to", tmp_path / "pages")
        assert answer.stdout.strip() == str(tmp_path / "pages" / file), line


def test_page_is_written_to_a_pipe_and_through_a_link(robotrain, fake_platform, run, tmp_path):
    (tmp_path / "shelf").mkdir()
    pipe, link, target = tmp_path / "pipe", tmp_path / "link.html", tmp_path / "shelf/page.html"
    os.mkfifo(pipe)
    read = list[str]()
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    assert robotrain("report", run, "--to", pipe).exit_code == 0
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    reader.join(10)
    assert f"({run})</title>" in read[0]
    target.write_text("an earlier one")
    link.symlink_to(target)
    assert robotrain("report", run, "--to", link).exit_code == 0
    assert link.is_symlink()
    assert f"({run})</title>" in target.read_text()


def test_ticks_are_few_and_inside():
    for low, high in ((-3, 5), (1e-5, 1e-4), (0, 123456), (2.0, 2.0)):
        ticks = compute_ticks(low, high)
        assert len(ticks) <= 7
        assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in ticks), (low, high)


def test_tick_label_is_short():
    labels = [format_tick(value) for value in (16000, 2.5e6, 5e-5, 1234)]
    assert labels == ["16k", "2.5M", "5e-5", "1234"]


def test_labels_of_an_axis_differ():
    labels = [label for _, label in make_chart({"disk": [(0, 38.9412), (1, 38.9448)]}, height=110).ticks]
    assert len(labels) == len({*labels}) > 1


def test_long_series_is_thinned_and_keeps_its_end_and_spikes():
    points = [(step, float(step % 7)) for step in range(10_000)]
    points[4321] = (4321, 900.0)
    few = thin_points(points, MAX_POINTS)
    assert len(few) <= 240
    assert few[-1] == points[-1]
    assert (4321, 900.0) in few
    assert len(make_chart({"x": points}).lines[0].places) == len(few)


def test_extreme_steps_and_times_have_a_page(robotrain, fake_platform, run):
    strange = event.PREFIX + '{"event": "metrics", "time": 1e400, "values": {"cpu": 1}, "step": null}'
    write_state(
        fake_platform,
        run,
        Metrics(values={"train/loss": 0.5}, step=1),
        Metrics(values={"train/loss": 0.4}, step=10**17),
        Metrics(values={"cpu": 3}),
        strange,
    )
    assert read_page(robotrain, run).count["svg"] >= 1


def test_axis_of_a_single_point_has_one_label():
    assert [label for *_, label in make_chart({"x": [(7, 0.5)]}).steps] == ["7"]
    assert len(make_chart({"x": [(0.0, 1.0), (0.4, 2.0)]}).steps) >= 3, "a time of less than a second"
    assert [label for *_, label in make_chart({"x": [(0, 1.0), (1, 2.0)]}).steps] == ["0", "1"]


def test_parts_of_a_chart_are_marked_within_its_axes():
    points = [(0, 1.0), (50, 3.0), (100, 2.0)]
    chart = make_chart({"x": points}, spans=[(10, 30, "idle"), (90, 140, "jump"), (200, 300, "outside")])
    assert [(round(left), round(width), text) for left, width, text in chart.spans] == [
        (10, 20, "idle"),
        (90, 10, "jump"),
    ]


def test_points_of_a_chart_name_their_place_as_its_axis_does():
    chart = make_chart({"x": [(0, 1.0), (0.5, 3.0)]}, "second", format_at="{:g} s".format)
    assert [text for *_, text in chart.lines[0].dots] == ["x 1 at 0 s", "x 3 at 0.5 s"]


def test_axis_of_a_loss_of_two_decades_is_logarithmic(robotrain, fake_platform, run):
    for values, ticks in (
        ((30, 5, 0.4), ["0", "10", "20", "30"]),
        ((500, 5, 0), None),
        ((500, 5, 0.4), ["1", "10", "100"]),
    ):
        chart = make_chart({"train/loss": [*enumerate(values)]}, is_loss=True)
        assert ticks is None or [label for _, label in chart.ticks] == ticks, values
    write_state(fake_platform, run, *(Metrics(values={"train/loss": loss}, step=at) for at, loss in enumerate(values)))
    assert "logarithmic scale" in read_page(robotrain, run).texts


@pytest.mark.parametrize(
    ("validation", "panels"), [((0.6, 0.4), ["Loss"]), ((90.0, 70.0), ["Training loss", "Validation loss"])]
)
def test_validation_of_another_scale_has_a_panel_of_its_own(robotrain, fake_platform, run, validation, panels):
    losses = zip((10, 20), (0.9, 0.5), validation, strict=True)
    values = (Metrics(values={"train/loss": loss, "val/loss": val}, step=step) for step, loss, val in losses)
    write_state(fake_platform, run, *values)
    page = read_page(robotrain, run)
    assert [title for title in ("Loss", "Training loss", "Validation loss") if title in page.texts] == panels


def test_checkpoints_are_marked_on_the_curve(robotrain, fake_platform, run):
    values = (Metrics(values={"train/loss": 1 / step}, step=step, total=40) for step in (10, 20, 40))
    write_state(fake_platform, run, *values, checkpoints=[20, 40])
    assert {"checkpoint of step 20", "checkpoint of step 40"} <= set(read_page(robotrain, run).texts)


def test_fields_of_a_log_are_escaped_and_redacted(robotrain, fake_platform, run):
    text = "<i>token=hf_abcdefghijklmnopqrstuvwxyz0123456789</i>"
    write_state(
        fake_platform,
        run,
        StageEvent(name="work", state="failed", detail=text),
        Note(level="error", text=text),
        Published(step=20, to=text),
        Registered(name=text, version="1", step=20),
        Tracking(uri=text, experiment_id="1", run_id="2", ui=text),
        Metrics(values={"<i>": 1.0}, step=1),
        Metrics(values={"<i>": 2.0}, step=2),
        text,
        checkpoints=[20],
        state="failed",
    )
    page = read_page(robotrain, run)
    assert "i" not in page.count
    assert "<b>bold</b>" in page.text
    assert "hf_abc" not in robotrain("report", run, "--to", "-").stdout


def test_file_in_place_of_a_folder_is_refused(robotrain, fake_platform, run, tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    for command, part in (("report", "page.html"), ("report", ""), ("outputs", "policy"), ("outputs", "")):
        robotrain(command, run, "--to", f"{tmp_path}/note.txt/{part}").check_problems(2, "value-invalid --to")
    assert (tmp_path / "note.txt").read_text() == "mine"


def test_full_disk_keeps_the_earlier_page(robotrain, fake_platform, run, tmp_path, monkeypatch):
    robotrain("report", run, "--to", tmp_path / "page/one.html")

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert robotrain("report", run, "--to", tmp_path / "page/one.html").exit_code == 1
    assert [path.name for path in (tmp_path / "page").iterdir()] == ["one.html"]


def test_run_without_a_stored_plan_has_a_page(robotrain, fake_platform, run):
    shutil.rmtree(stored_job.get_plan_folder(run))
    assert "The plan of this run is not stored here." in read_page(robotrain, run).sentences


def test_interrupted_submit_has_a_suggestion_and_no_page(robotrain, fake_platform, pusht):
    (fake_platform / "mood").write_text("hangs up")
    robotrain("submit", "--platform", "fake", "--dataset-path", pusht)
    robotrain("report").check_problems(1, "run-not-sent")
