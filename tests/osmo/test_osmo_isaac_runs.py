"""Isaac Lab's workloads in pods, from the command line: the rendered workflows run, with the stand-in of Isaac Lab."""

import time
from pathlib import Path

import pytest
from azure_stand_in.fixtures import azure, azure_session, workspace, workspace_session
from azure_stand_in.manager import GROUP, SUBSCRIPTION
from isaac_stand_in import policy
from osmo_stand_in.pod.room import isolates

PIPELINE = Path(__file__).parents[2] / "examples/isaac-cartpole/pipeline.yaml"
__all__ = ["azure", "azure_session", "workspace", "workspace_session"]

pytestmark = pytest.mark.slow

PROGRAM = """
echo "arguments: $*"
for name in TASK NUM_ENVS MAX_ITERATIONS TRAINING_BACKEND CHECKPOINT_MODE REGISTER_CHECKPOINT MLFLOW_CORRELATION_ID \\
    OSMO_DATASET_NAME RUN_AZURE_SMOKE_TEST ACCEPT_EULA PRIVACY_CONSENT; do
    echo "variable: $name=${!name}"
done
echo "checkpoint: $(cat "$CHECKPOINT_URI")"
echo "root: $TRAINING_ROOT $ROBOTRAIN_CODE $PAYLOAD_ROOT"
echo "beside: $(cat "$TRAINING_ROOT/agent.txt")"
$PYTHON -c 'import rsl_rl; print("python: of Isaac Lab")'
"""
VARIABLES = {
    "TASK": "Isaac-Ant-v0",
    "NUM_ENVS": "8",
    "MAX_ITERATIONS": "5",
    "TRAINING_BACKEND": "rsl_rl",
    "CHECKPOINT_MODE": "warm-start",
    "REGISTER_CHECKPOINT": "isaac-ant-v0",
    "MLFLOW_CORRELATION_ID": "night-7",
    "OSMO_DATASET_NAME": "training-code",
    "RUN_AZURE_SMOKE_TEST": "0",
    "ACCEPT_EULA": "Y",
    "PRIVACY_CONSENT": "Y",
}
"""Those of contract E.1, in a training of `WORDS`."""
WORDS = ("--task", "Isaac-Ant-v0", "-n", "8", "-m", "5", "-b", "rsl_rl", "--seed", "3", "--correlation-id", "night-7")


@pytest.fixture
def pod(pod, isaac_environments, tmp_path, monkeypatch):
    """A pod with `isaaclab.sh`, as Isaac Lab's image has it."""
    monkeypatch.setenv("OSMO_POOL", "default")
    return {**pod, **policy.make_image(tmp_path / "lab"), "STANDIN_STEPS": "5"}


@pytest.fixture
def folder(tmp_path) -> Path:
    """A training folder of the user's own."""
    made = tmp_path / "mine"
    (made / "scripts").mkdir(parents=True)
    (made / "scripts/train.sh").write_text(PROGRAM)
    (made / "agent.txt").write_text("first")
    return made


@pytest.fixture
def submit(robotrain, osmo):
    """`submit("isaac-train", …)`: the run's name, its workflow, and what was said."""

    def submit(*words: object) -> tuple[str, str, str]:
        before = set(osmo.workflows)
        answer = robotrain("submit", words[0], "--isaac-version", "2.3", "--platform", "osmo", "--json", *words[1:])
        assert answer.exit_code == 0, answer.stderr
        (workflow,) = set(osmo.workflows) - before
        return answer.json["run"], workflow, answer.stderr

    return submit


def uploads(osmo) -> list[str]:
    """The addresses that were uploaded to."""
    return [call[2] for call in osmo.calls if call[:2] == ["data", "upload"]]


@pytest.mark.parametrize("delivery", ["inline", "dataset", "named"])
def test_the_program_of_a_training_folder_runs_with_its_arguments_and_variables(
    robotrain, osmo, pod, submit, folder, tmp_path, delivery
):
    saved = tmp_path / "saved"
    saved.mkdir()
    (saved / "model_4.pt").write_text("weights")
    start = ("--checkpoint-uri", saved, "-M", "warm-start", "--storage-account", "acct", "--tracking-uri", "none")
    named = ("--dataset-bucket", "custom", "--code-dataset", "my-training-v1")
    code = ("--training-path", folder, *(named if delivery == "named" else ("--delivery", delivery)))
    run, workflow, _ = submit("isaac-train", *WORDS, *start, *code, "--", "agent.seed=1", "--own", "a b")
    assert len(osmo.workflows[workflow].task.get("inputs", [])) == (1 if delivery == "inline" else 2)
    assert osmo.run(workflow, environ=pod) == 0, robotrain("logs", run).stdout
    log = robotrain("logs", run).stdout
    shown = dict(line.split(": ", 1) for line in log.splitlines() if ": " in line)
    arguments, checkpoint = shown["arguments"].split(), "--checkpoint-uri"
    assert arguments.pop(arguments.index(checkpoint) + 1).endswith("/model_4.pt")
    expected = f"--mode train --task Isaac-Ant-v0 --num_envs 8 {checkpoint} --checkpoint-mode warm-start"
    expected += " --register-checkpoint isaac-ant-v0 --max_iterations 5 --seed 3 --headless agent.seed=1 --own a b"
    assert " ".join(arguments) == expected
    name = "my-training-v1" if delivery == "named" else "training-code"
    for variable, value in {**VARIABLES, "OSMO_DATASET_NAME": name}.items():
        assert f"variable: {variable}={value}" in log
    assert (shown["checkpoint"], shown["beside"], shown["python"]) == ("weights", "first", "of Isaac Lab")
    root, *others = shown["root"].split()
    assert [root, *others] == [root] * 3
    assert root == f"/data/{name}/training" or not isolates()
    assert robotrain("status", run, "--json").json["state"] == "succeeded"


@pytest.mark.parametrize("name", ["mine", ""])
def test_training_folder_is_uploaded_once_for_each_content(osmo, pod, submit, folder, robotrain, name):
    place = ("--storage-account", "acct", "--tracking-uri", "none")
    code = ("--training-path", folder, *(("--code-dataset", name) if name else ("--delivery", "dataset")), *place)
    (folder / "scripts/train.sh").write_text('cat "$TRAINING_ROOT/agent.txt"; exit 7\n')
    _, first, _ = submit("isaac-train", *code)
    sent = uploads(osmo)
    _, second, shown = submit("isaac-train", *code, "--new")
    assert uploads(osmo) == sent != [], shown
    (folder / "agent.txt").write_text("another")
    run, third, _ = submit("isaac-train", *code)
    assert len(uploads(osmo)) == 2 * len(sent)
    urls = [osmo.workflows[workflow_name].task["inputs"][0]["url"] for workflow_name in (first, second, third)]
    assert urls[0] == urls[1] != urls[2]
    if name:
        parent, _, version = urls[0].rpartition("/")
        assert parent == "azure://acct/training/mine"
        _, again, _ = submit("isaac-train", "--training-dataset", f"mine:{version}", *place)
        assert osmo.workflows[again].task["inputs"] == [{"url": urls[0]}]
        refused = robotrain("submit", "isaac-train", "--platform", "osmo", *code, "--delivery", "inline")
        assert (refused.exit_code, "[options-conflict]" in refused.stderr) == (3, True)
    else:
        assert osmo.run(third, environ=pod) == 7
        assert "another" in robotrain("logs", run).stdout
        status = robotrain("status", run, "--json").json
        assert (status["state"], status["exit_code"]) == ("failed", 7)


def test_a_validation_that_its_policy_does_not_pass_ends_with_5(
    robotrain, osmo, azure, pod, submit, made_once, tmp_path
):
    files = policy.read_files(made_once("isaac-rsl_rl", policy.train))
    azure.blobs.put("validated", {f"policies/{name}": content for name, content in files.items()})
    place = azure.url("validated", "results")
    source = ("--checkpoint-uri", azure.url("validated", "policies"), "--publish-url", place, "--tracking-uri", "none")
    small = ("--eval-episodes", "4", "--num-envs", "2", "--reward-threshold", "5.5")  # at most 1 in each of 5 steps
    run, workflow, _ = submit("isaac-validate", *source, *small)
    assert osmo.run(workflow, environ=pod) == 1, robotrain("logs", run).stdout
    assert robotrain("wait", run).exit_code == 5
    assert robotrain("outputs", run, "--to", tmp_path / "brought").exit_code == 0
    text = next((tmp_path / "brought").rglob("eval_results.json")).read_text()
    assert '"verdict": "failed"' in text
    assert '"framework": "rsl_rl"' in text


@pytest.mark.long
def test_the_example_pipeline_trains_across_a_preemption_then_validates_exports_and_registers(
    robotrain, osmo, azure, workspace, pod, monkeypatch, tmp_path
):
    names = ("AZURE_SUBSCRIPTION_ID", "AZURE_RESOURCE_GROUP", "AZUREML_WORKSPACE_NAME")
    for name, value in zip(names, (SUBSCRIPTION, GROUP, "robots-ml"), strict=True):
        monkeypatch.setenv(name, value)
    azure.blobs.put("piped", {})
    settings = {
        **{f"{step}.isaac_version": "2.3" for step in ("train", "validate", "export")},
        **{
            "train.task": policy.TASK,
            "train.backend": "rsl_rl",
            "train.num_envs": 16,
            "train.max_iterations": 30,
            "train.publish_url": azure.url("piped", "runs"),
        },
        **{"train.skip_register_checkpoint": "false", "validate.reward_threshold": 1, "validate.eval_episodes": 4},
        **{"export.max_steps": 20, "export.video_length": 0, "export.publish_url": azure.url("piped", "exports")},
    }
    words = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    sent = robotrain("pipeline", "submit", PIPELINE, "--platform", "osmo", "--native-only", *words, "--json")
    assert sent.exit_code == 0, sent.stderr
    run = sent.json["run"]
    osmo.configure(max_retry_per_task=1)
    (workflow,) = osmo.workflows
    running = osmo.start(workflow, environ={**pod, "STANDIN_STEP_SECONDS": "0.04"})
    until = time.monotonic() + 300
    while " published to https" not in robotrain("logs", run, "--step", "train").stdout:
        assert time.monotonic() < until, robotrain("logs", run).stdout
        time.sleep(0.3)
    osmo.reschedule(workflow)
    assert running.wait() == 0, robotrain("logs", run).stdout
    status = robotrain("status", run, "--json").json
    assert [step["state"] for step in status["steps"]] == ["succeeded"] * 4, robotrain("logs", run).stdout
    assert "an earlier attempt was interrupted: resuming from step" in robotrain("logs", run, "--step", "train").stdout
    listed = [output["name"] for output in robotrain("outputs", run, "--json").json["outputs"]]
    assert "train/checkpoints/000029" in listed
    assert any(name.startswith("train/") and name.endswith("000029") for name in listed)
    assert any(name.startswith("export/") for name in listed)
    expected = {"framework": "rsl_rl", "task": "Isaac-Cartpole-v0", "algorithm": "PPO", "checkpoint": "000029"}
    for model in ("isaac-cartpole-v0", "isaac-cartpole"):
        (versions,) = [registered for at, registered in azure.manager.there.models.items() if at.endswith(f"/{model}")]
        (version,) = versions.values()
        assert expected.items() <= version["tags"].items()
