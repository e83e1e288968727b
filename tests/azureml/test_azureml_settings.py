"""Where Azure ML's settings come from: the command line, the names of the contract, Terraform, this machine."""

import re
from pathlib import Path

import pytest
from azure_stand_in.fixtures import outputs

__all__ = ["outputs"]

ONE, OTHER = "11111111-2222-3333-4444-555555555555", "31111111-2222-3333-4444-555555555555"
NAMES = ("--subscription-id", "s", "--resource-group", "g", "--workspace-name", "w-1")


@pytest.fixture
def explain_settings(robotrain, nobody):
    """The values of a job by name, with where each was said."""

    def run(*words: str) -> dict[str, tuple[object, str]]:
        answer = robotrain("explain", "--platform", "azureml", "-d", "lerobot/pusht", "--json", *words)
        assert answer.exit_code == 0, answer.stderr
        return {row["name"]: (row["value"], row["origin"]) for row in answer.json["values"]}

    return run


def test_what_terraform_made_is_where_a_job_runs(outputs, robotrain) -> None:
    outputs(
        resource_group={"name": "rg-tf"},
        azureml_workspace={"name": "ws-tf"},
        aks_cluster={"name": "aks-robot-dev-001"},
        key_vault_name="kv-tf",
    )
    answer = robotrain("render", "--platform", "azureml", "-d", "lerobot/pusht", "--subscription-id", "s")
    assert answer.exit_code == 0, answer.stderr
    for line in ("compute: azureml:k8s-robot-dev-00", "rg-tf", "ws-tf"):
        assert line in answer.stdout
    assert outputs.runs() == 1


def test_the_vault_is_terraforms_where_a_secret_is_named(outputs, explain_settings) -> None:
    outputs(aks_cluster={"name": "aks-a"}, key_vault_name="kv-tf")
    values = explain_settings(*NAMES, "--hf-credential")
    assert values["hf_credential"][0] == "hf-token"
    assert values["key_vault"] == ("kv-tf", "infrastructure/terraform key_vault_name.value")


def test_terraform_is_not_run_for_given_settings(outputs, explain_settings) -> None:
    outputs(aks_cluster={"name": "aks-a"}, key_vault_name="kv-tf", resource_group={"name": "rg-tf"})
    values = explain_settings(*NAMES, "--compute", "mine")
    assert (values["aks_cluster"][0], outputs.runs()) == (None, 0)


def test_a_workspace_that_terraform_names_in_part_is_asked_for_what_is_missing_alone(outputs, robotrain) -> None:
    outputs(resource_group={"name": "rg-tf"}, azureml_workspace={"name": "ws-tf"}, aks_cluster={"name": "aks-a"})
    answer = robotrain("explain", "--platform", "azureml", "-d", "lerobot/pusht")
    assert answer.exit_code == 2
    assert "[value-missing]" in answer.stderr
    assert "the workspace is incomplete: --subscription-id missing" in answer.stderr
    assert "does not count" not in answer.stderr


TERRAFORM = {
    "subscription_id": ONE,
    "resource_group": {"name": "rg-tf"},
    "azureml_workspace": {"name": "ws-tf"},
}
SHELL_SUBSCRIPTION = {"AZURE_SUBSCRIPTION_ID": OTHER}
SHELL_WORKSPACE = {"AZURE_RESOURCE_GROUP": "rg-sh", "AZUREML_WORKSPACE_NAME": "ws-sh"}
FILE_WORKSPACE = {"AZURE_RESOURCE_GROUP": "rg-env", "AZUREML_WORKSPACE_NAME": "ws-env"}
FILE_SUBSCRIPTION = {"AZURE_SUBSCRIPTION_ID": ONE}


@pytest.mark.parametrize(
    ("line", "shell", "file", "names"),
    [
        ("", SHELL_WORKSPACE, {}, (None, "rg-sh", "ws-sh")),
        ("", {"AZURE_RESOURCE_GROUP": "rg-sh"}, {}, (None, "rg-sh", None)),
        ("", SHELL_SUBSCRIPTION, {}, (None, "rg-tf", "ws-tf")),
        ("", {"AZURE_SUBSCRIPTION_ID": ONE}, {}, (ONE, "rg-tf", "ws-tf")),
        ("", {"AZURE_RESOURCE_GROUP": "rg-sh"}, FILE_WORKSPACE, (None, "rg-sh", None)),
        ("", SHELL_SUBSCRIPTION, FILE_WORKSPACE, (OTHER, "rg-env", "ws-env")),
        ("", SHELL_SUBSCRIPTION, FILE_WORKSPACE | FILE_SUBSCRIPTION, (None, "rg-env", "ws-env")),
        ("--resource-group g", {}, {}, (ONE, "g", "ws-tf")),
        ("--resource-group g", SHELL_WORKSPACE | SHELL_SUBSCRIPTION, {}, (OTHER, "g", "ws-sh")),
    ],
)
def test_the_names_of_a_workspace_come_from_one_place(outputs, robotrain, monkeypatch, line, shell, file, names):
    outputs(**TERRAFORM)
    for name, value in shell.items():
        monkeypatch.setenv(name, value)
    Path(".env").write_text("".join(f"{name}={value}\n" for name, value in file.items()))
    words = ("explain", "--platform", "azureml", "-d", "lerobot/pusht", "--compute", "c-a", "--json", *line.split())
    answer = robotrain(*words)
    errors = re.findall(r"^error: .*\[(?:value-missing|found-in-part)\]", answer.stderr, re.MULTILINE)
    assert (answer.exit_code, len(errors)) == ((2, 1) if None in names else (0, 0)), answer.stderr
    values = {row["name"]: row["value"] for row in answer.json.get("values", [])}
    if None not in names:
        assert tuple(values[name] for name in ("subscription_id", "resource_group", "workspace_name")) == names
    assert ("--resource-group is used with" in answer.stderr) is bool(line)


def test_explain_shows_derived_defaults(outputs, explain_settings, robotrain) -> None:
    outputs(aks_cluster={"name": "aks-robot-dev-001"})
    values = explain_settings(*NAMES, "--num-gpus", "2")
    assert values["compute"] == ("k8s-robot-dev-00", "platform azureml: for the AKS cluster aks-robot-dev-001")
    assert values["instance_type"] == ("gpuspot2", "platform azureml: for 2 GPUs; none on a managed compute")
    assert values["environment_version"][0].startswith("2.11.0-")
    assert values["experiment_name"] == ("lerobot-training", "platform azureml: for lerobot-train")
    assert values["workload_identity"] == (None, "platform azureml: looked up in the workspace at submission")
    assert explain_settings(*NAMES, "--compute", "k8s-a", "--instance-type", "big")["instance_type"] == (
        "big",
        "flag --instance-type",
    )


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("AZURE_SUBSCRIPTION_ID", "subscription_id"),
        ("AZUREML_COMPUTE", "compute"),
        ("ENVIRONMENT_VERSION", "environment_version"),
        ("IMAGE", "image"),
        ("ROBOTRAIN_COMPUTE", "compute"),
        ("ROBOTRAIN_HF_CREDENTIAL", "hf_credential"),
    ],
)
def test_a_name_of_the_contract_is_read_from_the_environment_and_a_dotenv_file(
    explain_settings, monkeypatch, name: str, setting: str
) -> None:
    value = {"AZURE_SUBSCRIPTION_ID": "1-2", "IMAGE": "x:1"}.get(name, "abc")
    others = {flag.strip("-").replace("-", "_"): value for flag, value in zip(NAMES[::2], NAMES[1::2], strict=True)}
    words = [word for key, value in others.items() if key != setting for word in (f"--{key.replace('_', '-')}", value)]
    words += [] if setting == "compute" else ["--compute", "k8s-a"]
    words += ["--key-vault", "kv-a"] if setting == "hf_credential" else []
    Path(".env").write_text(f"{name}={value}\n")
    assert explain_settings(*words)[setting] == (value, ".env:1")
    monkeypatch.setenv(name, f"{value}1")
    assert explain_settings(*words)[setting] == (f"{value}1", f"environment {name}")


@pytest.mark.parametrize(
    ("flag", "setting"),
    [
        ("--azure-subscription-id", "subscription_id"),
        ("--azure-resource-group", "resource_group"),
        ("--azure-workspace-name", "workspace_name"),
    ],
)
def test_what_the_other_platform_calls_it_does_here_too(explain_settings, flag: str, setting: str) -> None:
    at = NAMES.index(flag.replace("--azure-", "--"))
    words = [*NAMES[:at], flag, "x-1", *NAMES[at + 2 :]]
    assert explain_settings(*words, "--compute", "k8s-a")[setting][0] == "x-1"


class TestTheIdentity:
    """Which one of a compute's the job signs in with."""

    WORDS = (*NAMES, "--compute", "k8s-a")

    def test_the_environment_names_it(self, explain_settings, monkeypatch) -> None:
        monkeypatch.setenv("AZURE_CLIENT_ID", ONE)
        assert explain_settings(*self.WORDS)["workload_identity"] == (ONE, "looked up AZURE_CLIENT_ID")

    def test_one_that_is_said_counts_more(self, explain_settings, monkeypatch) -> None:
        monkeypatch.setenv("AZURE_CLIENT_ID", ONE)
        assert explain_settings(*self.WORDS, "--workload-identity", OTHER)["workload_identity"][0] == OTHER

    @pytest.mark.parametrize("own", ["AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_USERNAME"])
    def test_this_machines_own_sign_in_is_not_taken_for_the_jobs(self, explain_settings, monkeypatch, own: str) -> None:
        monkeypatch.setenv("AZURE_CLIENT_ID", ONE)
        monkeypatch.setenv(own, "x")
        assert explain_settings(*self.WORDS)["workload_identity"][0] is None


def test_help_lists_every_setting_without_asking_anybody(outputs, robotrain) -> None:
    outputs(aks_cluster={"name": "aks-a"})
    answer = robotrain("submit", "--platform", "azureml", "--help-all")
    assert answer.exit_code == 0
    assert all(flag in answer.stdout for flag in ("--compute NAME", "--instance-type NAME", "--key-vault NAME"))
    assert outputs.runs() == 0


def test_another_platform_is_offered_once(robotrain, nobody) -> None:
    words = ("-d", "lerobot/pusht", "--publish-url", "/kept", *NAMES, "--compute", "k8s-a")
    answer = robotrain("explain", "--platform", "azureml", *words)
    assert answer.exit_code == 3
    assert answer.stderr.count("--platform local") == 1
