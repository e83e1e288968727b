"""What the kit does not know of PBS: the words of qsub, refusals, states, and submits that are interrupted."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import robotrain.api
from pbs_world import PBSWorld
from robotrain.plugin import Rejected
from robotrain_pbs import client, platform

DATA = {"dataset_repo_id": "lerobot/pusht", "pin": False}


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setenv("ROBOTRAIN_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(platform.PBSEngine, "settle_seconds", 0.1)
    monkeypatch.chdir(tmp_path)
    return PBSWorld(tmp_path / "cluster", monkeypatch)


def submit(world, **more):
    return robotrain.api.submit(platform="pbs", runs_dir=str(world.runs), **DATA, **more)


def refuse(world, **more):
    with pytest.raises(Rejected) as refused:
        submit(world, **more)
    (problem,) = refused.value.problems
    assert world.list_jobs() == []
    assert not world.runs.exists() or [*world.runs.iterdir()] == []
    return problem


def find_qsub(world):
    (words,) = [call for call in world.list_calls() if call[0] == "qsub"]
    return " ".join(words)


def test_job_asks_for_what_the_workload_needs(world):
    submit(world, queue="workq", account="lab", gpus=2, num_gpus=2, resources={"gpu_model": "a100"})
    words = find_qsub(world)
    assert "-q workq -A lab -l select=1:ncpus=8:mem=48gb:ngpus=2:gpu_model=a100 -l walltime=12:00:00 " in words
    assert words.endswith("/start.sh")


def test_job_on_the_cpu_asks_for_no_gpu(world):
    submit(world, device="cpu", cpus=2, memory="6G", time="90m")
    assert "-l select=1:ncpus=2:mem=6gb -l walltime=1:30:00 " in find_qsub(world)


def test_time_and_memory_are_written_as_pbs_does(world):
    submit(world, time="12h30m", memory="500M")
    assert ":mem=500mb" in find_qsub(world)
    assert "walltime=12:30:00 " in find_qsub(world)


REFUSALS = {
    "pbs-queue-unknown": {"queue": "nope"},
    "pbs-queue-closed": {"queue": "closed"},
    "pbs-queue-denied": {"queue": "private"},
    "pbs-over-limits": {"time": "48h"},
    "pbs-account-refused": {"account": "other"},
    "pbs-resource-unknown": {"resources": {"shelf": "3"}},
    "pbs-resource-malformed": {"resources": {"a": "b:ncpus=99"}},
    "pbs-resource-owned": {"resources": {"ncpus": "64"}},
    "pbs-time-short": {"time": "0h"},
    "pbs-memory-small": {"memory": "1K"},
}


@pytest.mark.parametrize("code", REFUSALS)
def test_refusal_is_in_words_and_leaves_nothing(world, code):
    assert refuse(world, **REFUSALS[code]).code == code


def test_refusal_names_what_exists(world):
    assert "workq" in refuse(world, queue="nope").suggestions[0].remark
    assert "walltime = 24:00:00" in refuse(world, time="48h").suggestions[0].remark


def test_refused_job_can_be_corrected(world):
    refuse(world, time="48h")
    assert submit(world, time="24h").name.endswith("-1")


def test_full_queue_is_a_passing_refusal(world):
    world.configure(mood="full")
    with pytest.raises(Rejected) as full:
        submit(world)
    assert (full.value.transient, full.value.problems[0].code) == (True, "pbs-too-many-jobs")
    submit(world)


def test_machine_without_qsub_is_a_preflight_problem(world, monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert refuse(world).code == "submit-command-missing"


def test_server_that_is_away_is_a_preflight_problem(world):
    with world.away():
        assert refuse(world).code == "platform-away"


def test_folder_with_a_colon_is_refused(world):
    with pytest.raises(Rejected) as refused:
        robotrain.api.submit(platform="pbs", runs_dir="/tmp/a:b", **DATA)
    assert refused.value.problems[0].code == "pbs-folder-path"


def test_several_nodes_are_refused_with_the_reason(world):
    problem = refuse(world, num_nodes=2)
    assert (problem.code, problem.where) == ("feature-not-there", "num_nodes")
    assert "one chunk" in problem.why


def test_fewer_gpus_than_the_job_uses_are_a_warning(world):
    submit(world, num_gpus=2, gpus=1)
    assert ":ngpus=1" in find_qsub(world)


def test_secret_that_others_may_read_is_refused(world, tmp_path):
    (tmp_path / "key").write_text("secret")
    (tmp_path / "key").chmod(0o644)
    assert "secret" in refuse(world, secrets={"KEY": str(tmp_path / "key")}).code


@pytest.mark.parametrize("name", ["PBS_KEY"])
def test_secret_may_not_have_the_name_of_a_variable_of_pbs(world, tmp_path, name):
    assert refuse(world, secrets={name: str(tmp_path / "key")}).code == "variable-invalid"


def test_environment_is_not_taken_from_a_project(world, tmp_path):
    (tmp_path / "robotrain.toml").write_text('[platforms.pbs]\nenvironment = "/opt/evil"\n')
    with pytest.raises(Rejected, match="environment"):
        submit(world)


def test_job_whose_answer_was_lost_is_found(world):
    world.configure(mood="breaks after")
    run = submit(world)
    assert run.record.reference["job"] == "1.pbs"
    assert world.count_runs(run.name) == 1


def test_job_that_did_not_arrive_is_sent_by_the_same_command(world):
    world.configure(mood="breaks before")
    with pytest.raises(Rejected, match="unknown whether pbs accepted"):
        submit(world)
    run = submit(world)
    assert world.count_runs(run.name) == 1


def test_job_of_another_plan_with_the_same_name_is_not_taken(world, tmp_path):
    run = submit(world)
    first = run.record.reference["job"]
    world.runs.rename(tmp_path / "elsewhere")
    (tmp_path / "state").rename(tmp_path / "old-state")
    world.configure(mood="breaks before")
    with pytest.raises(Rejected, match="unknown whether"):
        submit(world, cpus=3)
    again = submit(world, cpus=3)
    assert (first, again.name, again.record.reference["job"]) == ("1.pbs", run.name, "2.pbs")


def test_job_that_pbs_has_forgotten_is_found_by_its_claim(world):
    world.configure(mood="breaks before")
    with pytest.raises(Rejected, match="unknown whether"):
        submit(world)
    (folder,) = world.runs.iterdir()
    (folder / "taken").symlink_to("7.pbs:token:1")
    assert submit(world).record.reference["job"] == "7.pbs"
    assert world.list_jobs() == []


KILLS = int(os.environ.get("PBS_KILLS", "6"))
SUBMIT = """
import sys, robotrain.api
data = {"dataset_repo_id": "lerobot/pusht", "pin": False}
print(robotrain.api.submit(platform="pbs", runs_dir=sys.argv[1], note=sys.argv[2], **data).name)
"""


def start_submit(world, note):
    command = [sys.executable, "-c", SUBMIT, str(world.runs), note]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


@pytest.mark.slow
def test_killed_submit_loses_and_doubles_nothing(world):
    """Killed at points spread over the time that a submit takes; `PBS_KILLS` says how many."""
    began = time.monotonic()
    assert start_submit(world, "measure").communicate()[0]
    takes = time.monotonic() - began
    killed = 0
    for number in range(KILLS):
        process = start_submit(world, f"kill {number}")
        try:
            process.wait(takes * (0.3 + 0.8 * number / KILLS))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.communicate()
        run = start_submit(world, f"kill {number}").communicate()[0].strip()
        assert world.count_runs(run) == 1
        names = [job["Job_Name"] for job in world.list_jobs()]
        assert len(names) == len(set(names))
        robotrain.api.Run(run).cancel()
    assert killed > KILLS // 3


def set_job(world, run, **values):
    world.change_job(run.record.reference["job"], **values)
    return run.status()


STATES = {
    "Q": ("pending", "waits in the queue: Not Running: Insufficient amount of resource: ngpus"),
    "H": ("pending", "held: `qrls` releases it"),
    "R": ("running", ""),
    "S": ("running", "suspended"),
    "E": ("running", "cleans up"),
    "Z": ("running", "PBS says Z"),
}


@pytest.mark.parametrize("letter", STATES)
def test_state_is_in_words(world, letter):
    comment = "Not Running: Insufficient amount of resource: ngpus (R: 4 A: 0 T: 8)" if letter == "Q" else ""
    status = set_job(world, submit(world), job_state=letter, comment=comment)
    assert status.state == STATES[letter][0]
    assert STATES[letter][1] in status.reason


ENDS = {
    "0": ("succeeded", "", 0),
    "3": ("failed", "exit code 3", 3),
    "265": ("failed", "killed", None),
    "267": ("failed", "signal 11", None),
    "-29": ("failed", "time was up", None),
    "-27": ("failed", "memory", None),
    "-3": ("failed", "could not start", None),
}


@pytest.mark.parametrize("code", ENDS)
def test_exit_status_is_in_words(world, code):
    status = set_job(world, submit(world), job_state="F", Exit_status=code)
    assert (status.state, status.exit_code) == (ENDS[code][0], ENDS[code][2])
    assert ENDS[code][1] in status.reason


def test_reason_has_what_the_job_printed_last(world):
    run = submit(world)
    (world.runs / run.name / "pbs.txt").write_text("one\nerror: this node has no Python 3.10\n\n")
    status = set_job(world, run, job_state="F", Exit_status="127")
    assert status.reason == "it ended with exit code 127: error: this node has no Python 3.10"


def test_outcome_of_the_runtime_wins(world):
    run = submit(world)
    outcome = {"state": "failed", "exit_code": 1, "reason": "the dataset is empty"}
    (world.runs / run.name / "outcome.json").write_text(json.dumps(outcome))
    status = set_job(world, run, job_state="F", Exit_status="1")
    assert (status.state, status.reason) == ("failed", "the dataset is empty")


def test_server_without_history_forgets_jobs(world):
    world.configure(history=False)
    run = submit(world)
    assert run.status().state == "pending"
    (world.server / "1.job").unlink()
    assert run.status().state == "lost"
    outcome = {"state": "succeeded", "exit_code": 0, "reason": ""}
    (world.runs / run.name / "outcome.json").write_text(json.dumps(outcome))
    assert run.status().state == "succeeded"


def test_cancel_that_the_server_did_not_get_can_be_repeated(world):
    run = submit(world)
    with world.away(), pytest.raises(Rejected):
        run.cancel()
    assert run.status().state == "pending"
    run.cancel()
    assert run.status().state == "cancelled"
    assert [call[0] for call in world.list_calls() if call[0] in ("qdel", "qsig")] == ["qdel"]


def test_long_values_of_qstat_are_joined():
    text = "Job Id: 1.pbs\n    Job_Name = a\n    Variable_List = A=1,\n\tB=2,C\n\t=3\n    comment = x = y\n"
    attributes = client.parse_attributes(text.removeprefix("Job Id: "))
    assert attributes == {"name": "1.pbs", "Job_Name": "a", "Variable_List": "A=1,B=2,C=3", "comment": "x = y"}
