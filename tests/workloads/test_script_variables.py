"""Environment variables of the reference scripts: each counts as it did there, or a note names what to use instead."""

from typing import Any

import pytest
from robotrain.config.sources import list_source_variables
from robotrain.plugins.manager import Plugins
from robotrain_runtime.contract.parameter import get_parameters
from robotrain_workloads.reference_scripts.from_script import ReferenceScript, load_scripts

READ_ELSEWHERE = {
    "AZURE_AUTHORITY_HOST": "by Azure's SDK",
    "AZURE_CLIENT_ID": "by Azure's SDK; on Azure ML, the job's identity",
    "AZURE_STORAGE_ACCOUNT_NAME": "by OSMO; on Azure ML, folders go to a datastore",
    "HF_TOKEN": "by the Hub's client, where a job is submitted",
    "TIMEOUT_MINS": "by the pipeline",
    "POLL_INTERVAL": "by the pipeline",
}


def test_every_variable_of_a_script_counts_or_is_answered() -> None:
    plugins = Plugins("none")
    for script in load_scripts().values():
        if script.command:
            check_variables(plugins, script)


def check_variables(plugins: Plugins, script: ReferenceScript) -> None:
    platform = plugins.platform(script.platform)
    named = script.command[1] if script.command[0] == "submit" and len(script.command) > 1 else "lerobot-train"
    workloads = [plugins.workload(named)]
    workloads += [plugins.workload("lerobot-eval")] if script.command[0] == "pipeline" else []
    declared = [platform.settings, *(one.parameters for one in workloads)]
    known = {name for one in declared for parameter in get_parameters(one) for name in parameter.env}
    for kind in plugins.source_kinds().values():
        for role, flag in kind.roles.items():
            if any(role in one.roles for one in workloads):
                known |= {*list_source_variables(flag), *flag.revision_env}
    known |= {*platform.option_hints, *(hint for one in workloads for hint in one.option_hints), *READ_ELSEWHERE}
    assert {name for option in script.options for name in option.variables} <= known


def test_a_revision_in_a_variable_is_that_of_the_id_beside_it(
    robotrain: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATASET_REPO_ID", "lerobot/pusht")
    monkeypatch.setenv("DATASET_REVISION", "v3.0")
    answer = robotrain("explain", "--platform", "local", "--json")
    (dataset,) = [value for value in answer.json["values"] if value["name"] == "dataset"]
    assert dataset["value"] == "huggingface lerobot/pusht@v3.0"
    assert dataset["origin"] == "environment DATASET_REPO_ID, DATASET_REVISION"
    assert "variable-unused" not in answer.stderr

    flagged = robotrain("explain", "--platform", "local", "-d", "lerobot/aloha")
    assert "note: DATASET_REVISION has no effect" in flagged.stderr
    assert "--dataset-repo-id OWNER/NAME@REVISION" in flagged.stderr

    monkeypatch.delenv("DATASET_REPO_ID")
    monkeypatch.delenv("DATASET_REVISION")
    (tmp_path / ".env").write_text("POLICY_REPO_ID=me/act@main\nPOLICY_REVISION=v2\n")
    pinned = robotrain("explain", "lerobot-eval", "--platform", "local", "--env", "pusht", "--json")
    (policy,) = [value for value in pinned.json["values"] if value["name"] == "policy"]
    assert policy["value"] == "huggingface me/act@main"


@pytest.mark.parametrize("platform", ["local", "osmo", "azureml"])
def test_variables_that_mean_nothing_are_named_with_what_to_use(
    robotrain: Any, monkeypatch: pytest.MonkeyPatch, platform: str
) -> None:
    for name, value in {
        "DATASET_ROOT": "/x",
        "MLFLOW_ENABLE": "false",
        "AML_MODEL_NAME": "m",
        "BLOB_PREFIX": "",
    }.items():
        monkeypatch.setenv(name, value)
    answer = robotrain("explain", "--platform", platform, "--dataset-path", "x")
    assert "note: AML_MODEL_NAME, DATASET_ROOT have no effect" in answer.stderr
    assert "AML_MODEL_NAME: use --policy-model" in answer.stderr


def test_a_pipeline_stops_following_as_its_variables_say(robotrain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    line = ("pipeline", "train-eval", "--platform", "local", "--dataset-path", "x")
    for name, flag in (("TIMEOUT_MINS", "--timeout"), ("POLL_INTERVAL", "--poll-interval")):
        with monkeypatch.context() as variables:
            variables.setenv(name, "soon")
            refused = robotrain(*line)
            assert (refused.exit_code, flag in refused.stderr) == (2, True), refused.stderr
