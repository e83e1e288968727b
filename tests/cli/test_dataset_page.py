"""The page of `robotrain data view`: what it says about a dataset, its episodes and one of them."""

import re
from pathlib import Path

import pytest
from parsed_page import Page
from robotrain_workloads.data_command.dataset_page import render_dataset_page
from robotrain_workloads.dataset_check.findings import make_finding
from snapshots import check_snapshot

FPS = 10.0
FRONT, WRIST = "observation.images.front", "observation.images.wrist"
HOSTILE = "<script>alert('積み木')</script>"
FROZEN = make_finding(
    "camera-frozen", "the picture of front stays the same: episode 2", [2], feature=FRONT, spans=[(2, 10, 30)]
)
IDLE = make_finding("idle-end", "2 episodes end without motion", [2, 5], spans=[(2, 30, 40), (5, 1, 9)])
CONSTANT = make_finding("dimension-constant", "action has a dimension that never changes: gripper")


def make_score(episode, codes=(), task="push", idle=0.0, jump=10.0):
    return {
        "episode": episode,
        "idle": idle,
        "jump": jump,
        "motion": [1.0, jump or 0.0, 2.0] if jump is not None else [],
        "frames": 40 + episode,
        "task": task,
        "errors": 0,
        "warnings": len(codes),
        "codes": list(codes),
    }


def make_dimension(name, values, omitted=0):
    return {"name": name, "points": [list(point) for point in enumerate(values)], "omitted": omitted}


def make_strip(name, **values):
    pictures = [[frame, "QUJD"] for frame in (0, 13, 26, 39)]
    empty = {"clip": "", "clip_start": 0.0, "part": None, "problem": "", "remark": ""}
    return {"name": name, "pictures": pictures, **empty, **values}


def make_view(scores=(), strips=(), curves=None, **values):
    scores = scores or [make_score(2, ["camera-frozen", "idle-end"]), make_score(0), make_score(1)]
    curves = (
        curves if curves is not None else {"action": [make_dimension("x", [0, 3, 2]), make_dimension("y", [1, 2, 2])]}
    )
    cameras = [{"name": strip["name"], "kind": "video", "width": 64, "height": 48} for strip in strips]
    shown = {**scores[0], "strips": list(strips), "curves": curves, "problem": ""}
    tasks = {score["task"] for score in scores}
    return {
        "name": "/data/push",
        "version": "v3.0",
        "robot": "so100",
        "fps": FPS,
        "episodes": len(scores),
        "frames": sum(score["frames"] for score in scores),
        "last": 2,
        "cameras": cameras,
        "tasks": [[task, 1] for task in sorted(tasks)],
        "task_count": len(tasks),
        "scores": scores,
        "shown": shown,
        **values,
    }


def render(view, findings=(), **values) -> str:
    return render_dataset_page(view, findings, 0.0, label="push", dataset="/data/push", **values)


def test_page_shows_findings_where_they_are():
    view = make_view(strips=[make_strip(FRONT, clip="QUJD"), make_strip(WRIST)])
    text = render(view, [FROZEN, IDLE, CONSTANT], viewer="lerobot-dataset-viz --repo-id push --episode-index 2")
    page = Page(text)
    check_snapshot("cli/snapshots/dataset-page.txt", page.sentences)
    assert page.embedded == ["data:video/mp4", *["data:image/jpeg"] * 8]
    marked = re.findall(r'<figure class="marked" title="([^"]*)"', text)
    assert marked == ["frame 13: camera-frozen", "frame 26: camera-frozen"], "only pictures of the camera, in the span"
    marks = re.findall(r'class="span"[^>]*><title>([^<]*)</title>', text)
    frozen, idle = "camera-frozen: frames 10 to 29, 1.0 to 2.9 s", "idle-end: frames 30 to 39, 3.0 to 3.9 s"
    assert marks == [frozen, idle], "a camera has a bar, what is about no camera is in the chart"


def test_names_and_texts_of_a_dataset_are_escaped():
    curves = {"action": [make_dimension(HOSTILE, [0, 1])], HOSTILE: [make_dimension("", [0, 1])]}
    scores = [make_score(0, task=HOSTILE), make_score(1)]
    view = make_view(scores, [make_strip(HOSTILE)], curves, robot=HOSTILE, name=HOSTILE)
    finding = make_finding("idle-end", HOSTILE, [0], feature=HOSTILE, spans=[(0, 1, 9)])
    text = render_dataset_page(view, [finding], 0.0, label=HOSTILE, dataset=HOSTILE, viewer=HOSTILE)
    assert "<script" not in text
    assert Page(text).texts.count(HOSTILE) >= 4


def test_page_needs_nothing_else():
    text = render(make_view(strips=[make_strip(FRONT, clip="QUJD")]), [FROZEN])
    assert Page(text).addresses == []
    assert not re.search(r"<script|@import|url\(|https?://", text)


def test_points_name_their_second_and_frame():
    text = render(make_view(curves={"action": [make_dimension("gripper", [0, 3, 2])]}))
    assert "gripper 3 at 0.10 s, frame 1" in text


@pytest.mark.parametrize(
    ("states", "titles"),
    [(["x", "y"], {"Actions and states"}), (["x", "z"], {"Actions", "States"}), ([], {"Actions"})],
    ids=["the same joints", "others", "no state"],
)
def test_actions_and_states_of_the_same_joints_are_on_common_axes(states, titles):
    curves = {"action": [make_dimension(name, [0, 3, 2]) for name in "xy"]}
    if states:
        curves["observation.state"] = [make_dimension(name, [1, 2, 3]) for name in states]
    assert titles == {"Actions and states", "Actions", "States"} & {*Page(render(make_view(curves=curves))).texts}


def test_constant_and_missing_numbers_are_said():
    curves = {"action": [make_dimension("x", [0, 1, 2], omitted=3), make_dimension("gripper", [5, 5, 5])]}
    page = Page(render(make_view(curves=curves)))
    assert "does not change: gripper 5" in page.texts
    assert any("not drawn: 3 values that are not finite" in text for text in page.texts)


def test_fourteen_dimensions_have_a_chart_each():
    curves = {"action": [make_dimension(f"joint {index}", [0, index + 1, 2]) for index in range(14)]}
    scores = [make_score(0, jump=None, idle=None)]
    assert Page(render(make_view(scores, curves=curves))).count["svg"] == 14


def test_episodes_that_are_not_listed_are_counted():
    assert "3 of 10,000 episodes" in Page(render(make_view(episodes=10_000))).text


def test_scores_that_are_missing_are_explained():
    view = make_view([make_score(0, jump=None, idle=None)])
    error = make_finding("value-not-finite", "episode 0 has a value that is not finite", [0])
    for findings, reason in (((), "datasets on this machine"), ((error,), "once the errors are corrected")):
        (text,) = [text for text in Page(render(view, findings)).texts if text.startswith("Idle seconds")]
        assert reason in text


def test_an_episode_that_was_asked_for_comes_first():
    texts = [
        re.findall(r"<h2>([^<]*)</h2>", render(make_view(), is_about_episode=is_about_episode))
        for is_about_episode in (False, True)
    ]
    assert texts == [["Findings", "Episodes", "Episode 2"], ["Episode 2", "Findings", "Episodes"]]


def test_a_video_that_is_too_large_has_a_link_to_its_file(tmp_path):
    (tmp_path / "front video.mp4").write_text("")
    part = {"path": "front video.mp4", "start": 4.0, "end": 8.0}
    view = make_view(strips=[make_strip(FRONT, part=part, remark="the video is too large for a page")])
    (link,) = Page(render(view, folder=Path(tmp_path))).addresses
    assert link == f"{(tmp_path / 'front video.mp4').as_uri()}#t=4.000,8.000"
    assert Page(render(view)).addresses == [], "of a dataset that is elsewhere"


def test_what_cannot_be_read_is_said():
    view = make_view(strips=[make_strip(FRONT, pictures=[], problem="its video does not exist")])
    view["shown"]["problem"] = "data/file-000.parquet cannot be read"
    texts = Page(render(view)).texts
    assert {"its video does not exist", "data/file-000.parquet cannot be read"} <= {*texts}


def test_numbers_of_episodes_are_short_and_are_ready_to_be_left_out():
    many = make_finding("idle-end", "30 episodes end without motion", range(0, 60, 2))
    page = Page(render(make_view(episodes=100), [FROZEN, many], excluded=[2, 3, 4, 9]))
    assert "idle-end, episodes 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22 and more" in page.text
    assert "--exclude-episodes 2-4,9" in page.texts
