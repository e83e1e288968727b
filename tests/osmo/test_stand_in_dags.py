"""The stand-in takes workflows of several tasks as the real service does (pipelines.md, part A)."""

import pytest
import yaml
from osmo_stand_in.fixtures import RESOURCES, TASK
from osmo_stand_in.pod.room import HIDDEN_PYTHON

STEPS = {"train": (), "evaluate": ("train",), "register": ("train", "evaluate")}


def dag(steps=STEPS, **more) -> dict[str, object]:
    """A workflow with a task a step; what it reads by step."""
    tasks = [{**TASK, "name": name, "inputs": [{"task": one} for one in read]} for name, read in steps.items()]
    return {"name": "dag", "resources": {"default": RESOURCES}, "tasks": [{**task, **more} for task in tasks]}


def write_workflow(tmp_path, workflow: object) -> str:
    file = tmp_path / "workflow.yaml"
    file.write_text(yaml.safe_dump({"workflow": workflow}))
    return str(file)


def query(osmo, name: str = "dag-1") -> dict[str, object]:
    return osmo.ask("GET", f"api/workflow/{name}").body


def groups(osmo, name: str = "dag-1") -> dict[str, str]:
    return {one["name"].removesuffix("-group"): one["status"] for one in query(osmo, name)["groups"]}


REFUSED = [
    ({"train": ("train",)}, 10, "requires input group"),
    ({"a": ("b",), "b": ("a",)}, 10, 'Group "a-group" requires input group "b-group" exists before itself.'),
    ({"train": (), "evaluate": ("trian",)}, 2, "Task input trian does not exist."),
    ({"train-a": (), "Train_A": ()}, 1, "Multiple tasks/groups have the same name"),
    ({"train": ("other-1:train",)}, 2, "Task train of workflow other-1 is not found."),
]


@pytest.mark.parametrize(("steps", "code", "expected"), REFUSED)
def test_refused_dag_has_the_exit_code_of_the_real_command(osmo, osmo_cli, tmp_path, steps, code, expected):
    status, out, err = osmo_cli(
        "workflow", "submit", write_workflow(tmp_path, dag(steps)), "-p", "default", "-t", "json"
    )
    assert (status, expected in f"{out}{err}".replace("\\", "")) == (code, True), out + err


def test_dependants_of_a_failed_task_fail_while_other_branches_go_on(osmo, osmo_post):
    osmo_post(dag({**STEPS, "other": ("train",)}))
    osmo.set_state("dag-1", task="train", task_status="COMPLETED", exit_code=0)
    osmo.set_state("dag-1", task="other", task_status="RUNNING")
    osmo.set_state("dag-1", task="evaluate", task_status="FAILED_IMAGE_PULL", exit_code=3001)
    assert groups(osmo) == {
        "train": "COMPLETED",
        "other": "RUNNING",
        "evaluate": "FAILED",
        "register": "FAILED_UPSTREAM",
    }
    tasks = {one["name"]: one for group in query(osmo)["groups"] for one in group["tasks"]}
    assert tasks["evaluate"]["status"] == "FAILED_IMAGE_PULL"
    skipped = tasks["register"]
    assert [skipped["exit_code"], skipped["failure_message"]] == [3000, "Upstream task failed."]
    assert query(osmo)["status"] == "RUNNING"
    osmo.set_state("dag-1", task="other", task_status="COMPLETED", exit_code=0)
    assert query(osmo)["status"] == "FAILED"


def test_dependants_wait_for_the_next_attempt_of_a_task(osmo, osmo_post):
    osmo_post(dag({"train": (), "evaluate": ("train",)}))
    osmo.set_state("dag-1", task="train", task_status="RUNNING")
    osmo.retry("dag-1", exit_code=75)
    assert groups(osmo) == {"train": "RUNNING", "evaluate": "WAITING"}


def test_a_cancel_ends_the_whole_workflow_and_changes_nothing_that_ended(osmo, osmo_cli, osmo_post):
    osmo_post(dag({**STEPS, "other": ()}))
    osmo.set_state("dag-1", task="train", task_status="COMPLETED", exit_code=0)
    osmo.set_state("dag-1", task="evaluate", task_status="FAILED", exit_code=5)
    osmo.set_state("dag-1", task="other", task_status="RUNNING")
    osmo_cli("workflow", "cancel", "dag-1")
    words = {"train": "COMPLETED", "evaluate": "FAILED", "register": "FAILED_UPSTREAM", "other": "FAILED_CANCELED"}
    assert groups(osmo) == words
    assert query(osmo)["status"] == "FAILED_CANCELED"


def test_task_of_an_earlier_workflow_is_refused_until_it_has_ended(osmo, osmo_post):
    osmo_post(dag({"train": ()}))
    status, answer = osmo_post(dag({"evaluate": ("dag-1:train",)}))
    assert status == 400
    assert "must be finished: Workflow ID dag-1 task train has status PROCESSING" in answer["message"]


def test_alias_of_files_is_accepted_and_expanded(osmo, osmo_cli, tmp_path):
    files, spec = [{"path": "/opt/x", "base64": True, "contents": "eHh4" * 10_000}], dag()
    for task in spec["tasks"]:
        task["files"] = files
    text = yaml.safe_dump({"workflow": spec}, sort_keys=False)
    assert [text.count("files: &"), text.count("files: *"), text.count("contents:")] == [1, 2, 1]
    path = tmp_path / "workflow.yaml"
    path.write_text(text)
    assert osmo_cli("workflow", "submit", str(path), "-p", "default")[0] == 0
    kept = osmo_cli("workflow", "spec", "dag-1")[1]
    assert kept.count("contents: eHh4") == 3


WRITES = """
import os, pathlib, sys
out = pathlib.Path(os.environ["OUT"])
for name in ("IN", "BY_NAME"):
    for file in sorted(pathlib.Path(os.environ.get(name, "/none")).rglob("*.txt")):
        print(name, file.name, file.read_text(), flush=True)
print("lost token", os.environ["LOST"], flush=True)
(out / "small").mkdir(exist_ok=True)
(out / "small" / "a.txt").write_text("of " + os.environ["STEP"])
(out / "large.txt").write_text("x")
sys.exit(int(os.environ["CODE"]))
"""


def make_running_task(name: str, code: int = 0, **more) -> dict[str, object]:
    environment = {"OUT": "{{output}}", "STEP": name, "CODE": str(code), "LOST": "{{input:7}}"}
    if more.get("inputs"):
        environment |= {"IN": "{{input:0}}", "BY_NAME": "{{input:train}}"}
    return {**TASK, "name": name, "command": [HIDDEN_PYTHON, "-c", WRITES], "environment": environment, **more}


@pytest.mark.slow
def test_pods_run_one_after_the_other_and_outputs_travel(osmo, osmo_cli, osmo_post):
    tasks = [
        make_running_task("train"),
        make_running_task("evaluate", 5, inputs=[{"task": "train", "regex": "^small/.*"}]),
        make_running_task("register", inputs=[{"task": "train"}, {"task": "evaluate"}]),
    ]
    assert osmo_post({"name": "dag", "resources": {"default": RESOURCES}, "tasks": tasks})[0] == 200
    assert osmo.run("dag-1", timeout=60) == 5
    assert groups(osmo) == {"train": "COMPLETED", "evaluate": "FAILED", "register": "FAILED_UPSTREAM"}
    log = osmo_cli("workflow", "logs", "dag-1")[1]
    assert "[evaluate] IN a.txt of train\n" in log
    assert "[evaluate] BY_NAME a.txt of train\n" in log
    assert "[evaluate] lost token {{input:7}}\n" in log
    assert "[evaluate] IN large.txt" not in log
    assert "[register] " not in log
    of_one = osmo_cli("workflow", "logs", "dag-1", "-t", "evaluate")[1]
    assert ("[evaluate] " in of_one, "[train] " in of_one) == (True, False)
    assert osmo_cli("workflow", "logs", "dag-1", "-t", "evaluat")[0] == 2

    tasks = [make_running_task("evaluate", inputs=[{"task": "dag-1:train"}])]
    assert osmo_post({"name": "dag", "resources": {"default": RESOURCES}, "tasks": tasks})[0] == 200
    assert osmo.run("dag-2", timeout=60) == 0
    assert "[evaluate] IN large.txt x\n" in osmo_cli("workflow", "logs", "dag-2")[1]
