"""`robotrain outputs` of a workflow: outputs that outlive the pod, listed and downloaded."""

import contextlib
import dataclasses
from pathlib import Path

import pytest
from azure_stand_in.fixtures import azure, azure_session  # noqa: F401
from hub_stand_in import HubStandIn
from osmo_observed_run import RUN, Observed
from robotrain.errors import Rejected
from robotrain_osmo.observe import logs
from robotrain_osmo.observe.outputs import read_run_log
from robotrain_osmo.platform import OSMO
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.event import Checkpoint, Published, Registered, Tracking, Withdrawn

BLOBS = "https://robots.blob.core.windows.net/checkpoints/pusht"
STORAGE = "azure://robots/checkpoints/pusht"


@pytest.fixture
def published_run(osmo) -> Observed:
    return Observed(osmo, publishes=BLOBS)


@pytest.fixture
def copied_run(osmo) -> Observed:
    """A workflow whose checkpoints OSMO copies."""
    return Observed(osmo, publishes=STORAGE)


@pytest.fixture
def checkpoint_files(tmp_path) -> dict[str, bytes]:
    """The files of a complete checkpoint."""
    folder = tmp_path / "sealed"
    (folder / "pretrained_model").mkdir(parents=True)
    (folder / "pretrained_model/model.safetensors").write_bytes(b"weights")
    return seal_files(folder)


def seal_files(folder: Path, **seal) -> dict[str, bytes]:
    """The files of a folder with a manifest. seal: different values of the manifest."""
    checkpoint.seal_checkpoint(folder, **{"step": 400, "run": RUN, "job": "j", "model": "pretrained_model"} | seal)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_target_of_another_plugin_is_not_listed_by_osmo(osmo):
    run = Observed(osmo, publishes="mars://crater/runs").set_status("COMPLETED")
    osmo.forget()
    with contextlib.suppress(Rejected):
        run.outputs()
    assert not [call for call in osmo.calls if call[0] == "data"]


def test_published_checkpoints_are_listed_oldest_first_without_withdrawn_ones(published_run):
    for step in (800, 400):
        published_run.tell(Checkpoint(step=step, path=f"/tmp/{step:06}", model="pretrained_model"))
        published_run.tell(
            Published(step=step, to=f"{BLOBS}/{step:06}"), Published(step=step, to="runs:/1/checkpoints")
        )
    published_run.tell(Published(step=200, to=f"{BLOBS}/000200"), Withdrawn(to=f"{BLOBS}/000200"))
    outputs = published_run.set_status("COMPLETED", exit_code=0).outputs()
    assert [(output.name, output.step, output.source, output.uri) for output in outputs] == [
        ("checkpoints/000400", 400, "blob_url", f"{BLOBS}/000400"),
        ("checkpoints/000800", 800, "blob_url", f"{BLOBS}/000800"),
    ]
    assert outputs[0].model == "pretrained_model"


def test_checkpoints_on_the_hub_are_listed_as_repositories(osmo):
    run = Observed(osmo, publishes="hf://me/act@pusht")
    run.tell(Checkpoint(step=400, path="/tmp/000400", model="pretrained_model"))
    run.tell(Published(step=400, to="hf://me/act@pusht-step-000400"))
    (output,) = run.set_status("COMPLETED", exit_code=0).outputs()
    assert (output.name, output.kind, output.step) == ("checkpoints/000400", "checkpoint", 400)
    assert (output.source, output.uri, output.addresses) == ("huggingface", "me/act@pusht-step-000400", ())


def test_run_that_published_nothing_names_its_tracked_and_registered_models(run):
    run.set_status("RUNNING").tell(
        Tracking(uri="azureml-workspace://S/G/W", experiment_id="1", run_id="2", ui="https://ml.azure.com/runs/2"),
        Checkpoint(step=400, path="/tmp/x"),
        Registered(name="pusht-act", version="3", step=400),
    )
    run.set_status("COMPLETED", exit_code=0)
    with pytest.raises(Rejected) as raised:
        run.outputs()
    (problem,) = raised.value.problems
    assert "https://ml.azure.com/runs/2" in problem.why
    assert "pusht-act, version 3" in problem.why
    assert "publish_url" in problem.suggestions[0].text


@pytest.mark.slow
def test_run_that_saved_nothing_has_no_outputs(run, published_run):
    assert run.set_status("RUNNING", started="2026-11-20T06:05:29").outputs() == []
    assert published_run.set_status("COMPLETED", exit_code=0).outputs() == []


@pytest.mark.slow
def test_complete_copies_are_listed_with_their_blob_urls(copied_run, checkpoint_files):
    for step in ("000400", "000800"):
        copied_run.osmo.put(f"{STORAGE}/{step}", checkpoint_files)
    copied_run.osmo.put(f"{STORAGE}/001200", {"half.bin": b"not whole: it has no manifest"})
    copied_run.set_status("COMPLETED", exit_code=0)
    assert [(output.step, output.source, output.uri) for output in copied_run.outputs()] == [
        (400, "blob_url", f"{BLOBS}/000400"),
        (800, "blob_url", f"{BLOBS}/000800"),
    ]


@pytest.mark.slow
def test_checkpoints_of_another_submission_or_run_are_not_listed(copied_run, checkpoint_files, tmp_path):
    folder = tmp_path / "sealed"
    copied_run.osmo.put(f"{STORAGE}/000400", seal_files(folder, submission=copied_run.id))
    copied_run.osmo.put(f"{STORAGE}/000600", seal_files(folder, step=600, submission=f"{RUN}-99"))
    copied_run.osmo.put(f"{STORAGE}/000800", seal_files(folder, step=800, run="lerobot-train-00000000-1"))
    assert [output.step for output in copied_run.set_status("COMPLETED", exit_code=0).outputs()] == [400]


@pytest.mark.slow
@pytest.mark.parametrize("is_replaced", [True, False])
def test_checkpoint_that_was_replaced_or_lost_its_manifest_is_not_downloaded(
    copied_run, checkpoint_files, tmp_path, is_replaced
):
    copied_run.osmo.put(f"{STORAGE}/000400", checkpoint_files)
    (output,) = copied_run.set_status("COMPLETED", exit_code=0).outputs()
    if is_replaced:
        copied_run.osmo.put(f"{STORAGE}/000400", seal_files(tmp_path / "sealed", submission=f"{RUN}-99"))
    else:
        (copied_run.osmo.folder / "store" / STORAGE.replace("://", "/") / "000400" / checkpoint.MANIFEST).unlink()
    with pytest.raises(Rejected, match="belongs to another run" if is_replaced else "was damaged"):
        OSMO.engine.download(copied_run.reference, output, tmp_path / "000400")


@pytest.mark.slow
def test_run_is_resumed_from_a_copy_in_any_storage(osmo, robotrain, pusht, checkpoint_files, tmp_path):
    to = ("--publish-url", "s3://robots/runs", "--storage-account", "acc", "--tracking-uri", "none")
    sent = robotrain("submit", "--platform", "osmo", "--pool", "default", "--dataset-path", pusht, *to, "--json")
    assert sent.exit_code == 0, sent.stderr
    (workflow,) = osmo.workflows
    url = f"s3://robots/runs/{workflow}/checkpoints/000400"
    osmo.set_state(workflow, task_status="COMPLETED", exit_code=0)
    without = robotrain("resume", sent.json["run"])
    assert (without.exit_code, "checkpoint-missing" in without.stderr) == (2, True), without.stderr
    osmo.put(url, seal_files(tmp_path / "sealed", run=sent.json["run"], submission=workflow))
    answer = robotrain("resume", sent.json["run"], "--training-steps", "200000", "--json")
    assert answer.exit_code == 0, answer.stderr
    (again,) = [other for name, other in osmo.workflows.items() if name != workflow]
    assert {"url": url} in [{"url": task_input.get("url")} for task_input in again.task["inputs"]]


@pytest.mark.slow
def test_storage_that_cannot_be_listed_is_one_output(copied_run, capsys):
    copied_run.osmo.configure(data_access=False)
    copied_run.set_status("COMPLETED", exit_code=0)
    assert [(output.step, output.uri) for output in copied_run.outputs()] == [(None, BLOBS)]
    assert f"cannot list {STORAGE}" in capsys.readouterr().err


@pytest.mark.slow
def test_outputs_command_lists_and_downloads(copied_run, checkpoint_files, tmp_path, robotrain):
    copied_run.osmo.put(f"{STORAGE}/000400", checkpoint_files)
    name = copied_run.set_status("COMPLETED", exit_code=0).record()
    assert f"{BLOBS}/000400" in robotrain("outputs", name).stdout
    answer = robotrain("outputs", "--checkpoint", "last", "--to", tmp_path / "best", name)
    assert answer.exit_code == 0, answer.stderr
    assert (tmp_path / "best/checkpoints/000400/pretrained_model/model.safetensors").read_bytes() == b"weights"


def test_trimmed_log_leaves_outputs_and_tracking_unknown(published_run, monkeypatch, capsys):
    monkeypatch.setattr(logs, "MAX_LOG_LINES", 1)
    published_run.set_status("RUNNING").say("the end")
    published_run.set_status("COMPLETED", exit_code=0)
    assert published_run.outputs() == []
    assert f"earlier checkpoints at {BLOBS}" in capsys.readouterr().err
    published_run.record()
    with pytest.raises(Rejected) as raised:
        OSMO.engine.register(published_run.reference, "arm", None)
    assert "last 10,000 lines of a log, and this one is longer" in raised.value.problems[0].why


def test_tracking_run_is_found_by_its_artifacts(published_run):
    published_run.tell(Published(step=400, to="runs:/abc123/checkpoints/000400"))
    run_log = read_run_log(published_run.set_status("COMPLETED", exit_code=0).reference)
    assert (run_log.run_id, run_log.trimmed) == ("abc123", False)
    assert run_log.find_artifacts("abc123") == {400: "checkpoints/000400"}


def test_outputs_of_an_incomplete_log_are_unknown(tmp_path, monkeypatch):
    monkeypatch.setattr("robotrain_osmo.observe.log_lines.QUIET_SECONDS", 0.1)
    monkeypatch.setattr(logs, "ENDED_LOG_SECONDS", 0.3)
    command = tmp_path / "osmo"
    ended = '{"name": "a-1", "status": "COMPLETED", "start_time": "2026-11-22T10:00:00"}'
    command.write_text(
        f"#!/bin/sh\n[ $2 = query ] && echo '{ended}' && exit\necho 'Workflow a-1 has logs:'\nexec sleep 60\n"
    )
    command.chmod(0o755)
    with pytest.raises(Rejected) as rejected:
        OSMO.engine.outputs({"workflow": "a-1", "cli": str(command), "run": "a"})
    assert [problem.code for problem in rejected.value.problems] == ["osmo-log-unread"]
    assert rejected.value.transient


@pytest.mark.slow
def test_checkpoint_that_the_run_published_to_blobs_is_downloaded(osmo, azure, checkpoint_files, monkeypatch, tmp_path):  # noqa: F811
    for name, value in azure.environ.items():
        monkeypatch.setenv(name, value)
    azure.blobs.put("brought", {f"pusht/000400/{name}": content for name, content in checkpoint_files.items()})
    run = Observed(osmo, publishes=azure.url("brought", "pusht"))
    run.tell(Published(step=400, to=f"{run.reference['publishes']}/000400"))
    (output,) = run.set_status("COMPLETED", exit_code=0).outputs()
    assert output.uri == f"{run.reference['publishes']}/000400"
    OSMO.engine.download(run.reference, output, tmp_path / "000400")
    assert checkpoint.validate_checkpoint(tmp_path / "000400") == ""
    assert sorted(path.name for path in (tmp_path / "000400").iterdir()) == ["pretrained_model", checkpoint.MANIFEST]
    gone = dataclasses.replace(output, uri=output.uri.replace("000400", "000800"))
    with pytest.raises(Rejected) as raised:
        OSMO.engine.download(run.reference, gone, tmp_path / "000800")
    assert raised.value.problems[0].why
    assert not (tmp_path / "000800").exists()


@pytest.mark.slow
def test_checkpoint_on_the_hub_is_downloaded_with_its_files_where_they_were(
    osmo, data_python, checkpoint_files, monkeypatch, tmp_path
):
    run = Observed(osmo, publishes="hf://me/act")
    run.tell(Published(step=400, to="hf://me/act@step-000400"))
    (output,) = run.set_status("COMPLETED", exit_code=0).outputs()
    with HubStandIn() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        monkeypatch.setenv("HF_TOKEN", hub.token)
        made = hub.add_repository("me/act", shut="private")
        flat = {path.removeprefix("pretrained_model/"): content for path, content in checkpoint_files.items()}
        made.tags["step-000400"] = made.commit(flat)
        OSMO.engine.download(run.reference, output, tmp_path / "000400")
    assert checkpoint.validate_checkpoint(tmp_path / "000400") == ""
    assert (tmp_path / "000400/pretrained_model/model.safetensors").read_bytes() == b"weights"
