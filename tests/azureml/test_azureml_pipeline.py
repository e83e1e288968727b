"""A pipeline as one pipeline job: what is sent, what its steps say, and what is left to do after a failure."""

import hashlib
import json
import re

import pytest
import yaml
from azure_stand_in.http_server import cut_short
from azure_stand_in.ml.azureml import AzureML
from azureml_observed_run import sealed
from azureml_workspace_plans import add_dataset
from robotrain.store import records, stored_job
from robotrain_azureml.platform import AZUREML
from robotrain_runtime.contract import event
from robotrain_runtime.contract.document import parse_document
from robotrain_runtime.contract.event import Outcome

STEPS = """
name: shift
steps:
  Train-1:
    workload: lerobot-train
    parameters: {training_steps: 20, save_freq: 10}
    sources: {dataset: [{data_asset: "azureml:episodes:3"}]}
    platforms: {azureml: {exec_timeout: 2h}}
  evaluate:
    workload: lerobot-eval
    parameters: {env: pusht, eval_episodes: 4, success_threshold: 0.5, register_model: pusht-act}
    sources: {policy: [{from: Train-1}]}
    platforms: {azureml: {compute: k8s-eval}}
  again:
    workload: lerobot-eval
    parameters: {env: pusht, eval_episodes: 8}
    sources: {policy: [{from: Train-1}]}
    after: evaluate
"""
STEP_NAMES = ["Train-1", "evaluate", "again"]
COMPUTE = "k8s-robot-dev-00"


@pytest.fixture
def workspace(observing) -> AzureML:
    """The workspace, with two computes and a dataset."""
    observing.kubernetes(COMPUTE)
    observing.kubernetes("k8s-eval")
    observing.data("episodes", 3, add_dataset(observing, "episodes/3"))
    return observing


@pytest.fixture
def pipeline_words(workspace, tmp_path, name_workspace) -> tuple[object, ...]:
    """The pipeline's file and platform; the environment names the workspace."""
    file = tmp_path / "pipeline.yaml"
    file.write_text(STEPS)
    name_workspace(workspace, COMPUTE)
    return (file, "--platform", "azureml")


@pytest.fixture
def document(pipeline_words, robotrain, tmp_path) -> dict:
    """The rendered pipeline job."""
    answer = robotrain("pipeline", "render", *pipeline_words, "--to", tmp_path / "plan")
    assert answer.exit_code == 0, answer.stderr
    return yaml.safe_load((tmp_path / "plan/pipeline-job.yaml").read_text())


def test_steps_are_components_that_are_never_reused(document):
    steps = document["jobs"]
    assert [*steps] == ["train_1", "evaluate", "again"]
    assert document["settings"] == {"continue_on_step_failure": False, "force_rerun": True}
    assert [step["component"]["is_deterministic"] for step in steps.values()] == [False] * 3
    assert [step["tags"]["robotrain.step"] for step in steps.values()] == STEP_NAMES
    run = document["tags"]["robotrain.run"]
    assert [step["display_name"] for step in steps.values()] == [f"{run}-{name}" for name in STEP_NAMES]


def test_each_step_has_its_own_settings(document):
    train, evaluate, again = document["jobs"].values()
    assert (train["compute"], evaluate["compute"]) == (f"azureml:{COMPUTE}", "azureml:k8s-eval")
    assert (train["limits"], "limits" in evaluate) == ({"timeout": 7200}, False)
    assert train["component"]["environment"] != evaluate["component"]["environment"]
    assert again["compute"] == train["compute"]
    assert train["inputs"]["dataset_asset_0"]["path"] == "azureml:episodes:3"


def test_a_step_refuses_the_folder_of_another_pipeline_job(submit, workspace, document, tmp_path):
    placement = parse_document((tmp_path / "plan/steps/Train-1/code/job.json").read_text()).placement
    assert placement.kept_for == {"AZUREML_ROOT_RUN_ID": "${ROBOTRAIN_PIPELINE_JOB}"}
    _, job = submit()
    for step, sent in zip(("Train-1", "evaluate"), workspace.jobs[job].body["jobs"].values(), strict=False):
        assert sent["environment_variables"]["ROBOTRAIN_PIPELINE_JOB"] == job
        assert all(f"/paths/azureml/{job}-{step}/" in output["uri"] for output in sent["outputs"].values())


def test_a_step_reads_what_an_earlier_one_hands_over(document, tmp_path):
    train, evaluate, again = document["jobs"].values()
    assert evaluate["inputs"]["step_train_1"] == {
        "type": "uri_folder",
        "mode": "ro_mount",
        "path": "${{parent.jobs.train_1.outputs.handover}}",
    }
    assert again["inputs"]["step_train_1"] == evaluate["inputs"]["step_train_1"]
    assert ["handover" in step["outputs"] for step in (train, evaluate, again)] == [True, False, False]
    step = parse_document((tmp_path / "plan/steps/evaluate/code/job.json").read_text())
    assert [mount.folder for mount in step.placement.mounts] == ["${AZURE_ML_INPUT_step_train_1}/policy"]
    assert (step.parameters["register_model"], step.placement.handover) == ("pusht-act", "")
    step = parse_document((tmp_path / "plan/steps/Train-1/code/job.json").read_text())
    assert step.placement.handover == "${AZURE_ML_OUTPUT_handover}"


def test_an_evaluation_of_several_checkpoints_reads_those(robotrain, workspace, name_workspace, tmp_path):
    name_workspace(workspace, COMPUTE)
    words = ("--dataset-asset", "azureml:episodes:3", "--training-steps", "40", "--save-freq", "20", "--env", "pusht")
    answer = robotrain("render", "--platform", "azureml", *words, "--evaluate-checkpoints", "--to", tmp_path / "plan")
    assert answer.exit_code == 0, answer.stderr
    steps = yaml.safe_load((tmp_path / "plan/pipeline-job.yaml").read_text())["jobs"]
    assert [*steps] == ["train", "evaluate"]
    assert steps["evaluate"]["inputs"]["step_train"]["path"] == "${{parent.jobs.train.outputs.handover}}"
    evaluate = parse_document((tmp_path / "plan/steps/evaluate/code/job.json").read_text())
    folders = {mount.role: mount.folder for mount in evaluate.placement.mounts}
    assert folders["policy"] == "${AZURE_ML_INPUT_step_train}/checkpoints"


def test_a_step_waits_for_one_that_it_reads_nothing_of(document):
    steps = document["jobs"]
    (output,) = steps["evaluate"]["outputs"]
    assert steps["again"]["inputs"]["after_evaluate"] == {
        "type": "uri_folder",
        "mode": "ro_mount",
        "path": f"${{{{parent.jobs.evaluate.outputs.{output}}}}}",
    }


CPU_CLIENT = "c4000000-0000-0000-0000-000000000004"


@pytest.mark.parametrize(
    ("options", "client", "instance_type"),
    [
        (("--compute-evaluate", "k8s-cpu"), CPU_CLIENT, "gpuspot"),
        (("--compute-evaluate", "k8s-no-one"), None, "gpuspot"),
        (("--set", "evaluate.compute=k8s-cpu", "--set", "evaluate.instance_type=cpu"), CPU_CLIENT, "cpu"),
    ],
)
def test_a_step_may_have_a_machine_and_an_identity_of_its_own(
    robotrain, workspace, name_workspace, options, client, instance_type
):
    workspace.kubernetes("k8s-cpu", {"cpu": {"cpu": "4"}}, identities=(("id-cpu", CPU_CLIENT, "principal-cpu"),))
    workspace.kubernetes("k8s-no-one", identities=())
    name_workspace(workspace, COMPUTE)
    words = ("--platform", "azureml", "--dataset-asset", "azureml:episodes:3", "-r", "pusht-act", "--env", "pusht")
    answer = robotrain("pipeline", "train-eval", *words, *options, "--dry-run", "--json")
    assert answer.exit_code == 0, answer.stderr
    assert ("azureml-identity-missing" in answer.stderr) == (client is None)
    train, evaluate = yaml.safe_load(answer.json["files"]["pipeline-job.yaml"]["text"])["jobs"].values()
    assert evaluate["compute"] == ("azureml:k8s-cpu" if client else "azureml:k8s-no-one")
    assert evaluate["identity"].get("client_id") == client
    assert evaluate["environment_variables"].get("AZURE_CLIENT_ID") == client
    assert evaluate["resources"]["instance_type"] == instance_type
    assert train["compute"] == f"azureml:{COMPUTE}"
    assert train["identity"]["client_id"] == workspace.environ["AZURE_CLIENT_ID"]


OTHER_SUBSCRIPTION = "0d0d0d0d-0d0d-4d0d-8d0d-0d0d0d0d0d0d"


@pytest.mark.parametrize(
    ("setting", "value", "flag", "position"),
    [
        ("subscription_id", OTHER_SUBSCRIPTION, "--subscription-id", 0),
        ("resource_group", "other", "--resource-group", 1),
        ("workspace_name", "other", "--workspace-name", 2),
    ],
)
def test_steps_of_two_workspaces_are_refused(pipeline_words, robotrain, workspace, setting, value, flag, position):
    names = dict(zip(("subscription_id", "resource_group", "workspace_name"), workspace.names, strict=True))
    settings = json.dumps({"compute": "k8s-eval", **names, setting: value})
    pipeline_words[0].write_text(STEPS.replace("{compute: k8s-eval}", settings))
    answer = robotrain("pipeline", "render", *pipeline_words)
    assert (answer.exit_code, "steps-differ" in answer.stderr) == (3, True)
    assert f"{flag} {workspace.names[position]}, {value}" in answer.stderr


def test_a_pipeline_that_is_too_large_is_refused_with_how_many_steps_fit(pipeline_words, robotrain, monkeypatch):
    monkeypatch.setattr("robotrain_azureml.spec.pipeline.MAX_BYTES", 4000)
    answer = robotrain("pipeline", "render", *pipeline_words)
    assert answer.exit_code == 3
    assert "steps-over-limit" in answer.stderr
    assert re.search(r"about [12] of its 3 steps fit", answer.stderr)


@pytest.fixture
def submit(pipeline_words, robotrain, workspace):
    """Submit the pipeline: the run's name, and the name of its job."""

    def submit() -> tuple[str, str]:
        answer = robotrain("pipeline", "submit", *pipeline_words, "--native-only", "--json")
        assert answer.exit_code == 0, answer.stderr
        return answer.json["run"], answer.json["reference"]["job"]

    return submit


@pytest.mark.slow
def test_each_step_has_the_tags_of_a_model_that_its_workload_reads(pipeline_words, submit, workspace):
    workspace.store.put(workspace.container, {"models/walker/model_9.pt": b"weights"})
    workspace.model("walker", 2, "models/walker")
    workspace.versions("walker")["2"]["tags"] = {"task": "Isaac-Ant-v0", "owner": "me"}
    step = "{workload: isaac-%s, sources: {checkpoint: [{model_asset: 'azureml:walker:2'}]}}"
    pipeline_words[0].write_text(f"name: p\nsteps:\n  validate: {step % 'validate'}\n  export: {step % 'export'}\n")
    run, _ = submit()
    documents = [parse_document(path.read_text()) for path in stored_job.get_plan_folder(run).rglob("code/job.json")]
    assert [document.sources[0].tags for document in documents] == [("task=Isaac-Ant-v0",)] * 2


def list_states(robotrain, run: str) -> dict[str, str]:
    return {step["name"]: step["state"] for step in robotrain("status", run, "--json").json["steps"]}


def finish_training(there: AzureML, run: str, job: str) -> None:
    """The training succeeds, and leaves a checkpoint and what later steps read."""
    train = there.steps(job)["train_1"]
    train.state("Running")
    files = sealed(20, run=f"{run}-Train-1", submission=train.name)
    folder = f"azureml/{job}-Train-1"
    there.store.put(
        there.container, {f"{folder}/checkpoints/000020/{name}": content for name, content in files.items()}
    )
    there.store.put(there.container, {f"{folder}/handover/step.json": b"{}"})
    train.say("training", event.format_event(Outcome(state="succeeded", exit_code=0)))
    train.state("Completed")


def fail_evaluation(there: AzureML, job: str) -> None:
    evaluate = there.steps(job)["evaluate"]
    evaluate.state("Running")
    evaluate.say(
        "rolling", event.format_event(Outcome(state="failed", reason="1 of 4 rollouts succeeded", exit_code=5))
    )
    evaluate.fail("ExecutionFailed", "User process 'python3' exited with status code 5.")


@pytest.mark.slow
def test_a_pipeline_is_one_job_and_its_steps_are_shown_in_order(submit, workspace, robotrain):
    run, job = submit()
    assert [name for name, workspace_job in workspace.jobs.items() if workspace_job.parent is None] == [job]
    assert list_states(robotrain, run) == {"Train-1": "pending", "evaluate": "waiting", "again": "waiting"}
    train = workspace.steps(job)["train_1"]
    train.state("Running")
    train.say("loading")
    assert list_states(robotrain, run)["Train-1"] == "running"
    assert robotrain("logs", run).stdout.splitlines() == ["[Train-1] loading"]
    assert robotrain("logs", run, "--step", "Train-1").stdout.splitlines() == ["loading"]
    uploads = [
        call for call in workspace.calls if call.startswith("PUT") and "/job.json?" in call and "comp=" not in call
    ]
    assert len(uploads) == 3
    identities = [node["identity"]["client_id"] for node in workspace.jobs[job].body["jobs"].values()]
    assert identities == [workspace.environ["AZURE_CLIENT_ID"]] * 3, "as the computes have them"


@pytest.mark.slow
def test_a_failed_evaluation_is_the_reason_and_only_it_runs_again(submit, workspace, robotrain, tmp_path):
    run, job = submit()
    finish_training(workspace, run, job)
    fail_evaluation(workspace, job)
    status = robotrain("status", run, "--json").json
    assert (status["state"], status["exit_code"]) == ("failed", 5)
    assert status["reason"].startswith("step evaluate failed: 1 of 4 rollouts succeeded")
    assert list_states(robotrain, run) == {"Train-1": "succeeded", "evaluate": "failed", "again": "skipped"}
    workspace.calls.clear()
    whole, steps = AZUREML.engine.query_pipeline(records.read_record(run).reference)
    assert len([call for call in workspace.calls if "/children" in call]) == 1
    assert [whole.exit_code, steps[1].reason] == [5, "1 of 4 rollouts succeeded"]
    assert robotrain("wait", run).exit_code == 5
    assert robotrain("logs", run, "--step", "evaluate").stdout.startswith("rolling")

    assert "Train-1/checkpoints/000020" in robotrain("outputs", run).stdout
    answer = robotrain("outputs", run, "--step", "Train-1", "--checkpoint", "last", "--to", tmp_path / "got")
    assert answer.exit_code == 0, answer.stderr
    assert [*(tmp_path / "got").rglob("model.safetensors")]
    answer = robotrain("register", run, "pusher", "--step", "Train-1", "--json")
    assert answer.exit_code == 0, answer.stderr
    (version,) = workspace.versions("pusher").values()
    train = workspace.steps(job)["train_1"]
    assert version["modelUri"] == f"azureml://jobs/{train.name}/outputs/checkpoints/paths/000020/pretrained_model/"
    assert version["tags"]["azureml_run_id"] == train.name
    assert version["tags"]["dataset_assets"] == "azureml:episodes:3"  # from the plan of the step

    second = robotrain("pipeline", "resume", run, "--json").json
    later = second["reference"]["job"]
    sent = workspace.jobs[later].body["jobs"]
    assert [*sent] == ["evaluate", "again"]
    handover = f"azureml://datastores/workspaceblobstore/paths/azureml/{job}-Train-1/handover/"
    assert sent["evaluate"]["inputs"]["step_train_1"]["uri"] == handover
    assert workspace.steps(later)["evaluate"].inputs["step_train_1"].prefix == f"azureml/{job}-Train-1/handover"
    assert list_states(robotrain, second["run"])["Train-1"] == "succeeded"
    assert "Train-1/checkpoints/000020" in robotrain("outputs", second["run"]).stdout

    workspace.steps(later)["evaluate"].state("Completed")
    workspace.steps(later)["again"].fail("ServiceError", "no room")
    third = robotrain("pipeline", "resume", second["run"], "--json").json["reference"]["job"]
    (last,) = workspace.jobs[third].body["jobs"].values()
    assert last["inputs"]["step_train_1"]["uri"] == handover


@pytest.mark.slow
def test_a_step_that_is_repeated_keeps_its_machine_and_its_identity(pipeline_words, robotrain, workspace):
    workspace.kubernetes("k8s-cpu", {"cpu": {"cpu": "4"}}, identities=(("id-cpu", CPU_CLIENT, "principal-cpu"),))
    own = ("--set", "again.compute=k8s-cpu", "--set", "again.instance_type=cpu")
    sent = robotrain("pipeline", "submit", *pipeline_words, *own, "--json")
    assert sent.exit_code == 0, sent.stderr
    run, job = sent.json["run"], sent.json["reference"]["job"]
    finish_training(workspace, run, job)
    workspace.steps(job)["evaluate"].state("Completed")
    workspace.steps(job)["again"].fail("ServiceError", "no room")
    again = robotrain("pipeline", "resume", run, "--json")
    assert again.exit_code == 0, again.stderr
    (node,) = workspace.jobs[again.json["reference"]["job"]].body["jobs"].values()
    assert node["computeId"].endswith("/computes/k8s-cpu")
    assert (node["identity"]["client_id"], node["resources"]["instance_type"]) == (CPU_CLIENT, "cpu")


@pytest.mark.slow
def test_steps_that_azure_ml_ends_without_a_start_are_skipped(submit, workspace, robotrain):
    run, job = submit()
    steps = workspace.steps(job)
    steps["train_1"].fail("UserError", "Failed to pull image")
    assert list_states(robotrain, run) == {"Train-1": "failed", "evaluate": "skipped", "again": "skipped"}
    assert (
        "step Train-1 failed: it failed (Azure ML: Failed to pull image)"
        in robotrain("status", run, "--json").json["reason"]
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("end", "state", "exit_code", "states"),
    [
        ("Failed", "failed", 5, ["succeeded", "failed", "skipped"]),
        ("Canceled", "cancelled", 5, ["succeeded", "cancelled", "skipped"]),
    ],
)
def test_the_verdict_is_that_of_the_steps_whatever_azure_ml_says_of_the_whole(
    pipeline_words, robotrain, workspace, tmp_path, end, state, exit_code, states
):
    rendered = robotrain("pipeline", "render", *pipeline_words, "--to", tmp_path / "plan")
    assert rendered.exit_code == 0, rendered.stderr
    file, manifest = tmp_path / "plan/pipeline-job.yaml", tmp_path / "plan/robotrain-plan.json"
    content = file.read_bytes().replace(b"continue_on_step_failure: false", b"continue_on_step_failure: true")
    before, after = (hashlib.sha256(raw).hexdigest() for raw in (file.read_bytes(), content))
    file.write_bytes(content)
    manifest.write_text(manifest.read_text().replace(before, after))
    sent = robotrain("submit", "--plan", tmp_path / "plan", "--json")
    assert sent.exit_code == 0, sent.stderr
    run, job = sent.json["run"], sent.json["reference"]["job"]
    finish_training(workspace, run, job)
    fail_evaluation(workspace, job) if end == "Failed" else workspace.steps(job)["evaluate"].state(end)
    assert workspace.jobs[job].status == "Completed"
    status = robotrain("status", run, "--json").json
    assert (status["state"], [step["state"] for step in status["steps"]]) == (state, states)
    assert status["reason"].startswith(f"step evaluate {state}")
    assert robotrain("wait", run).exit_code == exit_code
    assert state in robotrain("runs").stdout


@pytest.mark.slow
def test_a_step_over_its_time_limit_says_so(submit, workspace, robotrain):
    run, job = submit()
    train = workspace.steps(job)["train_1"]
    train.state("Running")
    train.times["startTimeUtc"] = "2026-01-01T00:00:00.0000000Z"
    train.fail("UserError", "The job exceeded its timeout")
    assert "step Train-1 failed: it reached its time limit, 2:00 h" in robotrain("status", run, "--json").json["reason"]


@pytest.mark.slow
def test_the_whole_is_cancelled(submit, workspace, robotrain):
    run, job = submit()
    workspace.steps(job)["train_1"].state("Running")
    assert robotrain("cancel", run).exit_code == 0
    assert workspace.jobs[job].status == "Canceled"
    assert list_states(robotrain, run) == {"Train-1": "cancelled", "evaluate": "skipped", "again": "skipped"}


@pytest.mark.slow
@pytest.mark.parametrize("at", [("PUT", "/components/"), ("PUT", "/jobs/"), ("PUT", "/jobs/", True)])
def test_an_interrupted_submit_leaves_one_pipeline(pipeline_words, robotrain, workspace, at):
    method, path, *answered = at
    with cut_short(method, path, answered=bool(answered)):
        robotrain("pipeline", "submit", *pipeline_words)
    again = robotrain("pipeline", "submit", *pipeline_words, "--json")
    assert again.exit_code == 0, again.stderr
    assert [name for name, workspace_job in workspace.jobs.items() if workspace_job.parent is None] == [
        again.json["reference"]["job"]
    ]
    assert list_states(robotrain, again.json["run"])["Train-1"] == "pending"
