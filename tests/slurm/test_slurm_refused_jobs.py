"""A real Slurm is asked what it refuses before anything is sent, here and on a login node."""

import getpass

import pytest
from login_node import HOST
from planned_jobs import job
from problem_assertions import check_problems
from slurm_pipelines import ENGINE

# the settings of a job that Slurm refuses, or would never start, and the problem
REFUSED = [
    *(
        (settings, "platform-refused")
        for settings in (
            *({"partition": "bacth"}, {"constraint": "a100"}, {"gpus": 1}, {"memory": "64G"}, {"cpus": 9}),
            *({"num_nodes": 3}, {"exclude": "n9"}, {"sbatch": '{"licenses": "matlab"}'}, {"sbatch": '{"bogus": "1"}'}),
        )
    ),
    ({"partition": "short", "time": "10m"}, "time-over-limit --time"),
    ({"partition": "small", "memory": "6G"}, "memory-over-limit --memory"),
]


@pytest.fixture
def find_refusals(shared_disks, make_plan):
    """Return the errors of the preflight of a job."""

    def find(num_nodes=1, **settings):
        plan = make_plan(job(num_nodes=num_nodes), **{"time": "1m"} | settings)
        return [problem for problem in ENGINE.preflight(plan) if problem.severity == "error"]

    return find


@pytest.mark.slow
def test_what_slurm_refuses_is_known_before_anything_is_sent(lab, find_refusals):
    jobs = lab.run("squeue", "--noheader", "--states=all", "--format=%i")
    assert find_refusals() == []
    assert find_refusals(num_nodes=2) == []
    for settings, problem in REFUSED:
        problems = find_refusals(**settings)
        check_problems(problems, problem)
        assert problems[0].stage.exit_code == 4, settings
    assert lab.run("squeue", "--noheader", "--states=all", "--format=%i") == jobs


@pytest.mark.slow
def test_job_for_nodes_that_are_down_waits(lab, find_refusals):
    """`--test-only` refuses it, sbatch does not."""
    lab.run("scontrol", "update", "nodename=n2", "state=drain", "reason=test")
    assert find_refusals(num_nodes=2) == []
    assert find_refusals(partition="small") == []
    check_problems(find_refusals(partition="small", memory="64G"), "platform-refused", "memory-over-limit --memory")


@pytest.mark.slow
def test_partition_that_takes_no_jobs_is_refused_one_that_is_down_is_not(lab, find_refusals):
    for state, problems in (("DRAIN", ["pool-closed --partition"]), ("DOWN", [])):
        lab.run("scontrol", "update", "partitionname=small", f"state={state}")
        check_problems(find_refusals(partition="small"), *problems)
    lab.run("scontrol", "update", "partitionname=small", "state=UP")


@pytest.mark.slow
def test_accounts_and_qualities_of_service_are_asked_of_slurm(lab_with_limits, find_refusals, make_plan):
    robots = {"account": "robots", "qos": "tiny", "time": "5m"}
    assert find_refusals(**robots) == []
    for settings in ({"time": "30m"}, {"account": "robot"}, {"qos": "tinny"}):
        check_problems(find_refusals(**robots | settings), "platform-refused")
    assert lab_with_limits.run("squeue", "--noheader", f"--user={getpass.getuser()}") == ""


@pytest.mark.slow
def test_cluster_that_enforces_its_limits_is_quoted(make_lab, find_refusals):
    make_lab(EnforcePartLimits="ALL")
    problems = find_refusals(partition="short", time="10m")
    check_problems(problems, "platform-refused", "time-over-limit --time")
    assert "Requested time limit is invalid" in problems[0].why
    check_problems(find_refusals(partition="small", memory="6G"), "platform-refused", "memory-over-limit --memory")


@pytest.mark.slow
def test_login_node_is_asked(login_node, find_refusals):
    check_problems(find_refusals(login=HOST, partition="bacth"), "platform-refused")
