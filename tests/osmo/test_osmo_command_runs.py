"""A program of the user's own in a pod that is preempted: it goes on from the checkpoint that it had published."""

import json
import time

import pytest
from azure_stand_in.fixtures import azure, azure_session

__all__ = ["azure", "azure_session"]

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("supervision_environment")]

TRAIN = """
import json, os, sys, time

outputs, found = sys.argv[1], sys.argv[2:]
steps = json.load(open(f"{found[-1]}/steps.json")) if found else []
print("from step", len(steps), flush=True)
for step in range(len(steps) + 1, 61):
    steps.append(step)
    time.sleep(2 if step > 20 and not found else 0.02)
    if step % 10 == 0:
        os.makedirs(new := f"{outputs}/new", exist_ok=True)
        json.dump(steps, open(f"{new}/steps.json", "w"))
        os.makedirs(f"{outputs}/checkpoints", exist_ok=True)
        os.rename(new, f"{outputs}/checkpoints/{step}")
"""


def test_a_preempted_program_goes_on_on_another_node(robotrain, osmo, azure, pod, tmp_path):
    code = tmp_path / "mine"
    code.mkdir()
    (code / "train.py").write_text(TRAIN)
    azure.blobs.put("mine", {"readme": b"the container"})
    saved = ("--checkpoints", "checkpoints/{step}", "--checkpoint-complete", "rename")
    words = (
        "--pool",
        "default",
        "--gpus",
        "0",
        "--num-gpus",
        "0",
        "--tracking-uri",
        "none",
        "--code",
        str(code),
        *saved,
    )
    words += ("--resume-args", '["{resume}"]', "--publish-url", azure.url("mine", "runs"))
    answer = robotrain(
        "submit", "command", "--platform", "osmo", *words, "--json", "--", "python3", "train.py", "{outputs}"
    )
    assert answer.exit_code == 0, answer.stderr
    run = answer.json["run"]
    osmo.configure(max_retry_per_task=1)
    (workflow,) = osmo.workflows
    running = osmo.start(workflow, environ=pod)
    until = time.monotonic() + 120
    while "of step 10 published to https" not in robotrain("logs", run).stdout:
        assert time.monotonic() < until, robotrain("logs", run).stdout
        time.sleep(0.2)
    osmo.reschedule(workflow)
    assert running.wait(180) == 0, robotrain("logs", run).stdout
    log = robotrain("logs", run).stdout
    assert "of an earlier attempt, restored from" in log
    starts = [
        int(line.rpartition(" ")[2]) for line in log.splitlines() if "from step" in line and "restored" not in line
    ]
    assert starts[0] == 0
    assert starts[-1] >= 10
    (name,) = (name for name in azure.blobs.names("mine", "runs/") if name.endswith("000060/steps.json"))
    assert json.loads(azure.blobs.get("mine", name)) == list(range(1, 61))


MEET = """
import socket, sys, time

count, rank, host, port = sys.argv[1:]
if rank == "0":
    with socket.create_server(("", int(port))) as server:
        server.settimeout(60)
        connection, _ = server.accept()
        print("the other says", connection.makefile().readline(), flush=True)
else:
    for _ in range(600):
        try:
            socket.create_connection((host, int(port)), 1).sendall(f"{rank} of {count}\\n".encode())
            break
        except OSError:
            time.sleep(0.1)
    else:
        sys.exit(1)
"""
PLACES = ("{num_nodes}", "{node_rank}", "{master_addr}", "{master_port}")


def test_a_program_on_two_nodes_meets_where_it_is_told(robotrain, osmo, azure, pod, tmp_path):
    code = tmp_path / "mine"
    code.mkdir()
    (code / "meet.py").write_text(MEET)
    words = ("--pool", "default", "--gpus", "0", "--num-gpus", "0", "--tracking-uri", "none", "--num-nodes", "2")
    line = ("python3", "meet.py", *PLACES)
    answer = robotrain("submit", "command", "--platform", "osmo", *words, "--code", code, "--json", "--", *line)
    assert answer.exit_code == 0, answer.stderr
    (workflow,) = osmo.workflows
    assert osmo.run(workflow, environ=pod, timeout=180) == 0, robotrain("logs", answer.json["run"]).stdout
    assert "the other says 1 of 2" in robotrain("logs", answer.json["run"]).stdout
    assert robotrain("status", answer.json["run"], "--json").json["state"] == "succeeded"
