"""The plan of a workflow, as people and as OSMO read it."""

import dataclasses
import json
from typing import Any

import osmo_plans
import pytest
import robotrain.api
import yaml
from osmo_plans import ONE, PINNED, TWO, blobs, job, read_placement, read_task, read_workflow, render_plan, source
from robotrain.errors import Rejected
from robotrain.model.job import Job
from robotrain.model.plan import Plan
from robotrain_osmo.platform import OSMO
from robotrain_osmo.spec import submission_spec
from robotrain_osmo.spec import workflow as spec_workflow
from robotrain_osmo.spec.submission_spec import OsmoSubmissionSpec
from robotrain_runtime.contract.document import JobSource

WORKSPACE = {
    "subscription_id": "SUB-AZ",
    "resource_group": "rg-tf",
    "workspace_name": "ws-tf",
    "storage_account": "sttf",
}


def read_submission_spec(of: Plan) -> OsmoSubmissionSpec:
    return submission_spec.SUBMISSION.parse(of.files["osmo.json"])


def test_archive_has_the_payload_and_the_shown_document() -> None:
    made = render_plan(job())
    (file,) = read_task(made)["files"]
    files = osmo_plans.unpack_archive(file["contents"])
    assert files["job.json"] == made.files["job.json"]
    assert "payload/robotrain_runtime/__main__.py" in files
    assert set(made.shown) == {"workflow.yaml", "job.json"}


def test_another_attempt_is_another_workflow() -> None:
    first, two = render_plan(job()), render_plan(job(), attempt=2)
    assert (read_workflow(first)["name"], read_workflow(two)["name"]) == (first.run, two.run)
    assert read_task(first)["environment"]["ROBOTRAIN_PLAN"] != read_task(two)["environment"]["ROBOTRAIN_PLAN"]


def test_workflow_has_only_tokens_of_osmo() -> None:
    made = render_plan(job(source("local_path", "/d", pin=PINNED)), storage_account="acc")
    values = [text for text in read_task(made)["environment"].values() if "{" in text]
    assert set(values) == {"{{workflow_id}}", "{{input:0}}"}


def test_blob_urls_are_a_variable_in_their_order() -> None:
    made = render_plan(job(*blobs(TWO, ONE)))
    variable = read_task(made)["environment"]["BLOB_URLS"]
    assert json.loads(variable) == [TWO, ONE]
    assert read_placement(made).promised == {"BLOB_URLS": variable}


def test_dollar_in_a_blob_url_is_escaped_for_kubernetes() -> None:
    odd = "https://account1.blob.core.windows.net/train/a$(HOME)$$b"
    variable = read_task(render_plan(job(*blobs(odd))))["environment"]["BLOB_URLS"]
    assert json.loads(variable) == [odd]
    assert "$(" not in variable
    assert "$$" not in variable


@pytest.mark.parametrize(
    ("parameters", "overrides", "meant"), [({}, {}, 1), ({"num_gpus": 2}, {}, 2), ({}, {"gpus": 0}, 0)]
)
def test_task_has_the_gpus_of_the_job(parameters: dict, overrides: dict, meant: int) -> None:
    assert read_workflow(render_plan(job(**parameters), **overrides))["resources"]["default"]["gpu"] == meant


def test_times_labels_and_priority_are_in_workflow_and_submission() -> None:
    made = render_plan(job(), exec_timeout="2d", queue_timeout="4h", labels="team=arms, stage = dev", priority="HIGH")
    assert read_workflow(made)["timeout"] == {"exec_timeout": "2d", "queue_timeout": "4h"}
    assert read_workflow(made)["labels"] == {"team": "arms", "stage": "dev"}
    spec = read_submission_spec(made)
    assert (spec.priority, spec.pool, spec.exec_timeout) == ("HIGH", "gpu-pool", "2d")
    assert "pool" not in read_workflow(made)


def test_transient_failures_and_preemptions_are_retried() -> None:
    assert read_task(render_plan(job()))["exitActions"] == {"RESCHEDULE": "75,3001,3004,3006"}
    assert read_placement(render_plan(job())).submission == "ROBOTRAIN_SUBMISSION"
    assert read_task(render_plan(job()))["environment"]["ROBOTRAIN_SUBMISSION"] == "{{workflow_id}}"


@pytest.mark.parametrize(
    ("name", "overrides", "entry"),
    [
        ("pusht:3", {"server": "6.3"}, {"dataset": {"name": "lerobot-datasets/pusht:3"}}),
        ("train/pusht", {"storage_account": "acc"}, {"url": "azure://acc/train/pusht"}),
        ("Mine/pusht", {"buckets": "Mine=s3://robots/data"}, {"url": "s3://robots/data/pusht"}),
        ("pusht", {"dataset_bucket": "mine", "storage_account": "acc"}, {"url": "azure://acc/mine/pusht"}),
    ],
    ids=["of an OSMO with datasets", "container", "bucket with a URL", "default bucket"],
)
def test_osmo_dataset_is_an_input_by_its_name_or_by_the_url_of_its_bucket(
    name: str, overrides: dict, entry: dict
) -> None:
    made = render_plan(job(source("osmo_dataset", name)), **overrides)
    assert read_task(made)["inputs"] == [entry]
    (mount,) = read_placement(made).mounts
    place = entry["url"] if "url" in entry else entry["dataset"]["name"]
    assert (mount.folder, mount.uri, mount.origin) == ("${ROBOTRAIN_INPUT_0}", name, place)
    assert [task_input.url for task_input in read_submission_spec(made).inputs] == ([place] if "url" in entry else [])


DIGEST_URL = f"azure://acc/osmo/robotrain/data/{'ab' * 32}"


@pytest.mark.parametrize(
    ("folder", "container", "url", "size", "flag"),
    [
        (source("local_path", "/data", pin=PINNED), "osmo", DIGEST_URL, (12, 3456), "--dataset-path"),
        (source("local_path", "/p", "policy", PINNED), "osmo", DIGEST_URL, (12, 3456), "--policy-path"),
        (source("local_path", "/data"), "x-1", "azure://acc/x-1/robotrain/runs/{}/0", (None, None), "--dataset-path"),
    ],
    ids=["dataset", "policy", "without a pin"],
)
def test_folder_is_uploaded_to_a_url_of_its_content_or_of_its_run(
    folder: JobSource, container: str, url: str, size: tuple, flag: str
) -> None:
    others = [] if folder.role == "dataset" else blobs()
    made = render_plan(job(*others, folder), storage_account="acc", storage_container=container)
    (upload,) = read_submission_spec(made).uploads
    assert (upload.path, upload.url, upload.flag) == (folder.uri, url.format(made.run), flag)
    assert (upload.files, upload.size) == size
    assert read_task(made)["inputs"] == [{"url": upload.url}]
    (mount,) = read_placement(made).mounts
    assert (mount.role, mount.uri, mount.folder) == (folder.role, folder.uri, "${ROBOTRAIN_INPUT_0}")


def test_inputs_are_numbered_in_the_order_of_the_job() -> None:
    sources = [source("osmo_dataset", "one"), *blobs(), source("local_path", "/two", pin=PINNED)]
    made = render_plan(job(*sources, publish_url="s3://robots/runs"), storage_account="acc")
    environment, placement = read_task(made)["environment"], read_placement(made)
    assert [mount.folder for mount in placement.mounts] == ["${ROBOTRAIN_INPUT_0}", "${ROBOTRAIN_INPUT_1}"]
    assert placement.left == "${ROBOTRAIN_INPUT_2}"
    expected = {f"ROBOTRAIN_INPUT_{index}": f"{{{{input:{index}}}}}" for index in range(3)}
    assert {name: value for name, value in environment.items() if "INPUT_" in name} == {
        **expected,
        "OSMO_INPUT_0": "{{input:0}}",
    }


class TestCheckpoints:
    """The target of checkpoints, and what a restarted task finds."""

    def test_osmo_copies_them_to_a_folder_of_the_submission_and_brings_them_back(self) -> None:
        made = render_plan(job(publish_url="s3://robots/runs/"))
        url = "s3://robots/runs/{{workflow_id}}"
        (entry,) = read_task(made)["checkpoint"]
        assert (entry["path"], entry["url"]) == (f"/tmp/robotrain/{made.run}/outputs/checkpoints", url)
        assert read_task(made)["inputs"] == [{"url": url}]
        document = osmo_plans.read_document(made)
        assert (document.placement.left, document.parameters["publish_url"]) == ("${ROBOTRAIN_INPUT_0}", None)
        spec = read_submission_spec(made)
        assert spec.inputs == ()
        assert spec.get_publish_url("w-1") == "s3://robots/runs/w-1/checkpoints"
        assert made.job["publish_url"] == "s3://robots/runs/"

    def test_a_checkpoint_that_osmo_copied_is_an_input_to_resume_from(self) -> None:
        uri = "s3://robots/runs/before-1/checkpoints/000400"
        made = render_plan(job(*blobs(), source("osmo_storage", uri, "resume"), publish_url="s3://robots/runs"))
        assert [entry["url"] for entry in read_task(made)["inputs"]] == [uri, "s3://robots/runs/{{workflow_id}}"]
        (mount,) = read_placement(made).mounts
        assert (mount.role, mount.uri, mount.folder) == ("resume", uri, "${ROBOTRAIN_INPUT_0}")
        assert [(needed.url, needed.flag) for needed in read_submission_spec(made).inputs] == [(uri, "--resume-from")]

    @pytest.mark.parametrize(
        ("output_dir", "path"),
        [("mine", "/tmp/robotrain/{run}/mine"), ("/workspace/o/../outputs", "/workspace/outputs")],
    )
    def test_output_folder_of_the_user_is_copied(self, output_dir: str, path: str) -> None:
        made = render_plan(job(publish_url="s3://robots/runs", output_dir=output_dir))
        (entry,) = read_task(made)["checkpoint"]
        assert entry["path"] == f"{path.format(run=made.run)}/checkpoints"

    def test_to_a_blob_url_the_run_publishes_itself(self) -> None:
        made = render_plan(job(publish_url=ONE))
        assert "checkpoint" not in read_task(made)
        assert read_submission_spec(made).publishes == ONE
        document = osmo_plans.read_document(made)
        assert (document.placement.left, document.parameters["publish_url"]) == ("", ONE)


HUB = source("huggingface", "lerobot/pusht@main")
HUB_POLICY = source("huggingface", "me/policy@main", "policy")


@pytest.mark.parametrize(
    ("of", "overrides", "credentials"),
    [
        (job(), {}, {}),
        (job(), {"hf_credential": "hf_token"}, {}),  # only where the Hub is read
        (job(*blobs(), HUB_POLICY), {"hf_credential": "hf_token"}, {"hf_token": {"HF_TOKEN": "hf_token"}}),
        (
            job(HUB, wandb=True),
            {"hf_credential": "hf_token", "wandb_credential": "keys:wandb"},
            {"hf_token": {"HF_TOKEN": "hf_token"}, "keys": {"WANDB_API_KEY": "wandb"}},
        ),
        (
            job(HUB, wandb=True),
            {"hf_credential": "mine:hf", "wandb_credential": "mine:wandb"},
            {"mine": {"HF_TOKEN": "hf", "WANDB_API_KEY": "wandb"}},
        ),
        (job(), {"blob_credential": "store:account"}, {"store": "/opt/robotrain/credentials"}),
    ],
)
def test_credentials_that_the_job_needs_become_variables_or_files(of: Job, overrides: dict, credentials: dict) -> None:
    made = render_plan(of, **overrides)
    assert read_task(made).get("credentials", {}) == credentials
    assert [
        (credential.flag, f"{credential.name}:{credential.key}")
        for credential in read_submission_spec(made).credentials
    ] == [
        (f"--{name.replace('_', '-')}", value if ":" in value else f"{value}:{value}")
        for name, value in overrides.items()
        if credentials
    ]
    blob = {"blob_url": "/opt/robotrain/credentials/account"} if "blob_credential" in overrides else {}
    assert read_placement(made).credentials == blob
    assert read_placement(made).ways["huggingface"] == "--hf-credential NAME"


def test_secrets_of_the_program_become_variables_of_the_task_for_any_workload() -> None:
    secrets = {"API_TOKEN": "team", "DB_PASSWORD": "team:database", "HF_TOKEN": "hub"}
    made = render_plan(job(HUB), hf_credential="hub:own", secrets=json.dumps(secrets))
    assert read_task(made)["credentials"] == {
        "hub": {"HF_TOKEN": "own", "ROBOTRAIN_SECRET_HF_TOKEN": "hf_token"},
        "team": {"ROBOTRAIN_SECRET_API_TOKEN": "api_token", "ROBOTRAIN_SECRET_DB_PASSWORD": "database"},
    }
    assert read_placement(made).secrets == {name: f"${{ROBOTRAIN_SECRET_{name}}}" for name in secrets}
    assert [credential.flag for credential in read_submission_spec(made).credentials][1:] == [
        f"--secret {name}" for name in secrets
    ]
    assert not read_placement(render_plan(job())).secrets


def test_webhook_of_a_run_is_a_credential_as_any_other_secret() -> None:
    made = render_plan(job(HUB), secrets='{"ROBOTRAIN_NOTIFY": "webhooks:slack"}')
    assert read_task(made)["credentials"] == {"webhooks": {"ROBOTRAIN_SECRET_ROBOTRAIN_NOTIFY": "slack"}}


@pytest.mark.parametrize(
    ("tracking_uri", "address", "timeout"),
    [
        (None, "azureml-workspace://SUB-AZ/rg-tf/ws-tf", "60"),
        ("https://mlflow.example", "https://mlflow.example", "60"),
        ("none", "", None),
    ],
)
def test_run_is_tracked_in_the_workspace_on_another_server_or_nowhere(
    tracking_uri: str | None, address: str, timeout: str | None
) -> None:
    made = render_plan(job(), **WORKSPACE | {"tracking_uri": tracking_uri})
    assert read_placement(made).tracking_uri == address
    environment = read_task(made)["environment"]
    assert environment.get("MLFLOW_HTTP_REQUEST_TIMEOUT") == timeout
    assert ("AZUREML_WORKSPACE_NAME" in environment) is (tracking_uri is None)
    settings = osmo_plans.settings(**WORKSPACE | {"tracking_uri": tracking_uri})
    expected = {"tracking.azureml"} if tracking_uri is None else set()
    assert set(OSMO.plans.container_plugins(job(), settings)) == expected


@pytest.mark.parametrize("setting", [None, "none", "mount"])
def test_shared_memory_is_mounted_on_request(setting: str | None) -> None:
    made = render_plan(job(), shared_memory=setting)
    assert read_task(made).get("volumeMounts") == (["/dev/shm"] if setting == "mount" else None)


def test_without_shared_memory_explain_says_why_one_process_loads_data(robotrain) -> None:
    explained = robotrain("explain", "--platform", "osmo", "--pool", "p", "--blob-url", ONE).stdout
    (line,) = [line for line in explained.splitlines() if "num_workers" in line]
    assert "no shared memory" in line


class TestSize:
    """An archive that is too large for the workflow is uploaded."""

    @pytest.mark.parametrize(
        "options",
        [
            {"workload": "lerobot-train", "blob_url": [ONE], "policy_repo_id": "a/b", "wandb": True},
            {"workload": "lerobot-eval", "policy_model": "azureml:m:7", "env": "pusht", "dataset_repo_id": ["a/b"]},
        ],
    )
    def test_ordinary_workflow_causes_no_note(self, options: dict[str, Any]) -> None:
        tracked = {"tracking_uri": "azureml-workspace://S/rg/ws-1"}
        made = robotrain.api.render(platform="osmo", pool="p", publish_url=TWO, **tracked, **options)
        assert len(made.files["workflow.yaml"]) < 0.97 * spec_workflow.LARGE_WORKFLOW_BYTES

    def test_one_that_osmo_would_not_take_is_refused_with_the_way_out(self) -> None:
        with pytest.raises(Rejected) as rejected:
            render_plan(job(), packed=osmo_plans.payload(900 << 10))
        (problem,) = rejected.value.problems
        assert problem.code == "spec-over-limit"
        assert "--storage-account" in problem.suggestions[0].text

    def test_with_a_storage_account_the_archive_is_uploaded_and_is_the_last_input(self) -> None:
        made = render_plan(
            job(publish_url="s3://robots/runs"), packed=osmo_plans.payload(800 << 10), storage_account="acc"
        )
        assert "files" not in read_task(made)
        packed = made.files["payload.tar.bz2"]
        (upload,) = read_submission_spec(made).uploads
        assert (upload.path, upload.size) == ("", len(packed))
        assert upload.url.startswith("azure://acc/osmo/robotrain/jobs/")
        assert read_task(made)["inputs"][-1] == {"url": upload.url}
        assert read_task(made)["command"][-2] == "${ROBOTRAIN_INPUT_1}/payload.tar.bz2"
        assert osmo_plans.unpack_archive(packed)["job.json"] == made.files["job.json"]
        assert list(spec_workflow.check_workflow_size(made)) == []


def test_submission_spec_reads_back_as_written() -> None:
    made = render_plan(job(source("local_path", "/d", pin=PINNED), wandb=True), storage_account="acc")
    spec = read_submission_spec(made)
    assert submission_spec.SUBMISSION.dump(spec) == made.files["osmo.json"]
    assert dataclasses.replace(spec) == spec


def test_template_in_a_value_is_never_written() -> None:
    with pytest.raises(ValueError, match="a value of the workflow contains"):
        render_plan(job(), gpu_platform="{{ config }}")
    with pytest.raises(ValueError, match="a value of the workflow contains"):
        render_plan(job(), image="$(HOSTNAME)")


def test_the_workflow_is_one_document_of_plain_yaml() -> None:
    named = WORKSPACE | {"resource_group": "größe", "tracking_uri": None}
    made = render_plan(job(*blobs("https://account1.blob.core.windows.net/train/é — ☃")), **named)
    content = made.files["workflow.yaml"]
    assert content.startswith(b"workflow:\n")
    assert content.isascii()
    assert len(list(yaml.safe_load_all(content))) == 1
    assert read_task(made)["environment"]["AZURE_RESOURCE_GROUP"] == "größe"
