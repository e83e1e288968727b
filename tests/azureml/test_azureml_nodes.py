"""Jobs of several nodes: what Azure ML is sent, what is said of their end, and that one node is as before."""

import time
from pathlib import Path

import pytest
import yaml
from azureml_plans import job, read_placement, read_spec, render_plan
from azureml_workspace_plans import (
    add_dataset,
)
from planned_jobs import evaluation
from robotrain_azureml.observe import logs
from robotrain_azureml.spec import submission_spec
from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import Note, Outcome

COMPUTE = "k8s-robot-dev-00"
ONE_EACH = {"type": "pytorch", "process_count_per_instance": 1}
LEAD, SECOND, THIRD = (f"user_logs/std_log_process_{rank}.txt" for rank in range(3))
LOST = "RuntimeError: [gloo/transport/tcp/pair.cc:534] Connection closed by peer [10.0.0.5]:18632"


def test_a_job_of_several_nodes_has_as_many_instances_with_one_process_each():
    made = render_plan(job(num_nodes=3, num_gpus=4))
    spec, placement = read_spec(made), read_placement(made)
    assert spec["resources"] == {"instance_count": 3, "instance_type": "gpuspot4", "shm_size": "8g"}
    assert spec["distribution"] == ONE_EACH
    assert (placement.node_rank, placement.node_address) == ("NODE_RANK", "${MASTER_ADDR}:${MASTER_PORT}")
    assert spec["command"] == read_spec(render_plan(job()))["command"]


def test_a_job_of_one_node_is_as_before():
    for planned_job in (job(), job(num_gpus=4), evaluation()):
        made = render_plan(planned_job)
        assert (read_spec(made)["resources"]["instance_count"], "distribution" in read_spec(made)) == (1, False)
        assert b"node_" not in made.files[submission_spec.DOCUMENT_FILE]


@pytest.fixture
def workspace(observing, name_workspace):
    """The workspace, with a compute and a dataset, which the environment names."""
    observing.kubernetes(COMPUTE)
    observing.data("episodes", 3, add_dataset(observing, "episodes/3"))
    name_workspace(observing, COMPUTE)
    return observing


TRAINING = ("--platform", "azureml", "--dataset-asset", "azureml:episodes:3", "--num-nodes", "2")
PIPELINE = ("pipeline", "train-eval", *TRAINING, "--env", "pusht", "-r", "pusht-act", "--json")
SENT = {"distributionType": "PyTorch", "processCountPerInstance": 1}


def test_a_step_of_a_pipeline_may_have_several_nodes(workspace, robotrain):
    answer = robotrain(*PIPELINE, "--dry-run")
    assert answer.exit_code == 0, answer.stderr
    steps = yaml.safe_load(answer.json["files"]["pipeline-job.yaml"]["text"])["jobs"]
    counts = [(step["resources"]["instance_count"], step.get("distribution")) for step in steps.values()]
    assert counts == [(2, ONE_EACH), (1, None)]
    rows = {(row["step"], row["name"]): row["value"] for row in answer.json["preview"]}
    assert [rows[step, "nodes"] for step in ("train", "evaluate")] == ["2", "1"]
    assert rows["train", "tracking"].startswith("the workspace ")


@pytest.mark.slow
def test_azure_ml_gets_the_nodes_of_steps_from_the_sdk(workspace, robotrain):
    answer = robotrain(*PIPELINE)
    assert answer.exit_code == 0, answer.stderr
    first, *_ = workspace.steps(answer.json["reference"]["job"]).values()
    assert (first.body["resources"]["instanceCount"], first.body["distribution"]) == (2, SENT)


EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        (EXAMPLES / "pusht-mini/job.yaml",),
        (EXAMPLES / "two-nodes/job.yaml",),
        ("isaac-train", "--task", "Isaac-Cartpole-Direct"),
    ],
    ids=["lerobot-train", "command", "isaac-train"],
)
def test_azure_ml_gets_the_nodes_of_each_workload_from_the_sdk(workspace, robotrain, words):
    answer = robotrain("submit", *words, "--platform", "azureml", "--num-nodes", "2", "--json")
    assert answer.exit_code == 0, answer.stderr
    body = workspace.jobs[answer.json["reference"]["job"]].body
    assert (body["resources"]["instanceCount"], body["distribution"]) == (2, SENT)


def end(reason: str, at: float) -> str:
    """The last event of the first node."""
    return event.format_event(Outcome(state="failed", exit_code=1, reason=reason), at)


def end_other(node: int, reason: str, at: float) -> str:
    """The last event of another node."""
    return event.format_event(Note(level="error", text=f"node {node} failed: {reason}"), at)


@pytest.mark.parametrize(
    ("lead", "second", "third", "reason"),
    [
        ("CUDA out of memory", LOST, "", "CUDA out of memory"),
        (LOST, "CUDA out of memory", LOST, "node 1 failed: CUDA out of memory"),
        (LOST, LOST, "no space left on device", "node 2 failed: no space left on device"),
        (LOST, LOST, LOST, LOST),
        ("", "the dataset may not be read", "", "node 1 failed: the dataset may not be read"),
        ("", "", "", "it failed (exit code 1)"),
    ],
)
def test_status_tells_the_failure_of_the_node_that_failed_first(run, lead, second, third, reason):
    now = time.time()
    for file, text, at in ((LEAD, lead and end(lead, now), 0), (SECOND, second, 1), (THIRD, third, 2)):
        line = text if not at else text and end_other(at, text, now + at)
        run.say("training", *([line] if line else []), *map(str, range(logs.reasons.OUTCOME_LINES // 2)), file=file)
    status = run.fails("User process 'sh' exited with status code 1.").status()
    assert (status.state, status.exit_code) == ("failed", 1)
    assert reason in status.reason


def test_a_node_that_failed_is_shown_with_the_progress_of_the_first(run, robotrain):
    run.record()
    run.set_native_state("Running").say("training", file=LEAD)
    run.say(event.format_event(Note(level="error", text="node 1: the disk is full")), file=SECOND)
    shown = robotrain("logs").stdout
    assert "node 1: the disk is full" in shown
