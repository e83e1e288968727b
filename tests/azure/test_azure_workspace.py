"""Whether a workspace can be used, as the laptop and the container ask it of Azure's resource manager."""

import json
from dataclasses import replace

import pytest
from azure_stand_in import CLIENT, Fault
from azure_stand_in.manager import GROUP, LOOKING, SUBSCRIPTION
from azure_stand_in.sign_in import OBJECT
from robotrain.model.source import SourceError, SourceNotFound
from robotrain_azure import errors, preflight_checks
from robotrain_azure import tracking as container
from robotrain_azure.arm import ArmError
from robotrain_azure.models import registry
from robotrain_azure.settings import AzureSettings, find_missing_flags, get_workspace
from robotrain_azure.workspace import Workspace, parse_tracking_uri
from robotrain_runtime.contract.document import JobSource

HERE = Workspace(SUBSCRIPTION, GROUP, "robots-ml")


@pytest.fixture
def workspace(tenant):
    tenant.manager.workspace("robots-ml")
    return tenant


def format_findings(at: Workspace) -> list[tuple[str, str]]:
    return [(problem.severity, problem.code) for problem in preflight_checks.check_workspace(at)]


def check_workspace(at: Workspace) -> list[tuple[str, str]]:
    return [(finding.fault, finding.code) for finding in container.preflight_address(at.tracking_uri)]


def test_existing_workspace_causes_no_finding(workspace):
    assert format_findings(HERE) == check_workspace(HERE) == []


def test_the_tracking_uri_is_parsed_back_and_names_no_region():
    assert HERE.tracking_uri == f"azureml-workspace://{SUBSCRIPTION}/{GROUP}/robots-ml"
    assert parse_tracking_uri(HERE.tracking_uri) == HERE
    assert container.accepts(HERE.tracking_uri)
    assert not any(container.accepts(other) for other in ("", "azureml://x/y/z", "sqlite:////x", "http://x/y/z"))


def test_the_tracking_address_is_read_from_the_workspace(workspace):
    uri = container.address(HERE.tracking_uri)
    assert uri == f"azureml://westeurope.api.azureml.ms/mlflow/v1.0{HERE.resource}"


def test_a_missing_workspace_stops_a_submit_and_names_its_flag(workspace):
    (problem,) = preflight_checks.check_workspace(Workspace(SUBSCRIPTION, GROUP, "other"))
    assert (problem.severity, problem.code, problem.where) == ("error", "resource-unknown", "--workspace-name")
    assert all(name in problem.title for name in ("workspace other", GROUP, SUBSCRIPTION))
    assert problem.suggestions[0].text.startswith("az resource list --resource-type Microsoft.MachineLearningServices")


def test_a_missing_resource_group_is_reported(workspace):
    (problem,) = preflight_checks.check_workspace(Workspace(SUBSCRIPTION, "nowhere", "robots-ml"))
    assert (problem.severity, problem.where, problem.given) == ("error", "--resource-group", "nowhere")
    assert "no resource group nowhere" in problem.title


def test_a_subscription_of_another_tenant_is_no_missing_workspace(workspace):
    elsewhere = "bbbbbbbb-0000-0000-0000-000000000001"
    (problem,) = preflight_checks.check_workspace(Workspace(elsewhere, GROUP, "robots-ml"))
    assert (problem.severity, problem.suggestions[0].text) == ("warning", "az login --tenant TENANT-ID")
    assert elsewhere in problem.why


def test_a_missing_workspace_fails_the_run_before_it_begins_and_tracking_with_a_sentence(workspace):
    gone = Workspace(SUBSCRIPTION, GROUP, "other")
    assert check_workspace(gone) == [("configuration", "azure-role-missing")]
    with pytest.raises(OSError, match="no Azure ML workspace other"):
        container.address(gone.tracking_uri)


def test_a_missing_read_role_is_reported_with_the_way_to_get_it(workspace):
    workspace.manager.faults.append(Fault("GET", status=403, code="AuthorizationFailed"))
    (problem,) = preflight_checks.check_workspace(HERE)
    assert (problem.severity, problem.code) == ("warning", "not-checked-here")
    line = f'az role assignment create --assignee {OBJECT} --role "AzureML Data Scientist" --scope "{HERE.resource}"'
    assert [way.text for way in problem.suggestions] == [line]
    (finding,) = container.preflight_address(HERE.tracking_uri)
    assert (finding.fault, [way.text for way in finding.suggestions]) == ("configuration", [line])
    assert OBJECT in finding.title
    assert "robots-ml" in finding.title


def test_a_missing_write_role_is_reported_before_the_run(workspace):
    workspace.manager.there.granted = [LOOKING]
    (finding,) = container.preflight_address(HERE.tracking_uri)
    assert "not write runs there" in finding.title
    assert finding.suggestions[0].text.startswith(
        f'az role assignment create --assignee {CLIENT} --role "AzureML Data Scientist"'
    )


@pytest.mark.parametrize("action", ["*", "Microsoft.MachineLearningServices/workspaces/jobs/*"])
def test_a_role_of_somebodys_own_making_may_do(workspace, action):
    workspace.manager.there.granted = [LOOKING, LOOKING, {"actions": [action], "notActions": []}]
    assert check_workspace(HERE) == []


def test_permissions_that_azure_does_not_tell_are_no_finding(workspace):
    workspace.manager.faults.append(Fault("permissions", status=403, code="AuthorizationFailed"))
    assert check_workspace(HERE) == []


def test_a_missing_sign_in_is_a_warning_with_the_command(workspace, monkeypatch):
    monkeypatch.delenv("AZURE_CLIENT_SECRET")
    (problem,) = preflight_checks.check_workspace(HERE)
    assert (problem.severity, problem.code, problem.suggestions[0].text) == ("warning", "not-checked-here", "az login")
    (finding,) = container.preflight_address(HERE.tracking_uri)
    assert [way.text for way in finding.suggestions] == [
        "give the job an identity: a workload identity, or a managed one that AZURE_CLIENT_ID names"
    ]


def test_a_refused_secret_is_reported_with_azures_reason_and_without_the_secret(workspace, monkeypatch):
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "not-the-right-one")
    with pytest.raises(OSError, match="AADSTS7000215") as error:
        container.address(HERE.tracking_uri)
    (problem,) = preflight_checks.check_workspace(HERE)
    assert "AZURE_CLIENT_SECRET" in problem.suggestions[0].text
    assert "not-the-right-one" not in str(error.value)


@pytest.mark.parametrize(("host", "what"), [("management.azure.com",) * 2, ("login.microsoftonline.com", "sign-in")])
def test_unreachable_host_is_a_passing_failure(workspace, host, what, monkeypatch):
    monkeypatch.setattr(preflight_checks, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(container, "PREFLIGHT_PATIENCE_SECONDS", 0.0)
    with workspace.unreachable(host):
        (problem,) = preflight_checks.check_workspace(HERE)
        (finding,) = container.preflight_address(HERE.tracking_uri)
    assert (problem.severity, problem.code, finding.fault) == ("warning", "not-checked-here", "network")
    assert what in finding.why


@pytest.mark.slow
@pytest.mark.parametrize("status", [429, 503])
def test_passing_error_is_retried(workspace, status):
    workspace.manager.faults.append(Fault("GET", status=status, code="Busy", times=1))
    assert check_workspace(HERE) == []


@pytest.mark.parametrize("code", ["ExpiredAuthenticationToken", "InvalidAuthenticationToken"])
def test_a_token_that_ended_is_no_missing_role(code):
    error = errors.diagnose_error(ArmError(f"The token has expired (HTTP 401 {code})", 401, code), HERE)
    assert (error.kind, error.suggestions) == ("signed-out", ("az login",))


def test_a_stale_token_is_renewed_as_often_as_the_setting_says(workspace, monkeypatch):
    stale = Fault("GET", status=401, code="ExpiredAuthenticationToken", times=2)
    workspace.manager.faults.append(stale)
    assert container.address(HERE.tracking_uri).startswith("azureml://")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN_REFRESH_RETRIES", "1")
    stale.times = 2
    with pytest.raises(OSError, match="ExpiredAuthenticationToken"):
        container.address(HERE.tracking_uri)


def test_the_run_is_looked_at_in_the_studio():
    assert container.ui(HERE.tracking_uri, "1", "the-run") == (
        "https://ml.azure.com/runs/the-run?wsid="
        f"/subscriptions/{SUBSCRIPTION}/resourcegroups/{GROUP}/workspaces/robots-ml"
    )


def make_settings(subscription: str = "", group: str = "", name: str = "") -> AzureSettings:
    return AzureSettings(subscription_id=subscription, resource_group=group, workspace_name=name)


def test_all_three_names_or_none_make_a_workspace():
    assert get_workspace(make_settings("s", "g", "w")) == Workspace("s", "g", "w")
    partial = make_settings("s", "g")
    assert (get_workspace(partial), find_missing_flags(partial)) == (None, ("--workspace-name",))
    assert find_missing_flags(make_settings(name="w")) == ("--subscription-id", "--resource-group")
    assert find_missing_flags(make_settings("the one of az")) == ()


def test_the_latest_version_of_a_model_is_the_largest_number_that_the_workspace_has(workspace):
    walker = JobSource(role="checkpoint", kind="registered_model", uri="models:/walker/latest")
    workspace.manager.there.models[f"{HERE.resource}/walker".lower()] = {"2": {}, "10": {}, "old": {}}
    assert registry.find_latest_version(walker, HERE) == "10"
    with pytest.raises(SourceNotFound, match="workspace robots-ml has no version of walkr"):
        registry.find_latest_version(replace(walker, uri="models:/walkr/latest"), HERE)
    with pytest.raises(SourceError, match="has no Azure ML workspace other"):
        registry.find_latest_version(walker, Workspace(SUBSCRIPTION, GROUP, "other"))


MODEL = {
    "tags": {"task": "Isaac-Ant-v0", "owner": "me", "framework": "hf_" + "aB3" * 12},
    "properties": {"task": "other", "success_threshold": "0.9"},
}


def test_a_version_has_its_properties_and_tags_and_none_if_it_cannot_be_read(workspace):
    workspace.manager.there.models[f"{HERE.resource}/walker".lower()] = {"2": MODEL}
    walker = JobSource(role="checkpoint", kind="registered_model", uri="models:/walker/latest", pin="2")
    assert registry.read_tags(walker, HERE) == {**MODEL["tags"], "success_threshold": "0.9"}
    full = (
        f"azureml://subscriptions/{SUBSCRIPTION}/resourcegroups/{GROUP}/workspaces/robots-ml/models/walker/versions/2"
    )
    assert registry.read_tags(replace(walker, kind="model_asset", uri=full), None)["task"] == "Isaac-Ant-v0"
    unread = (replace(walker, pin="3"), replace(walker, pin=""), replace(walker, kind="blob_url", uri="https://a/b"))
    assert [registry.read_tags(source, HERE) for source in unread] == [{}, {}, {}]
    assert registry.read_tags(walker, None) == {}


@pytest.mark.parametrize(
    ("where", "uri", "tags"),
    [
        (("azureml", "--compute", "k8s"), "azureml:walker:2", ["task=Isaac-Ant-v0", "success_threshold=0.9"]),
        (("osmo", "--pool", "p"), "models:/walker/latest", ["task=Isaac-Ant-v0", "success_threshold=0.9"]),
        (("azureml", "--compute", "k8s"), "azureml:walker:3", None),
    ],
)
def test_what_the_workload_reads_of_a_models_tags_travels_with_the_job_and_no_secret(
    workspace, robotrain, where, uri, tags
):
    workspace.manager.there.models[f"{HERE.resource}/walker".lower()] = {"2": MODEL}
    names = ("--subscription-id", SUBSCRIPTION, "--resource-group", GROUP, "--workspace-name", "robots-ml")
    words = ("isaac-validate", "--platform", *where, *names, "--checkpoint-uri", uri, "--pin", "--json")
    answer = robotrain("render", *words)
    assert answer.exit_code == 0, answer.stderr
    (file,) = (file for path, file in answer.json["files"].items() if path.endswith("job.json"))
    (source,) = json.loads(file["text"])["sources"]
    assert source.get("tags") == tags
