"""Policies are loaded completely, and replay recorded episodes as they would act frame by frame."""

import json
from pathlib import Path

import pytest
from eval_launcher import start_python

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def replayed(made_once):
    """What `recorded_two_cameras.py` found."""

    def fill(folder: Path) -> None:
        process = start_python([Path(__file__).with_name("recorded_two_cameras.py"), folder])
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output

    return json.loads((made_once("two-cameras", fill) / "found.json").read_text())


def test_many_episodes_at_once_are_predicted_as_each_alone(replayed):
    assert replayed["lengths"] == {"0": 9, "1": 70, "3": 30}
    assert replayed["spread"] > 0.01  # a policy with one constant action would agree with everything
    assert max(replayed["differences"].values()) < 1e-4


def test_predictions_are_compared_with_the_recorded_actions(replayed):
    assert replayed["recorded"]
    for reported, computed in replayed["mse"].values():
        assert reported == pytest.approx(computed, rel=1e-5)
    assert replayed["names"] == ["shoulder", "elbow", "gripper"]  # those of the dataset
    assert replayed["tasks"] == ["task 0", "task 1"]
    assert replayed["order"] == [0, 3, 1]  # each is reported when it ends


def test_latency_is_that_of_single_frames_of_the_first_episodes(replayed):
    assert replayed["measured"] == {"0": 5, "1": 0, "3": 30}  # 35 frames, in the order of the request
    latency = replayed["latency"]
    assert latency["frames"] == 35
    assert 0 < latency["p50"] <= latency["p95"] <= latency["p99"] <= latency["max"]


def test_an_untrained_policy_depends_on_its_seed_and_a_loaded_one_on_its_options(replayed):
    assert replayed["same seed"]
    assert (replayed["kind"], replayed["steps"]) == ("act", 2)


def test_the_kept_policy_shares_no_file_with_a_users_folder(replayed):
    assert not replayed["linked"]
    assert len(set(replayed["digests"])) == 1


REFUSALS = {
    "not finite": "the policy's action in episode 0, frame 0 is not finite: [nan, nan, nan]; its weights or",
    "video": "the dataset cannot be used: episode 3, frame 0: videos/observation.images.front/chunk-000",
    "type": "policy type walker, which LeRobot 0.6.1 does not know; it knows act, ",
    "holes": "lacks parts of the network: model.action_head.weight, model.action_head.bias",
    "processors": "needs policy_preprocessor.json",
    "option": "has no option --policy.walks",
    "value": "rejects --policy.n_action_steps=two: ",
    "chunk": "rejects --policy.n_action_steps=400: The chunk size is the upper bound",
    "larger": "do not match the network",
    "nothing": "is not a folder",
}
"""What ends a replay, or keeps a policy from being loaded."""


@pytest.mark.parametrize("name", REFUSALS)
def test_what_cannot_be_replayed_or_loaded_is_refused_with_a_sentence(replayed, name):
    sentence = replayed["refusals"][name]
    assert sentence.startswith("error: "), sentence
    assert REFUSALS[name] in sentence
