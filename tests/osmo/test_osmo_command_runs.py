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
    osmo.limits(max_retry_per_task=1)
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
