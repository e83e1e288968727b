"""A policy that does not fit the environment or the dataset is named before anything is sent, wherever the job runs."""

import json

import pytest

CLOUD = ("--platform", "osmo", "--pool", "p", "--storage-account", "acct", "--tracking-uri", "none", "--dry-run")
JOINTS = {"observation.state": {"type": "STATE", "shape": [6]}}
WIDE = {"action": {"type": "ACTION", "shape": [6]}}
STATE = {"observation.state": {"type": "STATE", "shape": [2]}}
NARROW = {"action": {"type": "ACTION", "shape": [2]}}


@pytest.fixture
def misfits(robotrain):
    """What a dry run on a cluster says of the inputs; no service answers here."""

    def find(*words):
        answer = robotrain("submit", *words, *CLOUD, "--json")
        return [problem["title"] for problem in answer.json["problems"] if problem["code"] == "data-unusable"]

    return find


def test_a_policy_folder_is_compared_with_the_environment(misfits, policy):
    arm = policy("arm", input_features=JOINTS, output_features=WIDE)
    assert misfits("lerobot-eval", "--policy-path", arm, "--env", "pusht") == [
        "observation.state has 2 values in pusht, but 6 values in the policy",
        "action has 2 values in pusht, but 6 values in the policy",
    ]
    fitting = policy("fits", input_features=STATE, output_features=NARROW)
    assert misfits("lerobot-eval", "--policy-path", fitting, "--env", "pusht") == []


def test_a_policy_folder_is_compared_with_the_dataset_that_it_is_evaluated_or_trained_on(misfits, policy, pusht):
    arm = policy("arm", input_features=JOINTS, output_features=WIDE)
    expected = [
        "observation.state has 2 values in the dataset, but 6 values in the policy",
        "action has 2 values in the dataset, but 6 values in the policy",
    ]
    for workload in ("lerobot-eval", "lerobot-train"):
        assert misfits(workload, "--policy-path", arm, "--dataset-path", pusht) == expected
        fitting = policy(f"fits-{workload}", input_features=STATE, output_features=NARROW)
        assert misfits(workload, "--policy-path", fitting, "--dataset-path", pusht) == []


def test_another_type_than_expected_is_named_with_the_option(misfits, policy, pusht):
    other = policy("other", type="diffusion", input_features=STATE, output_features=NARROW)
    (title,) = misfits("lerobot-train", "--policy-path", other, "--dataset-path", pusht, "--policy-type", "act")
    assert "policy type diffusion, but --policy-type is act" in title


def test_a_policy_that_cannot_be_read_here_is_left_to_the_run(misfits, tmp_path, pusht):
    there = tmp_path / "only-there"
    assert misfits("lerobot-train", "--policy-path", there, "--dataset-path", pusht) == []


@pytest.fixture
def plan_of(robotrain, tmp_path):
    """A dry run of a pipeline file on this machine."""

    def submit(steps):
        (tmp_path / "pipeline.yaml").write_text(json.dumps({"name": "p", "steps": steps}))
        answer = robotrain(
            "pipeline", "submit", tmp_path / "pipeline.yaml", "--platform", "local", "--dry-run", "--json"
        )
        problems = answer.json.get("problems", ()) if answer.exit_code else ()
        return [(found["where"], found["title"]) for found in problems if found["code"] == "data-unusable"]

    return submit


def training(pusht, **more):
    return {"workload": "lerobot-train", "sources": {"dataset": [{"local_path": str(pusht)}]}, **more}


def evaluation(**parameters):
    return {"workload": "lerobot-eval", "sources": {"policy": [{"from": "train"}]}, "parameters": parameters}


def test_a_pipeline_compares_the_data_of_its_training_with_the_environment_of_its_evaluation(plan_of, pusht):
    assert plan_of({"train": training(pusht), "evaluate": evaluation(env="pusht")}) == []
    found = plan_of({"train": training(pusht), "evaluate": evaluation(env="aloha", policy_type="diffusion")})
    assert found == [
        ("step evaluate", "train has the policy type act, but --policy-type is diffusion"),
        ("step evaluate", "observation.state has 14 values in aloha, but 2 values in the policy"),
        ("step evaluate", "the policy reads observation.environment_state, which aloha does not show"),
        ("step evaluate", "action has 14 values in aloha, but 2 values in the policy"),
    ]


def test_options_that_change_what_the_policy_reads_leave_it_to_the_run(plan_of, pusht):
    train = training(pusht, trainer_args=["--policy.input_features={}"])
    assert plan_of({"train": train, "evaluate": evaluation(env="aloha")}) == []


def test_a_fine_tuned_policy_reads_what_the_first_one_did(plan_of, pusht, policy):
    start = policy("start", input_features=STATE, output_features=NARROW)
    train = training(pusht)
    train["sources"]["policy"] = [{"local_path": str(start)}]
    assert plan_of({"train": train, "evaluate": evaluation(env="aloha")}) == [
        ("step evaluate", "observation.state has 14 values in aloha, but 2 values in the policy"),
        ("step evaluate", "action has 14 values in aloha, but 2 values in the policy"),
    ]


def test_a_step_that_begins_from_an_earlier_one_is_compared_with_its_own_data(plan_of, pusht, dataset):
    other = {"observation.state": {"dtype": "float32", "shape": [6]}, "action": {"dtype": "float32", "shape": [2]}}
    tune = training(dataset(features=other))
    tune["sources"]["policy"] = [{"from": "train"}]
    found = plan_of({"train": training(pusht), "tune": tune})
    assert ("step tune", "observation.state has 6 values in the dataset, but 2 values in the policy") in found
