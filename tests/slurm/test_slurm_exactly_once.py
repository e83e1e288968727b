"""A plan is sent exactly once, whatever interrupts the submit, and a job that Slurm refused was not sent."""

import contextlib
import fcntl
import json
import os
import re

import pytest
from problem_assertions import check_problems
from robotrain.errors import Rejected, Unanswered
from robotrain.model.plan import Plan
from robotrain.run_folder import submit_script
from robotrain.run_folder.run_archive import pack_run_folder
from robotrain.testing.submit_cuts import SubmitScript, list_cuts
from robotrain_slurm.client.commands import COMMANDS
from robotrain_slurm.node import attempts
from robotrain_slurm.platform import SLURM
from robotrain_slurm.scheduler import SlurmScheduler
from slurm_pipelines import ENGINE, make_pipeline


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(SlurmScheduler, "settle_seconds", 0.0)


def create_run_folder(plan):
    """Create the run folder, and send nothing."""
    slurm = SlurmScheduler(SLURM)
    spec = slurm.load_spec(plan)
    slurm.run_script(plan, spec, ["create_folder"], pack_run_folder(plan, spec, {}))


def send_job(plan):
    """Send the job of a run folder that is there, as a second submit at the same moment does."""
    slurm = SlurmScheduler(SLURM)
    spec = slurm.load_spec(plan)
    return slurm.run_script(plan, spec, slurm.format_sending(spec, {}, {})).jobs[""]


@pytest.fixture
def plan(make_plan):
    return make_plan()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "runs/a-1"


@pytest.fixture
def interrupted(plan, folder):
    """A submit that was interrupted when its folder was there."""
    create_run_folder(plan)
    return folder / "sbatch-a-1.txt"


def list_sent(slurm):
    return [job["id"] for job in slurm.read_jobs() if job["reason"] != "BadConstraints"]


def test_number_of_the_job_is_in_the_run_folder(slurm, plan, folder):
    reference = ENGINE.submit(plan)
    assert reference == {"run": "a-1", "folder": str(folder), "job": "1", "conf": os.environ.get("SLURM_CONF", "")}
    assert (folder / "sbatch-a-1.txt").read_text() == "1\n"
    assert [call[0] for call in slurm.read_calls()] == ["sbatch"]
    slurm.forget("1")
    slurm.clear_calls()
    assert ENGINE.find(plan) == reference
    assert slurm.read_calls() == [], "Slurm need not be asked, and need not remember"


def test_number_of_another_cluster_is_read(slurm, plan):
    slurm.configure(parsable_with_cluster=True)
    assert ENGINE.submit(plan)["job"] == "1"


def test_nothing_was_sent_before_sbatch_began(slurm, plan, interrupted):
    assert ENGINE.find(plan) is None
    assert slurm.read_calls() == []
    assert ENGINE.submit(plan)["job"] == "1"
    assert list_sent(slurm) == ["1"]


def test_two_submits_of_a_plan_at_once_send_one_job(slurm, plan, interrupted):
    """With state folders of their own, as on two laptops, no lock of a name keeps them apart."""
    assert [send_job(plan) for _ in range(2)] == ["1", "1"]
    assert list_sent(slurm) == ["1"]


@pytest.mark.slow
@pytest.mark.parametrize("make", ["job", "pipeline"])
def test_submit_that_is_cut_before_any_line_sends_each_job_once(slurm, make_plan, monkeypatch, tmp_path, make):
    """A cut after a line is one before the next."""
    submit = SubmitScript(monkeypatch)
    slurm.cluster["nodes"]["n1"]["gres"] = "gpu:4"
    slurm.configure()

    def make_one(number: object) -> Plan:
        runs = tmp_path / f"runs-{number}"
        return make_plan(runs_dir=str(runs)) if make == "job" else make_pipeline(runs)

    with submit.kill_at():
        ENGINE.submit(make_one("whole"))
    names = [job["name"] for job in slurm.read_jobs()]
    cuts = list_cuts(submit.text)
    assert len(cuts) > 50
    began = set()
    for number in cuts:
        for job in slurm.read_jobs():
            slurm.forget(job["id"])
        plan = make_one(number)
        with submit.kill_at(number), contextlib.suppress(Unanswered):
            ENGINE.submit(plan)
            continue  # it did not come to that line
        began.add(len(slurm.read_jobs()))
        reference = ENGINE.find(plan) or ENGINE.submit(plan)
        jobs = slurm.read_jobs()
        line = submit.text.splitlines()[number]
        assert [job["name"] for job in jobs] == names, f"cut before {line}"
        assert [job["reason"] for job in jobs] == ["None"] + ["Dependency"] * (len(names) - 1), f"cut before {line}"
        numbers = [job["id"] for job in jobs]
        assert re.findall(r"\d+", reference.get("jobs") or reference["job"]) == numbers
        assert ENGINE.find(plan) == reference
    assert began == {*range(len(names) + 1)}, "cuts came before, between and after the jobs"


def test_job_without_an_answer_is_found_by_its_comment(slurm, plan, interrupted, make_plan):
    interrupted.touch()
    assert ENGINE.find(plan) is None
    number = send_job(plan)
    interrupted.write_text("")
    assert ENGINE.find(plan)["job"] == number


def test_job_that_waits_for_drained_nodes_was_sent(slurm, plan, interrupted):
    number = send_job(plan)
    interrupted.write_text("")
    slurm.set_state(number, "PENDING", "BadConstraints")
    assert ENGINE.find(plan)["job"] == number


def test_job_of_another_plan_with_the_same_name_is_not_taken(slurm, plan, make_plan, folder, tmp_path):
    ENGINE.submit(make_plan(cpus=2))
    folder.rename(tmp_path / "other")
    create_run_folder(plan)
    (folder / "sbatch-a-1.txt").touch()
    assert ENGINE.find(plan) is None
    assert ENGINE.submit(plan)["job"] == "2"


def test_job_that_slurm_has_forgotten_is_found_by_its_attempts(slurm, plan, interrupted, monkeypatch):
    interrupted.touch()
    monkeypatch.setenv("SLURM_RESTART_COUNT", "0")
    attempts.begin_attempt(interrupted.parent, "77")
    attempts.begin_attempt(interrupted.parent, "78")
    assert ENGINE.find(plan)["job"] == "77", "whichever of its jobs has claimed the run"


def test_refused_job_leaves_nothing_and_can_be_corrected(slurm, plan, folder):
    slurm.set_mood("refuses")
    with pytest.raises(Rejected) as refused:
        ENGINE.submit(plan)
    check_problems(refused.value.problems, "platform-refused")
    assert [*folder.parent.iterdir()] == []
    assert ENGINE.find(plan) is None
    assert ENGINE.submit(plan)["job"] == "1"


def test_job_that_slurm_refuses_after_recording_it_was_not_sent(slurm, plan, folder, interrupted):
    for _ in range(2):
        slurm.set_mood("records and refuses")
        with pytest.raises(Rejected) as refused:
            ENGINE.submit(plan)
        check_problems(refused.value.problems, "platform-refused")
    assert len(slurm.read_jobs()) == 2
    create_run_folder(plan)
    interrupted.touch()
    assert ENGINE.find(plan) is None
    assert ENGINE.submit(plan)["job"] == "3"


def test_job_that_slurm_took_though_sbatch_timed_out_is_found(slurm, plan):
    slurm.set_mood("times out")
    assert ENGINE.submit(plan)["job"] == "1"
    assert list_sent(slurm) == ["1"]


def test_timeout_without_a_job_is_not_taken_for_a_refusal(slurm, plan, folder):
    slurm.set_mood("times out early")
    with pytest.raises(Unanswered) as unanswered:
        ENGINE.submit(plan)
    check_problems(unanswered.value.problems, "platform-away")
    assert folder.is_dir(), "the repeated command needs it"
    slurm.configure(away=True)
    with pytest.raises(Rejected) as away:
        ENGINE.find(plan)
    assert away.value.transient
    slurm.configure(away=False)
    assert ENGINE.find(plan) is None
    assert ENGINE.submit(plan)["job"] == "1"


def test_controller_that_took_nothing_is_passing_and_leaves_nothing(slurm, plan, folder):
    slurm.configure(away=True)
    with pytest.raises(Rejected) as away:
        ENGINE.submit(plan)
    check_problems(away.value.problems, "platform-away")
    assert away.value.transient
    assert not folder.exists()
    slurm.configure(away=False)
    assert ENGINE.submit(plan)["job"] == "1"


def test_full_queue_loses_nothing(slurm, plan):
    slurm.configure(refusal="Job violates accounting/QOS policy (QOSMaxSubmitJobPerUserLimit)")
    slurm.set_mood("refuses")
    with pytest.raises(Rejected) as full:
        ENGINE.submit(plan)
    check_problems(full.value.problems, "runs-over-limit")
    assert full.value.transient
    assert ENGINE.submit(plan)["job"] == "1"


@pytest.mark.slow  # needs flock
def test_sbatch_of_an_earlier_submit_is_waited_for(slurm, plan, interrupted, monkeypatch):
    monkeypatch.setattr(submit_script, "PATIENCE_SECONDS", 0.2)
    with interrupted.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for attempt in (ENGINE.find, ENGINE.submit):
            with pytest.raises(Unanswered) as unanswered:
                attempt(plan)
            check_problems(unanswered.value.problems, "submit-still-sending")
    assert ENGINE.find(plan) is None


def test_sbatch_that_hangs_is_ended_and_its_job_found(slurm, plan, monkeypatch):
    monkeypatch.setattr(submit_script, "PATIENCE_SECONDS", 0.5)
    slurm.set_mood("hangs")
    assert ENGINE.submit(plan)["job"] == "1"


def test_run_that_a_lost_submit_sends_after_the_preflight_is_taken_over(slurm, plan, folder):
    """A run that was sent before is refused by the preflight."""
    reference = ENGINE.submit(plan)
    assert ENGINE.submit(plan) == reference
    assert list_sent(slurm) == ["1"]
    (folder / "sbatch-a-1.txt").unlink()
    slurm.forget("1")
    assert ENGINE.submit(plan)["job"] == "2"


@pytest.mark.slow
def test_pipeline_of_which_jobs_may_wait_is_not_forgotten(slurm, tmp_path, monkeypatch):
    slurm.cluster["nodes"]["n1"]["gres"] = "gpu:4"
    slurm.configure(away=True)
    pipeline = make_pipeline(tmp_path / "runs")
    create_run_folder(pipeline)
    with pytest.raises(Unanswered):  # nobody says which jobs an earlier submit left
        ENGINE.submit(pipeline)
    slurm.configure(away=False)

    def be_away(*words: object) -> str:
        raise COMMANDS.make_away_error("it does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(SlurmScheduler, "stop_jobs", be_away)
        patched.setattr(SlurmScheduler, "dependency_words", ("--refused",))
        with pytest.raises(Unanswered):  # the first step is still on hold: it could not be cancelled
            ENGINE.submit(pipeline)
    assert len(list_sent(slurm)) == 1
    assert ENGINE.submit(pipeline) == ENGINE.find(pipeline)


def test_folder_with_other_content_is_not_touched(slurm, plan, folder):
    folder.mkdir(parents=True)
    (folder / "mine").touch()
    with pytest.raises(Rejected) as refused:
        ENGINE.submit(plan)
    check_problems(refused.value.problems, "run-folder-taken")
    assert [path.name for path in folder.iterdir()] == ["mine"]
    assert ENGINE.find(plan) is None


def test_folder_that_cannot_be_created_is_refused(slurm, tmp_path, make_plan):
    (tmp_path / "file").touch()
    with pytest.raises(Rejected) as refused:
        ENGINE.submit(make_plan(runs_dir=str(tmp_path / "file/runs")))
    check_problems(refused.value.problems, "run-folder-refused")


def test_quota_that_is_used_up_is_named(slurm, plan, tmp_path):
    tar = slurm.folder / "bin/tar"
    lines = ("a: Cannot write: Disk quota exceeded", "Exiting with failure status due to previous errors")
    tar.write_text("#!/bin/sh\n" + "".join(f"echo 'tar: {line}' >&2\n" for line in lines) + "exit 2\n")
    tar.chmod(0o755)
    with pytest.raises(Rejected) as refused:
        ENGINE.submit(plan)
    check_problems(refused.value.problems, "run-folder-full")
    assert [*(tmp_path / "runs").iterdir()] == []


def test_variables_of_sbatch_do_not_change_what_is_sent(slurm, plan, monkeypatch):
    monkeypatch.setenv("SBATCH_PARTITION", "short")
    ENGINE.submit(plan)
    assert slurm.read_job("1")["partition"] == "batch"


@pytest.mark.slow
def test_job_that_a_frozen_controller_takes_later_is_found(lab, plan, folder, monkeypatch):
    monkeypatch.setattr(SlurmScheduler, "settle_seconds", 2.0)
    with lab.frozen("slurmctld"), pytest.raises(Unanswered):
        ENGINE.submit(plan)
    number = ENGINE.find(plan)["job"]
    assert lab.run("squeue", "--noheader", "--states=all", "--format=%i", "--name=a-1").split() == [number]


@pytest.mark.slow
def test_real_slurm_records_what_it_refuses(lab, make_plan):
    plan = make_plan(sbatch=json.dumps({"tmp": "10T"}))
    for _ in range(2):
        with pytest.raises(Rejected) as refused:
            ENGINE.submit(plan)
        assert refused.value.problems[0].code == "platform-refused"
    reasons = lab.run("squeue", "--noheader", "--states=all", "--format=%r", "--name=a-1").split()
    assert reasons.count("BadConstraints") == 2
    assert ENGINE.find(plan) is None


@pytest.mark.slow
def test_real_accounts_and_limits_are_quoted(lab_with_limits, make_plan, tmp_path):
    settings = {"account": "robots", "qos": "tiny", "sbatch": '{"hold": ""}', "time": "5m"}
    refused = [
        ({"time": "30m"}, "platform-refused"),
        ({"account": "robot"}, "platform-refused"),
        ({}, "runs-over-limit"),
    ]
    for number, (changed, code) in enumerate(refused):
        if not changed:
            assert ENGINE.submit(make_plan(**settings))["job"]
        with pytest.raises(Rejected) as refusal:
            ENGINE.submit(make_plan(runs_dir=str(tmp_path / str(number)), **settings | changed))
        check_problems(refusal.value.problems, code)
