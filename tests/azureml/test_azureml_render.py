"""The plan of a command job: what a person reads in it, and what Azure ML and the container find."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import azureml_plans
import pytest
from azureml_plans import (
    ONE,
    PINNED,
    TWO,
    assets,
    blobs,
    job,
    model,
    read_placement,
    read_spec,
    read_submission_spec,
    render_plan,
    source,
)
from robotrain.model.plan import Payload, write_plan_files
from robotrain.submission.run_labels import make_default_name
from robotrain_azureml.spec import command_job, submission_spec
from robotrain_runtime.contract import document as contract_document
from robotrain_workloads.lerobot_train.workload import LEROBOT_TRAIN
from start_program import StartProgramTests, pack_runtime, start

WITHOUT_LIBRARIES = """
import sys
from robotrain.model.plan import Payload
from robotrain.model.job import Job
from robotrain_azureml.platform import AZUREML
from robotrain_azureml.settings import AzureMLSettings
from robotrain_runtime.contract.document import JobSource
names = {"subscription_id": "s", "resource_group": "g", "workspace_name": "w-1", "compute": "c"}
of = Job(workload="x", parameters=(), sources=(JobSource(role="dataset", kind="data_asset", uri="azureml:a:1"),))
AZUREML.plans.render(of, AzureMLSettings(**names), "x-1", Payload(b""), {})
print(sorted({"azure", "pydantic", "msal", "requests"} & {name.partition(".")[0] for name in sys.modules}))
"""
FULL = "subscriptions/SUB/resourcegroups/RG/workspaces/WS"
GOLDEN = """\
$schema: https://azuremlschemas.azureedge.net/latest/commandJob.schema.json
type: command
name: {run}
display_name: {run}
experiment_name: lerobot-training
tags:
  robotrain.run: {run}
  robotrain.job: {digest}
code: code
command: /bin/sh python.sh -I start.py
environment: azureml:lerobot-training-env:2.11.0-cuda12.8-cudnn9-runtime-sha256-{image}
compute: azureml:k8s-robot-dev-00
resources:
  instance_count: 1
  instance_type: gpuspot
  shm_size: 8g
identity:
  type: managed
  client_id: the-client
environment_variables:
  PYTHONUNBUFFERED: '1'
  GIT_PYTHON_REFRESH: 'quiet'
  AZURE_AUTHORITY_HOST: 'https://login.microsoftonline.com'
  AZURE_CLIENT_ID: 'the-client'
  AZURE_SUBSCRIPTION_ID: 'SUB-AZ'
  AZURE_RESOURCE_GROUP: 'rg-tf'
  AZUREML_WORKSPACE_NAME: 'ws-tf'
  MLFLOW_TRACKING_TOKEN_REFRESH_RETRIES: '3'
  MLFLOW_HTTP_REQUEST_TIMEOUT: '60'
  DATASET_ASSETS: '["azureml:a:3"]'
  DATASET_ASSET_COUNT: '1'
  BLOB_URLS: '["https://account1.blob.core.windows.net/train/set1"]'
  INIT_FROM_POLICY_MODEL_SOURCE: 'azureml:m:7'
inputs:
  dataset_asset_0:
    type: uri_folder
    mode: ro_mount
    path: azureml:a:3
  init_from_policy_model:
    type: custom_model
    mode: download
    path: azureml:m:7
outputs:
  checkpoints:
    type: uri_folder
    mode: rw_mount
    path: azureml://datastores/workspaceblobstore/paths/azureml/${{{{name}}}}/checkpoints/
"""


def test_the_job_of_the_reference_is_this_one() -> None:
    given_job = job(*assets("azureml:a:3"), *blobs(), model("azureml:m:7"), register_checkpoint="m", training_steps=10)
    made = render_plan(given_job, workload_identity="the-client")
    image = LEROBOT_TRAIN.profile.container.image.rpartition(":")[2]
    digest = given_job.digest
    text = made.files["job.yaml"].decode().replace(f"'{digest}'", digest)  # quoted if it looks like a number
    assert text == GOLDEN.format(run=made.run, digest=digest, image=image)
    assert read_placement(made).promised == {
        "DATASET_ASSETS": '["azureml:a:3"]',
        "DATASET_ASSET_COUNT": "1",
        "BLOB_URLS": f'["{ONE}"]',
        "INIT_FROM_POLICY_MODEL_SOURCE": "azureml:m:7",
    }


def test_the_job_lies_beside_its_code_and_names_it() -> None:
    made = render_plan(job())
    assert set(made.files) == {"job.yaml", "azureml.json", *submission_spec.CODE_FILES}
    assert (made.spec, read_spec(made)["code"]) == ("job.yaml", "code")
    assert made.shown == ("job.yaml", "code/job.json")
    assert made.files["code/payload.zip"] == azureml_plans.payload().archive
    assert made.files["code/start.py"].decode() == command_job.START_PROGRAM


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ((), "lerobot-train-"),
        (("--job-name", "mine"), "mine\n"),
        (("--job-name", "mine", "--display-name", "other"), "other\n"),
    ],
)
def test_the_studio_and_mlflow_show_the_name_that_the_user_chose(robotrain, words, name) -> None:
    where = ("--compute", "k8s", "--subscription-id", "s", "--resource-group", "g", "--workspace-name", "w-1")
    answer = robotrain("render", "--platform", "azureml", *where, "-d", "lerobot/pusht", *words)
    assert f"\ndisplay_name: {name}" in answer.stdout, answer.stderr


def test_the_command_is_the_same_for_every_job() -> None:
    odd = job(job_name="$(id) `id` ${{inputs.x}}", trainer_args=("; rm -rf /", "{{x}}"))
    assert {read_spec(render_plan(each))["command"] for each in (job(), odd)} == {"/bin/sh python.sh -I start.py"}
    assert render_plan(odd).files["code/start.py"] == render_plan(job()).files["code/start.py"]
    assert azureml_plans.read_document(render_plan(odd)).trainer_args == odd.trainer_args


def test_nothing_of_azure_is_imported_to_render() -> None:
    answer = subprocess.run([sys.executable, "-c", WITHOUT_LIBRARIES], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_the_folder_of_the_output_follows_the_name_that_the_job_gets() -> None:
    first, two = render_plan(job()), render_plan(job(), attempt=2)
    assert (read_spec(first)["name"], read_spec(two)["name"]) == (first.run, two.run)
    paths = [read_spec(made)["outputs"]["checkpoints"]["path"] for made in (first, two)]
    assert [path.split("/")[-3] for path in paths] == ["${{name}}"] * 2  # also of a file that is sent again by hand


class TestDatasets:
    """Which of them Azure ML brings, and which the run fetches."""

    def test_assets_are_numbered_in_the_order_of_the_flags(self) -> None:
        sources = [*assets("azureml:b:1"), *blobs(TWO), *assets("azureml:a:2"), *blobs(ONE)]
        made = render_plan(job(*sources))
        assert {name: entry["path"] for name, entry in read_spec(made)["inputs"].items()} == {
            "dataset_asset_0": "azureml:b:1",
            "dataset_asset_1": "azureml:a:2",
        }
        environment = read_spec(made)["environment_variables"]
        assert json.loads(environment["DATASET_ASSETS"]) == ["azureml:b:1", "azureml:a:2"]
        assert environment["DATASET_ASSET_COUNT"] == "2"
        assert json.loads(environment["BLOB_URLS"]) == [TWO, ONE]
        assert azureml_plans.read_document(made).sources == tuple(sources)

    def test_the_runtime_finds_each_input_by_role_and_name_and_fetches_other_sources(self) -> None:
        sources = [*assets("azureml:b:1"), *blobs(), model("azureml:m:1"), source("local_path", "/d", pin=PINNED)]
        document = azureml_plans.read_document(render_plan(job(*sources)))
        folders = [
            mount.folder if (mount := contract_document.find_mount(document, source)) else ""
            for source in document.sources
        ]
        assert folders == [
            "${AZURE_ML_INPUT_dataset_asset_0}",
            "",
            "${AZURE_ML_INPUT_init_from_policy_model}",
            "${AZURE_ML_INPUT_dataset_path_0}",
        ]
        assert contract_document.list_fetched_sources(document) == (sources[1],)

    def test_an_asset_given_twice_is_mounted_twice_and_looked_up_once(self) -> None:
        made = render_plan(job(*assets("azureml:a:3", "azureml:a:3")))
        assert set(read_spec(made)["inputs"]) == {"dataset_asset_0", "dataset_asset_1"}
        assert read_spec(made)["environment_variables"]["DATASET_ASSET_COUNT"] == "2"
        (needed,) = read_submission_spec(made).assets
        assert (needed.kind, needed.name, needed.version, needed.flag) == ("data", "a", 3, "--dataset-asset")

    def test_sources_of_the_hub_and_of_blobs_need_no_input(self) -> None:
        made = render_plan(job(source("huggingface", "lerobot/pusht@main")))
        assert "inputs" not in read_spec(made)
        assert read_placement(made).mounts == ()
        assert read_placement(made).promised == {}
        assert not {"BLOB_URLS", "DATASET_ASSETS"} & set(read_spec(made)["environment_variables"])


@pytest.mark.parametrize(
    ("typed", "path"),
    [
        ("azureml:a:0", "azureml:a:0"),
        ("azureml://registries/r/data/a/versions/1", "azureml://registries/r/data/a/versions/1"),
        (
            "azureml://locations/l/workspaces/w/data/a/versions/1",
            "azureml://locations/l/workspaces/w/data/a/versions/1",
        ),
        (
            f"azureml://{FULL}/data/a/versions/1",
            "azureml:/subscriptions/SUB/resourceGroups/RG/providers/Microsoft.MachineLearningServices/workspaces/WS"
            "/data/a/versions/1",
        ),
        (
            "azureml://subscriptions/SUB/resourceGroups/RG/providers/microsoft.machinelearningservices/workspaces/WS"
            "/data/a/versions/1",
            "azureml:/subscriptions/SUB/resourceGroups/RG/providers/Microsoft.MachineLearningServices/workspaces/WS"
            "/data/a/versions/1",
        ),
    ],
)
def test_a_full_name_becomes_what_the_service_takes(typed: str, path: str) -> None:
    made = render_plan(job(*assets(typed)))
    assert read_spec(made)["inputs"]["dataset_asset_0"]["path"] == path
    assert json.loads(read_spec(made)["environment_variables"]["DATASET_ASSETS"]) == [typed]
    assert read_placement(made).mounts[0].uri == typed


class TestPolicies:
    """A model to go on from, whole or by its weights alone."""

    def test_models_of_the_workspace_are_downloaded(self) -> None:
        made = render_plan(job(*blobs(), model("azureml:m:7", "policy")))
        entry = {"type": "custom_model", "mode": "download", "path": "azureml:m:7"}
        assert read_spec(made)["inputs"] == {"policy_model": entry}
        assert "INIT_FROM_POLICY_MODEL_SOURCE" not in read_spec(made)["environment_variables"]
        assert [(asset.kind, asset.flag) for asset in read_submission_spec(made).assets] == [
            ("models", "--policy-model")
        ]

    def test_weights_of_a_blob_folder_are_fetched_by_the_run_and_named_for_its_readers(self) -> None:
        made = render_plan(job(*blobs(), source("blob_url", TWO, "init_policy")))
        assert "inputs" not in read_spec(made)
        assert read_spec(made)["environment_variables"]["INIT_FROM_POLICY_MODEL_SOURCE"] == TWO
        assert json.loads(read_spec(made)["environment_variables"]["BLOB_URLS"]) == [ONE]


class TestFolders:
    """Those of this machine: uploaded by content, mounted like everything else."""

    def test_a_pinned_folder_is_uploaded_to_a_place_named_by_its_content(self) -> None:
        made = render_plan(job(source("local_path", "/data/d", pin=PINNED)), datastore="mine")
        (upload,) = read_submission_spec(made).uploads
        assert upload == submission_spec.DatastoreUpload(
            path="/data/d", to=f"robotrain/data/{'ab' * 32}", files=12, size=3456, flag="--dataset-path"
        )
        assert read_spec(made)["inputs"]["dataset_path_0"] == {
            "type": "uri_folder",
            "mode": "ro_mount",
            "path": f"azureml://datastores/mine/paths/robotrain/data/{'ab' * 32}/",
        }

    def test_a_folder_without_a_pin_is_uploaded_to_a_place_of_its_run(self) -> None:
        made = render_plan(job(*blobs(), source("local_path", "/data/d")))
        (upload,) = read_submission_spec(made).uploads
        assert (upload.to, upload.files, upload.size) == (f"azureml/{made.run}/inputs/1", None, None)

    def test_policies_and_checkpoints_are_uploaded_like_datasets(self) -> None:
        sources = [source("local_path", "/p", "policy", PINNED), source("local_path", "/c", "resume")]
        made = render_plan(job(*blobs(), *sources))
        assert list(read_spec(made)["inputs"]) == ["policy_path", "resume_path"]
        assert [(upload.path, upload.flag) for upload in read_submission_spec(made).uploads] == [
            ("/p", "--policy-path"),
            ("/c", "--resume-from"),
        ]

    def test_a_local_path_stays_out_of_the_job(self) -> None:
        folder = "/data/${{inputs.x}}/$(id)"
        made = render_plan(job(source("local_path", folder)))
        assert "inputs.x" not in made.files["job.yaml"].decode()
        assert read_submission_spec(made).uploads[0].path == folder

    def test_a_folder_given_twice_is_uploaded_once(self) -> None:
        made = render_plan(job(*[source("local_path", "/d", pin=PINNED)] * 2))
        assert set(read_spec(made)["inputs"]) == {"dataset_path_0", "dataset_path_1"}
        assert len(read_submission_spec(made).uploads) == 1


class TestMachine:
    """Where it runs, with what, and how long."""

    @pytest.mark.parametrize(("gpus", "kind"), [(1, "gpuspot"), (4, "gpuspot4")])
    def test_the_instance_type_of_a_kubernetes_compute_has_the_gpus(self, gpus: int, kind: str) -> None:
        for compute_kind in (None, "kubernetes"):
            made = render_plan(job(num_gpus=gpus), compute_kind=compute_kind)
            assert read_spec(made)["resources"]["instance_type"] == kind
            assert (read_submission_spec(made).instance_type, read_submission_spec(made).gpus) == (kind, gpus)

    def test_a_managed_compute_has_no_instance_type(self) -> None:
        made = render_plan(job(), compute_kind="managed", instance_type="gpu4")
        assert read_spec(made)["resources"] == {"instance_count": 1, "shm_size": "8g"}
        assert (read_submission_spec(made).compute_kind, read_submission_spec(made).instance_type) == ("managed", "")

    def test_the_environment_is_named_with_its_image(self) -> None:
        made = render_plan(job(), image="registry.example/a/b:1.0", environment_name="mine")
        assert read_spec(made)["environment"] == "azureml:mine:1.0"
        assert read_submission_spec(made).environment == submission_spec.WorkspaceEnvironment(
            name="mine", version="1.0", image="registry.example/a/b:1.0"
        )


class TestContainer:
    """What the runtime is told beside the sources."""

    def test_it_writes_to_the_run_and_the_output_that_azure_ml_made(self) -> None:
        place = read_placement(render_plan(job()))
        assert place.tracking_uri == "azureml-workspace://SUB-AZ/rg-tf/ws-tf"
        assert (place.tracking_run, place.submission) == ("MLFLOW_RUN_ID", "AZUREML_RUN_ID")
        assert place.kept == "${AZURE_ML_OUTPUT_checkpoints}"
        assert place.kept_as == "azureml://datastores/workspaceblobstore/paths/azureml/${AZUREML_RUN_ID}/checkpoints/"

    def test_an_output_that_is_mounted_holds_what_an_earlier_attempt_left(self) -> None:
        place = read_placement(render_plan(job()))
        assert place.left == place.kept
        assert read_placement(render_plan(job(), output_mode="upload")).left == ""

    def test_it_works_in_a_folder_of_its_own_with_a_cache_beside_it(self) -> None:
        made = render_plan(job(), work_dir="/mnt/work", cache_gib=40.0, download_mib=512)
        place = read_placement(made)
        assert (place.work, place.cache) == (f"/mnt/work/{made.run}", "/mnt/work/cache")
        assert (place.cache_gib, place.download_mib) == (40.0, 512)

    def test_a_secret_is_named_where_the_hub_is_read_and_nowhere_else(self) -> None:
        address = "https://robots.vault.azure.net/secrets/hf"
        made = render_plan(job(source("huggingface", "a/b")), hf_credential="hf", key_vault="robots")
        assert read_placement(made).credentials == {"huggingface": address}
        without = render_plan(job(), hf_credential="hf", key_vault="robots")
        assert read_placement(without).credentials == {}

    def test_checkpoints_are_published_beside_the_output_where_that_was_asked_for(self) -> None:
        made = render_plan(job(publish_url=TWO))
        assert read_submission_spec(made).publishes == TWO
        assert azureml_plans.read_document(made).parameters["publish_url"] == TWO


def test_without_an_identity_the_job_selects_none() -> None:
    assert "AZURE_CLIENT_ID" not in read_spec(render_plan(job()))["environment_variables"]


def test_a_job_in_another_cloud_receives_its_sign_in_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.us")
    environment = read_spec(render_plan(job()))["environment_variables"]
    assert environment["AZURE_AUTHORITY_HOST"] == "https://login.microsoftonline.us"


@pytest.mark.parametrize("tail", ["$(HOME)", "$$x", "${{inputs.x}}"])
def test_a_dollar_that_would_be_read_is_the_same_url_written_otherwise(tail: str) -> None:
    odd = f"https://account1.blob.core.windows.net/train/a{tail}b"
    made = render_plan(job(*blobs(odd), source("blob_url", odd, "init_policy")))
    environment = read_spec(made)["environment_variables"]
    assert json.loads(environment["BLOB_URLS"]) == [odd]
    assert tail[:2] not in environment["BLOB_URLS"]
    assert "INIT_FROM_POLICY_MODEL_SOURCE" not in environment  # there it cannot be written otherwise
    assert read_placement(made).promised["BLOB_URLS"] == environment["BLOB_URLS"]


@pytest.mark.parametrize("where", [{"display_name": "${{ x }}"}, {"labels": "a=${{x}}"}, {"labels": "${{x}}=a"}])
def test_a_value_that_is_a_template_is_never_written(where: dict[str, str]) -> None:
    with pytest.raises(command_job.ExpressionError):
        render_plan(job(), **where)


def test_a_long_name_is_read_again() -> None:
    assert read_spec(render_plan(job(), labels=f"{'x' * 1001}=1"))["tags"]["x" * 1001] == "1"


def test_an_order_reads_back_as_it_was_written() -> None:
    given_job = job(source("local_path", "/d", pin=PINNED), *assets("azureml:a:3"), source("huggingface", "a/b"))
    made = render_plan(
        given_job, workload_identity="id", hf_credential="hf", key_vault="robots", compute_kind="kubernetes"
    )
    spec = read_submission_spec(made)
    assert submission_spec.SUBMISSION.dump(spec) == made.files["azureml.json"]
    assert dataclasses.replace(spec) == spec
    assert (spec.identity, spec.run, spec.target_workspace.name) == ("id", made.run, "ws-tf")


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """The code of a job, which works in `tmp_path`."""
    packed = Payload(pack_runtime())
    write_plan_files(
        render_plan(job(job_name="é ☃"), packed=packed, work_dir=str(tmp_path / "a folder")), tmp_path / "plan"
    )
    return tmp_path / "plan" / "code"


def start_job(code: Path, **environ: str):
    return start(*command_job.START_COMMAND.split(), cwd=code, environ=environ)


class TestTheProgram(StartProgramTests):
    program = command_job.START_PROGRAM

    @pytest.fixture
    def start(self, code: Path):
        return lambda **environ: start_job(code, **environ)

    def test_the_command_holds_nothing_that_a_template_would_read(self) -> None:
        assert "$" not in self.program + command_job.START_COMMAND


def work(code: Path) -> str:
    return str(json.loads((code / "job.json").read_text())["placement"]["work"])


def test_the_command_unpacks_the_code_and_becomes_the_runtime(code: Path) -> None:
    started = start_job(code, PYTHONPATH="/elsewhere")
    out, err = started.communicate(timeout=30)
    assert (started.returncode, err) == (0, "")
    folder, size = work(code), len((code / "job.json").read_text())
    assert out == f"{started.pid} {folder} ['run', 'job.json'] {folder}/payload {size}\n"


def test_nothing_is_written_into_the_code(code: Path) -> None:
    start_job(code).communicate(timeout=30)
    assert sorted(path.name for path in code.iterdir()) == ["job.json", "payload.zip", "python.sh", "start.py"]


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("payload.zip", b"PK\x03\x04 half"),
        ("payload.zip", None),
        ("job.json", None),
        ("job.json", b"{}"),
        ("job.json", b"[]"),
        ("job.json", b"\xff"),
        ("job.json", b'{"placement": {"work": "/proc/no/such"}}'),
    ],
)
def test_code_that_arrived_incomplete_is_reported(code: Path, file: str, content: bytes | None) -> None:
    (code / file).unlink()
    if content is not None:
        (code / file).write_bytes(content)
    started = start_job(code)
    _, err = started.communicate(timeout=30)
    assert started.returncode == 2
    assert err.startswith("error: the job cannot be unpacked: ")
    assert err.count("\n") == 1


def test_run_is_named_after_its_asset():
    assert make_default_name(job(*assets("azureml:pusht-episodes:3")), LEROBOT_TRAIN, {}) == "pusht-episodes"
