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
from robotrain_osmo.spec import submission_spec
from robotrain_osmo.spec import workflow as spec_workflow
from robotrain_osmo.spec.submission_spec import OsmoSubmissionSpec
from robotrain_runtime.contract import document

WORKSPACE = {
    "subscription_id": "SUB-AZ",
    "resource_group": "rg-tf",
    "workspace_name": "ws-tf",
    "storage_account": "sttf",
}


def read_submission_spec(of: Plan) -> OsmoSubmissionSpec:
    return submission_spec.SUBMISSION.parse(of.files["osmo.json"])


def test_what_is_in_the_archive_is_the_payload_and_the_document_that_is_shown() -> None:
    made = render_plan(job())
    (file,) = read_task(made)["files"]
    files = osmo_plans.unpack_archive(file["contents"])
    assert files["job.json"] == made.files["job.json"]
    assert "payload/robotrain_runtime/__main__.py" in files
    assert set(made.shown) == {"workflow.yaml", "job.json"}


def test_another_attempt_is_another_workflow() -> None:
    one, two = render_plan(job()), render_plan(job(), attempt=2)
    assert (read_workflow(one)["name"], read_workflow(two)["name"]) == (one.run, two.run)
    assert read_task(one)["environment"]["ROBOTRAIN_PLAN"] != read_task(two)["environment"]["ROBOTRAIN_PLAN"]


def test_a_template_knows_no_values_but_the_two_of_osmo_itself() -> None:
    made = render_plan(job(source("local_path", "/d", pin=PINNED)), storage_account="acc")
    values = [one for one in read_task(made)["environment"].values() if "{" in one]
    assert set(values) == {"{{workflow_id}}", "{{input:0}}"}


def test_blob_urls_are_promised_in_their_order_and_the_document_says_so_too() -> None:
    made = render_plan(job(*blobs(TWO, ONE)))
    said = read_task(made)["environment"]["BLOB_URLS"]
    assert json.loads(said) == [TWO, ONE]
    assert read_placement(made).promised == {"BLOB_URLS": said}


def test_a_dollar_that_kubernetes_would_read_is_the_same_url_written_otherwise() -> None:
    odd = "https://account1.blob.core.windows.net/train/a$(HOME)$$b"
    said = read_task(render_plan(job(*blobs(odd))))["environment"]["BLOB_URLS"]
    assert json.loads(said) == [odd]
    assert "$(" not in said
    assert "$$" not in said


def test_without_blob_datasets_nothing_is_promised() -> None:
    made = render_plan(job(source("huggingface", "lerobot/pusht")))
    assert "BLOB_URLS" not in read_task(made)["environment"]
    assert read_placement(made).promised == {}
    assert "inputs" not in read_task(made)


@pytest.mark.parametrize(("given", "asked", "meant"), [({}, {}, 1), ({"num_gpus": 2}, {}, 2), ({}, {"gpus": 0}, 0)])
def test_the_task_has_the_gpus_that_the_job_trains_on(given: dict, asked: dict, meant: int) -> None:
    assert read_workflow(render_plan(job(**given), **asked))["resources"]["default"]["gpu"] == meant


def test_times_labels_and_priority_go_where_osmo_wants_them() -> None:
    made = render_plan(job(), exec_timeout="2d", queue_timeout="4h", labels="team=arms, stage = dev", priority="HIGH")
    assert read_workflow(made)["timeout"] == {"exec_timeout": "2d", "queue_timeout": "4h"}
    assert read_workflow(made)["labels"] == {"team": "arms", "stage": "dev"}
    assert (read_submission_spec(made).priority, read_submission_spec(made).pool) == ("HIGH", "gpu-pool")
    assert "pool" not in read_workflow(made)


def test_a_failure_that_may_pass_and_a_preemption_are_tried_again_by_osmo() -> None:
    assert read_task(render_plan(job()))["exitActions"] == {"RESCHEDULE": "75,3001,3004,3006"}
    assert read_placement(render_plan(job())).submission == "ROBOTRAIN_SUBMISSION"
    assert read_task(render_plan(job()))["environment"]["ROBOTRAIN_SUBMISSION"] == "{{workflow_id}}"


class TestDatasetsOfOsmo:
    """`--dataset-name` on versions with datasets and on versions with URLs only."""

    def test_where_osmo_has_datasets_they_are_its_own(self) -> None:
        made = render_plan(job(source("osmo_dataset", "pusht:3")), server="6.3")
        assert read_task(made)["inputs"] == [{"dataset": {"name": "lerobot-datasets/pusht:3"}}]
        (mount,) = read_placement(made).mounts
        assert (mount.folder, mount.uri) == ("${ROBOTRAIN_INPUT_0}", "pusht:3")
        assert read_submission_spec(made).inputs == ()

    def test_where_it_has_none_the_container_of_the_buckets_name_is_read(self) -> None:
        made = render_plan(job(source("osmo_dataset", "train/pusht")), storage_account="acc")
        assert read_task(made)["inputs"] == [{"url": "azure://acc/train/pusht"}]
        (mount,) = read_placement(made).mounts
        assert (mount.folder, mount.origin) == ("${ROBOTRAIN_INPUT_0}", "azure://acc/train/pusht")
        assert [one.url for one in read_submission_spec(made).inputs] == ["azure://acc/train/pusht"]

    def test_a_bucket_may_lie_anywhere(self) -> None:
        made = render_plan(job(source("osmo_dataset", "Mine/pusht")), buckets="Mine=s3://robots/data")
        assert read_task(made)["inputs"] == [{"url": "s3://robots/data/pusht"}]

    def test_the_bucket_of_the_settings_is_the_default(self) -> None:
        made = render_plan(job(source("osmo_dataset", "pusht")), dataset_bucket="mine", storage_account="acc")
        assert read_task(made)["inputs"] == [{"url": "azure://acc/mine/pusht"}]


class TestFoldersOfThisMachine:
    """Folders are uploaded to a URL with the content's digest."""

    def test_a_folder_is_uploaded_by_its_content(self) -> None:
        made = render_plan(job(source("local_path", "/data/pusht", pin=PINNED)), storage_account="acc")
        (upload,) = read_submission_spec(made).uploads
        assert upload.url == f"azure://acc/osmo/robotrain/data/{'ab' * 32}"
        assert (upload.path, upload.files, upload.size) == ("/data/pusht", 12, 3456)
        assert upload.flag == "--dataset-path"
        assert read_task(made)["inputs"] == [{"url": upload.url}]
        (mount,) = read_placement(made).mounts
        assert (mount.uri, mount.folder) == ("/data/pusht", "${ROBOTRAIN_INPUT_0}")

    def test_without_a_pin_it_goes_under_the_runs_own_name(self) -> None:
        made = render_plan(job(source("local_path", "/data/pusht")), storage_account="acc", storage_container="mine")
        (upload,) = read_submission_spec(made).uploads
        assert upload.url == f"azure://acc/mine/robotrain/runs/{made.run}/0"
        assert upload.files is None

    def test_a_policy_and_a_checkpoint_go_the_same_way(self) -> None:
        sources = [*blobs(), source("local_path", "/p", "policy", PINNED)]
        made = render_plan(job(*sources), storage_account="acc")
        assert [(mount.role, mount.folder) for mount in read_placement(made).mounts] == [
            ("policy", "${ROBOTRAIN_INPUT_0}")
        ]
        assert read_submission_spec(made).uploads[0].flag == "--policy-path"

    def test_inputs_are_numbered_in_the_order_of_the_job(self) -> None:
        sources = [source("osmo_dataset", "one"), *blobs(), source("local_path", "/two", pin=PINNED)]
        made = render_plan(job(*sources, publish_url="s3://robots/runs"), storage_account="acc")
        environment = read_task(made)["environment"]
        assert [mount.folder for mount in read_placement(made).mounts] == [
            "${ROBOTRAIN_INPUT_0}",
            "${ROBOTRAIN_INPUT_1}",
        ]
        assert read_placement(made).left == "${ROBOTRAIN_INPUT_2}"
        assert [environment[f"ROBOTRAIN_INPUT_{index}"] for index in range(3)] == [
            f"{{{{input:{index}}}}}" for index in range(3)
        ]
        assert environment["OSMO_INPUT_0"] == "{{input:0}}"
        assert "ROBOTRAIN_INPUT_3" not in environment


class TestCheckpoints:
    """The target of checkpoints, and what a restarted task finds."""

    def test_osmo_copies_them_to_its_storage_and_brings_them_back(self) -> None:
        made = render_plan(job(publish_url="s3://robots/runs/"))
        url = "s3://robots/runs/{{workflow_id}}"
        (entry,) = read_task(made)["checkpoint"]
        assert entry["path"] == f"/tmp/robotrain/{made.run}/outputs/checkpoints"
        assert entry["url"] == url
        assert read_task(made)["inputs"] == [{"url": url}]
        assert read_placement(made).left == "${ROBOTRAIN_INPUT_0}"
        assert read_submission_spec(made).publishes == f"{url}/checkpoints"
        assert read_submission_spec(made).inputs == ()

    def test_each_submission_has_a_folder_of_its_own(self) -> None:
        made = render_plan(job(publish_url="s3://robots/runs/"))
        places = [read_submission_spec(made).get_publish_url(f"{made.run}-{number}") for number in (1, 2)]
        assert places == [f"s3://robots/runs/{made.run}-{number}/checkpoints" for number in (1, 2)]

    def test_a_checkpoint_that_osmo_copied_is_brought_to_go_on_from(self) -> None:
        one = "s3://robots/runs/before-1/checkpoints/000400"
        made = render_plan(job(*blobs(), source("osmo_storage", one, "resume"), publish_url="s3://robots/runs"))
        assert [entry["url"] for entry in read_task(made)["inputs"]] == [one, "s3://robots/runs/{{workflow_id}}"]
        (mount,) = read_placement(made).mounts
        assert (mount.role, mount.uri, mount.folder) == ("resume", one, "${ROBOTRAIN_INPUT_0}")
        assert [(needed.url, needed.flag) for needed in read_submission_spec(made).inputs] == [(one, "--resume-from")]

    def test_the_container_is_not_told_of_what_osmo_sees_to(self) -> None:
        made = render_plan(job(publish_url="gs://robots/runs"))
        told = document.parse_document(made.files["job.json"].decode())
        assert told.parameters["publish_url"] is None
        assert made.job["publish_url"] == "gs://robots/runs"

    @pytest.mark.parametrize(
        ("said", "meant"), [("mine", "/tmp/robotrain/{run}/mine"), ("/workspace/o/../outputs", "/workspace/outputs")]
    )
    def test_a_folder_of_ones_own_is_where_they_lie(self, said: str, meant: str) -> None:
        made = render_plan(job(publish_url="s3://robots/runs", output_dir=said))
        (entry,) = read_task(made)["checkpoint"]
        assert entry["path"] == f"{meant.format(run=made.run)}/checkpoints"

    def test_to_a_blob_url_the_run_publishes_itself(self) -> None:
        made = render_plan(job(publish_url=ONE))
        assert "checkpoint" not in read_task(made)
        assert read_placement(made).left == ""
        assert read_submission_spec(made).publishes == ONE
        assert document.parse_document(made.files["job.json"].decode()).parameters["publish_url"] == ONE


class TestCredentials:
    """Credentials are named only if the job needs them."""

    def make_hub_job(self, **given: object) -> Job:
        return job(source("huggingface", "lerobot/pusht@main"), **given)

    def test_the_token_of_the_hub_goes_only_where_the_hub_is_read(self) -> None:
        made = render_plan(job(), hf_credential="hf_token")
        assert "credentials" not in read_task(made)
        assert read_submission_spec(made).credentials == ()
        policy = job(*blobs(), source("huggingface", "me/policy@main", "policy"))
        assert read_task(render_plan(policy, hf_credential="hf_token"))["credentials"] == {
            "hf_token": {"HF_TOKEN": "hf_token"}
        }

    def test_no_credential_is_named_by_default(self) -> None:
        assert "credentials" not in read_task(render_plan(job()))
        assert read_submission_spec(render_plan(job())).credentials == ()

    def test_the_token_of_the_hub_and_the_key_of_wandb_become_names_of_the_environment(self) -> None:
        made = render_plan(self.make_hub_job(wandb=True), hf_credential="hf_token", wandb_credential="keys:wandb")
        assert read_task(made)["credentials"] == {
            "hf_token": {"HF_TOKEN": "hf_token"},
            "keys": {"WANDB_API_KEY": "wandb"},
        }
        assert [(one.name, one.key, one.flag) for one in read_submission_spec(made).credentials] == [
            ("hf_token", "hf_token", "--hf-credential"),
            ("keys", "wandb", "--wandb-credential"),
        ]

    def test_one_credential_may_hold_both(self) -> None:
        made = render_plan(self.make_hub_job(wandb=True), hf_credential="mine:hf", wandb_credential="mine:wandb")
        assert read_task(made)["credentials"] == {"mine": {"HF_TOKEN": "hf", "WANDB_API_KEY": "wandb"}}

    def test_storage_credential_becomes_a_file(self) -> None:
        made = render_plan(job(), blob_credential="store:account")
        assert read_task(made)["credentials"] == {"store": "/opt/robotrain/credentials"}
        assert read_placement(made).credentials == {"blob_url": "/opt/robotrain/credentials/account"}

    def test_the_container_says_how_a_token_is_given_here(self) -> None:
        assert read_placement(render_plan(job())).ways["huggingface"] == "--hf-credential NAME"


class TestTracking:
    """Tracking in the workspace, on another server, or off."""

    def test_a_whole_workspace_is_where_runs_are_tracked(self) -> None:
        made = render_plan(job(), tracking_uri=None, **WORKSPACE)
        assert read_placement(made).tracking_uri == "azureml-workspace://SUB-AZ/rg-tf/ws-tf"
        assert read_submission_spec(made).subscription == "SUB-AZ"

    def test_another_address_takes_its_place(self) -> None:
        made = render_plan(job(), **WORKSPACE | {"tracking_uri": "https://mlflow.example"})
        assert read_placement(made).tracking_uri == "https://mlflow.example"
        assert "AZUREML_WORKSPACE_NAME" not in read_task(made)["environment"]
        assert read_task(made)["environment"]["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "60"

    def test_tracking_uri_none_disables_tracking(self) -> None:
        made = render_plan(job(), **WORKSPACE | {"tracking_uri": "none"})
        assert read_placement(made).tracking_uri == ""
        assert "MLFLOW_HTTP_REQUEST_TIMEOUT" not in read_task(made)["environment"]

    def test_the_half_that_finds_a_workspace_travels_only_where_it_is_needed(self) -> None:
        from robotrain_osmo.platform import OsmoPlatform

        with_one = osmo_plans.settings(tracking_uri=None, **WORKSPACE)
        assert set(OsmoPlatform().container_plugins(job(), with_one)) == {"tracking.azureml"}
        assert OsmoPlatform().container_plugins(job(), osmo_plans.settings()) == {}


class TestSharedMemory:
    """Shared memory is mounted on request; otherwise data is loaded in one process."""

    def test_it_is_mounted_when_that_is_said(self) -> None:
        made = render_plan(job(), shared_memory="mount")
        assert read_task(made)["volumeMounts"] == ["/dev/shm"]
        assert read_submission_spec(made).shared_memory == "mount"

    def test_without_it_one_process_loads_data_and_explain_says_why(self, robotrain) -> None:
        given = ("--platform", "osmo", "--pool", "p", "--blob-url", ONE)
        explained = robotrain("explain", *given).stdout
        (line,) = [line for line in explained.splitlines() if "num_workers" in line]
        assert "no shared memory" in line

    def test_submission_spec_keeps_shared_memory_none(self) -> None:
        said = [
            read_submission_spec(render_plan(job(), shared_memory=value)).shared_memory
            for value in (None, "none", "mount")
        ]
        assert said == ["", "none", "mount"]


class TestSize:
    """An archive that is too large for the workflow is uploaded."""

    @pytest.mark.parametrize(
        "given",
        [
            {"workload": "lerobot-train", "blob_url": [ONE], "policy_repo_id": "a/b", "wandb": True},
            {"workload": "lerobot-eval", "policy_model": "azureml:m:7", "env": "pusht", "dataset_repo_id": ["a/b"]},
        ],
    )
    def test_ordinary_workflow_causes_no_note(self, given: dict[str, Any]) -> None:
        tracked = {"tracking_uri": "azureml-workspace://S/rg/ws"}
        made = robotrain.api.render(platform="osmo", pool="p", publish_url=TWO, **tracked, **given)
        assert len(made.files["workflow.yaml"]) < 0.8 * spec_workflow.LARGE_WORKFLOW_BYTES

    def test_a_large_one_has_a_note_with_the_way_out(self) -> None:
        large = osmo_plans.payload(320 << 10)
        (problem,) = spec_workflow.check_workflow_size(render_plan(job(), packed=large))
        assert (problem.severity, problem.suggestions[0].text) == ("note", "--storage-account NAME")
        assert list(spec_workflow.check_workflow_size(render_plan(job(), packed=large, storage_account="acc"))) == []

    def test_one_that_osmo_would_not_take_is_refused_with_the_way_out(self) -> None:
        with pytest.raises(Rejected) as rejected:
            render_plan(job(), packed=osmo_plans.payload(900 << 10))
        (problem,) = rejected.value.problems
        assert problem.code == "osmo-workflow-too-large"
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


def test_an_order_reads_back_as_it_was_written() -> None:
    made = render_plan(
        job(source("local_path", "/d", pin=PINNED), wandb=True), storage_account="acc", workload_identity="id"
    )
    kept = read_submission_spec(made)
    assert submission_spec.SUBMISSION.dump(kept) == made.files["osmo.json"]
    assert dataclasses.replace(kept) == kept
    assert kept.identity == "id"


def test_a_value_that_is_a_template_is_never_written() -> None:
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
