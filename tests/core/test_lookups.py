"""What this machine knows, offline: asked only when nothing else said a value; what fails is a warning."""

import os
from pathlib import Path

import pytest
from problem_assertions import check_problems, check_rejected
from robotrain import api

FOLDER = "infrastructure/terraform"


def set_lookup_answer(text):
    Path(os.environ["CLOUD_LOOKUP"]).write_text(text)


def value_and_origins(row):
    return row["value"], row["origin"], row["overrode"]


def test_lookup_is_called_last_and_names_its_place(explain_cloud, cloud_platform):
    set_lookup_answer("0000-1111\n~/.cloud/profile.json")
    default = [{"value": None, "origin": "default"}]
    assert value_and_origins(explain_cloud()["subscription_id"]) == (
        "0000-1111",
        "looked up ~/.cloud/profile.json",
        default,
    )
    assert cloud_platform() == 1


def test_lookup_without_a_result_leaves_the_default(explain_cloud, cloud_platform):
    assert value_and_origins(explain_cloud()["subscription_id"]) == (None, "default", [])
    assert explain_cloud.stderr == ""
    assert cloud_platform() == 1


def test_lookup_is_not_called_for_a_given_value(explain_cloud, cloud_platform, terraform, monkeypatch):
    set_lookup_answer("0000-1111\n~/.cloud/profile.json")
    explain_cloud("--subscription-id", "flag")
    monkeypatch.setenv("CLOUD_SUBSCRIPTION", "environment")
    explain_cloud()
    monkeypatch.delenv("CLOUD_SUBSCRIPTION")
    terraform.set_outputs(subscription_id="outputs")
    assert explain_cloud()["subscription_id"]["origin"] == f"{FOLDER} subscription_id.value"
    assert cloud_platform() == 0
    terraform.set_outputs()
    assert explain_cloud()["subscription_id"]["value"] == "0000-1111"


@pytest.mark.parametrize("answer", ["broken", "just one line"])
def test_lookup_that_fails_is_a_warning(explain_cloud, answer):
    set_lookup_answer(answer)
    assert explain_cloud()["subscription_id"]["value"] is None
    check_problems(explain_cloud.stderr, "lookup-failed")


@pytest.mark.parametrize("fails", [False, True])
def test_a_sweep_and_a_pipeline_are_looked_up_once(robotrain, cloud_platform, fails):
    set_lookup_answer("broken" if fails else "0000-1111\n~/.cloud/profile.json")
    job = ("--platform", "cloud", "--dataset-path", "x")
    answer = robotrain("sweep", *job, "--over", "seed=1..5", "--dry-run")
    assert (answer.exit_code, answer.stderr.count("[lookup-failed]")) == (0, int(fails)), answer.stderr
    assert cloud_platform() == 1
    step = "{sources: {dataset: [{local_path: x}]}}"
    Path("pipeline.yaml").write_text(f"steps: {{one: {step}, two: {step}}}\n")
    answer = robotrain("pipeline", "submit", "pipeline.yaml", "--platform", "cloud", "--dry-run")
    assert answer.exit_code == 0, answer.stderr
    assert cloud_platform() == 2


def test_help_calls_no_lookup(robotrain, cloud_platform):
    assert robotrain("submit", "--platform", "cloud", "--help").exit_code == 0
    assert cloud_platform() == 0


def test_resubmit_calls_no_lookup(robotrain, cloud_platform):
    sent = robotrain("submit", "--platform", "cloud", "--dataset-path", "x", "--no-pin")
    assert sent.exit_code == 0, sent.stderr
    set_lookup_answer("0000-1111\n~/.cloud/profile.json")
    before = cloud_platform()
    answer = robotrain("resubmit", sent.stdout.strip(), "--set", "slots=60", "--dry-run")
    assert answer.exit_code == 0, answer.stderr
    assert "0000-1111" not in answer.stderr
    assert cloud_platform() == before


def test_alias_of_a_flag_is_corrected_in_files_and_calls(robotrain, cloud_platform):
    Path("job.yaml").write_text("platforms: {cloud: {cloud_subscription_id: s}}\n")
    explain = ("explain", "--platform", "cloud", "--dataset-path", "x")
    robotrain(*explain, "job.yaml").check_problems(2, "file-unknown-key job.yaml:1")
    for key in ("cloud_subscription_id", "platforms.cloud.cloud_subscription_id"):
        robotrain(*explain, "--set", f"{key}=s").check_problems(2, f"value-unknown --set {key}")
    with check_rejected("value-unknown"):
        api.explain(platform="cloud", dataset_path="x", cloud_subscription_id="s")


def test_alias_of_a_flag_sets_the_value(explain_cloud):
    row = explain_cloud("--cloud-subscription-id", "s")["subscription_id"]
    assert value_and_origins(row)[:2] == ("s", "flag --subscription-id")
