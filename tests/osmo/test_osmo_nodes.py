"""A job of several nodes is a group of tasks: what is sent, what is refused, and what is reported of it."""

import pytest
from osmo_pipelines import plan, step
from osmo_plans import evaluation, find_codes, job, payload, read_yaml, render_plan, source
from robotrain.errors import Rejected
from robotrain.model.pipeline import PipelineStep
from robotrain.model.plan import Plan
from robotrain_osmo.observe import log_lines, logs, pipeline_steps, workflow_state
from robotrain_osmo.observe.status import explain_failure
from robotrain_runtime.contract.document import parse_document
from robotrain_runtime.contract.event import Note, Outcome, format_event

PUBLISHED = "https://account.blob.core.windows.net/box/runs"


def read_group(plan: Plan) -> dict:
    (group,) = read_yaml(plan.files["workflow.yaml"])["workflow"]["groups"]
    return group


def test_each_node_is_a_task_and_the_first_leads():
    group = read_group(render_plan(job(num_nodes=3)))
    assert (group["name"], group["ignoreNonleadStatus"]) == ("lerobot-train-group", False)
    assert [task["name"] for task in group["tasks"]] == ["lerobot-train", *(f"lerobot-train-node-{n}" for n in (1, 2))]
    assert [task.get("lead") for task in group["tasks"]] == [True, None, None]
    variables = [task["environment"] for task in group["tasks"]]
    assert [environment["ROBOTRAIN_NODE_RANK"] for environment in variables] == ["0", "1", "2"]
    assert {environment["ROBOTRAIN_NODE_ADDRESS"] for environment in variables} == {"{{host:lerobot-train}}"}
    same = ("image", "command", "exitActions", "files")
    assert all(task[name] == group["tasks"][0][name] for task in group["tasks"] for name in same)


def test_document_names_the_variables_of_the_node():
    placement = parse_document(render_plan(job(num_nodes=2)).files["job.json"].decode()).placement
    assert (placement.node_rank, placement.node_address) == ("ROBOTRAIN_NODE_RANK", "${ROBOTRAIN_NODE_ADDRESS}")


def test_job_of_one_node_is_a_task_as_before():
    plan = render_plan(job())
    assert "groups" not in read_yaml(plan.files["workflow.yaml"])["workflow"]
    assert b'"node_' not in plan.files["job.json"]
    assert b'"nodes"' not in plan.files["osmo.json"]


def test_only_the_lead_has_outputs_and_copies():
    plan = render_plan(
        job(num_nodes=2, publish_url="s3://robots/runs"), publish_dataset="m/pusht", buckets="m=s3://robots/models"
    )
    lead, other = read_group(plan)["tasks"]
    assert {"outputs", "checkpoint"} <= {*lead}
    assert not {"outputs", "checkpoint"} & {*other}
    assert lead["inputs"] == other["inputs"]


def test_archive_is_sent_once_for_all_nodes():
    assert render_plan(job(num_nodes=20)).files["workflow.yaml"].count(b"contents:") == 1


def test_archive_that_osmo_would_not_store_for_all_nodes_is_refused_or_uploaded():
    large = payload(420 << 10)
    with pytest.raises(Rejected) as refused:
        render_plan(job(num_nodes=20), packed=large)
    (problem,) = refused.value.problems
    assert problem.code == "spec-over-limit"
    assert "11.6 MB in OSMO, which stores the code once for each node" in problem.title
    assert problem.suggestions[0].text == "--storage-account NAME"
    assert read_group(render_plan(job(num_nodes=13), packed=large))
    uploaded = render_plan(job(num_nodes=20), packed=large, storage_account="acc")
    assert all("files" not in task and task["inputs"] for task in read_group(uploaded)["tasks"])


@pytest.mark.parametrize(("nodes", "codes"), [(20, set()), (21, {"osmo-too-many-nodes"})])
def test_more_nodes_than_tasks_of_a_workflow_are_refused(nodes, codes):
    assert find_codes(job(num_nodes=nodes)) & {"osmo-too-many-nodes"} == codes


def test_service_accepts_the_group(osmo):
    plan = render_plan(job(num_nodes=3), gpu_platform="gpu_platform", pool="default")
    assert osmo.submit(plan.files["workflow.yaml"].decode()) == f"{plan.run}-1"


def row(name: str, status: str, code: int | None = None, retry: int = 0, end: str = "") -> dict:
    return {"name": name, "status": status, "exit_code": code, "retry_id": retry, "end_time": end or None}


def parse(status: str, *rows: dict) -> workflow_state.WorkflowState:
    answer = {"name": "w-1", "status": status, "groups": [{"name": "t-group", "status": status, "tasks": [*rows]}]}
    return workflow_state.parse_workflow(answer, "t")


def test_node_that_failed_first_explains_the_failure():
    ended = parse("FAILED", row("t", "FAILED", 75, end="2026-01-01T00:00:01"), row("t-node-1", "FAILED", 137))
    assert (ended.state, ended.node, ended.exit_code) == ("failed", 1, 137)
    assert explain_failure(ended).startswith("node 1: it was killed")
    ended = parse("FAILED", row("t", "FAILED", 1), row("t-node-1", "FAILED"))
    assert (ended.node, ended.exit_code) == (0, 1)


def test_state_is_that_of_all_nodes():
    assert parse("COMPLETED", row("t", "COMPLETED", 0), row("t-node-1", "COMPLETED", 0)).state == "succeeded"
    waiting = parse(
        "RUNNING", row("t", "RUNNING"), row("t-node-1", "RESCHEDULED"), row("t-node-1", "SCHEDULING", None, 1)
    )
    assert (waiting.state, waiting.retry, waiting.node) == ("pending", 1, 1)
    assert parse("RUNNING", row("t", "RUNNING"), row("t-node-1", "RUNNING")).state == "running"


REFERENCE = {"workflow": "w-1", "task": "t", pipeline_steps.TASKS_KEY: "t,t-node-1"}


def select(reference: dict) -> list[str]:
    error = format_event(Note(level="error", text="node 1 failed: no memory"), 1.0)
    raw = [
        f"2026/01/01 00:00:00 [{task}] {text}"
        for task, text in (("t", "one"), ("t-node-1", "two"), ("t-node-1", error))
    ]
    return [log_lines.parse_text(line) for line in log_lines.select_lines(reference, iter(raw)) if line]


def test_log_is_that_of_the_lead_with_the_errors_of_the_others():
    first, second = select(REFERENCE)
    assert first == "one"
    assert "node 1 failed: no memory" in second
    assert select({**REFERENCE, "task": "t-node-1"})[0] == "two"
    assert len(select({"workflow": "w-1", "task": "t"})) == 3, "a run of one task has all lines"


def test_error_of_another_node_is_the_reason():
    outcome = logs._find_outcome(select(REFERENCE), 1)
    assert outcome == Outcome(state="failed", exit_code=1, reason="no memory")


def make_steps(nodes: int, other: str = "evaluate") -> list[PipelineStep]:
    training = step("train", job(num_nodes=nodes), hands_over=True)
    return [training, step(other, evaluation(source("step", "train", "policy")), hands_over=True)]


def test_step_after_a_group_reads_the_output_of_its_lead(osmo):
    text = plan(make_steps(2)).files["workflow.yaml"].decode()
    first, second = read_yaml(text)["workflow"]["groups"]
    assert [task["name"] for task in first["tasks"]] == ["train", "train-node-1"]
    (task,) = second["tasks"]
    assert (second["name"], task["inputs"][0]["task"]) == ("evaluate-group", "train")
    assert text.count("contents:") == 1
    assert osmo.submit(text)


SCORED = ("--training-steps", "40", "--save-freq", "20", "--evaluate-checkpoints", "--env", "pusht", "--num-nodes", "2")
IN_POOL = ("--platform", "osmo", "--pool", "default", "--gpu-platform", "gpu_platform", "--tracking-uri", "none")


def test_checkpoints_of_two_nodes_are_scored_by_one_task_that_reads_the_output_of_the_lead(robotrain, osmo, tmp_path):
    words = (*IN_POOL, "--dataset-repo-id", "lerobot/pusht", *SCORED)
    shown = robotrain("submit", *words, "--no-pin", "--dry-run", "--json")
    assert shown.exit_code == 0, shown.stderr
    rows = {(row["step"], row["name"]): row["value"] for row in shown.json["preview"]}
    assert [rows[step, "nodes"] for step in ("train", "evaluate")] == ["2", "1"]
    assert rows["train", "GPUs"] == "1 on each node"
    written = robotrain("render", *words, "--to", tmp_path / "plan")
    assert written.exit_code == 0, written.stderr
    text = (tmp_path / "plan/workflow.yaml").read_text()
    assert shown.json["files"]["workflow.yaml"]["text"] == text
    train, evaluate = read_yaml(text)["workflow"]["groups"]
    assert [task["name"] for task in train["tasks"]] == ["train", "train-node-1"]
    (task,) = evaluate["tasks"]
    assert (task["name"], task["inputs"][0]["task"]) == ("evaluate", "train")
    assert "ROBOTRAIN_NODE_RANK" not in task["environment"]
    placements = {
        name: parse_document((tmp_path / f"plan/steps/{name}/job.json").read_text()).placement
        for name in ("train", "evaluate")
    }
    assert {name: bool(placement.node_rank) for name, placement in placements.items()} == {
        "train": True,
        "evaluate": False,
    }
    sent = robotrain("submit", "--plan", tmp_path / "plan", "--json")
    assert sent.exit_code == 0, sent.stderr
    (workflow,) = osmo.workflows.values()
    names = [[task["name"] for task in group["tasks"]] for group in workflow.spec["groups"]]
    assert names == [["train", "train-node-1"], ["evaluate"]]


@pytest.mark.parametrize(
    ("steps", "code"),
    [(make_steps(20), "steps-over-limit"), (make_steps(2, "train-node-1"), "step-name-invalid")],
)
def test_nodes_of_all_steps_are_tasks_of_the_workflow(steps, code):
    with pytest.raises(Rejected) as refused:
        plan(steps)
    assert [problem.code for problem in refused.value.problems] == [code]
