"""A training on two nodes, each of which the compute starts with the variables of Azure ML."""

import pytest
from azureml_trained_jobs import (
    list_kept,
    made_or_ended,
    size_training,
    submit,
    tracked,
    upload_dataset,
    wait_for_end,
)
from robotrain_runtime.contract import event

__all__ = ["submit", "upload_dataset", "wait_for_end"]

pytestmark = [pytest.mark.slow, pytest.mark.long]

LEAD, OTHER = (f"user_logs/std_log_process_{rank}.txt" for rank in range(2))


@pytest.fixture
def submit_nodes(cluster, submit, upload_dataset):
    """Submit a training on two nodes: the run's name, and the job."""
    cluster.data("mini", 3, upload_dataset("pusht-mini", "sets/mini"))
    words = ("--dataset-asset", "azureml:mini:3", "--num-nodes", "2", "--output-mode", "rw_mount")
    return lambda *more: submit(*words, *more)


def read_logs(job) -> str:
    return "\n".join([*job.read_log(LEAD), *job.read_log(OTHER), str(job.error)])


def test_two_nodes_train_as_one_job_whose_first_node_alone_publishes_tracks_and_registers(
    robotrain, cluster, machine, submit_nodes
):
    run, job = submit_nodes("-r", "pusher", *size_training(4, 2))
    assert (job.body["resources"]["instanceCount"], job.body["distribution"]) == (
        2,
        {"distributionType": "PyTorch", "processCountPerInstance": 1},
    )
    assert machine.wait(job.name) == "Completed", read_logs(job)
    assert list_kept(cluster, job, "model.safetensors") == ["000002", "000004"]
    params, metrics, tags = tracked(machine, job)
    assert (params["num_nodes"], params["batch_size"]) == ("2", "4")
    assert (metrics["train/samples"], tags["training_status"]) == (32, "completed")
    assert not made_or_ended(cluster)
    assert [version["tags"]["checkpoint"] for version in cluster.versions("pusher").values()] == ["000004"]
    others = job.read_log(OTHER)
    assert [line for line in others if event.parse_event(line)] == []
    assert "node 1: succeeded" in others
    work = machine.folder / f"{job.name}-node1/disk/tmp/robotrain/{run}"
    assert not list(work.glob("outputs/checkpoints/*/pretrained_model"))
    status = robotrain("status", run, "--json").json
    assert (status["state"], status["step"]) == ("succeeded", 4)
    assert status["processes"] == {"count": 2, "nodes": 2, "samples": 8}
    assert "node 1: succeeded" in robotrain("logs", run).stdout
    assert "node 1: " not in robotrain("logs", run, "--tail", "5").stdout
