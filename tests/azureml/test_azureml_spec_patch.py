"""`--spec-patch` on Azure ML: merged into the job file, which the SDK itself reads, also in the dry run."""

import pytest
import yaml
from azureml_workspace_plans import add_dataset
from robotrain.store import plans

SPOT = "queue_settings: {job_tier: spot}\nservices: {shell: {type: ssh, ssh_public_keys: k}}\n"
BROUGHT = "identity: {type: user_identity, client_id: null}\ndescription: pick\n"


@pytest.fixture
def job(azureml):
    """Return the words of the job."""
    azureml.kubernetes()
    azureml.data("episodes", 3, add_dataset(azureml, "episodes/3"))
    words = ("--dataset-asset", "azureml:episodes:3", "--training-steps", "10", "--compute", "k8s-robot-dev-00")
    return ("--platform", "azureml", *words, *azureml.options)


@pytest.fixture
def patch(tmp_path):
    """Write a patch, and return the words of its option: `patch("services: …")`."""

    def write(content: str) -> tuple[str, str]:
        (tmp_path / "patch.yaml").write_text(content)
        return ("--spec-patch", str(tmp_path / "patch.yaml"))

    return write


def render(robotrain, job, *words) -> dict:
    answer = robotrain("render", *job, *words, "--json")
    assert answer.exit_code == 0, answer.stderr
    return yaml.safe_load(answer.json["files"]["job.yaml"]["text"])


def test_job_is_patched_sent_and_kept(azureml, robotrain, job, patch):
    sent = robotrain("submit", *job, *patch(SPOT + BROUGHT), "--json")
    assert sent.exit_code == 0, sent.stderr
    body = azureml.jobs[sent.json["reference"]["job"]].body
    assert body["queueSettings"]["jobTier"] == "Spot"
    assert (body["identity"]["identityType"], body["description"]) == ("UserIdentity", "pick")
    assert body["services"]["shell"]["jobServiceType"] == "SSH"
    again = robotrain("resubmit", sent.json["run"], "--set", "seed=7", "--json")
    assert again.exit_code == 0, again.stderr
    assert b"job_tier: spot" in plans.read_stored_plan(again.json["run"]).plan.files["job.yaml"]


def test_serverless_job_needs_no_compute(azureml, robotrain, job, patch):
    words = patch("compute: null\nresources: {instance_type: Standard_NC24ads_A100_v4}\n")
    at = job.index("--compute")
    body = render(robotrain, (*job[:at], *job[at + 2 :]), *words)
    assert "compute" not in body
    assert body["resources"] == {"instance_count": 1, "instance_type": "Standard_NC24ads_A100_v4", "shm_size": "8g"}


def test_output_of_another_datastore_may_have_an_expression(azureml, robotrain, job, patch):
    path = "azureml://datastores/mine/paths/${{name}}/"
    words = patch(f"outputs: {{extra: {{type: uri_folder, path: '{path}'}}}}\nlimits: {{timeout: 60}}\n")
    body = render(robotrain, job, *words)
    assert body["outputs"]["extra"]["path"] == path
    assert body["limits"] == {"timeout": 60}


def test_sdk_refuses_in_the_dry_run(azureml, robotrain, job, patch):
    answer = robotrain("submit", *job, *patch("queue_setings: {job_tier: spot}\n"), "--dry-run")
    assert answer.exit_code == 4
    assert "[spec-patch-refused]" in answer.stderr
    assert "queue_setings" in answer.stderr
    assert not azureml.jobs


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("name: mine", "name"),
        ("type: sweep", "type"),
        ("command: sh", "command"),
        ("code: null", "code"),
        ("inputs: {dataset_asset_0: {mode: download}}", "inputs"),
        ("tags: {robotrain.run: x}", "tags.robotrain.run"),
        ("tags: null", "tags.robotrain.job"),
        ("outputs: {checkpoints: {path: 'azureml://datastores/x/paths/y'}}", "--datastore"),
        ("resources: {instance_count: 2}", "--num-nodes"),
        ("distribution: {type: mpi}", "--num-nodes"),
        ("environment_variables: {AZURE_CLIENT_ID: x}", "environment_variables.AZURE_CLIENT_ID"),
    ],
)
def test_patch_is_refused(azureml, robotrain, job, patch, content, named):
    words = ("--workload-identity", "11111111-2222-3333-4444-555555555555")
    answer = robotrain("render", *job, *words, *patch(content))
    assert answer.exit_code == 3, answer.stderr
    assert "[spec-patch-refused]" in answer.stderr
    assert named in answer.stderr
