"""Variables of physical-ai-toolchain's scripts that robotrain reads: revisions, and how long a pipeline is followed."""

import pytest


def test_a_revision_in_a_variable_is_that_of_the_id_beside_it(robotrain, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATASET_REPO_ID", "lerobot/pusht")
    monkeypatch.setenv("DATASET_REVISION", "v3.0")
    answer = robotrain("explain", "--platform", "local", "--json")
    (dataset,) = [value for value in answer.json["values"] if value["name"] == "dataset"]
    assert dataset["value"] == "huggingface lerobot/pusht@v3.0"
    assert dataset["origin"] == "environment DATASET_REPO_ID, DATASET_REVISION"

    monkeypatch.delenv("DATASET_REPO_ID")
    monkeypatch.delenv("DATASET_REVISION")
    (tmp_path / ".env").write_text("POLICY_REPO_ID=me/act@main\nPOLICY_REVISION=v2\n")
    pinned = robotrain("explain", "lerobot-eval", "--platform", "local", "--env", "pusht", "--json")
    (policy,) = [value for value in pinned.json["values"] if value["name"] == "policy"]
    assert policy["value"] == "huggingface me/act@main"


@pytest.mark.parametrize(("name", "flag"), [("TIMEOUT_MINS", "--timeout"), ("POLL_INTERVAL", "--poll-interval")])
def test_a_pipeline_is_followed_as_its_variables_say(robotrain, monkeypatch, name, flag):
    monkeypatch.setenv(name, "soon")
    line = ("pipeline", "train-eval", "--platform", "local", "--dataset-path", "x", "--wait")
    robotrain(*line).check_problems(2, f"value-invalid {flag}")
