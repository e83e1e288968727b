"""Isaac Lab's workloads on a compute, from the command line: what was sent is what runs, with Isaac Lab's stand-in."""

import json
import time
from pathlib import Path

import pytest
from isaac_stand_in import policy
from osmo_stand_in.pod.room import isolates

PIPELINE = Path(__file__).parents[2] / "examples/isaac-cartpole/pipeline.yaml"
pytestmark = pytest.mark.slow

PROGRAM = """
echo "arguments: $*"
echo "variables: $TASK $NUM_ENVS $TRAINING_BACKEND $CHECKPOINT_MODE $REGISTER_CHECKPOINT $ACCEPT_EULA $PRIVACY_CONSENT"
echo "context: $AZURE_SUBSCRIPTION_ID $AZURE_RESOURCE_GROUP $AZUREML_WORKSPACE_NAME"
echo "tracking: $MLFLOW_RUN_ID"
echo "root: $TRAINING_ROOT"
echo "beside: $(cat "$TRAINING_ROOT/agent.txt")"
$PYTHON -c 'import rsl_rl; print("python: of Isaac Lab")'
"""


@pytest.fixture
def cluster(cluster, machine, isaac_environments, tmp_path):
    """With Isaac Lab in the image of its jobs."""
    machine.environ |= {**policy.make_image(tmp_path / "lab"), "STANDIN_STEPS": "5"}
    return cluster


@pytest.fixture
def submit(robotrain, cluster):
    """`submit("isaac-train", …)`: the run's name, its job, and what was said."""

    def submit(*words: object):
        answer = robotrain("submit", words[0], "--isaac-version", "2.3", "--platform", "azureml", "--json", *words[1:])
        assert answer.exit_code == 0, answer.stderr
        return answer.json["run"], cluster.jobs[answer.json["reference"]["job"]], answer.stderr

    return submit


@pytest.fixture
def foreign(made_once):
    """The files of a model that something else registered; named before `cluster`, which changes PATH."""
    files = policy.read_files(made_once("isaac-rsl_rl", policy.train))
    return {name: content for name, content in files.items() if name != "params/robotrain.json"}


@pytest.mark.long
def test_the_program_of_a_training_folder_runs_and_is_uploaded_once_for_each_content(
    robotrain, cluster, machine, submit, tmp_path
):
    folder = tmp_path / "mine"
    (folder / "scripts").mkdir(parents=True)
    (folder / "scripts/train.sh").write_text(PROGRAM)
    (folder / "agent.txt").write_text("first")
    words = ("isaac-train", "--training-path", folder, "--task", "Isaac-Ant-v0", "-n", "8", "-b", "rsl_rl")
    run, job, result = submit(*words, "--", "--own", "1")
    assert f"{folder} was uploaded" in result
    assert machine.wait(job.name) == "Completed", "\n".join(job.read_log())
    log = robotrain("logs", run).stdout
    arguments = "--mode train --task Isaac-Ant-v0 --num_envs 8 --checkpoint-mode from-scratch"
    assert f"arguments: {arguments} --register-checkpoint isaac-ant-v0 --headless --own 1\n" in log
    assert "variables: Isaac-Ant-v0 8 rsl_rl from-scratch isaac-ant-v0 Y Y\n" in log
    assert f"context: {' '.join(cluster.names)}\ntracking: {job.name}\n" in log
    assert "beside: first\n" in log
    assert "python: of Isaac Lab\n" in log
    assert not isolates() or "root: /data/training-code/training\n" in log
    before = job.inputs["training_code"].prefix
    again, job, result = submit(*words, "--new", "--", "--own", "1")
    assert f"{folder} was uploaded" not in result
    assert job.inputs["training_code"].prefix == before
    assert machine.wait(job.name) == "Completed", again
    (folder / "agent.txt").write_text("another")
    (folder / "scripts/train.sh").write_text('cat "$TRAINING_ROOT/agent.txt"; exit 7\n')
    run, job, result = submit(*words)
    assert job.inputs["training_code"].prefix != before
    assert machine.wait(job.name) == "Failed"
    status = robotrain("status", run, "--json").json
    assert (status["state"], status["exit_code"]) == ("failed", 7)


@pytest.mark.long
def test_the_example_pipeline_trains_across_a_preemption_then_validates_exports_and_registers(
    robotrain, cluster, machine
):
    machine.environ["STANDIN_STEP_SECONDS"] = "0.01"
    settings = {
        **{f"{step}.isaac_version": "2.3" for step in ("train", "validate", "export")},
        **{
            "train.task": policy.TASK,
            "train.backend": "rsl_rl",
            "train.num_envs": 16,
            "train.max_iterations": 30,
            "train.output_mode": "rw_mount",
        },
        **{"train.skip_register_checkpoint": "false", "validate.reward_threshold": 1, "validate.eval_episodes": 4},
        **{"export.max_steps": 20, "export.video_length": 0},
    }
    words = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    sent = robotrain("pipeline", "submit", PIPELINE, "--platform", "azureml", "--native-only", *words, "--json")
    assert sent.exit_code == 0, sent.stderr
    run, job = sent.json["run"], sent.json["reference"]["job"]
    train = cluster.steps(job)["train"]
    end = time.monotonic() + 300
    while '"event": "checkpoint"' not in "\n".join(train.read_log()):
        assert time.monotonic() < end, "\n".join(train.read_log())
        time.sleep(0.2)
    machine.taken(train.name).preempt(grace=30)
    assert cluster.jobs[job].ended.wait(600)
    status = robotrain("status", run, "--json").json
    assert [step["state"] for step in status["steps"]] == ["succeeded"] * 4, robotrain("logs", run).stdout
    assert machine.running[train.name].attempts == 2
    assert "an earlier attempt was interrupted: resuming from step" in robotrain("logs", run, "--step", "train").stdout
    listed = [output["name"] for output in robotrain("outputs", run, "--json").json["outputs"]]
    assert any(name.startswith("train/") and name.endswith("000029") for name in listed)
    assert any(name.startswith("export/") for name in listed)
    expected = {"framework": "rsl_rl", "task": "Isaac-Cartpole-v0", "algorithm": "PPO", "checkpoint": "000029"}
    for model in ("isaac-cartpole-v0", "isaac-cartpole"):
        (version,) = cluster.versions(model).values()
        assert expected.items() <= version["tags"].items()


@pytest.mark.long
def test_a_mounted_model_is_validated_as_its_tags_and_properties_say(
    foreign, robotrain, cluster, machine, submit, tmp_path
):
    cluster.store.put(cluster.container, {f"models/pole/{name}": content for name, content in foreign.items()})
    cluster.model("pole", 3, "models/pole")
    tagged = {"tags": {"task": policy.TASK, "framework": "rsl_rl"}, "properties": {"success_threshold": "0.9"}}
    cluster.versions("pole")["3"].update(tagged)
    machine.environ["STANDIN_SUCCESS"] = "timeout"
    small = ("--eval-episodes", "4", "--num-envs", "2", "--tracking-uri", "none")
    run, job, _ = submit("isaac-validate", "--checkpoint-uri", "azureml:pole:3", *small)
    assert machine.wait(job.name) == "Completed", "\n".join(job.read_log())
    assert robotrain("outputs", run, "--to", tmp_path / "brought").exit_code == 0
    results = json.loads(next((tmp_path / "brought").rglob("eval_results.json")).read_text())
    result = (results["task"], results["framework"], results["success_threshold"], results["verdict"])
    assert result == (policy.TASK, "rsl_rl", 0.9, "passed")


def test_a_task_that_is_not_the_models_own_is_refused_before_isaac_lab_starts(foreign, cluster, machine, submit):
    cluster.store.put(cluster.container, {f"models/ant/{name}": content for name, content in foreign.items()})
    cluster.model("ant", 1, "models/ant")
    cluster.versions("ant")["1"]["tags"] = {"task": "Isaac-Ant-v0"}
    words = ("--checkpoint-uri", "azureml:ant:1", "--task", policy.TASK, "--tracking-uri", "none")
    _, job, _ = submit("isaac-validate", *words)
    assert machine.wait(job.name) == "Failed"
    log = "\n".join(job.read_log())
    assert f"the policy was trained for Isaac-Ant-v0, not for {policy.TASK}" in log
    assert "Loading model checkpoint" not in log
