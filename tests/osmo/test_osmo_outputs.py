"""`robotrain outputs` of a workflow: outputs that outlive the pod, listed and downloaded."""

import contextlib
from pathlib import Path

import osmo_small_plans
import pytest
from osmo_observed_run import RUN, Observed
from robotrain.errors import Rejected
from robotrain_osmo.observe import logs
from robotrain_osmo.observe.outputs import read_run_log
from robotrain_osmo.platform import OsmoPlatform
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.event import Checkpoint, Published, Registered, Tracking, Withdrawn

BLOBS = "https://robots.blob.core.windows.net/checkpoints/pusht"
STORAGE = "azure://robots/checkpoints/pusht"


@pytest.fixture
def run_published_to_blobs(osmo) -> Observed:
    return Observed(osmo, publishes=BLOBS)


@pytest.fixture
def run_copied_by_osmo(osmo) -> Observed:
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


def test_a_place_of_a_strangers_kind_is_not_asked_of_osmo(osmo):
    run = Observed(osmo, publishes="mars://crater/runs").set_status("COMPLETED")
    osmo.forget()
    with contextlib.suppress(Rejected):
        run.outputs()
    assert not [call for call in osmo.calls if call[0] == "data"]


def test_the_checkpoints_that_were_published_are_there_oldest_first(run_published_to_blobs):
    for step in (800, 400):
        run_published_to_blobs.tell(Checkpoint(step=step, path=f"/tmp/{step:06}", model="pretrained_model"))
        run_published_to_blobs.tell(
            Published(step=step, to=f"{BLOBS}/{step:06}"), Published(step=step, to="runs:/1/checkpoints")
        )
    found = run_published_to_blobs.set_status("COMPLETED", exit_code=0).outputs()
    assert [(one.name, one.step, one.source, one.uri) for one in found] == [
        ("checkpoints/000400", 400, "blob_url", f"{BLOBS}/000400"),
        ("checkpoints/000800", 800, "blob_url", f"{BLOBS}/000800"),
    ]
    assert found[0].model == "pretrained_model"


@pytest.mark.slow
def test_withdrawn_checkpoint_is_not_listed(run_published_to_blobs):
    run_published_to_blobs.tell(*(Published(step=step, to=f"{BLOBS}/{step:06}") for step in (400, 800)))
    run_published_to_blobs.tell(Withdrawn(to=f"{BLOBS}/000400"))
    assert [one.step for one in run_published_to_blobs.set_status("COMPLETED", exit_code=0).outputs()] == [800]


def test_a_run_that_published_nothing_says_where_its_models_are(run):
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
def test_a_run_that_has_saved_nothing_left_nothing(run, run_published_to_blobs):
    assert run.set_status("RUNNING", started="2026-11-20T06:05:29").outputs() == []
    assert run_published_to_blobs.set_status("COMPLETED", exit_code=0).outputs() == []


@pytest.mark.slow
def test_what_osmo_copied_is_listed_where_it_lies(run_copied_by_osmo, checkpoint_files):
    for step in ("000400", "000800"):
        run_copied_by_osmo.osmo.put(f"{STORAGE}/{step}", checkpoint_files)
    run_copied_by_osmo.osmo.put(f"{STORAGE}/001200", {"half.bin": b"not whole: it has no manifest"})
    run_copied_by_osmo.set_status("COMPLETED", exit_code=0)
    assert [(one.step, one.source, one.uri) for one in run_copied_by_osmo.outputs()] == [
        (400, "blob_url", f"{BLOBS}/000400"),
        (800, "blob_url", f"{BLOBS}/000800"),
    ]


@pytest.mark.slow
def test_what_no_blob_url_names_keeps_the_address_that_osmo_has_for_it(osmo, checkpoint_files):
    osmo.put("s3://robots/pusht/000400", checkpoint_files)
    run = Observed(osmo, publishes="s3://robots/pusht").set_status("COMPLETED", exit_code=0)
    (one,) = run.outputs()
    assert (one.source, one.uri) == ("osmo_storage", "s3://robots/pusht/000400")


@pytest.mark.slow
def test_what_another_submission_or_another_run_left_there_is_not_its_own(
    run_copied_by_osmo, checkpoint_files, tmp_path
):
    folder = tmp_path / "sealed"
    run_copied_by_osmo.osmo.put(f"{STORAGE}/000400", seal_files(folder, submission=run_copied_by_osmo.id))
    run_copied_by_osmo.osmo.put(f"{STORAGE}/000600", seal_files(folder, step=600, submission=f"{RUN}-99"))
    run_copied_by_osmo.osmo.put(f"{STORAGE}/000800", seal_files(folder, step=800, run="lerobot-train-00000000-1"))
    assert [one.step for one in run_copied_by_osmo.set_status("COMPLETED", exit_code=0).outputs()] == [400]


@pytest.mark.slow
def test_one_that_another_submission_wrote_over_meanwhile_is_not_brought(
    run_copied_by_osmo, checkpoint_files, tmp_path
):
    run_copied_by_osmo.osmo.put(f"{STORAGE}/000400", checkpoint_files)
    (one,) = run_copied_by_osmo.set_status("COMPLETED", exit_code=0).outputs()
    run_copied_by_osmo.osmo.put(f"{STORAGE}/000400", seal_files(tmp_path / "sealed", submission=f"{RUN}-99"))
    with pytest.raises(Rejected, match="belongs to another run"):
        OsmoPlatform().download(run_copied_by_osmo.reference, one, tmp_path / "000400")


@pytest.mark.slow
def test_two_submissions_of_a_run_leave_their_checkpoints_in_folders_of_their_own(osmo):
    made = osmo_small_plans.make_plan(publishes="azure://acc/c/x/{{workflow_id}}/checkpoints")
    places = [OsmoPlatform().submit(made)["publishes"] for _ in range(2)]
    assert places == [f"azure://acc/c/x/{workflow}/checkpoints" for workflow in osmo.workflows]
    assert len(set(places)) == 2


@pytest.mark.slow
def test_what_osmo_copied_to_any_storage_is_resumed_from_there(osmo, robotrain, pusht, checkpoint_files, tmp_path):
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
    (again,) = [one for name, one in osmo.workflows.items() if name != workflow]
    assert {"url": url} in [{"url": one.get("url")} for one in again.task["inputs"]]


@pytest.mark.slow
def test_storage_that_this_machine_may_not_list_is_still_something_to_go_on_from(run_copied_by_osmo, capsys):
    run_copied_by_osmo.osmo.data_access(False)
    run_copied_by_osmo.set_status("COMPLETED", exit_code=0)
    assert [(one.step, one.uri) for one in run_copied_by_osmo.outputs()] == [(None, BLOBS)]
    assert f"cannot list {STORAGE}" in capsys.readouterr().err


@pytest.mark.slow
def test_empty_download_is_refused(run_copied_by_osmo, checkpoint_files, tmp_path):
    run_copied_by_osmo.osmo.put(f"{STORAGE}/000400", checkpoint_files)
    (one,) = run_copied_by_osmo.set_status("COMPLETED", exit_code=0).outputs()
    for name in checkpoint_files:
        (run_copied_by_osmo.osmo.folder / "store/azure/robots/checkpoints/pusht/000400" / name).unlink()
    with pytest.raises(Rejected, match="does not exist any more"):
        OsmoPlatform().download(run_copied_by_osmo.reference, one, tmp_path / "000400")
    assert not (tmp_path / "000400").exists()


@pytest.mark.slow
def test_damaged_download_is_refused(run_copied_by_osmo, checkpoint_files, tmp_path):
    run_copied_by_osmo.osmo.put(
        f"{STORAGE}/000400", checkpoint_files | {"pretrained_model/model.safetensors": b"Weights"}
    )
    (one,) = run_copied_by_osmo.set_status("COMPLETED", exit_code=0).outputs()
    with pytest.raises(Rejected, match="was damaged"):
        OsmoPlatform().download(run_copied_by_osmo.reference, one, tmp_path / "000400")
    assert [path.name for path in tmp_path.glob("*000400*")] == []


@pytest.mark.slow
def test_outputs_command_lists_and_downloads(run_copied_by_osmo, checkpoint_files, tmp_path, robotrain):
    run_copied_by_osmo.osmo.put(f"{STORAGE}/000400", checkpoint_files)
    name = run_copied_by_osmo.set_status("COMPLETED", exit_code=0).record()
    assert f"{BLOBS}/000400" in robotrain("outputs", name).stdout
    answer = robotrain("outputs", "--checkpoint", "last", "--to", tmp_path / "best", name)
    assert answer.exit_code == 0, answer.stderr
    assert (tmp_path / "best/checkpoints/000400/pretrained_model/model.safetensors").read_bytes() == b"weights"


def test_register_command_suggests_register_checkpoint(run, robotrain):
    answer = robotrain("register", run.set_status("COMPLETED", exit_code=0).record(), "pusht-act")
    assert answer.exit_code == 3
    assert "register_checkpoint=pusht-act" in answer.stderr or "-r" in answer.stderr


def test_what_stood_at_the_beginning_of_a_log_that_is_cut_is_not_taken_for_what_was_not(
    run_published_to_blobs, monkeypatch, capsys
):
    monkeypatch.setattr(logs, "MAX_LOG_LINES", 1)
    run_published_to_blobs.set_status("RUNNING").say("the end")
    run_published_to_blobs.set_status("COMPLETED", exit_code=0)
    assert run_published_to_blobs.outputs() == []
    assert f"earlier checkpoints at {BLOBS}" in capsys.readouterr().err
    run_published_to_blobs.record()
    with pytest.raises(Rejected) as raised:
        OsmoPlatform().register(run_published_to_blobs.reference, "arm", None)
    assert "unknown whether the training was tracked" in raised.value.problems[0].why


def test_the_tracking_run_is_known_by_what_was_put_into_it(run_published_to_blobs):
    run_published_to_blobs.tell(Published(step=400, to="runs:/abc123/checkpoints/000400"))
    told = read_run_log(run_published_to_blobs.set_status("COMPLETED", exit_code=0).reference)
    assert (told.run_id, told.trimmed) == ("abc123", False)
    assert told.find_artifacts("abc123") == {400: "checkpoints/000400"}


def test_a_log_whose_end_does_not_come_leaves_the_outputs_unknown(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "QUIET_SECONDS", 0.1)
    monkeypatch.setattr(logs, "ENDED_LOG_SECONDS", 0.3)
    command = tmp_path / "osmo"
    ended = '{"name": "a-1", "status": "COMPLETED", "start_time": "2026-11-22T10:00:00"}'
    command.write_text(
        f"#!/bin/sh\n[ $2 = query ] && echo '{ended}' && exit\necho 'Workflow a-1 has logs:'\nexec sleep 60\n"
    )
    command.chmod(0o755)
    with pytest.raises(Rejected) as rejected:
        OsmoPlatform().outputs({"workflow": "a-1", "cli": str(command), "run": "a"})
    assert [problem.code for problem in rejected.value.problems] == ["osmo-log-unread"]
    assert rejected.value.transient
