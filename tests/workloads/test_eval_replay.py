"""Policies are loaded completely, and replay recorded episodes as they would act frame by frame."""

import json
from pathlib import Path

import pytest
from eval_launcher import start_python

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def seen(made_once):
    """What `recorded_two_cameras.py` saw."""

    def fill(folder: Path) -> None:
        process = start_python([Path(__file__).with_name("recorded_two_cameras.py"), folder])
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output

    return json.loads((made_once("two-cameras", fill) / "seen.json").read_text())


def test_many_episodes_at_once_are_predicted_as_each_alone(seen):
    assert seen["lengths"] == {"0": 9, "1": 70, "3": 30}
    assert seen["spread"] > 0.01  # a policy that always says the same would agree with everything
    assert max(seen["off"].values()) < 1e-4


def test_what_was_recorded_is_what_it_is_compared_with(seen):
    assert seen["recorded"]
    for told, computed in seen["mse"].values():
        assert told == pytest.approx(computed, rel=1e-5)


def test_numbers_of_an_action_have_the_names_that_the_dataset_gives_them(seen):
    assert seen["names"] == ["shoulder", "elbow", "gripper"]


def test_each_episode_is_told_as_it_ends(seen):
    assert seen["told"] == [0, 3, 1]


def test_each_frame_has_its_own_task(seen):
    assert seen["tasks"] == ["task 0", "task 1"]


def test_latency_is_that_of_single_frames_of_the_first_episodes(seen):
    assert seen["measured"] == {"0": 5, "1": 0, "3": 30}  # 35 frames, in the order that was asked for
    told = seen["latency"]
    assert (told["frames"], told["actions"]) == (18, 35)  # the network plans 2 actions at once
    assert told["action"] < told["mean"]
    assert 0 < told["p50"] <= told["p95"] <= told["p99"] <= told["max"]


def test_the_same_seed_makes_the_same_untrained_policy(seen):
    assert seen["same seed"]


def test_options_of_the_policy_reach_it(seen):
    assert (seen["kind"], seen["steps"]) == ("act", 2)


def test_the_kept_policy_shares_no_file_with_the_folder_of_a_person(seen):
    assert not seen["linked"]
    assert len(set(seen["digests"])) == 1


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("not finite", "the policy's action in episode 0, frame 0 is not finite: [nan, nan, nan]; its weights or"),
        ("film", "dataset cannot be read: "),
    ],
)
def test_a_replay_that_cannot_go_on_ends_with_a_sentence(seen, what, said):
    told = seen["refusals"][what]
    assert told.startswith("error: "), told
    assert said in told


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("type", "policy type walker, which LeRobot 0.6.1 does not know; it knows act, "),
        ("holes", "lacks parts of the network: model.action_head.weight, model.action_head.bias"),
        ("processors", "needs policy_preprocessor.json"),
        ("option", "has no option --policy.walks"),
        ("value", "rejects --policy.n_action_steps=two: "),
        ("chunk", "rejects --policy.n_action_steps=400: The chunk size is the upper bound"),
        ("larger", "do not match the network"),
        ("nothing", "is not a folder"),
    ],
)
def test_a_policy_that_cannot_be_loaded_is_refused_with_a_sentence(seen, what, said):
    told = seen["refusals"][what]
    assert told.startswith("error: "), told
    assert said in told
