"""A pipeline is several batch jobs that wait for each other, and all of them are sent or none."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from planned_jobs import job
from problem_assertions import check_problems
from robotrain.errors import Rejected, Unanswered
from robotrain.model.plan import Payload
from robotrain.model.reference import STEP_KEY
from robotrain.testing.submit_cuts import SubmitScript
from robotrain_runtime.contract import document
from robotrain_slurm.scheduler import SlurmScheduler
from slurm_pipelines import ENGINE, RUN, make_pipeline, make_steps, read_document, read_options, step
from slurm_stand_in import SlurmStandIn

NAMES = [f"{RUN}-train", f"{RUN}-evaluate", f"{RUN}-again"]


@pytest.fixture
def slurm(tmp_path, monkeypatch) -> SlurmStandIn:
    stand_in = SlurmStandIn(tmp_path / "slurm", monkeypatch)
    stand_in.cluster["nodes"]["n1"]["gres"] = "gpu:4"
    stand_in.configure()
    monkeypatch.setattr(SlurmScheduler, "settle_seconds", 0.0)
    return stand_in


@pytest.fixture
def runs(tmp_path) -> Path:
    return tmp_path / "runs"


CALLS = ("send sbatch-{}-train", "send sbatch-{}-evaluate", "send sbatch-{}-again", 'release "')


@contextlib.contextmanager
def cut_at_call(patched: pytest.MonkeyPatch, number: int, is_done: bool) -> Iterator[None]:
    """End the submit before or after a call of Slurm's commands, counted from 0, as a kill does."""
    line = CALLS[number].format(RUN)
    with SubmitScript(patched).kill_at(**{"after" if is_done else "before": line}):
        yield


def test_each_step_is_a_job_that_reads_earlier_folders(runs):
    made = make_pipeline(runs)
    root = runs / RUN
    spec = json.loads(made.files["slurm.json"])
    assert [[job["name"], job["needs"]] for job in spec["jobs"]] == [
        [NAMES[0], []],
        [NAMES[1], ["train"]],
        [NAMES[2], ["evaluate"]],
    ]
    (token,) = {job["token"] for job in spec["jobs"]}
    assert f"comment=robotrain:{NAMES[1]}:{token}" in read_options(made, "steps/evaluate/job.sbatch")
    assert f"chdir={root}/steps/evaluate" in read_options(made, "steps/evaluate/job.sbatch")
    evaluate, again = read_document(made, "steps/evaluate"), read_document(made, "steps/again")
    assert [mount.folder for mount in evaluate.placement.mounts] == [f"{root}/steps/train/handover/policy"]
    assert [evaluate.placement.work, evaluate.placement.handover] == [
        f"{root}/steps/evaluate",
        f"{root}/steps/evaluate/handover",
    ]
    assert [again.placement.mounts, again.placement.handover] == [(), ""]
    assert [path for path in made.files if path.endswith(".zip")] == ["payload.zip"]


def test_steps_share_one_payload(runs):
    other = Payload.from_files({"robotrain_runtime/__main__.py": b"print('here')", "more.py": b""})
    made = make_pipeline(runs, [step(runs, "train", job()), step(runs, "again", job(), "train", packed=other)])
    assert (
        made.files["payload.zip"]
        == Payload.from_files({"more.py": b"", "robotrain_runtime/__main__.py": b"print('here')"}).archive
    )


def test_finished_step_is_read_from_its_earlier_run(runs):
    finished = {"train": {"run": "old", "folder": "/data/old", "jobs": "train=7", "step": "train"}}
    made = make_pipeline(runs, make_steps(runs)[1:], finished)
    (mount,) = read_document(made, "steps/evaluate").placement.mounts
    assert mount.folder == "/data/old/steps/train/handover/policy"
    assert json.loads(made.files["slurm.json"])["jobs"][0]["needs"] == []


def test_steps_that_later_ones_cannot_wait_for_are_refused(runs):
    with pytest.raises(Rejected) as rejected:
        make_pipeline(runs, make_steps(runs, settings={"continuation": "node"}))
    check_problems(rejected.value.problems, "slurm-step-continued")


def test_steps_that_differ_in_what_a_run_has_once_are_refused(runs):
    with pytest.raises(Rejected) as rejected:
        make_pipeline(runs, [step(runs, "train", job()), step(runs / "other", "more", job())])
    check_problems(rejected.value.problems, "steps-differ --runs-dir")


def test_first_steps_wait_until_all_are_sent(slurm, runs):
    reference = ENGINE.submit(make_pipeline(runs))
    train, evaluate, again = (slurm.read_job(str(number)) for number in (1, 2, 3))
    assert reference["jobs"] == "train=1 evaluate=2 again=3"
    assert "hold" in train["options"]
    assert train["reason"] == "None"
    assert [evaluate["options"]["dependency"], again["options"]["dependency"]] == ["afterok:1", "afterok:2"]
    assert all(job["options"]["kill-on-invalid-dep"] == "yes" for job in (evaluate, again))
    assert [call[0] for call in slurm.read_calls()] == ["sbatch", "sbatch", "sbatch", "scontrol"]


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(4), ids=["train", "evaluate", "again", "release"])
def test_interrupted_submit_is_continued(slurm, runs, monkeypatch, number, is_done):
    made = make_pipeline(runs)
    with cut_at_call(monkeypatch, number, is_done), pytest.raises(Unanswered):
        ENGINE.submit(made)
    can_begin = {job["name"] for job in slurm.read_jobs() if job["reason"] == "None"}
    assert can_begin == ({NAMES[0]} if (number, is_done) == (3, True) else set())
    reference = ENGINE.find(made) or ENGINE.submit(made)
    jobs = slurm.read_jobs()
    assert [job["name"] for job in jobs] == NAMES
    assert [job["reason"] for job in jobs] == ["None", "Dependency", "Dependency"]
    assert [job["options"].get("dependency") for job in jobs] == [None, "afterok:1", "afterok:2"]
    assert reference["jobs"] == "train=1 evaluate=2 again=3"
    assert ENGINE.find(made) == reference
    assert len(slurm.read_jobs()) == 3


def test_pipeline_whose_release_is_not_answered_is_released_by_the_next_submit(slurm, runs):
    made = make_pipeline(runs)
    (release := slurm.folder / "bin/scontrol").rename(slurm.folder / "bin/real")
    release.write_text("#!/bin/sh\necho 'slurm_update error: Unable to contact slurm controller' >&2; exit 1\n")
    release.chmod(0o755)
    with pytest.raises(Unanswered) as unanswered:
        ENGINE.submit(made)
    check_problems(unanswered.value.problems, "platform-away")
    assert slurm.read_job("1")["reason"] == "JobHeldUser"
    (slurm.folder / "bin/real").rename(release)
    assert ENGINE.find(made)["jobs"] == "train=1 evaluate=2 again=3"
    assert slurm.read_job("1")["reason"] == "None"


def test_pipeline_is_not_released_before_its_jobs_are_recorded(slurm, runs):
    made = make_pipeline(runs)
    move = slurm.folder / "bin/mv"
    move.write_text(
        '#!/bin/sh\ncase "$*" in *sent.json) echo "mv: No space left on device" >&2; exit 1;; esac\nexec /bin/mv "$@"\n'
    )
    move.chmod(0o755)
    with pytest.raises(Unanswered) as unanswered:
        ENGINE.submit(made)
    check_problems(unanswered.value.problems, "run-folder-full")
    assert slurm.read_job("1")["reason"] == "JobHeldUser"
    move.unlink()
    assert ENGINE.find(made) is None
    assert ENGINE.submit(made)["jobs"] == "train=1 evaluate=2 again=3"
    assert slurm.read_job("1")["reason"] == "None"


def test_pipeline_that_slurm_has_forgotten_is_not_sent_again(slurm, runs, monkeypatch):
    """A dependency on a forgotten job counts as satisfied: a step that is sent again would start."""
    made = make_pipeline(runs)
    with cut_at_call(monkeypatch, 3, is_done=True), pytest.raises(Unanswered):
        ENGINE.submit(made)
    for number in "123":
        slurm.forget(number)
    assert ENGINE.find(made)["jobs"] == "train=1 evaluate=2 again=3"
    assert not slurm.read_jobs()


def test_step_of_another_plan_is_not_waited_for(slurm, runs, monkeypatch):
    """An equal step of another plan of this run waits for another training."""
    other = make_pipeline(runs, [step(runs, "train", job(seed=7), hands_over=True), *make_steps(runs)[1:]])
    with cut_at_call(monkeypatch, 3, is_done=False), pytest.raises(Unanswered):
        ENGINE.submit(other)
    (runs / RUN).rename(runs / "elsewhere")
    made = make_pipeline(runs)
    assert ENGINE.find(made) is None
    assert ENGINE.submit(made)["jobs"] == "train=4 evaluate=5 again=6"
    assert slurm.read_job("5")["options"]["dependency"] == "afterok:4"


def test_step_whose_predecessor_is_not_in_the_queue_is_sent_again(slurm, runs, monkeypatch):
    made = make_pipeline(runs)
    with cut_at_call(monkeypatch, 2, is_done=False), pytest.raises(Unanswered):
        ENGINE.submit(made)
    slurm.set_state("1", "CANCELLED")
    assert ENGINE.submit(made)["jobs"] == "train=3 evaluate=4 again=5"
    assert slurm.read_job("4")["options"]["dependency"] == "afterok:3"


def test_refusal_of_a_later_step_leaves_nothing(slurm, runs):
    steps = make_steps(runs)
    steps[2] = step(runs, "again", job(), "evaluate", settings={"partition": "secret"})
    made = make_pipeline(runs, steps)
    with pytest.raises(Rejected) as rejected:
        ENGINE.submit(made)
    check_problems(rejected.value.problems, "platform-refused")
    assert {job["state"] for job in slurm.read_jobs()} == {"CANCELLED"}
    assert not (runs / RUN).exists()
    assert ENGINE.find(made) is None


def test_one_squeue_tells_the_steps(slurm, runs):
    reference = ENGINE.submit(make_pipeline(runs))
    slurm.clear_calls()
    status, steps = ENGINE.query_pipeline(reference)
    assert [call[0] for call in slurm.read_calls()] == ["squeue"]
    assert (status.state, [step.state for step in steps]) == ("pending", ["pending", "waiting", "waiting"])
    begin_step(runs, "train", "1")
    slurm.set_state("1", "RUNNING")
    status, steps = ENGINE.query_pipeline(reference)
    assert (status.state, [step.state for step in steps]) == ("running", ["running", "waiting", "waiting"])
    assert ENGINE.status({**reference, STEP_KEY: "train"}).state == "running"


def begin_step(runs: Path, name: str, number: str) -> None:
    """What a node writes when a step begins."""
    (runs / RUN / "steps" / name / "taken").symlink_to(f"{number}:token:1")


def end_step(runs: Path, name: str, **outcome: object) -> None:
    (runs / RUN / "steps" / name / "outcome.json").write_text(json.dumps(outcome))


@pytest.mark.parametrize("is_forgotten", [False, True])
def test_steps_after_a_failed_one_are_skipped(slurm, runs, is_forgotten):
    reference = ENGINE.submit(make_pipeline(runs))
    begin_step(runs, "train", "1")
    end_step(runs, "train", state="failed", exit_code=1, reason="loss is nan")
    slurm.set_state("1", "FAILED", "NonZeroExitCode")
    for number in "23":
        slurm.set_state(number, "CANCELLED", "DependencyNeverSatisfied")
    ENGINE.query_pipeline(reference)
    for number in "123" if is_forgotten else "":
        slurm.forget(number)
    status, steps = ENGINE.query_pipeline(reference)
    assert [step.state for step in steps] == ["failed", "skipped", "skipped"]
    assert [step.reason for step in steps[1:]] == ["step train failed", "step evaluate skipped"]
    assert status.state == "failed"
    assert "step train failed" in status.reason
    assert "loss is nan" in status.reason


def test_requeued_step_has_not_failed(slurm, runs):
    reference = ENGINE.submit(make_pipeline(runs))
    begin_step(runs, "train", "1")
    end_step(runs, "train", state="cancelled", exit_code=143, reason="the run was stopped")
    slurm.set_state("1", "PENDING", "BeginTime")
    status, steps = ENGINE.query_pipeline(reference)
    assert not status.finished
    assert [step.state for step in steps] == ["pending", "waiting", "waiting"]


def test_cancel_ends_all_steps(slurm, runs):
    reference = ENGINE.submit(make_pipeline(runs))
    ENGINE.cancel(reference)
    assert {job["state"] for job in slurm.read_jobs()} == {"CANCELLED"}
    status, steps = ENGINE.query_pipeline(reference)
    assert (status.state, {step.state for step in steps}) == ("cancelled", {"skipped"})
    assert all((runs / RUN / "steps" / name / "cancelled").exists() for name in ("train", "evaluate", "again"))


def test_cancel_leaves_the_result_of_a_step_that_succeeded(slurm, runs):
    reference = ENGINE.submit(make_pipeline(runs))
    begin_step(runs, "train", "1")
    end_step(runs, "train", state="succeeded", exit_code=0, reason="")
    slurm.set_state("1", "COMPLETED")
    ENGINE.cancel(reference)
    status, steps = ENGINE.query_pipeline(reference)
    assert (status.state, [step.state for step in steps]) == ("cancelled", ["succeeded", "skipped", "skipped"])


def test_step_has_its_own_log_and_output(slurm, runs):
    reference = ENGINE.submit(make_pipeline(runs))
    train = {**reference, STEP_KEY: "train"}
    (runs / RUN / "steps/train/log.txt").write_text("hello\n")
    assert [*ENGINE.logs(train, False)] == ["hello"]
    assert not ENGINE.has_step_output(train)
    handover = runs / RUN / "steps/train/handover"
    handover.mkdir()
    (handover / "step.json").write_text("{}")
    assert ENGINE.has_step_output(train)
    assert [output.name for output in ENGINE.outputs(train)] == ["log.txt", "job.json"]


def test_evaluation_of_several_checkpoints_reads_what_the_training_hands_over(robotrain, slurm, runs, tmp_path):
    words = ("--runs-dir", runs, "--tracking-uri", "none", "--dataset-repo-id", "lerobot/pusht", "--env", "pusht")
    scored = ("--training-steps", "40", "--save-freq", "20", "--evaluate-checkpoints")
    answer = robotrain("render", "--platform", "slurm", *words, *scored, "--to", tmp_path / "plan")
    assert answer.exit_code == 0, answer.stderr
    text = {name: (tmp_path / f"plan/steps/{name}/job.json").read_text() for name in ("train", "evaluate")}
    train, evaluate = (document.parse_document(content) for content in text.values())
    assert [mount.folder for mount in evaluate.placement.mounts] == [f"{train.placement.handover}/checkpoints"]
