"""Episodes from ROS 2 bags: encodings, joints by name, time, gaps, clock jumps, and damaged bags."""

import json
import sqlite3
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from job_documents import check_findings
from recorded_bags import SECOND, START, Recording, compress, floats, image, joint_state, make_picture
from robotrain_workloads.rosbag.bag_files import BagError, find_bags
from robotrain_workloads.rosbag.episodes import read_bag
from robotrain_workloads.rosbag.pictures import read_pictures
from robotrain_workloads.rosbag.settings import DataSettings

SETTINGS = DataSettings(
    image_topics={"/camera/top/compressed": "top", "/camera/top": "top"},
    state_topic="/joint_states",
    action_topic="/action",
    fps=10,
)


def read(folder, settings=SETTINGS, **options):
    (bag,) = find_bags(folder)
    return read_bag(bag, settings, **options)


def decode(folder, settings=SETTINGS, **options):
    """The pictures of a bag's only episode, step by step."""
    reading = read(folder, settings)
    (episode,) = reading.episodes
    ((topic, camera),) = reading.image_topics.items()
    wanted = sorted(set(episode.pictures[camera].tolist()))
    pictures = read_pictures(reading.bag, {topic: wanted}, folder.parent, **options)[topic]
    return pictures[np.searchsorted(wanted, episode.pictures[camera])]


def refuse(make, *arguments, **more) -> BagError:
    """Return what is raised."""
    with pytest.raises(BagError) as caught:
        make(*arguments, **more)
    check_findings([str(caught.value)])
    return caught.value


@pytest.mark.parametrize("storage", ["sqlite3", "mcap"])
def test_one_bag_is_one_episode_at_the_rate(tmp_path, storage):
    episode = read(Recording().write(tmp_path / "ep", storage)).episodes[0]
    assert (episode.name, episode.steps, episode.filled) == ("ep", 40, 0)
    assert np.allclose(episode.values["observation.state"], [[step, 100 + step] for step in range(40)])
    assert np.allclose(episode.values["action"], [[step + 0.5, step - 0.5] for step in range(40)])
    assert np.diff(episode.times).tolist() == [SECOND // 10] * 39


@pytest.mark.parametrize(("encoding", "padding"), [("rgb8", 0), ("bgr8", 5), ("mono8", 5), ("jpeg", 0), ("png", 0)])
def test_every_encoding_gives_the_same_colors(tmp_path, encoding, padding):
    pictures = decode(Recording(encoding=encoding, padding=padding).write(tmp_path / "ep"))
    expected = np.stack([make_picture(step, (12, 16)) for step in range(40)])
    if encoding == "mono8":
        expected = np.repeat(expected[..., :1], 3, axis=3)
    assert pictures.shape == (40, 12, 16, 3)
    assert np.abs(pictures.astype(int) - expected).max() <= (6 if encoding == "jpeg" else 0)


def test_pictures_are_decoded_at_the_size_of_training(tmp_path):
    folder = Recording(encoding="jpeg").write(tmp_path / "ep", "mcap")
    assert decode(folder, size=(6, 8)).shape == (40, 6, 8, 3)


def test_joints_are_taken_by_name(tmp_path):
    first = Recording().write(tmp_path / "a")
    other = Recording(joints=("pusher_z", "pusher_y", "pusher_x")).write(tmp_path / "b")
    names = read(first).joints
    assert names == {"/joint_states": ("pusher_x", "pusher_y")}
    same = read(other, joints=names).episodes[0].values["observation.state"]
    assert np.array_equal(same, read(first).episodes[0].values["observation.state"])
    chosen = replace(SETTINGS, joint_names=("pusher_y",))
    assert read(other, chosen).episodes[0].values["observation.state"].shape == (40, 1)


def test_without_actions_the_next_state_is_the_action(tmp_path):
    episode = read(Recording().write(tmp_path / "ep"), replace(SETTINGS, action_topic=None)).episodes[0]
    assert episode.steps == 39
    state, action = episode.values["observation.state"], episode.values["action"]
    assert np.array_equal(action[:-1], state[1:])


def test_header_stamps_count_when_all_are_set(tmp_path):
    late = 3 * SECOND // 100
    episode = read(Recording(offset=lambda step: -late if step else 0).write(tmp_path / "ep")).episodes[0]
    assert episode.times[0] == START + 2000, "the action has no header: its log time counts"
    unset = Recording(stamped=False, offset=lambda step: -late).write(tmp_path / "unset")
    assert not read(unset).topics["/joint_states"].uses_stamps


def test_a_long_gap_splits_and_short_pieces_are_counted(tmp_path):
    short = read(Recording(lost=range(2, 16)).write(tmp_path / "short"), replace(SETTINGS, action_topic=None))
    assert ([episode.steps for episode in short.episodes], short.dropped) == ([23], [1])
    folder = Recording(lost=range(10, 16)).write(tmp_path / "ep")
    reading = read(folder)
    assert [(episode.name, episode.steps) for episode in reading.episodes] == [("ep#1", 10), ("ep#2", 24)]
    reading = read(folder, replace(SETTINGS, max_gap_s=1))
    assert [(episode.steps, episode.filled) for episode in reading.episodes] == [(40, 6)]


def test_a_clock_jump_is_refused_or_splits(tmp_path):
    folder = Recording(offset=lambda step: 0 if step < 20 else -30 * SECOND).write(tmp_path / "ep")
    own = replace(SETTINGS, action_topic=None)
    assert refuse(read, folder, own).time_ns == START + 2 * SECOND - 30 * SECOND
    assert [episode.steps for episode in read(folder, replace(own, on_clock_jump="split")).episodes] == [19, 19]


def test_jitter_is_no_clock_jump(tmp_path):
    folder = Recording(offset=lambda step: -(step % 2) * 12 * SECOND // 100).write(tmp_path / "ep")
    assert read(folder, replace(SETTINGS, action_topic=None)).jumps == 0


def test_a_slow_camera_is_named_with_the_rate_that_fits(tmp_path):
    recording = Recording()
    slow = [step for step in range(40) if step % 4]
    folder = replace(recording, lost=slow).write(tmp_path / "ep")
    refuse(read, folder)
    held = read(folder, replace(SETTINGS, sync="previous")).episodes[0]
    assert held.pictures["top"].tolist()[:9] == [0, 0, 0, 0, 1, 1, 1, 1, 2]


def test_a_compressed_topic_and_its_raw_one_are_one_camera(tmp_path):
    folder = Recording(camera="/camera/top/compressed", encoding="jpeg").write(tmp_path / "ep")
    assert read(folder).image_topics == {"/camera/top/compressed": "top"}


def cut_short(bag):
    (file,) = (path for path in bag.iterdir() if path.suffix != ".yaml")
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * 0.6)])


def overwrite_page(bag):
    (file,) = bag.glob("*.db3")
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4096] = bytes(4096)
    file.write_bytes(content)


def empty_database(bag):
    (file,) = bag.glob("*.db3")
    with sqlite3.connect(file) as database:
        database.execute("DELETE FROM messages")
    (bag / "metadata.yaml").unlink()


def change_counts(bag):
    text = (bag / "metadata.yaml").read_text()
    (bag / "metadata.yaml").write_text(text.replace("message_count: 40", "message_count: 41"))


def remove_storage(bag):
    for file in bag.glob("*.db3"):
        file.unlink()


def break_metadata(bag):
    (bag / "metadata.yaml").write_text("{ not yaml")


@pytest.mark.parametrize(
    ("damage", "storage"),
    [
        (cut_short, "mcap"),
        (cut_short, "sqlite3"),
        (overwrite_page, "sqlite3"),
        (empty_database, "sqlite3"),
        (change_counts, "sqlite3"),
        (remove_storage, "sqlite3"),
        (break_metadata, "sqlite3"),
    ],
)
def test_damage_is_named_with_its_file(tmp_path, damage, storage):
    folder = Recording(size=(96, 128)).write(tmp_path / "ep", storage)
    damage(folder)
    assert str(folder) in str(refuse(decode, folder))


@pytest.mark.parametrize(
    ("topic", "message"),
    [
        ("/joint_states", joint_state(START, {"pusher_x": 1.0})),
        ("/action", floats([np.nan, 1])),
        ("/action", floats([1, 2, 3])),
        ("/camera/top", image(START, make_picture(0, (12, 16)), "16UC1")),
        ("/camera/top", image(START, make_picture(0, (12, 16)), "bayer_rggb8")),
    ],
    ids=["joint missing", "NaN", "another length", "depth", "bayer"],
)
def test_a_message_that_does_not_fit_is_named_with_its_time(tmp_path, topic, message):
    at = START + 4 * SECOND
    folder = Recording(messages=[(topic, message.__msgtype__, at, message)]).write(tmp_path / "ep")
    assert refuse(read, folder).time_ns == at


PICTURES = {
    "jpeg cut": compress(make_picture(0, (48, 64)), "jpeg")[:-200],
    "jpeg overwritten": None,
    "neither": b"BM" + bytes(100),
}


@pytest.mark.parametrize("case", PICTURES)
def test_a_damaged_picture_is_an_error_with_its_time(tmp_path, case):
    data = PICTURES[case]
    if data is None:
        whole = bytearray(compress(np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8), "jpeg"))
        whole[-600:-400] = b"\xff\xd3" * 100
        data = bytes(whole)
    at = START + 4 * SECOND
    message = image(at, make_picture(0, (48, 64)), "jpeg")
    message = replace(message, data=np.frombuffer(data, np.uint8))
    messages = make_step(at, "/camera/top/compressed", message)
    folder = Recording(camera="/camera/top/compressed", encoding="jpeg", size=(48, 64), messages=messages).write(
        tmp_path / "ep"
    )
    assert refuse(decode, folder).time_ns == at


def make_step(at, camera, picture):
    """The messages of one more step."""
    joints, action = joint_state(at, {"pusher_x": 1.0, "pusher_y": 1.0}), floats([1, 2])
    topics = ((camera, picture), ("/joint_states", joints), ("/action", action))
    return [(topic, message.__msgtype__, at, message) for topic, message in topics]


def test_pictures_of_two_sizes_are_named(tmp_path):
    at = START + 4 * SECOND
    other = image(at, make_picture(0, (24, 32)), "rgb8")
    messages = make_step(at, "/camera/top", other)
    folder = Recording(messages=messages).write(tmp_path / "ep")
    refuse(decode, folder)
    assert decode(folder, size=(6, 8)).shape == (41, 6, 8, 3)


def test_inspect_guesses_the_topics_and_says_what_would_train(tmp_path, robotrain):
    bags = tmp_path / "bags"
    Recording().write(bags / "ep000")
    Recording(joints=("pusher_y", "pusher_x"), camera="/camera/top/compressed", encoding="jpeg").write(
        bags / "ep001", "mcap"
    )
    cut_short(Recording(size=(48, 64)).write(bags / "ep002", "mcap"))
    answer = robotrain("bags", "inspect", bags, "--json")
    assert answer.exit_code == 4
    report = answer.json
    assert report["settings"]["image_topics"] == {"/camera/top/compressed": "top", "/camera/top": "top"}
    assert (report["settings"]["state_topic"], report["settings"]["action_topic"]) == ("/joint_states", "/action")
    assert (report["settings"]["fps"], report["settings"]["joint_names"]) == (10, ["pusher_x", "pusher_y"])
    first, second, third = report["bags"]
    assert (first["episodes"], first["steps"], second["steps"]) == (1, 40, 40)
    assert first["topics"]["/camera/top"]["rate"] == pytest.approx(10)
    assert "ends too early" in third["problem"]


def test_bags_that_are_alike_are_one_group_and_share_a_refusal(tmp_path, robotrain):
    for number in range(3):
        Recording().write(tmp_path / "bags" / f"ep00{number}")
    answer = robotrain("bags", "inspect", tmp_path / "bags", "--action-topic", "/nope")
    rows = answer.stdout.splitlines()
    assert [row.partition("  ")[0] for row in rows if row[:1] != " "] == ["bag", "ep000 and 2 more"]
    assert answer.stderr.count("would be refused:") == 1
    assert "(2 more bags likewise)" in answer.stderr


def test_a_config_is_checked_whole(tmp_path, robotrain):
    config = tmp_path / "config.yaml"
    config.write_text("data:\n  bag_dir: .\n  fsp: 30\n  sync: sometimes\n  image_size: 3\nmodle: {}\n")
    robotrain("bags", "inspect", "--config", config).check_problems(
        *(2, "file-unknown-key config.yaml:3", "file-unknown-key config.yaml:6"),
        *("value-invalid config.yaml:4", "value-invalid config.yaml:5"),
    )


def test_inspect_refuses_a_folder_without_bags(tmp_path, robotrain):
    robotrain("bags", "inspect", tmp_path).check_problems(4, "rosbag-unusable")


def test_convert_refuses_before_it_writes(tmp_path, robotrain):
    Recording().write(tmp_path / "bags" / "ep000")
    cut_short(Recording(size=(48, 64)).write(tmp_path / "bags" / "ep001", "mcap"))
    answer = robotrain("bags", "convert", tmp_path / "bags", "--to", tmp_path / "dataset")
    answer.check_problems(4, "rosbag-unusable")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bags", "here"]
    answer = robotrain("bags", "convert", tmp_path / "bags", "--to", tmp_path / "bags")
    assert answer.exit_code == 2


@pytest.mark.slow
def test_convert_writes_a_dataset_that_lerobot_reads(tmp_path, robotrain, training_environment):
    bags = tmp_path / "bags"
    Recording(encoding="png", camera="/camera/top/compressed").write(bags / "ep000")
    Recording(joints=("pusher_y", "pusher_x"), lost=range(10, 16)).write(bags / "ep001", "mcap")
    target = tmp_path / "dataset"
    answer = robotrain("bags", "convert", bags, "--to", target, "--images", "--task", "push")
    assert answer.exit_code == 0, answer.stderr
    assert answer.stdout.strip() == str(target)
    code = (
        "import json, sys; from lerobot.datasets.lerobot_dataset import LeRobotDataset;"
        f"d = LeRobotDataset('local/bags', root={str(target)!r}); one = d[45];"
        "print(json.dumps({'frames': len(d), 'episodes': d.num_episodes, 'fps': d.fps, 'task': one['task'],"
        " 'state': one['observation.state'].tolist(), 'action': one['action'].tolist(),"
        " 'red': (one['observation.images.top'][0] * 255).round().max().item()}))"
    )
    python = f"{training_environment}/bin/python"
    done = subprocess.run([python, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    facts = json.loads(done.stdout.splitlines()[-1])
    assert facts == {
        "frames": 74,
        "episodes": 3,
        "fps": 10,
        "task": "push",
        "state": [5.0, 105.0],
        "action": [5.5, 4.5],
        "red": 20.0,
    }
