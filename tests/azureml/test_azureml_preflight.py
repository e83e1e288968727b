"""The look before a submit: everything that would stop it, at once, with what mends it."""

import time

import pytest
from azure_stand_in.sign_in import OBJECT
from azure_stand_in.tenant import CLIENT
from azureml_plans import assets, model, source
from azureml_workspace_plans import COMPUTE, add_dataset, list_codes, make_plan, prepare_workspace, run_preflight
from robotrain.errors import format_problem
from robotrain_azureml.submit import sdk


@pytest.fixture
def ready_workspace(azureml):
    """The workspace with everything that the job needs."""
    return prepare_workspace(azureml)


def format_findings(wanted) -> str:
    return "\n".join(map(format_problem, run_preflight(wanted)))


def find_problem(code: str, wanted):
    """The one problem with a code."""
    [problem] = [problem for problem in run_preflight(wanted) if problem.code == code]
    return problem


def list_suggestions(problem) -> list[str]:
    return [way.text for way in problem.suggestions]


def test_complete_job_passes_and_nothing_is_changed(ready_workspace):
    assert run_preflight(make_plan(ready_workspace)) == []
    assert {call.partition(" ")[0] for call in ready_workspace.calls} == {"GET"}
    addresses = [call.partition("?")[0] for call in ready_workspace.calls if "/workspaces/" in call]
    assert sorted(addresses) == sorted(set(addresses))  # nothing twice


def test_all_problems_are_found_at_once(azureml):
    azureml.kubernetes(COMPUTE, {"cpu": {"cpu": "2"}})
    wanted = make_plan(azureml, *assets("azureml:a:3", "azureml:b:1"), datastore="other")
    problems = sorted((problem.code, problem.where) for problem in run_preflight(wanted) if problem.severity == "error")
    missing = ("--dataset-asset", "--dataset-asset", "--datastore")
    assert problems == [("resource-unknown", flag) for flag in missing]


def test_a_wrong_secret_is_reported_by_the_name_of_its_variable(ready_workspace, monkeypatch):
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "not-the-right-one")
    [problem] = run_preflight(make_plan(ready_workspace))
    assert (problem.code, list_suggestions(problem)[0].split(",")[0]) == (
        "platform-signed-out",
        "set a valid AZURE_CLIENT_SECRET",
    )
    assert "AZURE_CLIENT_SECRET" in problem.title
    assert "AADSTS7000215" in problem.why
    assert "not-the-right-one" not in format_problem(problem)


def test_an_untrusted_certificate_is_no_missing_sign_in(ready_workspace, monkeypatch):
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name)
    [problem] = run_preflight(make_plan(ready_workspace))
    assert (problem.code, problem.severity) == ("platform-away", "error")
    assert "certificate verify failed" in problem.why


def test_damaged_plan_is_reported(azureml):
    whole = make_plan(azureml)
    del whole.files["azureml.json"]
    assert list_codes(run_preflight(whole)) == [("plan-unreadable", "error")]


def test_signed_out_user_is_reported_once(ready_workspace, monkeypatch):
    monkeypatch.delenv("AZURE_CLIENT_SECRET")
    blob = source("blob_url", "https://one.blob.core.windows.net/box/p")
    [problem] = run_preflight(make_plan(ready_workspace, blob, *assets("azureml:a:3")))
    assert (problem.code, problem.severity, list_suggestions(problem)) == ("platform-signed-out", "error", ["az login"])


@pytest.mark.slow
def test_unreachable_network_is_reported_once(ready_workspace):
    begin = time.monotonic()
    with ready_workspace.tenant.unreachable("management.azure.com"):
        assert list_codes(run_preflight(make_plan(ready_workspace))) == [("platform-away", "error")]
    assert time.monotonic() - begin < 4


@pytest.mark.parametrize("name", ["workspace_name", pytest.param("resource_group", marks=pytest.mark.slow)])
def test_missing_workspace_is_the_only_problem(ready_workspace, name):
    problem = find_problem("resource-unknown", make_plan(ready_workspace, **{name: "typo"}))
    assert (problem.where, problem.given) == (f"--{name.replace('_', '-')}", "typo")
    assert "az resource list" in format_problem(problem)
    assert len(run_preflight(make_plan(ready_workspace, **{name: "typo"}))) == 1


def test_invisible_subscription_is_reported_by_its_flag(ready_workspace):
    [problem] = run_preflight(make_plan(ready_workspace, subscription_id="aaaa"))
    assert (problem.where, problem.given, problem.severity) == ("--subscription-id", "aaaa", "error")
    assert "az account list --output table" in list_suggestions(problem)


@pytest.mark.slow
def test_a_workspace_that_may_not_be_read_is_reported_with_the_role(ready_workspace):
    ready_workspace.fault("GET .*/workspaces/robots-ml\\?", status=403, code="AuthorizationFailed")
    problem = find_problem("platform-forbidden", make_plan(ready_workspace))
    assert f'--assignee {OBJECT} --role "AzureML Data Scientist" --scope "{ready_workspace.at}"' in format_problem(
        problem
    )


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (403, "AuthorizationFailed", ("not-checked-here", "warning")),
        pytest.param(429, "TooManyRequests", ("platform-busy", "error"), marks=pytest.mark.slow),
        pytest.param(503, "Busy", ("platform-busy", "error"), marks=pytest.mark.slow),
    ],
)
def test_what_cannot_be_checked_is_not_called_missing(ready_workspace, status, code, expected):
    ready_workspace.fault("GET .*/(computes|environments|datastores|data)", status=status, code=code)
    [problem] = run_preflight(make_plan(ready_workspace, *assets("azureml:a:3")))
    assert (problem.code, problem.severity) == expected
    for what in (COMPUTE, "lerobot-training-env", "workspaceblobstore", "a:3"):
        assert what in problem.title
    assert "missing" not in format_problem(problem)
    assert "has no" not in format_problem(problem)


def test_for_a_compute_that_is_not_there_the_command_that_lists_the_others_is_suggested(ready_workspace):
    problem = find_problem("resource-unknown", make_plan(ready_workspace, compute="k8s-robot-dve-00"))
    assert problem.suggestions[0].text.startswith("az ml compute list ")


@pytest.mark.slow
def test_an_environment_that_is_not_there_is_noted_and_one_of_another_image_stops(ready_workspace):
    assert list_codes(run_preflight(make_plan(ready_workspace, environment_version="9"))) == [
        ("azureml-environment-new", "note")
    ]
    ready_workspace.environment("lerobot-training-env", "9", "ubuntu:24.04")
    problem = find_problem("azureml-environment-differs", make_plan(ready_workspace, environment_version="9"))
    assert "ubuntu:24.04" in problem.why
    assert list_suggestions(problem)[0] == "--environment-version VERSION"


@pytest.mark.parametrize("uri", ["azureml:pusht:4", "azureml:pushd:3"])
def test_for_a_data_asset_that_is_not_there_the_command_that_lists_versions_is_suggested(ready_workspace, uri):
    ready_workspace.data("pusht", 3, add_dataset(ready_workspace))
    problem = find_problem("resource-unknown", make_plan(ready_workspace, *assets(uri)))
    assert (problem.where, problem.given) == ("--dataset-asset", uri)
    assert list_suggestions(problem)[0].startswith("az ml data list --name pus")
    assert run_preflight(make_plan(ready_workspace, *assets("azureml:pusht:3"))) == []


@pytest.mark.slow
def test_a_missing_model_is_reported_by_its_flag(ready_workspace):
    ready_workspace.data("pusht", 3, add_dataset(ready_workspace))
    wanted = make_plan(ready_workspace, *assets("azureml:pusht:3"), model("azureml:act:7"))
    problem = find_problem("resource-unknown", wanted)
    assert (problem.where, problem.title) == (
        "--init-from-policy-model",
        "the workspace robots-ml has no version 7 of the model act",
    )


@pytest.mark.slow
def test_sixty_four_assets_are_looked_at(ready_workspace):
    for number in range(63):
        ready_workspace.data(f"set{number}", 1, add_dataset(ready_workspace))
    wanted = make_plan(ready_workspace, *assets(*(f"azureml:set{number}:1" for number in range(64))))
    assert find_problem("resource-unknown", wanted).given == "azureml:set63:1"


def test_a_cluster_is_looked_at_for_its_gpus(ready_workspace):
    ready_workspace.managed_compute("gpus", vm_size="Standard_NC6s_v3")
    words = {"compute": "gpus", "compute_kind": "managed"}
    assert run_preflight(make_plan(ready_workspace, **words)) == []
    problem = find_problem("machines-too-small", make_plan(ready_workspace, parameters={"num_gpus": 2}, **words))
    assert (problem.where, problem.severity) == ("--compute", "error")
    assert "Standard_NC6s_v3 has (1)" in problem.title


@pytest.fixture
def dry_run(robotrain, ready_workspace, name_workspace):
    """`submit --dry-run` of a training of a folder, as a person types it; what is not said is asked."""
    name_workspace(ready_workspace)

    def rehearsed(*words: object):
        data = ("--dataset-asset", "azureml:pusht:3")
        return robotrain("submit", "--platform", "azureml", *data, "--dry-run", "--json", *words)

    ready_workspace.data("pusht", 3, add_dataset(ready_workspace))
    return rehearsed


@pytest.mark.slow
def test_dry_run_looks_up_settings_and_changes_nothing(dry_run, ready_workspace):
    answer = dry_run("--compute", COMPUTE)
    assert answer.exit_code == 0, answer.stderr
    assert f"AZURE_CLIENT_ID: '{CLIENT}'" in answer.json["files"]["job.yaml"]["text"]
    assert {call.partition(" ")[0] for call in ready_workspace.calls} == {"GET"}


@pytest.mark.slow
def test_a_missing_compute_is_reported_once_though_it_is_read_twice(dry_run):
    answer = dry_run("--compute", "typo")
    assert answer.exit_code == 4
    assert answer.stderr.count("the workspace has no compute typo") == 1


@pytest.mark.slow
def test_missing_sign_in_is_reported_once_on_the_command_line(dry_run, monkeypatch):
    monkeypatch.delenv("AZURE_CLIENT_SECRET")
    answer = dry_run("--compute", COMPUTE)
    assert answer.exit_code == 4
    assert answer.stderr.count("you are not signed in to Azure") == 1
    assert answer.stderr.count("[platform-signed-out]") == 1


@pytest.mark.slow
def test_a_machine_of_azure_s_own_is_sent_no_instance_type(dry_run, ready_workspace):
    ready_workspace.managed_compute("gpus")
    answer = dry_run("--compute", "gpus")
    assert answer.exit_code == 0, answer.stderr
    assert "instance_type" not in answer.json["files"]["job.yaml"]["text"]
    refused = dry_run("--compute", "gpus", "--instance-type", "gpuspot").stderr
    assert "leave out --instance-type" in refused
    assert "--compute-kind" not in refused  # it is what the workspace says


def test_the_sdk_begins_to_be_imported_before_azure_is_asked(ready_workspace, monkeypatch):
    begun: list[int] = []
    monkeypatch.setattr(sdk, "start_import", lambda: begun.append(len(ready_workspace.calls)))
    run_preflight(make_plan(ready_workspace))
    assert begun == [0]
