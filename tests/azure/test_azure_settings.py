"""What a project's Terraform says of Azure, on a platform that speaks to it: a help, and never in the way."""

import pytest

NAMES = {"resource_group": {"name": "robots"}, "azureml_workspace": {"name": "robots-ml"}}


@pytest.fixture
def explain_settings(robotrain):
    """Rows of a job for OSMO by name, and what was said beside them."""

    def run(*args):
        answer = robotrain("explain", "--platform", "osmo", "--pool", "p", "-d", "lerobot/pusht", "--json", *args)
        assert answer.exit_code == 0, answer.stderr
        return {row["name"]: row["value"] for row in answer.json["values"]}, answer.stderr

    return run


def test_a_workspace_that_terraform_names_only_in_part_is_a_warning(explain_settings, outputs):
    outputs(**NAMES)
    values, stderr = explain_settings()
    assert (values["resource_group"], values["workspace_name"]) == (None, None)
    assert "without --subscription-id" in stderr
    assert "[osmo-untracked]" in stderr


def test_a_workspace_of_terraform_is_completed_by_a_flag(explain_settings, outputs):
    outputs(**NAMES)
    values, stderr = explain_settings("--subscription-id", "1-2")
    assert (values["resource_group"], values["workspace_name"]) == ("robots", "robots-ml")
    assert "[osmo-untracked]" not in stderr


def test_terraform_is_not_run_for_a_workspace_that_nothing_is_tracked_in(explain_settings, outputs):
    outputs(**NAMES, ml_workload_identity={"client_id": "1-2"}, storage_account={"name": "robots"})
    explain_settings("--tracking-uri", "none", "--storage-account", "robots")
    assert outputs.runs() == 0
    values, _ = explain_settings("--tracking-uri", "none")
    assert (values["storage_account"], values["workload_identity"], outputs.runs()) == ("robots", "1-2", 1)
