"""Actions as robots record them: velocities, poses, trajectories and numbers; units; and which topic is the action."""

from dataclasses import replace

import numpy as np
import pytest
import yaml
from recorded_bags import JOINTS, SECOND, START, Recording, header, joint_state, make_message
from robotrain_workloads.lerobot_train import container
from robotrain_workloads.rosbag.bag_files import BagError, find_bags
from robotrain_workloads.rosbag.dataset_conversion import find_problems
from robotrain_workloads.rosbag.episodes import read_bag
from robotrain_workloads.rosbag.number_types import POSE_NAMES, POSE_TYPES, TWIST_NAMES, TWIST_TYPES
from robotrain_workloads.rosbag.settings import DataSettings
from robotrain_workloads.rosbag.survey import survey_bags

SETTINGS = DataSettings(image_topics={"/camera/top": "top"}, state_topic="/joint_states", action_topic="/out", fps=10)
TRAJECTORY, POINT = "trajectory_msgs/msg/JointTrajectory", "trajectory_msgs/msg/JointTrajectoryPoint"
EMPTY = np.zeros(0)


def make_vector(x, y, z):
    return make_message("geometry_msgs/msg/Vector3", float(x), float(y), float(z))


def make_twist(step):
    return make_message(TWIST_TYPES[0], make_vector(step, 2, 3), make_vector(4, 5, -step))


def make_pose(step, rotation=(0.0, 0.0, 0.0, 1.0)):
    place = make_message("geometry_msgs/msg/Point", float(step), 2.0, 3.0)
    return make_message(POSE_TYPES[0], place, make_message("geometry_msgs/msg/Quaternion", *map(float, rotation)))


def make_point(*positions):
    duration = make_message("builtin_interfaces/msg/Duration", 0, 0)
    return make_message(POINT, np.array(positions, float), EMPTY, EMPTY, EMPTY, duration)


def make_trajectory(step, points=1):
    return make_message(TRAJECTORY, header(0), ["elbow", "wrist"], [make_point(step, -step)] * points)


def stamp(kind, make):
    return lambda step: make_message(kind, header(START + step * SECOND // 10), make(step))


FORMS = {
    TWIST_TYPES[0]: (make_twist, TWIST_NAMES, lambda step: [step, 2, 3, 4, 5, -step]),
    TWIST_TYPES[1]: (stamp(TWIST_TYPES[1], make_twist), TWIST_NAMES, lambda step: [step, 2, 3, 4, 5, -step]),
    POSE_TYPES[0]: (make_pose, POSE_NAMES, lambda step: [step, 2, 3, 0, 0, 0, 1]),
    POSE_TYPES[1]: (stamp(POSE_TYPES[1], make_pose), POSE_NAMES, lambda step: [step, 2, 3, 0, 0, 0, 1]),
    TRAJECTORY: (make_trajectory, ("elbow", "wrist"), lambda step: [step, -step]),
    POINT: (lambda step: make_point(step, 7), None, lambda step: [step, 7]),
    "std_msgs/msg/Float32": (
        lambda step: make_message("std_msgs/msg/Float32", step / 2),
        None,
        lambda step: [step / 2],
    ),
    "std_msgs/msg/Float64": (
        lambda step: make_message("std_msgs/msg/Float64", step / 2),
        None,
        lambda step: [step / 2],
    ),
    JOINTS: (lambda step: joint_state(0, {"gripper": float(step)}), ("gripper",), lambda step: [step]),
}


def record(folder, kind, make, topic="/out", steps=12, without=("/action",)):
    recording = Recording(steps=steps, without=without)
    for step in range(steps):
        recording.messages.append((topic, kind, START + step * SECOND // 10, make(step)))
    return recording.write(folder)


def read(folder, settings=SETTINGS):
    (bag,) = find_bags(folder)
    return read_bag(bag, settings)


@pytest.mark.parametrize("kind", FORMS)
def test_each_type_becomes_an_action(tmp_path, kind):
    make, names, expect = FORMS[kind]
    reading = read(record(tmp_path / "one", kind, make))
    assert np.allclose(reading.episodes[0].values["action"], [expect(step) for step in range(12)])
    assert reading.joints.get("/out") == names


def test_values_are_chosen_by_their_names(tmp_path):
    folder = record(tmp_path / "one", TWIST_TYPES[0], make_twist)
    chosen = replace(SETTINGS, action_joint_names=("angular.z", "linear.x"))
    assert np.allclose(read(folder, chosen).episodes[0].values["action"], [[-step, step] for step in range(12)])
    with pytest.raises(BagError, match=r"no value linear\.w"):
        read(folder, replace(SETTINGS, action_joint_names=("linear.w",)))


def test_an_orientation_is_continuous_over_changes_of_sign(tmp_path):
    angles = np.linspace(0.1, 3, 12)
    signs = [-1, 1, 1, -1, -1, 1, -1, 1, 1, 1, -1, -1]

    def make(step):
        return make_pose(step, np.array([0, 0, np.sin(angles[step]), np.cos(angles[step])]) * signs[step])

    orientations = read(record(tmp_path / "one", POSE_TYPES[0], make)).episodes[0].values["action"][:, 3:]
    assert np.allclose(orientations, np.stack([0 * angles, 0 * angles, np.sin(angles), np.cos(angles)], axis=1))


REFUSED = {
    "no rotation": (POSE_TYPES[0], lambda step: make_pose(step, (0, 0, 0, 0)), {}),
    "a trajectory of 2 points": (TRAJECTORY, lambda step: make_trajectory(step, 2), {}),
    "no positions": (POINT, lambda step: make_point(), {}),
    "NaN or infinite": (TWIST_TYPES[0], lambda step: make_twist(np.nan), {}),
    "a pose has no angles": (POSE_TYPES[0], make_pose, {"/out": "deg"}),
    "/other is none of them": (TWIST_TYPES[0], make_twist, {"/other": "deg"}),
}


@pytest.mark.parametrize("fact", REFUSED)
def test_what_is_no_action_is_refused(tmp_path, fact):
    kind, make, units = REFUSED[fact]
    with pytest.raises(BagError, match=fact):
        read(record(tmp_path / "one", kind, make), replace(SETTINGS, units=units))


def test_degrees_become_radians(tmp_path):
    folder = record(tmp_path / "one", TWIST_TYPES[0], make_twist)
    units = {"/joint_states": "deg", "/out": "deg"}
    plain, converted = (read(folder, replace(SETTINGS, units=choice)).episodes[0].values for choice in ({}, units))
    assert np.allclose(converted["observation.state"], np.radians(plain["observation.state"]))
    assert np.allclose(converted["action"][:, :3], plain["action"][:, :3]), "metres stay metres"
    assert np.allclose(converted["action"][:, 3:], np.radians(plain["action"][:, 3:]))


@pytest.fixture
def inspect(tmp_path, robotrain):
    def run(*words):
        return robotrain("bags", "inspect", tmp_path / "bags", *words, "--json")

    return run


def test_a_bag_without_a_named_action_is_answered_with_its_topics(tmp_path, robotrain, inspect):
    record(tmp_path / "bags" / "one", TWIST_TYPES[0], make_twist, topic="/wheels")
    config = tmp_path / "config.yaml"
    inspected = inspect("--write-config", config)
    assert (inspected.exit_code, inspected.json["action_candidates"]) == (4, {"/wheels": TWIST_TYPES[0]})
    assert "action_topic" not in yaml.safe_load(config.read_text())["data"], "the question stays open"
    answer = robotrain("bags", "convert", tmp_path / "bags", "--to", tmp_path / "dataset")
    answer.check_problems(4, "rosbag-action-open --action-topic")
    assert "--action-topic /wheels" in answer.stderr
    assert "--action-topic none" in answer.stderr
    assert inspect("--action-topic", "/wheels").exit_code == 0
    assert inspect("--action-topic", "none", "--write-config", config).exit_code == 0
    assert yaml.safe_load(config.read_text())["data"]["action_topic"] is None
    assert inspect("--config", config).exit_code == 0, "null is an answer"


def test_a_topic_whose_name_says_so_is_the_guess(tmp_path, inspect):
    record(tmp_path / "bags" / "one", TWIST_TYPES[1], FORMS[TWIST_TYPES[1]][0], topic="/cmd_vel")
    answer = inspect("--unit", "/joint_states=deg")
    assert (answer.exit_code, answer.json["settings"]["action_topic"]) == (0, "/cmd_vel")
    assert answer.json["settings"]["units"] == {"/joint_states": "deg"}
    inspect("--unit", "/joint_states=grad").check_problems(2, "value-invalid --units")


@pytest.mark.parametrize(("action", "is_asked"), [(None, True), ("none", False), ("/wheels", False)])
def test_a_training_is_asked_before_it_is_sent(tmp_path, bag_document, action, is_asked):
    folder = record(tmp_path / "bags" / "one", TWIST_TYPES[0], make_twist, topic="/wheels")
    document = bag_document(folder.parent, action_topic=action)
    (source,) = document.sources
    problems = list(container.compare(document, {source: folder.parent}))
    assert [[way.text for way in problem.suggestions] for problem in problems] == (
        [["--action-topic /wheels", "--action-topic none"]] if is_asked else []
    )


def test_a_training_that_could_not_look_before_asks_as_well(tmp_path):
    folder = record(tmp_path / "one", TWIST_TYPES[0], make_twist)
    (question,) = find_problems(survey_bags([folder], {}, report=str))
    assert "--action-topic /out; with --action-topic none" in question
    values = read(folder, replace(SETTINGS, action_topic=None)).episodes[0].values
    assert np.allclose(values["action"][:-1], values["observation.state"][1:])
