"""Bags that a training would stop at are named before anything is sent."""

import itertools

import numpy as np
import pytest
import recorded_bags
from job_documents import check_findings, format_finding
from recorded_bags import COMPRESSED, SECOND, START, Recording, header
from robotrain_workloads.bag_parameters import list_given, make_settings
from robotrain_workloads.lerobot_train import container
from robotrain_workloads.rosbag import bag_check
from robotrain_workloads.rosbag.bag_files import BagError
from robotrain_workloads.rosbag.dataset_conversion import find_problems
from robotrain_workloads.rosbag.survey import survey_bags

CAMERA = "/camera/top"
STORAGES = ("sqlite3", "mcap")


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """Bags are looked at to their ends, however busy the machine is."""
    monkeypatch.setattr(bag_check, "OPEN_SECONDS", 60)
    monkeypatch.setattr(bag_check, "READ_SECONDS", 60)


def pair_with_storages(rows):
    """Return the rows of a table, each behind the storage of its bag: by turns the one and the other."""
    return [(storage, *row) for storage, row in zip(itertools.cycle(STORAGES), rows, strict=False)]


def make_packets(data: bytes, kind: str = "jpeg", count: int = 6):
    """Compressed pictures on the topic /front, as messages of a recording."""
    types = recorded_bags._store().types
    times = [START + step * SECOND // 10 for step in range(count)]
    return [
        ("/front", COMPRESSED, log, types[COMPRESSED](header(log), kind, np.frombuffer(data, np.uint8)))
        for log in times
    ]


JPEG = recorded_bags.compress(recorded_bags.make_picture(1, (12, 16)), "jpeg")
FRONT = {"image_topics": "/front=front"}

TABLE = [
    # the recording, the parameters of the job, and whether a training would stop
    ({}, {}, False),
    ({"encoding": "jpeg"}, {}, False),
    ({"encoding": "png"}, {}, False),
    ({"encoding": "mono8", "padding": 5}, {}, False),
    ({"encoding": "yuv422"}, {}, True),
    ({"encoding": "16UC1"}, {}, True),
    ({}, {"image_topics": "/camera/tip=top"}, True),
    ({}, {"image_topics": f"/camera/other=top,{CAMERA}=top"}, False),
    ({}, {"image_topics": "/action=top"}, True),
    ({}, {"state_topic": "/joint_state"}, True),
    ({"messages": make_packets(JPEG)}, {"action_topic": "/front"}, True),
    ({}, {"joint_names": "pusher_x,pusher_yy"}, True),
    ({}, {"joint_names": "pusher_y,pusher_x"}, False),
    ({"messages": make_packets(JPEG + b"\0" * 9)}, FRONT, False),
    ({"messages": make_packets(b"\0\0\0\1\x67h264", "h264")}, FRONT, True),
    ({"messages": make_packets(JPEG, "16UC1; compressedDepth")}, FRONT, True),
    ({"messages": make_packets(b"")}, FRONT, True),
]


def read(folder, document):
    """Read a folder of bags as the conversion does; return why it stops, else nothing."""
    settings = make_settings(list_given(document.parameters))
    try:
        survey = survey_bags([folder], settings, report=str)
    except BagError as error:
        return str(error)
    return "\n".join(find_problems(survey))


@pytest.fixture
def job(bag_document):
    """The document of a job on a folder of bags."""
    topics = {"image_topics": f"{CAMERA}=top", "state_topic": "/joint_states", "action_topic": "/action"}

    def make(folder, **changes):
        return bag_document(folder, **{**topics, "environment_state_topic": "none", "fps": 10.0, **changes})

    return make


@pytest.fixture
def compare(job):
    """What is found of a job on a folder of bags: `compare(folder, fps=10.0)` → problems, warnings."""

    def make(folder, **changes):
        document = job(folder, **changes)
        described = {source: folder for source in document.sources}
        problems = map(format_finding, container.compare(document, described))
        return list(problems), list(container.list_warnings(document, described))

    return make


@pytest.mark.parametrize(("storage", "recorded", "changes", "is_wrong"), pair_with_storages(TABLE))
def test_a_bag_is_compared_with_the_job(job, compare, tmp_path, storage, recorded, changes, is_wrong):
    folder = Recording(steps=6, **recorded).write(tmp_path / "bags" / "one", storage)
    problems, warnings = compare(folder.parent, **changes)
    check_findings(problems, is_wrong)
    assert warnings == []
    stop = read(folder.parent, job(folder.parent, **changes))
    assert bool(stop) == is_wrong, "a training stops where it is said, and only there"
    if way := "".join(problems).partition("\n")[2]:
        flag, _, value = way.partition(" ")
        assert compare(folder.parent, **{**changes, flag[2:].replace("-", "_"): value})[0] == []


@pytest.mark.parametrize(
    ("storage", "damage"),
    [
        ("mcap", lambda data: data[: len(data) * 3 // 5]),
        ("mcap", lambda data: b""),
        ("sqlite3", lambda data: b""),
        ("sqlite3", lambda data: data[: len(data) * 3 // 5]),
        ("sqlite3", lambda data: b"no database " * 900),
    ],
)
def test_a_damaged_file_is_named(compare, tmp_path, storage, damage):
    whole = Recording().write(tmp_path / "bags" / "whole", storage)
    broken = Recording().write(tmp_path / "bags" / "broken", storage)
    (file,) = (path for path in broken.iterdir() if path.suffix in (".db3", ".mcap"))
    file.write_bytes(damage(file.read_bytes()))
    check_findings(compare(whole.parent)[0])
    assert compare(whole.parent, exclude_bags="broken") == ([], [])


def test_compressed_files_are_left_to_the_job(compare, tmp_path):
    folder = Recording(encoding="yuv422").write(tmp_path / "bags" / "one", "sqlite3", "file")
    assert compare(folder.parent) == ([], [])
    folder = Recording(encoding="yuv422").write(tmp_path / "others" / "one", "mcap", "message")
    check_findings(compare(folder.parent)[0])


def test_a_picture_that_is_cut_off_is_left_to_the_job(job, compare, tmp_path):
    folder = Recording(messages=make_packets(JPEG[:-40])).write(tmp_path / "bags" / "one", "mcap")
    assert compare(folder.parent, **FRONT) == ([], [])
    assert read(folder.parent, job(folder.parent, **FRONT))


def test_what_a_bag_says_after_the_time_for_it_is_left_to_the_job(compare, tmp_path, monkeypatch):
    monkeypatch.setattr(bag_check, "READ_SECONDS", 0)
    folder = Recording(encoding="yuv422", fps=2).write(tmp_path / "bags" / "one")
    check_findings(compare(folder.parent, joint_names="a,b")[0])  # the first message
    assert compare(folder.parent) == ([], [])
    check_findings(compare(folder.parent, image_topics="/other=top")[0])  # what it is opened with


def test_what_is_wrong_with_several_bags_is_said_once(compare, tmp_path):
    for name in ("one", "two", "three"):
        Recording(steps=4).write(tmp_path / "bags" / name, "sqlite3")
    check_findings(compare(tmp_path / "bags", state_topic="/joints")[0])


TWIST = "geometry_msgs/msg/Twist"


def write_twists(folder):
    """Write a bag of joints and speeds alone."""
    types = recorded_bags._store().types
    vector = types["geometry_msgs/msg/Vector3"]
    speeds = types[TWIST](vector(0.1, 0.0, 0.0), vector(0.0, 0.0, 0.2))
    times = [START + step * SECOND // 10 for step in range(6)]
    packets = [("/cmd_vel", TWIST, log, speeds) for log in times]
    Recording(steps=6, without=[CAMERA, "/action"], messages=packets).write(folder, "mcap")


@pytest.mark.parametrize(
    ("changes", "fact"),
    [
        ({"action_joint_names": "linear.x,yaw"}, "yaw"),
        ({"action_joint_names": "linear.x,angular.z"}, "act needs a camera"),
        ({}, "act needs a camera"),
    ],
)
def test_what_bags_lack_is_found_by_the_topics_that_are_guessed(compare, tmp_path, changes, fact):
    for number in range(2):
        write_twists(tmp_path / "bags" / f"ep{number}")
    for named in ("/cmd_vel", None):
        topics = {"image_topics": None, "state_topic": None, "action_topic": named, "fps": None}
        problems, _ = compare(tmp_path / "bags", **topics, **changes)
        check_findings(problems, 1, fact)


def test_a_name_that_no_bag_has(compare, tmp_path):
    for name in ("kitchen", "bath"):
        Recording(steps=4).write(tmp_path / "bags" / name)
    for name in ("kitchn", "garage"):
        check_findings(compare(tmp_path / "bags", exclude_bags=name)[0])


def test_a_submission_ends_at_bags_that_do_not_fit(robotrain, tmp_path):
    folder = Recording(encoding="yuv422").write(tmp_path / "bags" / "one")
    cloud = ("--pool", "p", "--storage-account", "acct", "--tracking-uri", "none")
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
    answer = robotrain("submit", "rosbag-act-train", "--platform", "osmo", *words, *cloud, "--dry-run")
    answer.check_problems(4, "data-unusable")


def change_metadata(change):
    """Return a damage that changes the text of metadata.yaml."""

    def damage(folder):
        file = folder / "metadata.yaml"
        file.write_text(change(file.read_text()))

    return damage


def break_link(folder):
    file = next(folder.glob("*.mcap"))
    file.unlink()
    file.symlink_to("/nowhere/one.mcap")


def replace_storage(content):
    def damage(folder):
        next(folder.glob("*.mcap")).write_bytes(content)

    return damage


FILES = [
    # what is wrong with the files of a bag, and the file that is named
    (change_metadata(lambda text: ""), "metadata.yaml"),
    (change_metadata(lambda text: text[: len(text) // 3]), "metadata.yaml"),
    (change_metadata(lambda text: text.replace("identifier: mcap", "identifier: sqlite3")), "metadata.yaml"),
    (change_metadata(lambda text: text.replace("identifier: mcap", "identifier: tape")), "metadata.yaml"),
    (change_metadata(lambda text: text.replace("version: 9", "version: 12")), "metadata.yaml"),
    (change_metadata(lambda text: text.replace("- one.mcap", "- one.mcap\n  - 2.mcap")), "metadata.yaml"),
    (replace_storage(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), "one.mcap"),
    (replace_storage(b"SQLite format 3\0" + bytes(4080)), "one.mcap"),
    (replace_storage(b"hello" * 100), "one.mcap"),
    (break_link, "one.mcap"),
]


@pytest.mark.parametrize(("damage", "name"), FILES)
def test_a_file_that_cannot_be_read_is_named_alike_before_the_job_and_in_it(job, compare, tmp_path, damage, name):
    folder = Recording(steps=6).write(tmp_path / "bags" / "one", "mcap")
    damage(folder)
    (problem,), warnings = compare(folder.parent)
    assert (warnings, problem.startswith(f"{folder / name}: ")) == ([], True), problem
    check_findings([problem])
    document = job(folder.parent)
    assert read(folder.parent, document) == problem
    if name == "metadata.yaml" and "remove metadata.yaml" in problem:
        (folder / name).unlink()
        assert (compare(folder.parent), read(folder.parent, document)) == (([], []), "")


@pytest.mark.parametrize("is_in_metadata", [False, True])
def test_a_channel_of_another_encoding_does_not_refuse_the_others(job, compare, tmp_path, is_in_metadata):
    folder = Recording(steps=6).write(tmp_path / "bags" / "one", "mcap")
    recorded_bags.add_channel(folder, "/log", "foxglove.Log", "protobuf")
    change = change_metadata(
        lambda text: text.replace("serialization_format: cdr", "serialization_format: protobuf", 1)
    )
    change(folder) if is_in_metadata else (folder / "metadata.yaml").unlink()
    assert (compare(folder.parent), read(folder.parent, job(folder.parent))) == (([], []), "")


def test_the_state_is_not_offered_as_the_action(job, compare, tmp_path, robotrain):
    folder = Recording(steps=6, without=("/action",)).write(tmp_path / "bags" / "one", "mcap")
    (problem,), _ = compare(folder.parent)
    assert problem.partition("\n")[2].startswith("--action-topic none")
    for topic in (None, "none"):  # there is no topic that it could be
        assert compare(folder.parent, action_topic=topic)[0] == []
    words = ("render", "rosbag-act-train", "--platform", "local", "--dataset-path", folder)
    topics = ("--state-topic", "/joint_states", "--action-topic", "/joint_states")
    robotrain(*words, *topics).check_problems(2, "bags-impossible --action-topic")
    two_arms = {"joint_names": "pusher_x", "action_joint_names": "pusher_y"}
    flags = ("--joint-names", "pusher_x", "--action-joint-names", "pusher_y")
    assert robotrain(*words, *topics, *flags).exit_code == 0
    for names, is_wrong in (({}, True), (two_arms, False)):  # the state is guessed
        settings = {"state_topic": None, "action_topic": "/joint_states", **names}
        check_findings(compare(folder.parent, **settings)[0], is_wrong)
        assert bool(read(folder.parent, job(folder.parent, **settings))) == is_wrong


TIMES = [
    # the recording, the parameters of the job, and whether a training would stop
    ({"camera_offset": 5 * SECOND}, {}, True),
    ({"camera_offset": 5 * SECOND}, {"timestamp": "log"}, False),
    ({"camera_offset": SECOND // 2}, {}, False),
    ({"stamped": False}, {}, False),
    ({"fps": 2}, {}, True),
    ({"fps": 3}, {"sync": "previous"}, False),
    ({"fps": 3}, {"fps": 3.0}, False),
    ({"fps": 1}, {"fps": 1.0, "max_gap_s": 1.5}, False),
    ({"fps": 8}, {}, False),
    ({"steps": 1}, {}, True),
    ({"steps": 30, "lost": range(10, 20)}, {}, False),
]


@pytest.mark.parametrize(("storage", "recorded", "changes", "is_wrong"), pair_with_storages(TIMES))
def test_times_that_a_training_refuses_are_told_before(job, compare, tmp_path, storage, recorded, changes, is_wrong):
    folder = Recording(**recorded).write(tmp_path / "bags" / "one", storage)
    problems, warnings = compare(folder.parent, **changes)
    check_findings(problems, is_wrong)
    assert warnings == []
    stop = read(folder.parent, job(folder.parent, **changes))
    assert bool(stop) == is_wrong


def test_messages_that_are_all_farther_apart_than_the_largest_gap(compare, tmp_path):
    folder = Recording(fps=1).write(tmp_path / "bags" / "one", "mcap")
    settings = {"fps": 1.0}
    check_findings(compare(folder.parent, **settings)[0])
    assert compare(folder.parent, max_gap_s=2.0, **settings) == ([], [])
