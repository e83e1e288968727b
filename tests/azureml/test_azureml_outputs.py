"""`robotrain outputs` of a job: what outlives its machine, and bringing it here."""

import dataclasses

import pytest
from azure_stand_in.ml.azureml import AzureML as Workspace
from azureml_observed_run import JOB, OUTPUT, RUN, Observed, sealed
from azureml_plans import find_rejection
from robotrain.errors import Rejected
from robotrain_azureml.platform import AZUREML
from robotrain_azureml.service import jobs
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.event import Checkpoint, Published, Withdrawn

PUBLISHED = "https://robots1.blob.core.windows.net/checkpoints/pusht"


@pytest.fixture
def finished_job(run) -> Observed:
    """A job that succeeded and left a checkpoint."""
    run.left(400)
    return run.set_native_state("Running", "Completed")


def test_the_checkpoints_of_the_output_are_there_oldest_first_where_the_workspace_itself_reads_them(run):
    for step in (800, 400):
        run.left(step)
    outputs = run.set_native_state("Running", "Completed").outputs()
    workspace = "azureml://subscriptions/{}/resourcegroups/{}/workspaces/{}".format(*run.azure.names)
    at = f"{workspace}/datastores/workspaceblobstore/paths/{OUTPUT}"
    assert [(output.name, output.step, output.source, output.uri) for output in outputs] == [
        ("checkpoints/000400", 400, "datastore_path", f"{at}/000400"),
        ("checkpoints/000800", 800, "datastore_path", f"{at}/000800"),
    ]
    assert outputs[0].model == "pretrained_model"
    assert outputs[0].size == len(b"weights400400")
    assert len(outputs[0].digest) == 64


def test_incomplete_and_foreign_checkpoints_are_not_listed_and_missing_files_are_named(run, capsys):
    run.put({name: content for name, content in sealed(400).items() if name != checkpoint.MANIFEST}, "000400")
    run.put({name: content for name, content in sealed(500).items() if "model.safetensors" not in name}, "000500")
    run.left(600, run="lerobot-train-00000000-1")
    run.left(700, submission=f"{RUN}-ffffff")
    run.put({checkpoint.MANIFEST: b"no JSON"}, "000800")
    run.left(900)
    assert [output.step for output in run.set_native_state("Running").outputs()] == [900]
    assert capsys.readouterr().err == ""  # it may come yet
    assert [output.step for output in run.set_native_state("Completed").outputs()] == [900]
    warning = "checkpoints/000500 in the job's output lacks pretrained_model/model.safetensors"
    assert capsys.readouterr().err == f"warning: {warning}\n"


def test_incomplete_outputs_are_named_with_their_missing_files(run):
    run.put({name: content for name, content in sealed(400).items() if "step.json" not in name}, "000400")
    run.set_native_state("Running").tell(Checkpoint(step=400, path="/tmp/x"))
    problem = find_rejection(lambda: run.set_native_state("Completed").outputs())
    assert problem.code == "outputs-torn"
    assert problem.why.endswith(f"{OUTPUT}: checkpoints/000400 lacks training_state/step.json.")


def test_published_checkpoints_are_listed_each_step_once(observing):
    run = Observed(observing, publishes=PUBLISHED)
    run.tell(*(Checkpoint(step=step, path=f"/tmp/{step:06}", model="pretrained_model") for step in (200, 400, 600)))
    run.tell(*(Published(step=step, to=f"{PUBLISHED}/{step:06}") for step in (200, 400, 600)))
    run.tell(Published(step=400, to="/mnt/output/000400"), Withdrawn(to=f"{PUBLISHED}/000600"))
    run.left(400)
    outputs = run.set_native_state("Running", "Completed").outputs()
    assert [(output.step, output.uri.startswith(PUBLISHED), output.model) for output in outputs] == [
        (200, True, "pretrained_model"),
        (400, False, "pretrained_model"),
    ]


def test_a_checkpoint_that_only_the_hub_has_is_listed_there(observing):
    run = Observed(observing, publishes="hf://me/act")
    run.tell(*(Published(step=step, to=f"hf://me/act@step-{step:06}") for step in (200, 400)))
    run.left(400)
    first, second = run.set_native_state("Running", "Completed").outputs()
    assert (first.source, first.uri) == ("huggingface", "me/act@step-000200")
    url = f"https://rtmemory.blob.core.windows.net/{observing.container}/azureml/{JOB}/checkpoints/000400"
    assert (second.source, second.addresses) == ("datastore_path", ("hf://me/act@step-000400", url))


def test_tracked_models_are_listed(run):
    run.tell(Published(step=400, to=f"runs:/{JOB}/checkpoints/000400"))
    (model,) = run.set_native_state("Running", "Failed").outputs()
    at = f"https://rtmemory.blob.core.windows.net/azureml/ExperimentRun/dcid.{JOB}/checkpoints/000400"
    assert (model.name, model.kind, model.uri) == ("models/000400", "file", at)


def test_a_job_that_has_not_begun_left_nothing_and_no_storage_is_asked(run):
    assert run.set_native_state("Queued").outputs() == []
    assert not [call for call in run.azure.calls if "datastores" in call or "blob.core" in call]


def test_a_running_job_whose_output_is_uploaded_at_its_end_says_so(run):
    run.set_native_state("Running").tell(Checkpoint(step=400, path="/tmp/x"))
    problem = find_rejection(lambda: run.outputs())
    assert problem.code == "outputs-missing"
    assert "uploaded when it ends" in problem.why
    assert f"robotrain wait {RUN}" in problem.suggestions[0].text
    assert "output_mode=rw_mount" in problem.suggestions[1].text


@pytest.mark.slow
def test_mounted_output_has_checkpoints_while_the_job_runs(observing):
    run = Observed(observing, mode="ReadWriteMount").set_native_state("Running")
    assert run.outputs() == []
    run.left(400)
    assert [output.step for output in run.outputs()] == [400]


def test_checkpoints_that_never_reached_the_output_are_reported_as_gone(run):
    run.tell(Checkpoint(step=400, path="/tmp/x"))
    problem = find_rejection(lambda: run.fails("ScriptExecution.WriteStreams.Authentication").outputs())
    assert problem.code == "outputs-unpublished"
    assert f"robotrain status {RUN}" in problem.suggestions[0].text


def test_storage_that_may_not_be_listed_names_the_role_and_published_files_are_still_shown(observing, capsys):
    run = Observed(observing).set_native_state("Running", "Completed")
    observing.fault("comp=list", where="blobs", status=403, code="AuthorizationPermissionMismatch")
    problem = find_rejection(lambda: run.outputs())
    assert problem.code == "platform-forbidden"
    assert '--role "Storage Blob Data Contributor"' in problem.suggestions[0].text
    assert problem.suggestions[0].text.endswith('/storageAccounts/rtmemory"')
    run.reference["publishes"] = PUBLISHED
    run.say()
    run.tell(Published(step=200, to=f"{PUBLISHED}/000200"))
    assert [output.step for output in run.outputs()] == [200]
    assert "cannot list the job's output" in capsys.readouterr().err


def test_checkpoint_is_downloaded_whole(finished_job, tmp_path):
    (output,) = finished_job.outputs()
    AZUREML.engine.download(finished_job.reference, output, tmp_path / "here" / "000400")
    assert checkpoint.validate_checkpoint(tmp_path / "here" / "000400") == ""
    assert (tmp_path / "here/000400/pretrained_model/model.safetensors").read_bytes() == b"weights400"


def test_empty_download_is_refused(finished_job, tmp_path):
    (output,) = finished_job.outputs()
    gone = dataclasses.replace(output, uri=output.uri.replace("000400", "000800"))
    with pytest.raises(Rejected, match="does not exist any more") as raised:
        AZUREML.engine.download(finished_job.reference, gone, tmp_path / "000400")
    assert raised.value.exit_code == 1
    assert list(tmp_path.glob("*000400*")) == []


def test_damaged_download_is_refused(finished_job, tmp_path):
    (output,) = finished_job.outputs()
    finished_job.put({"pretrained_model/model.safetensors": b"Weights"}, "000400")
    with pytest.raises(Rejected, match="was damaged"):
        AZUREML.engine.download(finished_job.reference, output, tmp_path / "000400")
    assert list(tmp_path.glob("*000400*")) == []


@pytest.mark.slow
def test_checkpoint_of_another_submission_is_not_downloaded(finished_job, tmp_path):
    (output,) = finished_job.outputs()
    finished_job.left(400, submission=f"{RUN}-ffffff")
    with pytest.raises(Rejected, match="belongs to another run"):
        AZUREML.engine.download(finished_job.reference, output, tmp_path / "000400")


@pytest.mark.slow
def test_a_model_among_the_artifacts_comes_as_it_lies_there(run, tmp_path):
    run.tell(Published(step=400, to=f"runs:/{JOB}/checkpoints/000400"))
    run.azure.store.put("azureml", {f"ExperimentRun/dcid.{JOB}/checkpoints/000400/model.safetensors": b"weights"})
    (model,) = run.set_native_state("Running", "Failed").outputs()
    AZUREML.engine.download(run.reference, model, tmp_path / "model")
    assert (tmp_path / "model/model.safetensors").read_bytes() == b"weights"


def test_existing_folder_is_not_overwritten(finished_job, tmp_path):
    (output,) = finished_job.outputs()
    (tmp_path / "000400").mkdir()
    problem = find_rejection(lambda: AZUREML.engine.download(finished_job.reference, output, tmp_path / "000400"))
    assert problem.code == "output-exists"


def test_outputs_command_lists_and_downloads(finished_job, tmp_path, robotrain):
    name = finished_job.record()
    assert f"{OUTPUT}/000400" in robotrain("outputs", name).stdout
    answer = robotrain("outputs", "--checkpoint", "last", "--to", tmp_path / "best", name)
    assert answer.exit_code == 0, answer.stderr
    assert (tmp_path / "best/checkpoints/000400/pretrained_model/model.safetensors").read_bytes() == b"weights400"


@pytest.fixture
def stored_workspace(azureml_stored: Workspace) -> Workspace:
    """The workspace, for one who asks for the first time."""
    jobs.get_client.cache_clear()
    jobs.region_hosts.clear()
    return azureml_stored


@pytest.mark.slow
def test_log_and_checkpoint_are_read_from_azurite(stored_workspace, tmp_path):
    run = Observed(stored_workspace).set_native_state("Running")
    run.left(400)
    assert run.logs() == []
    lines = [f"line {number} \u20ac" for number in range(20_000)]
    run.say(*lines)
    assert run.logs() == lines
    assert run.logs(tail=3) == lines[-3:]
    following = AZUREML.engine.logs(run.reference, True, 1)
    assert next(following) == lines[-1]
    run.say("more").set_native_state("Completed")
    assert list(following) == ["more"]
    (output,) = (output for output in run.outputs() if output.step == 400)
    assert output.uri.endswith(f"/datastores/workspaceblobstore/paths/{OUTPUT}/000400")
    AZUREML.engine.download(run.reference, output, tmp_path / "000400")
    assert checkpoint.validate_checkpoint(tmp_path / "000400") == ""


@pytest.mark.slow
def test_published_checkpoint_is_downloaded_by_robotrains_own_transfer(stored_workspace, tmp_path):
    place = f"https://{stored_workspace.account}.blob.core.windows.net/elsewhere/pusht"
    stored_workspace.store.put("elsewhere", {f"pusht/000200/{name}": content for name, content in sealed(200).items()})
    run = Observed(stored_workspace, publishes=place)
    run.tell(Published(step=200, to=f"{place}/000200"))
    run.set_native_state("Running", "Completed")
    (output,) = (output for output in run.outputs() if output.step == 200)
    AZUREML.engine.download(run.reference, output, tmp_path / "000200")
    assert checkpoint.validate_checkpoint(tmp_path / "000200") == ""
