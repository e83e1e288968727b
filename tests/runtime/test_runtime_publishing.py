"""What becomes of a run's checkpoints, as whoever started it sees it. The work is pretended, the files are real."""

import os
from pathlib import Path

import pytest
from robotrain_runtime.__main__ import main
from robotrain_runtime.contract import checkpoint, event
from robotrain_runtime.contract.event import Outcome, Published, Registered, StageEvent, Tracking
from robotrain_runtime.contract.failure import JobFailed
from robotrain_runtime.process.stop import StopSignal
from robotrain_runtime.publishing import registration

pytestmark = pytest.mark.slow  # real processes and their patience

TRAIN = "from pretend_training import *\ntrain({total}, {every})"
SAVE = "from pretend_training import *\n"


@pytest.fixture
def target(tmp_path) -> Path:
    return tmp_path / "mirror"


def make_training_program(total: int = 40, every: int = 20) -> str:
    return TRAIN.format(total=total, every=every)


def published(ran) -> list[tuple[int, str]]:
    return [(publication.step, publication.to) for publication in ran.of_kind(Published)]


def stages(ran) -> list[tuple[str, str]]:
    return [(stage.name, stage.state) for stage in ran.of_kind(StageEvent)]


def list_mirrored(to: Path) -> list[str]:
    assert all(checkpoint.validate_checkpoint(folder) == "" for _, folder in checkpoint.list_checkpoints(to))
    return sorted(os.listdir(to))


def test_each_complete_checkpoint_is_sealed_and_copied_whole(run, job, target):
    ran = run(job(make_training_program(60, 20), publish={"to": str(target)}))
    assert ran.exit_code == 0, ran.lines
    assert list_mirrored(target) == ["000020", "000040", "000060"]
    assert published(ran) == [(step, f"{target}/{step:06}") for step in (20, 40, 60)]
    assert stages(ran)[-2:] == [("publish", "started"), ("publish", "done")]
    for step, folder in checkpoint.list_checkpoints(ran.work / "checkpoints"):
        manifest = checkpoint.read_manifest(folder)
        assert (manifest.step, manifest.run, manifest.job, manifest.model) == (step, "pretend-1", "0" * 64, "model")


def test_work_without_checkpoints_has_nothing_to_publish(run, job):
    assert "publish" not in dict(stages(run(job())))


def test_h1_06_last_is_a_link_not_a_checkpoint(run, job, target):
    program = SAVE + (
        "save(20)\n"
        "(PARENT / '000030').symlink_to('000020')\n"
        "write(21).rename(PARENT / 'epoch-3')\n"
        "for name in ('last', 'epoch-3', '000030'): emit_event(Checkpoint(step=30, path=str(PARENT / name)))"
    )
    ran = run(job(program, publish={"to": str(target)}))
    assert list_mirrored(target) == ["000020"]
    assert published(ran) == [(20, f"{target}/000020")]
    assert [note.rpartition("/")[2] for note in ran.notes("warning")[:2]] == [
        f"{name} is not published: the name of a checkpoint folder must be its step" for name in ("last", "epoch-3")
    ]
    assert ran.outcome["reason"] == "checkpoint 000030 could not be sealed: it is a symbolic link"


def test_a_checkpoint_that_is_written_anew_is_published_anew(run, job, target):
    program = SAVE + (
        "import shutil\nfolder = save(20, 'old')\n"
        f"while not Path({str(target)!r}, '000020').exists(): time.sleep(0.01)\n"
        "shutil.rmtree(folder)\nsave(20, 'new')"
    )
    ran = run(job(program, publish={"to": str(target)}))
    assert published(ran) == [(20, f"{target}/000020")] * 2
    assert (target / "000020" / "model" / "weights").read_text() == "new"
    assert list_mirrored(target) == ["000020"]


def test_h1_08_a_model_without_a_checkpoint_fails_the_run(run, job, tmp_path):
    ran = run(job("pass", publish={"register": "pusher"}, tracking_uri=f"sqlite:///{tmp_path}/mlflow.db"))
    assert ran.exit_code == 1
    assert ran.outcome["reason"] == "the model pusher was not registered: the run has no complete checkpoint"
    assert ran.outcome["reason"] in ran.notes("error")
    assert stages(ran)[-1] == ("publish", "failed")


def test_h1_08_a_model_without_tracking_fails_before_the_work(run, job):
    ran = run(job("print('started')", publish={"register": "pusher"}))
    assert (ran.exit_code, ran.ordinary) == (4, [])
    text = "the model pusher cannot be registered: the run has no tracking, so there is no registry"
    assert ran.outcome["reason"] == text


def test_h1_05_failed_work_registers_nothing_and_keeps_its_reason(run, job, target, tmp_path):
    (target / "000040").mkdir(parents=True)
    (target / "000040" / "mine").touch()  # so that 40 cannot be published, which is told and is not the reason
    program = SAVE + "save(20)\nsave(40)\nraise ValueError('the loss went through the roof')"
    publish = {"to": str(target), "register": "pusher"}
    ran = run(job(program, publish=publish, tracking_uri=f"sqlite:///{tmp_path}/mlflow.db"))
    assert ran.exit_code == 1
    assert ran.outcome["reason"] == "ValueError: the loss went through the roof"
    assert checkpoint.validate_checkpoint(target / "000020") == ""
    assert "checkpoint 000040 could not be published" in ran.notes("error")[0]
    assert ran.of_kind(Registered) == []


def test_failed_work_without_a_checkpoint_ends_in_its_own_stage(run, job, target, tmp_path):
    publish = {"to": str(target), "register": "pusher"}
    ran = run(
        job("raise ValueError('no such option')", publish=publish, tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    )
    assert ran.outcome["reason"] == "ValueError: no such option"
    assert stages(ran)[-1] == ("work", "failed")


def test_what_was_asked_for_and_not_published_fails_the_run_by_name(run, job, target):
    for name in ("000020", "000060"):
        (target / name).mkdir(parents=True)
        (target / name / "mine").touch()
    ran = run(job(make_training_program(60), publish={"to": str(target)}))
    assert ran.exit_code == 1
    assert "checkpoint 000020, checkpoint 000060 could not be published" in ran.outcome["reason"]
    assert "; ".join(ran.notes("error")) == ran.outcome["reason"]
    assert (target / "000020" / "mine").exists()
    assert checkpoint.validate_checkpoint(target / "000040") == ""


def test_a_checkpoint_that_is_gone_at_once_is_told(run, job, target):
    program = SAVE + (
        "import shutil\nshutil.rmtree(write(20))\nemit_event(Checkpoint(step=20, path=str(PARENT / '000020')))"
    )
    ran = run(job(program))
    assert ran.exit_code == 0
    assert ran.notes("warning")[-1] == "checkpoint 000020 could not be sealed: it does not exist"
    ran = run(job(program, publish={"to": str(target)}))
    assert ran.outcome["reason"] == "checkpoint 000020 could not be sealed: it does not exist"


def test_h1_21_a_stopped_run_publishes_what_its_trainer_saved(start, finish, job, target, until):
    process = start(job(SAVE + "train(10**6, 10**5, 0.01)", publish={"to": str(target)}))
    until(process, "ready")
    process.terminate()
    ran = finish(process)
    assert ran.exit_code == 143
    assert ran.last == Outcome(state="cancelled", exit_code=143, reason="the run was stopped", fault="stopped")
    ((step, _),) = published(ran)
    assert list_mirrored(target) == [f"{step:06}"]
    assert checkpoint.find_last_complete(ran.work / "checkpoints") == (step, ran.work / "checkpoints" / f"{step:06}")
    assert stages(ran)[-2:] == [("publish", "started"), ("publish", "done")]


def test_a_stop_waits_for_publishing_no_longer_than_the_grace(start, finish, job, tmp_path, until):
    to = tmp_path / "missing" / "mirror"
    process = start(job(SAVE + "train(10**6, 10**5, 0.01)", publish={"to": str(to)}), ROBOTRAIN_GRACE_SECONDS="1")
    until(process, "ready")
    process.terminate()
    ran = finish(process)
    assert ran.exit_code == 143
    assert ran.outcome["state"] == "cancelled"
    (error,) = ran.notes("error")
    assert "could not be published" in error
    assert "No such file or directory" in error


def test_a_stop_while_a_finished_run_publishes_is_a_stop(start, finish, job, tmp_path, until):
    to = tmp_path / "missing" / "mirror"
    process = start(job(make_training_program(), publish={"to": str(to)}), ROBOTRAIN_GRACE_SECONDS="1")
    until(process, '"publish", "state": "started"')
    process.terminate()
    ran = finish(process)
    assert (ran.exit_code, ran.outcome["state"]) == (143, "cancelled")
    assert "checkpoint 000020, checkpoint 000040 could not be published" in "".join(ran.notes("error"))


def test_registering_later_says_what_is_missing(run, job, register, tmp_path):
    made = job(make_training_program(), tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    done = register(made, "pusher")
    assert (done.returncode, done.stdout, done.stderr) == (4, "", f"error: there is no run in {tmp_path}/work\n")
    run(made)
    done = register(made, "pusher")
    assert (done.returncode, done.stderr) == (
        4,
        "error: the model pusher was not registered: the run was not tracked\n",
    )
    done = register(made, "no/name")
    assert (done.returncode, done.stderr.partition(": use")[0]) == (2, "error: 'no/name' is not a valid model name")
    (tmp_path / "job.json").write_text("{")
    assert main(["register", str(tmp_path / "job.json"), "pusher"]) == 2


@pytest.mark.parametrize("is_tracked", [True, False])
def test_registering_a_run_that_has_just_begun_says_so(job, register, tmp_path, is_tracked):
    made = job(make_training_program(), **({"tracking_uri": f"sqlite:///{tmp_path}/mlflow.db"} if is_tracked else {}))
    (tmp_path / "work").mkdir()
    (tmp_path / "work/events.jsonl").write_text(event.format_event(StageEvent(name="data", state="started")) + "\n")
    reason = (
        "the run has no checkpoint yet, and its tracking has not begun" if is_tracked else "the run was not tracked"
    )
    done = register(made, "pusher")
    assert (done.returncode, done.stderr) == (4, f"error: the model pusher was not registered: {reason}\n")


def test_registering_without_the_environment_of_the_run_names_it(run, job, tmp_path, monkeypatch):
    monkeypatch.setattr(registration, "RETRY_PAUSES", (0.0,))
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "container_plugins"))
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    ran = run(job(make_training_program()))
    text = event.format_event(Tracking(uri=uri, experiment_id="1", run_id="x"))
    with (ran.work / "events.jsonl").open("a") as events:
        events.write(text + "\n")
    gone = job(tracking_uri=uri, environment=str(tmp_path / "gone"))
    with pytest.raises(JobFailed, match=r"the model pusher was not registered: No such file or directory: .*gone/bin"):
        registration.register_ended_run(gone, "pusher", None, StopSignal(), lambda line: None)
