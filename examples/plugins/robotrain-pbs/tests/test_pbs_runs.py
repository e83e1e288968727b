"""What a user does with a run, from its submission to its end, with jobs that the stand-in's MoM runs."""

import json
import time

import pytest

PROGRAM = ("sh", "-c", "echo begun; trap 'echo stopped; exit 0' TERM; sleep 60 & wait")


def list_options(cluster):
    """Where the jobs run; their environment is built once, in the user's own cache."""
    return ("--platform", "pbs", "--runs-dir", cluster.runs, "--memory", "1G", "--time", "10m")


@pytest.fixture
def submit(robotrain, cluster):
    def submit(*words):
        gpus = () if "--gpus" in words else ("--gpus", 0)
        return robotrain("submit", "command", *list_options(cluster), "--cpus", 1, *gpus, *words).split()[0]

    return submit


def read_status(robotrain, run):
    return json.loads(robotrain("status", run, "--json"))


def wait_for_line(robotrain, run, line):
    until = time.monotonic() + 60
    while line not in robotrain("logs", run).splitlines():
        assert time.monotonic() < until
        time.sleep(0.3)


def test_log_is_followed_to_the_end(submit, robotrain):
    run = submit("--", "sh", "-c", "echo begun; sleep 2; echo done")
    lines = robotrain("logs", "-f", run).splitlines()
    assert lines.index("begun") < lines.index("done")
    assert read_status(robotrain, run)["state"] == "succeeded"


def test_program_that_fails_is_a_failed_run(submit, robotrain):
    run = submit("--", "sh", "-c", "exit 3")
    robotrain("wait", run, code=5)
    status = read_status(robotrain, run)
    assert (status["state"], status["exit_code"]) == ("failed", 3)


def test_running_job_is_stopped_by_a_signal(submit, robotrain, cluster):
    run = submit("--", *PROGRAM)
    wait_for_line(robotrain, run, "begun")
    robotrain("cancel", run)
    assert read_status(robotrain, run)["state"] == "cancelled"
    assert "stopped" in robotrain("logs", run).splitlines()
    assert ["qsig", "-s", "SIGTERM", "1.pbs"] in cluster.list_calls()
    assert not any(call[0] == "qdel" for call in cluster.list_calls())


def test_waiting_job_is_deleted_and_submitted_again(submit, robotrain, cluster):
    run = submit("--gpus", 1, "--", "true")  # the one node has no GPU
    assert "Insufficient amount of resource: ngpus" in read_status(robotrain, run)["reason"]
    robotrain("cancel", run)
    assert read_status(robotrain, run)["state"] == "cancelled"
    assert ["qdel", "1.pbs"] in cluster.list_calls()
    again = robotrain("resubmit", run, "--set", "gpus=0").split()[0]
    robotrain("wait", again)
    assert read_status(robotrain, again)["state"] == "succeeded"


def test_job_that_pbs_forgot_keeps_its_end(submit, robotrain, cluster):
    cluster.configure(history=False)
    run = submit("--", "true")
    robotrain("wait", run)
    assert cluster.list_jobs() == []
    assert read_status(robotrain, run)["state"] == "succeeded"


def test_command_while_pbs_does_not_answer_fails_and_can_be_repeated(submit, robotrain, cluster):
    run = submit("--", *PROGRAM)
    wait_for_line(robotrain, run, "begun")
    with cluster.away():
        for command in ("status", "cancel"):
            assert "platform-away" in robotrain(command, run, code=1)
        assert "begun" in robotrain("logs", run).splitlines()
    robotrain("cancel", run)
    assert read_status(robotrain, run)["state"] == "cancelled"


def test_trials_that_ask_for_different_things_are_jobs_of_their_own(robotrain, cluster):
    words = ("command", *list_options(cluster), "--gpus", 0, "--over", "cpus=1,2")
    robotrain("sweep", *words, "--wait", "--", "true")
    assert {job["Resource_List"]["ncpus"] for job in cluster.list_jobs()} == {"1", "2"}


@pytest.fixture
def project(tmp_path, cluster):
    """Steps and trials that print a loss and exit with the code that they are given."""
    settings = f'runs_dir = "{cluster.runs}"\ngpus = 0\ncpus = 1\nmemory = "1G"\ntime = "10m"\n'
    (tmp_path / "robotrain.toml").write_text(f"[platforms.pbs]\n{settings}")
    code = 'echo "loss: $1"; exit "$1"'
    job = {
        "workload": "command",
        "run": ["sh", "-c", code, "sh", "{value}"],
        "params": {"value": 0},
        "parameters": {"metrics": {"loss": "loss: ([0-9.]+)"}},
    }
    (tmp_path / "job.yaml").write_text(json.dumps(job))
    steps = {
        name: {"workload": "command", "run": ["sh", "-c", code, "sh", value], **({"after": [before]} if before else {})}
        for name, value, before in (("first", "0", ""), ("second", "3", "first"), ("third", "0", "second"))
    }
    (tmp_path / "pipeline.yaml").write_text(json.dumps({"name": "three", "steps": steps}))
    return tmp_path


def test_steps_of_a_pipeline_wait_for_each_other_in_the_queue(robotrain, cluster, project):
    run = robotrain("pipeline", "submit", "pipeline.yaml", "--platform", "pbs", "--native-only").split()[0]
    robotrain("wait", run, code=5)
    calls = [call for call in cluster.list_calls() if call[0] in ("qsub", "qrls")]
    assert [call[1:3] for call in calls[:3]] == [["-h", "-f"], *(["-W", f"depend=afterok:{n}.pbs"] for n in (1, 2))]
    assert calls[3:] == [["qrls", "1.pbs"]]
    steps = {step["name"]: step["state"] for step in read_status(robotrain, run)["steps"]}
    assert steps == {"first": "succeeded", "second": "failed", "third": "skipped"}
    assert "loss: 3" in robotrain("logs", run, "--step", "second").splitlines()


def test_waiting_pipeline_is_cancelled(robotrain, cluster, project):
    cluster.configure(nodes={"ncpus": 0})
    run = robotrain("pipeline", "submit", "pipeline.yaml", "--platform", "pbs", "--native-only").split()[0]
    steps = {step["name"]: step["state"] for step in read_status(robotrain, run)["steps"]}
    assert steps == {"first": "pending", "second": "waiting", "third": "waiting"}
    robotrain("cancel", run)
    assert read_status(robotrain, run)["state"] == "cancelled"
    assert {job["job_state"] for job in cluster.list_jobs()} == {"F"}
