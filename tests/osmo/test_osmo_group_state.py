"""What the commands say and do about a run of several nodes, whose tasks are a group."""

import pytest
from osmo_observed_run import sealed
from robotrain_runtime.contract import checkpoint, event
from robotrain_runtime.contract.event import Metrics, Published

LEAD, OTHER = "lerobot-train", "lerobot-train-node-1"
PUBLISHED = "s3://robots/runs"
SETTINGS = ("--pool", "default", "--gpu-platform", "gpu_platform", "--storage-account", "acc", "--tracking-uri", "none")
STEP = Metrics(values={"train/loss": 0.5}, step=10, total=20)


class SentGroup:
    """A training on two nodes as the service has it."""

    def __init__(self, osmo, robotrain, run: str) -> None:
        self.osmo, self.robotrain, self.run = osmo, robotrain, run
        (self.workflow,) = osmo.workflows

    def set_tasks(self, lead: str, other: str, codes: tuple = (None, None)) -> None:
        for task, status, code in zip((LEAD, OTHER), (lead, other), codes, strict=True):
            self.osmo.set_state(self.workflow, task=task, task_status=status, exit_code=code)

    def run_command(self, command: str, *words: str):
        return self.robotrain(command, self.run, *words)

    def read_status(self) -> dict:
        return self.run_command("status", "--json").json


@pytest.fixture
def group(robotrain, osmo) -> SentGroup:
    words = (*SETTINGS, "--num-nodes", "2", "-d", "lerobot/pusht", "--no-pin", "--publish-url", PUBLISHED)
    answer = robotrain("submit", "--platform", "osmo", *words, "--json")
    assert answer.exit_code == 0, answer.stderr
    return SentGroup(osmo, robotrain, answer.json["run"])


def test_status_is_that_of_both_nodes(group):
    for lead, other, state in (
        ("SCHEDULING", "SCHEDULING", "pending"),
        ("RUNNING", "INITIALIZING", "pending"),
        ("INITIALIZING", "RUNNING", "pending"),
        ("RUNNING", "RUNNING", "running"),
        ("COMPLETED", "RUNNING", "running"),
        ("COMPLETED", "COMPLETED", "succeeded"),
    ):
        group.set_tasks(lead, other)
        assert (group.read_status()["state"], lead, other) == (state, lead, other)


def test_progress_is_that_of_the_lead(group):
    group.set_tasks("RUNNING", "RUNNING")
    group.osmo.say(group.workflow, event.format_event(STEP), task=LEAD)
    group.osmo.say(group.workflow, "a line of the other node", task=OTHER)
    assert group.read_status()["step"] == 10
    assert "a line of the other" not in group.run_command("logs").stdout
    assert "a line of the other node" in group.run_command("logs", "--task", OTHER).stdout


@pytest.mark.parametrize(
    ("lead", "other", "codes", "exit_code", "reason"),
    [
        ("COMPLETED", "COMPLETED", (0, 0), 0, "succeeded"),
        ("FAILED", "FAILED", (75, 137), 5, "node 1: it was killed"),
    ],
)
def test_end_of_the_group_is_the_end_of_the_run(group, lead, other, codes, exit_code, reason):
    group.set_tasks(lead, other, codes)
    for command in ("watch", "wait"):
        answer = group.run_command(command)
        assert (answer.exit_code, reason in answer.stdout) == (exit_code, True), answer.stdout


@pytest.mark.parametrize(
    ("lead", "other", "codes", "node"),
    [("FAILED_PREEMPTED", "FAILED", (None, 75), 0), ("FAILED", "FAILED_PREEMPTED", (1, 3006), 1)],
)
def test_preempted_node_is_named_and_the_job_is_not_blamed(group, lead, other, codes, node):
    group.set_tasks(lead, other, codes)
    status = group.read_status()
    assert (status["state"], status["reason"].partition(":")[0]) == ("lost", f"node {node}")
    answer = group.run_command("status")
    assert ("higher priority" in answer.stdout, "fail again" in answer.stdout) == (True, False), answer.stdout


def test_cancel_ends_both_nodes(group):
    group.osmo.configure(cancelling="at-once")
    group.set_tasks("RUNNING", "RUNNING")
    answer = group.run_command("cancel")
    assert (answer.exit_code, "cancelled" in answer.stdout) == (0, True), answer.stderr
    assert group.osmo.cancels == [group.workflow]
    assert group.read_status()["state"] == "cancelled"


def list_tasks(osmo, *but: str) -> list[list[str]]:
    return [
        [task["name"] for group in workflow.spec["groups"] for task in group["tasks"]]
        for name, workflow in osmo.workflows.items()
        if name not in but
    ]


def test_same_job_is_sent_again_on_as_many_nodes(group):
    group.set_tasks("RUNNING", "RUNNING")
    answer = group.run_command("resubmit")
    assert (answer.exit_code, "nothing was sent" in answer.stderr) == (0, True)
    group.set_tasks("FAILED", "FAILED", (75, 1))
    answer = group.run_command("resubmit")
    assert answer.exit_code == 0, answer.stderr
    assert list_tasks(group.osmo, group.workflow) == [[LEAD, OTHER]]


def test_run_goes_on_from_what_the_lead_published_on_as_many_nodes(group):
    group.set_tasks("RUNNING", "RUNNING")
    assert "still running" in group.run_command("resume").stderr
    url = f"{PUBLISHED}/{group.workflow}/checkpoints/000400"
    group.osmo.say(group.workflow, event.format_event(Published(step=400, to=url)), task=LEAD)
    group.set_tasks("FAILED", "FAILED", (75, 1))
    files = {"pretrained_model/model.safetensors": b"weights"}
    group.osmo.put(url, {**files, checkpoint.MANIFEST: sealed(files, run=group.run)})
    (output,) = group.run_command("outputs", "--json").json["outputs"]
    assert (output["step"], output["uri"]) == (400, url)
    answer = group.run_command("resume", "--no-pin")
    assert answer.exit_code == 0, answer.stderr
    assert list_tasks(group.osmo, group.workflow) == [[LEAD, OTHER]]
    (again,) = [workflow for name, workflow in group.osmo.workflows.items() if name != group.workflow]
    for task in again.spec["groups"][0]["tasks"]:
        assert {"url": url} in task["inputs"]
