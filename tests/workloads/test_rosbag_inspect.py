"""`robotrain bags`: topics that some bags lack, bags that are left out, and pictures that are cut off."""

import re
from dataclasses import replace

import numpy as np
import pytest
from job_documents import check_findings
from recorded_bags import COMPRESSED, FLOATS, SECOND, START, Recording


@pytest.fixture
def inspect(tmp_path, robotrain):
    """Inspect the folder of bags: `inspect("--fps", 5)`."""

    def run(*words):
        return robotrain("bags", "inspect", tmp_path / "bags", *words, "--json")

    return run


TOPICS = {
    "/action": ("action_topic", "--action-topic"),
    "/joint_states": ("state_topic", "--state-topic"),
    "/camera/top": ("image_topics", ""),
}


@pytest.mark.parametrize(
    "topic", [pytest.param(name, marks=() if name == "/camera/top" else pytest.mark.slow) for name in TOPICS]
)
def test_a_topic_that_one_bag_lacks_stays_the_guess_for_the_others(tmp_path, robotrain, inspect, topic):
    name, flag = TOPICS[topic]
    for number in range(5):
        Recording(without=[topic] if number == 3 else []).write(tmp_path / "bags" / f"ep{number}")
    answer = inspect()
    assert answer.exit_code == 4
    assert topic in (answer.json["settings"][name] or ())
    assert answer.json["partial_topics"] == {topic: {"bags": 4, "of": 5}}
    problems = [bag["problem"] for bag in answer.json["bags"]]
    check_findings([problems[3]])
    assert not any(problems[:3] + problems[4:])
    convert = robotrain("bags", "convert", tmp_path / "bags", "--to", tmp_path / "dataset")
    convert.check_problems(4, "rosbag-unusable")
    assert inspect("--exclude-bag", "ep3").exit_code == 0
    for command, words in (("inspect", ()), ("convert", ("--to", tmp_path / "dataset"))):
        answer = robotrain("bags", command, tmp_path / "bags", "--exclude-bag", "ep0", *words)
        assert "--exclude-bags ep0,ep3" in answer.stderr, "what was left out stays out"
    if topic == "/action":  # the user says that the bags are to be read without it
        assert inspect(flag, "none").exit_code == 0


def test_a_topic_that_few_bags_have_is_not_used_and_is_shown(tmp_path, robotrain, inspect):
    for number in range(3):
        Recording(without=[] if number == 1 else ["/action"]).write(tmp_path / "bags" / f"ep{number}")
    answer = inspect()
    assert (answer.exit_code, answer.json["settings"]["action_topic"]) == (4, None)
    assert answer.json["action_candidates"] == {"/action": FLOATS}
    assert inspect("--action-topic", "none").exit_code == 0
    assert answer.json["partial_topics"] == {"/action": {"bags": 1, "of": 3}}
    shown = robotrain("bags", "inspect", tmp_path / "bags")
    assert "/action (not used), in 1 of 3" in shown.stderr


def test_an_unknown_bag_cannot_be_left_out(tmp_path, robotrain):
    Recording().write(tmp_path / "bags" / "ep000")
    answer = robotrain("bags", "inspect", tmp_path / "bags", "--exclude-bag", "ep00O")
    answer.check_problems(2, "usage --exclude-bags")
    assert robotrain("bags", "inspect", tmp_path / "bags", "--exclude-bag", "ep000").exit_code == 4


def test_bags_that_were_left_out_are_left_out_of_the_training(tmp_path, robotrain, inspect):
    for number in range(3):
        Recording().write(tmp_path / "bags" / f"ep{number}")
    config = tmp_path / "config.yaml"
    assert inspect("--exclude-bag", "ep0,ep2", "--write-config", config).exit_code == 0
    answer = robotrain("explain", "rosbag-act-train", "--platform", "local", "--config", config, "--json")
    (value,) = [row["value"] for row in answer.json["values"] if row["name"] == "exclude_bags"]
    assert value == "ep0,ep2"
    words = ("--platform", "local", "--config", config, "--exclude-bag", "ep9", "--dry-run")
    robotrain("submit", "rosbag-act-train", *words).check_problems(4, "data-unusable")


CUT_NS = START + round(2.1 * SECOND)


def cut_picture(message):
    return replace(message, data=message.data[: len(message.data) * 6 // 10])


@pytest.mark.parametrize(
    ("lost", "unused"),
    [
        (range(20, 40), "2.0 of 3.9 s"),
        (range(15), "1.5 of 3.9 s"),
        (range(15, 30), "1.6 of 3.9 s"),
        (range(35, 40), ""),
    ],
)
def test_seconds_of_a_bag_that_no_episode_has_are_said(tmp_path, robotrain, inspect, lost, unused):
    Recording(lost=lost).write(tmp_path / "bags/ep0")
    reported = inspect().json["bags"][0]["unused"]
    assert reported == unused
    assert not unused or unused in robotrain("bags", "inspect", tmp_path / "bags").stderr


@pytest.mark.parametrize(("fps", "encoding"), [(10, "jpeg"), (10, "png"), (10, "rgb8"), (4, "jpeg")])
def test_a_picture_that_is_cut_off_is_found_where_it_is_used(tmp_path, inspect, encoding, fps):
    topic = "/camera/top" if encoding == "rgb8" else "/camera/top/compressed"
    recording = Recording(camera=topic, encoding=encoding, size=(48, 64), steps=60)
    messages = [
        (name, kind, log, cut_picture(message) if (name, log) == (topic, CUT_NS + 1000) else message)
        for name, kind, log, message in recording.list_messages()
    ]
    Recording(steps=0, messages=messages).write(tmp_path / "bags" / "ep000")
    answer = inspect("--fps", fps)
    (bag,) = answer.json["bags"]
    if fps == 10:
        assert answer.exit_code == 4
        check_findings([bag["problem"]])
    else:
        assert (answer.exit_code, bag["problem"]) == (0, "")


def test_zeros_behind_a_picture_are_no_damage(tmp_path, inspect):
    recording = Recording(camera="/camera/top/compressed", encoding="jpeg")
    padded = [
        (topic, kind, log, replace(message, data=np.append(message.data, np.zeros(9, np.uint8))))
        for topic, kind, log, message in recording.list_messages()
        if kind == COMPRESSED
    ]
    Recording(without=["/camera/top"], messages=padded).write(tmp_path / "bags" / "ep000")
    assert inspect().exit_code == 0


def test_the_paragraphs_of_the_help_are_wrapped(robotrain):
    for command in ("inspect", "convert"):
        assert not re.search(r"\S {2,}[a-z]", robotrain("bags", command, "--help").stdout.partition("Arguments:")[0])
