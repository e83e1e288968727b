"""Bags that a training would stop at are named before anything is sent, by this machine's standard library alone."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import recorded_bags
from bag_training import make_parameters
from recorded_bags import COMPRESSED, SECOND, START, Recording, header
from robotrain_runtime.contract.document import JobSource
from robotrain_workloads.rosbag_act_train import container
from robotrain_workloads.rosbag_act_train.bags.bag_files import BagError
from robotrain_workloads.rosbag_act_train.training_data import load_bags, make_settings

CAMERA = "/camera/top"
STORAGES = ("sqlite3", "mcap")


def make_packets(data: bytes, kind: str = "jpeg", count: int = 6):
    """Compressed pictures on the topic /front, as messages of a recording."""
    types = recorded_bags._store().types
    times = [START + step * SECOND // 10 for step in range(count)]
    return [
        ("/front", COMPRESSED, log, types[COMPRESSED](header(log), kind, np.frombuffer(data, np.uint8)))
        for log in times
    ]


JPEG = recorded_bags.compress(recorded_bags.make_picture(1, (12, 16)), "jpeg")
PNG = recorded_bags.compress(recorded_bags.make_picture(1, (12, 16)), "png")
FRONT = {"image_topics": "/front=front"}

TABLE = [
    # the recording, the parameters of the job; part of the sentence (empty: nothing is wrong), and the remedy
    ({}, {}, "", ""),
    ({"encoding": "jpeg"}, {}, "", ""),
    ({"encoding": "png"}, {}, "", ""),
    ({"encoding": "mono8", "padding": 5}, {}, "", ""),
    ({"encoding": "yuv422"}, {}, "the encoding yuv422 is not supported", ""),
    ({"encoding": "16UC1"}, {}, "16UC1 is a depth picture", ""),
    ({}, {"image_topics": "/camera/tip=top"}, "no topic /camera/tip (--image-topics)", f"--image-topics {CAMERA}=top"),
    ({}, {"image_topics": f"/camera/other=top,{CAMERA}=top"}, "", ""),
    ({}, {"image_topics": "/action=top"}, "/action (--image-topics) has messages of", ""),
    ({}, {"state_topic": "/joint_state"}, "no topic /joint_state (--state-topic)", "--state-topic /joint_states"),
    ({"messages": make_packets(JPEG)}, {"action_topic": "/front"}, "/front (--action-topic) has messages of", ""),
    ({}, {"joint_names": "pusher_x,pusher_yy"}, "no joint pusher_yy (--joint-names)", "pusher_x,pusher_y"),
    ({}, {"joint_names": "pusher_y,pusher_x"}, "", ""),
    ({"messages": make_packets(JPEG[:-40])}, FRONT, "/front: the picture is damaged: it is cut off", ""),
    ({"messages": make_packets(JPEG + b"\0" * 9)}, FRONT, "", ""),
    ({"messages": make_packets(PNG[:-40])}, FRONT, "/front: the picture is damaged: it is cut off", ""),
    ({"messages": make_packets(b"\0\0\0\1\x67h264", "h264")}, FRONT, "the format `h264` is neither jpeg nor png", ""),
    ({"messages": make_packets(JPEG, "16UC1; compressedDepth")}, FRONT, "compressed depth cannot be used", ""),
    ({"messages": make_packets(b"")}, FRONT, "neither jpeg nor png", ""),
]


def read(folder, values):
    """Read a folder of bags as a training does; return why it stops, else nothing."""
    try:
        load_bags([folder], make_settings(values), folder.parent / "cache", chunk=2, salvage=False, report=str)
    except BagError as error:
        return str(error)
    return ""


@pytest.fixture
def compare(bag_document):
    """What is found of a job on a folder of bags: `compare(folder, fps=10.0)` → problems, warnings."""

    def make(folder, **changes):
        given = {
            "image_topics": f"{CAMERA}=top",
            "action_topic": "/action",
            "salvage": False,
            "chunk_size": 2,
            **changes,
        }
        document = bag_document(**given)
        described = {JobSource(role="dataset", kind="local_path", uri=str(folder)): folder}
        document = dataclasses.replace(document, sources=tuple(described))
        return list(container.compare(document, described)), list(container.list_warnings(document, described))

    return make


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize(
    ("recorded", "changes", "wrong", "way"),
    TABLE,
)
def test_a_bag_is_compared_with_the_job(compare, tmp_path, storage, recorded, changes, wrong, way):
    folder = Recording(steps=6, **recorded).write(tmp_path / "bags" / "one", storage)
    problems, warnings = compare(folder.parent, **changes)
    assert [wrong in problem and str(folder) in problem for problem in problems] == [True] * bool(wrong)
    assert warnings == []
    values = {**make_parameters(image_topics=f"{CAMERA}=top", action_topic="/action"), **changes}
    assert bool(read(folder.parent, values)) == bool(wrong), "a training stops where it is said, and only there"
    if way:
        flag, _, value = problems[0].partition("\n")[2].partition(" ")
        assert way.endswith(value)
        assert compare(folder.parent, **{**changes, flag[2:].replace("-", "_"): value})[0] == []


@pytest.mark.parametrize(
    ("storage", "damage", "why"),
    [
        ("mcap", lambda data: data[: len(data) * 3 // 5], "ends too early"),
        ("mcap", lambda data: b"", "the file is empty"),
        ("sqlite3", lambda data: b"", "the file is empty"),
        ("sqlite3", lambda data: data[: len(data) * 3 // 5], "cut off or damaged"),
        ("sqlite3", lambda data: b"no database " * 900, "cut off or damaged"),
    ],
)
def test_a_damaged_file_is_named(compare, tmp_path, storage, damage, why):
    whole = Recording().write(tmp_path / "bags" / "whole", storage)
    broken = Recording().write(tmp_path / "bags" / "broken", storage)
    (file,) = (path for path in broken.iterdir() if path.suffix in (".db3", ".mcap"))
    file.write_bytes(damage(file.read_bytes()))
    (problem,), _ = compare(whole.parent)
    assert problem.startswith(f"{file}: ")
    assert why in problem
    assert compare(whole.parent, exclude_bags="broken") == ([], [])


def test_an_mcap_file_that_is_salvaged_is_left_to_the_job(compare, tmp_path):
    folder = Recording().write(tmp_path / "bags" / "one", "mcap")
    (file,) = folder.glob("*.mcap")
    file.write_bytes(file.read_bytes()[:-9])
    assert compare(folder.parent, salvage=True) == ([], [])


@pytest.mark.parametrize("compression", ["message", "file"])
@pytest.mark.parametrize("storage", STORAGES)
def test_compressed_bags_are_left_to_the_job(compare, tmp_path, storage, compression):
    folder = Recording(encoding="yuv422").write(tmp_path / "bags" / "one", storage, compression)
    assert compare(folder.parent) == ([], [])


@pytest.mark.parametrize("storage", STORAGES)
def test_one_damaged_picture_of_several_is_a_warning(compare, tmp_path, storage):
    pictures = [*make_packets(JPEG)[:-1], *make_packets(JPEG[:-40])[-1:]]
    folder = Recording(messages=pictures).write(tmp_path / "bags" / "one", storage)
    problems, (warning,) = compare(folder.parent, **FRONT)
    assert problems == []
    assert "/front: the picture is damaged" in warning


@pytest.mark.parametrize("storage", STORAGES)
def test_what_is_wrong_with_several_bags_is_said_once(compare, tmp_path, storage):
    for name in ("one", "two", "three"):
        Recording(steps=4).write(tmp_path / "bags" / name, storage)
    (problem,), _ = compare(tmp_path / "bags", state_topic="/joints")
    assert problem.startswith(f"{tmp_path / 'bags' / 'one'} and 2 other bags: no topic /joints")


def test_a_name_that_no_bag_has(compare, tmp_path):
    for name in ("kitchen", "bath"):
        Recording(steps=4).write(tmp_path / "bags" / name)
    (problem,), _ = compare(tmp_path / "bags", exclude_bags="kitchn")
    assert problem.endswith("\n--exclude-bags kitchen")
    (problem,), _ = compare(tmp_path / "bags", exclude_bags="garage")
    assert "\n" not in problem


def test_the_check_needs_no_package(tmp_path):
    folder = Recording(encoding="yuv422", steps=4).write(tmp_path / "bags" / "one")
    code = f"""
import sys
for name in ("rosbags", "mcap", "numpy", "PIL", "simplejpeg", "yaml"):
    sys.modules[name] = None
from pathlib import Path
from robotrain_workloads.rosbag_act_train.bag_check import BagCheck
values = {make_parameters(image_topics=f"{CAMERA}=top")!r}
print(BagCheck(values).find_problems([Path({str(folder.parent)!r})]))
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "the encoding yuv422 is not supported" in answer.stdout


@pytest.mark.parametrize("platform", ["local", "osmo"])
def test_a_submission_ends_at_bags_that_do_not_fit(robotrain, tmp_path, platform):
    folder = Recording(encoding="yuv422").write(tmp_path / "bags" / "one")
    cloud = ("--pool", "p", "--storage-account", "acct", "--tracking-uri", "none") if platform == "osmo" else ()
    words = (
        "--dataset-path",
        folder.parent,
        "--image-topics",
        f"{CAMERA}=top",
        "--action-topic",
        "/action",
        "--fps",
        "10",
    )
    answer = robotrain("submit", "rosbag-act-train", "--platform", platform, *words, *cloud, "--dry-run", "--json")
    assert answer.exit_code == 4
    (problem,) = (one for one in answer.json["problems"] if one["code"] == "data-unusable")
    assert "the encoding yuv422 is not supported" in problem["title"]


def change_metadata(change):
    """Return a damage that changes the text of metadata.yaml."""

    def damage(folder):
        file = folder / "metadata.yaml"
        file.write_text(change(file.read_text()))

    return damage


def replace_storage(content):
    def damage(folder):
        next(folder.glob("*.mcap")).write_bytes(content)

    return damage


FILES = [
    # what is wrong with the files of a bag, the file that is named, and why
    (change_metadata(lambda text: ""), "metadata.yaml", "empty"),
    (change_metadata(lambda text: text[: len(text) // 3]), "metadata.yaml", "cut off"),
    (change_metadata(lambda text: text.replace("identifier: mcap", "identifier: sqlite3")), "metadata.yaml", "sqlite3"),
    (change_metadata(lambda text: text.replace("identifier: mcap", "identifier: tape")), "metadata.yaml", "tape"),
    (change_metadata(lambda text: text.replace("version: 9", "version: 12")), "metadata.yaml", "version 12"),
    (change_metadata(lambda text: text.replace("- one.mcap", "- one.mcap\n  - 2.mcap")), "2.mcap", "missing"),
    (replace_storage(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), "one.mcap", "git lfs pull"),
    (replace_storage(b"SQLite format 3\0" + bytes(4080)), "one.mcap", "file of sqlite3"),
    (replace_storage(b"hello" * 100), "one.mcap", "does not begin as MCAP"),
]


@pytest.mark.parametrize(("damage", "name", "why"), FILES)
def test_a_file_that_cannot_be_read_is_named_alike_before_the_job_and_in_it(compare, tmp_path, damage, name, why):
    folder = Recording(steps=6).write(tmp_path / "bags" / "one", "mcap")
    damage(folder)
    (problem,), warnings = compare(folder.parent)
    assert (warnings, problem.startswith(f"{folder / name}: "), why in problem) == ([], True, True), problem
    values = make_parameters(image_topics=f"{CAMERA}=top", action_topic="/action")
    assert read(folder.parent, values) == problem
    if name == "metadata.yaml" and "remove metadata.yaml" in problem:
        (folder / name).unlink()
        assert (compare(folder.parent), read(folder.parent, values)) == (([], []), "")


@pytest.mark.parametrize("is_in_metadata", [False, True])
def test_a_channel_of_another_encoding_does_not_refuse_the_others(compare, tmp_path, is_in_metadata):
    folder = Recording(steps=6).write(tmp_path / "bags" / "one", "mcap")
    recorded_bags.add_channel(folder, "/log", "foxglove.Log", "protobuf")
    change = change_metadata(
        lambda text: text.replace("serialization_format: cdr", "serialization_format: protobuf", 1)
    )
    change(folder) if is_in_metadata else (folder / "metadata.yaml").unlink()
    values = make_parameters(image_topics=f"{CAMERA}=top", action_topic="/action")
    assert (compare(folder.parent), read(folder.parent, values)) == (([], []), "")


def test_the_state_is_not_offered_as_the_action(compare, tmp_path, robotrain):
    folder = Recording(steps=6, without=("/action",)).write(tmp_path / "bags" / "one", "mcap")
    (problem,), _ = compare(folder.parent, environment_state_topic=None)
    assert problem.partition("\n")[2].startswith("leave out --action-topic")
    assert compare(folder.parent, environment_state_topic=None, action_topic=None)[0] == []
    words = ("render", "rosbag-act-train", "--platform", "local", "--dataset-path", folder, "--json")
    topics = ("--image-topics", f"{CAMERA}=top", "--action-topic", "/joint_states")
    (refused,) = robotrain(*words, *topics).json["problems"]
    assert (refused["code"], refused["where"]) == ("rosbag-policy-impossible", "--action-topic")
    two_arms = ("--joint-names", "pusher_x", "--action-joint-names", "pusher_y")
    assert robotrain(*words, *topics, *two_arms).exit_code == 0


TIMES = [
    # the recording, the parameters of the job, and why a training would stop; empty if it would not
    ({"camera_offset": 5 * SECOND}, {}, "/camera/top has a clock of its own: the header stamps are 5.0 s"),
    ({"camera_offset": 5 * SECOND}, {"timestamp": "log"}, ""),
    ({"camera_offset": SECOND // 2}, {}, ""),
    ({"stamped": False}, {}, ""),
    ({"fps": 2}, {}, "fewer messages per second than the rate of 10"),
    ({"fps": 3}, {"sync": "previous"}, ""),
    ({"fps": 3}, {"fps": 3.0}, ""),
    ({"fps": 1}, {"fps": 1.0, "max_gap_s": 1.5}, ""),
    ({"fps": 8}, {}, ""),
    ({"steps": 1}, {}, "no episode is left"),
    ({"steps": 30}, {"chunk_size": 40}, "no episode is left"),
    ({"steps": 30}, {"chunk_size": 30}, ""),
    ({"steps": 30, "lost": range(10, 20)}, {}, ""),
]


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize(("recorded", "changes", "wrong"), TIMES, ids=str)
def test_times_that_a_training_refuses_are_told_before(compare, tmp_path, storage, recorded, changes, wrong):
    folder = Recording(**recorded).write(tmp_path / "bags" / "one", storage)
    given = {"fps": 10.0, "environment_state_topic": None, **changes}
    problems, warnings = compare(folder.parent, **given)
    assert ([wrong in problem for problem in problems], warnings) == ([True] * bool(wrong), [])
    values = {**make_parameters(image_topics=f"{CAMERA}=top", action_topic="/action"), **given}
    stop = ""
    try:
        chunk = changes.get("chunk_size", 2)
        load_bags([folder.parent], make_settings(values), tmp_path / "cache", chunk=chunk, salvage=False, report=str)
    except BagError as error:
        stop = str(error)
    assert (bool(stop), wrong in stop) == (bool(wrong), True), stop


@pytest.mark.parametrize("storage", STORAGES)
def test_messages_that_are_all_farther_apart_than_the_largest_gap(compare, tmp_path, storage):
    folder = Recording(fps=1).write(tmp_path / "bags" / "one", storage)
    given = {"fps": 1.0, "environment_state_topic": None}
    (problem,), _ = compare(folder.parent, **given)
    assert problem.endswith("\n--max-gap-s 2")
    assert compare(folder.parent, max_gap_s=2.0, **given) == ([], [])
