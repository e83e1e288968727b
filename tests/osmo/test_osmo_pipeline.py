"""A pipeline is one workflow: a task a step, checked before anything is sent (pipelines.md, part A)."""

import json
from dataclasses import replace
from typing import Any

import pytest
from osmo_pipelines import RUN, plan, step, steps
from osmo_plans import job, payload, read_yaml, unpack_archive
from robotrain.errors import Rejected
from robotrain.model.pipeline import PipelineStep
from robotrain_osmo.platform import OSMO
from robotrain_osmo.spec import workflow
from robotrain_runtime.contract import document


def tasks(of) -> dict[str, dict[str, object]]:
    return {task["name"]: task for task in read_yaml(of.files["workflow.yaml"])["workflow"]["tasks"]}


def document_of(of, name: str) -> document.JobDocument:
    return document.parse_document(of.files[f"steps/{name}/job.json"].decode())


def test_each_step_is_a_task_that_reads_earlier_ones(osmo):
    made = plan()
    tasks_by_name = tasks(made)
    assert list(tasks_by_name) == ["train", "evaluate", "again"]
    assert tasks_by_name["evaluate"]["inputs"] == [{"task": "train", "regex": r"^(step\.json|policy/.*)$"}]
    assert tasks_by_name["again"]["inputs"] == [{"task": "evaluate", "regex": r"^step\.json$"}]
    variables = tasks_by_name["evaluate"]["environment"]
    assert variables["ROBOTRAIN_SUBMISSION"] == "{{workflow_id}}-evaluate"
    assert [variables["ROBOTRAIN_STEP_OUTPUT"], variables["ROBOTRAIN_INPUT_0"]] == ["{{output}}", "{{input:0}}"]
    assert "ROBOTRAIN_STEP_OUTPUT" not in tasks_by_name["again"]["environment"]
    evaluate = document_of(made, "evaluate")
    assert [mount.folder for mount in evaluate.placement.mounts] == ["${ROBOTRAIN_INPUT_0}/policy"]
    assert [evaluate.run, evaluate.placement.handover] == [f"{RUN}-evaluate", "${ROBOTRAIN_STEP_OUTPUT}"]
    assert document_of(made, "again").placement.handover == ""


def test_evaluation_of_several_checkpoints_reads_those_alone(robotrain, osmo, tmp_path):
    words = ("--pool", "default", "--tracking-uri", "none", "--dataset-repo-id", "lerobot/pusht", "--env", "pusht")
    scored = ("--training-steps", "40", "--save-freq", "20", "--evaluate-checkpoints", "20")
    answer = robotrain("render", "--platform", "osmo", *words, *scored, "--to", tmp_path / "plan")
    assert answer.exit_code == 0, answer.stderr
    tasks_by_name = {
        task["name"]: task for task in read_yaml((tmp_path / "plan/workflow.yaml").read_bytes())["workflow"]["tasks"]
    }
    assert tasks_by_name["evaluate"]["inputs"] == [{"task": "train", "regex": r"^(step\.json|checkpoints/.*)$"}]
    evaluate, train = (
        document.parse_document((tmp_path / f"plan/steps/{name}/job.json").read_text())
        for name in ("evaluate", "train")
    )
    assert [mount.folder for mount in evaluate.placement.mounts] == ["${ROBOTRAIN_INPUT_0}/checkpoints"]
    assert [evaluate.parameters["checkpoints"], train.parameters["evaluate_checkpoints"]] == ["20", "20"]


def test_files_of_all_tasks_are_written_once(osmo):
    made = plan()
    text = made.files["workflow.yaml"].decode()
    assert [text.count("files: &files"), text.count("files: *files"), text.count("contents:")] == [1, 2, 1]
    (archive,) = {task["files"][0]["contents"] for task in tasks(made).values()}
    files = unpack_archive(archive)
    assert {"job-train.json", "job-evaluate.json", "job-again.json"} < files.keys()
    for name, task in tasks(made).items():
        assert files[f"job-{name}.json"] == made.files[f"steps/{name}/job.json"]
        assert f'"job-{name}.json"' in task["command"][-3]
    status = OSMO.engine.submit(plan(steps(settings={"pool": "default"})))
    assert status["steps"] == "train,evaluate,again"
    (submitted,) = osmo.workflows.values()
    assert [group["name"] for group in submitted.spec["groups"]] == ["train-group", "evaluate-group", "again-group"]


def test_each_task_has_its_resources_and_shorter_limits_are_the_runtimes():
    limits = {"train": "12h", "evaluate": "2h"}
    made = [
        step(
            planned_step.name,
            planned_step.job,
            hands_over=planned_step.hands_over,
            settings=settings,
        )
        for planned_step in steps()
        for settings in [
            {"exec_timeout": limits[planned_step.name]} if planned_step.name in limits else {"exec_timeout": "1h"}
        ]
    ]
    workflow = read_yaml(plan(made).files["workflow.yaml"])["workflow"]
    assert workflow["timeout"]["exec_timeout"] == "12h"
    commands = {task["name"]: task["command"] for task in workflow["tasks"]}
    assert commands["train"][0] == "/bin/sh"
    assert commands["evaluate"][:4] == ["timeout", "-k", "300", "7200"]
    assert workflow["resources"]["train"]["gpu"] == 1
    assert {task["name"]: task["resource"] for task in workflow["tasks"]} == {name: name for name in commands}


def test_finished_step_is_a_task_of_an_earlier_workflow():
    finished = {"train": {"workflow": "old-3", "cli": "osmo", "run": "old", "steps": "train", "step": "train"}}
    tasks_by_name = tasks(plan(steps()[1:], finished))
    assert tasks_by_name["evaluate"]["inputs"][0]["task"] == "old-3:train"
    assert tasks_by_name["again"]["inputs"][0]["task"] == "evaluate"


@pytest.mark.parametrize(
    ("refused", "codes"),
    [
        (
            [
                step("osmo-ctrl", job()),
                step("train-group", job(), settings={"pool": "other"}),
                step("ends-", job()),
                *steps(),
            ],
            ["step-name-invalid"] * 3 + ["steps-differ"],
        ),
        ([step(f"s{index}", job()) for index in range(21)], ["steps-over-limit"]),
    ],
    ids=["names and settings", "too many"],
)
def test_problems_of_a_pipeline_are_found_at_once(refused, codes):
    with pytest.raises(Rejected) as rejected:
        plan(refused)
    assert [problem.code for problem in rejected.value.problems] == codes
    assert all(problem.suggestions for problem in rejected.value.problems)


def make_large_steps(count: int, kib: int, **settings: Any) -> list[PipelineStep]:
    """Steps whose archive has this size before it is text."""
    return [step(f"s{index}", job(), packed=payload(kib << 10), settings=settings) for index in range(count)]


@pytest.mark.slow
def test_twenty_steps_are_one_workflow(osmo):
    made = plan(make_large_steps(20, 170, pool="default"))
    sent, expanded = (
        made.files["workflow.yaml"],
        sum(len(task["files"][0]["contents"]) for task in tasks(made).values()),
    )
    assert len(sent) < workflow.LARGE_WORKFLOW_BYTES < workflow.MAX_WORKFLOW_BYTES < 4_000_000 < expanded
    assert OSMO.engine.submit(made)["workflow"] in osmo.workflows


@pytest.mark.parametrize(("count", "kib", "fact"), [(20, 420, "11.6 MB in OSMO"), (2, 900, "1 MiB")])
def test_too_large_workflow_is_refused_with_its_size(count, kib, fact):
    with pytest.raises(Rejected) as rejected:
        plan(make_large_steps(count, kib))
    (problem,) = rejected.value.problems
    assert problem.code == "spec-over-limit"
    assert fact in problem.title
    assert problem.suggestions[0].text == "--storage-account NAME"


@pytest.mark.parametrize(("count", "kib"), [(20, 420), (2, 900), (4, 350)])
def test_large_archive_is_uploaded_once_to_the_storage_account(count, kib):
    made = plan(make_large_steps(count, kib, storage_account="account1"))
    tasks_by_name = tasks(made)
    assert "payload.tar.bz2" in made.files
    assert all(
        "files" not in task and task["inputs"][-1]["url"].startswith("azure://") for task in tasks_by_name.values()
    )
    uploads = json.loads(made.files["steps/s0/osmo.json"])["uploads"]
    assert [upload["path"] for upload in uploads] == [""]


def test_preflight_of_a_pipeline_queries_everything_once(osmo):
    limits = {"train": "12h", "evaluate": "2h", "again": "1h"}
    own = {"train": {"gpus": 2}, "evaluate": {"gpus": 1, "memory": "16Gi"}, "again": {}}
    made = [
        replace(step, settings=replace(step.settings, pool="default", exec_timeout=limits[step.name], **own[step.name]))
        for step in steps(settings={"hf_credential": "hf_token"})
    ]
    osmo.credentials["hf_token"] = {"hf_token": "x"}
    list(OSMO.engine.preflight(plan(made)))
    calls = [tuple(call[:2]) for call in osmo.calls]
    assert sorted(calls) == sorted(set(calls))
    assert {("version", "-t"), ("pool", "list"), ("resource", "list")} <= set(calls)


def test_steps_with_a_program_have_its_secrets() -> None:
    made = tasks(plan(steps(settings={"secrets": '{"API_TOKEN": "team"}'}))).values()
    credentials = {"team": {"ROBOTRAIN_SECRET_API_TOKEN": "api_token"}}
    assert [task.get("credentials") for task in made] == [credentials] * 3
