"""`isaac-validate`: plans, refusals, verdicts, and the documents that it writes."""

import contextlib
import json
import pickle
import sqlite3
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from robotrain_runtime.checkpoints import model_lineage
from robotrain_runtime.contract.document import parse_document
from robotrain_workloads.evaluation import results_reader
from robotrain_workloads.evaluation.rollout_scores import RolloutEpisode, RolloutResult
from robotrain_workloads.isaac import checkpoint_file, policy_container
from robotrain_workloads.isaac_validate import supervisor
from robotrain_workloads.isaac_validate.supervisor import ValidationResult, ValidationSetup

Lab = Callable[..., Path]
ROOT = Path(__file__).parents[2]
SETUP = ValidationSetup(
    job_name="validate-isaac-ant-v0",
    task="Isaac-Ant-v0",
    backend="skrl",
    device="cuda:0",
    seed=42,
    num_envs=64,
    policy={"source": "run", "name": "r-1@100", "pin": None, "type": "skrl", "step": 100, "sha256": "0" * 64},
)
WORKSPACE = ("--subscription-id", "s", "--resource-group", "g", "--workspace-name", "w-1")
PLACES: Mapping[str, tuple[str, ...]] = {
    "local": (),
    "osmo": ("--pool", "pool", "--storage-account", "account1", *WORKSPACE),
    "azureml": ("--compute", "gpu", *WORKSPACE),
}
BLOB = "https://account1.blob.core.windows.net/train/set1"


def roll_out(*successes: bool | None, returns: float = 10.0) -> RolloutResult:
    return RolloutResult(
        episodes=[
            RolloutEpisode(
                index=index,
                seed=42,
                steps=50 + index,
                sum_reward=returns + index,
                max_reward=1.0,
                final_reward=0.5,
                success=success,
                seconds=0.1,
            )
            for index, success in enumerate(successes)
        ]
    )


@pytest.mark.parametrize(
    ("successes", "success_threshold", "reward_threshold", "verdict"),
    [
        ((True, True, False), 0.7, None, "failed"),
        ((True, True, False), 0.6, None, "passed"),
        ((False, False, False), 0.7, 1.0, "failed"),
        ((None, None, None), 0.7, None, "not judged"),
        ((None, None, None), 0.7, 11.0, "passed"),
        ((None, None, None), 0.7, 11.1, "failed"),
    ],
)
def test_the_verdict(
    successes: tuple[bool | None, ...], success_threshold: float, reward_threshold: float | None, verdict: str
) -> None:
    result = ValidationResult(
        rolled=roll_out(*successes), success_threshold=success_threshold, reward_threshold=reward_threshold
    )
    assert result.verdict == verdict
    assert result.passed is {"passed": True, "failed": False, "not judged": None}[verdict]
    if verdict == "failed":
        assert " is below --" in result.explain_failure()


def test_a_policy_that_was_not_judged_has_no_success_rate(tmp_path: Path) -> None:
    result = ValidationResult(rolled=roll_out(None, None), success_threshold=0.7)
    supervisor.write_results(result, SETUP, tmp_path)
    document = json.loads((tmp_path / "eval_results.json").read_text())
    assert (document["verdict"], document["passed"], document["success_rate"]) == ("not judged", None, None)
    assert document["rollout"]["success_rate"] is None
    assert (tmp_path / "failure_cases.jsonl").read_text() == ""
    assert "rollout/success_rate" not in result.rolled.compute_scores()
    assert supervisor.describe_conditions(result, SETUP).endswith("not judged")


def test_reports_read_the_documents_of_a_validation(tmp_path: Path) -> None:
    result = ValidationResult(rolled=roll_out(True, False, True), success_threshold=0.5)
    supervisor.write_results(result, SETUP, tmp_path)
    results = results_reader.read_results((tmp_path / "eval_results.json").read_bytes())
    assert dict(results.facts)["environment"] == "Isaac-Ant-v0"
    assert [outcome.success for outcome in results.outcomes] == [True, False, True]
    assert json.loads((tmp_path / "metrics.json").read_text())["aggregate_verdict"] == "pass"
    (failure,) = map(json.loads, (tmp_path / "failure_cases.jsonl").read_text().splitlines())
    assert failure["episode"] == 1


def test_the_threshold_is_the_flags_then_the_models_then_the_default() -> None:
    facts = checkpoint_file.CheckpointFacts(success_threshold=0.4)
    assert [supervisor.choose_threshold(flag, facts) for flag in (0.9, 0.0, None)] == [0.9, 0.0, 0.4]
    assert supervisor.choose_threshold(None, checkpoint_file.CheckpointFacts()) == 0.7


def test_tags_of_a_model_count_before_what_lies_beside_the_checkpoint(tmp_path: Path) -> None:
    folder, cache = tmp_path / "000019", tmp_path / "cache"
    checkpoint_file.write_facts(folder, "Isaac-Ant-v0", "skrl")
    file = folder / "model_19.pt"
    assert checkpoint_file.read_facts(file, folder, cache).task == "Isaac-Ant-v0"
    tags = {"task": "Isaac-Cartpole-v0", "framework": "rsl-rl", "success_threshold": "0.85"}
    model_lineage.write_policy_lineage(cache, folder, {}, tags)
    facts = checkpoint_file.read_facts(file, folder, cache)
    assert (facts.task, facts.framework, facts.success_threshold) == ("Isaac-Cartpole-v0", "rsl_rl", 0.85)


def test_what_isaac_lab_wrote_of_a_training_is_read(tmp_path: Path) -> None:
    file = tmp_path / "checkpoints/agent_64.pt"
    file.parent.mkdir()
    written = {"library": "skrl", "task": "Isaac-Reach", "metadata": {"agent": "skrl_ippo_cfg_entry_point"}}
    (tmp_path / "run.json").write_text(json.dumps({**written, "version": 1}))
    facts = checkpoint_file.read_facts(file, tmp_path, tmp_path / "cache")
    assert (facts.task, facts.framework, facts.agent) == ("Isaac-Reach", "skrl", "skrl_ippo_cfg_entry_point")
    checkpoint_file.write_facts(file.parent, "Isaac-Mine", "skrl")  # isaac-train's own count first
    assert checkpoint_file.read_facts(file, tmp_path, tmp_path / "cache").task == "Isaac-Mine"


OWNED = ("--num_envs", "4", "--seed", "1")
QUESTIONS = {
    # the user's words after --, with what Isaac Lab is asked of the checkpoint's agent
    "agent of the training": ((), ("--task", "Isaac-Reach", "--agent=reach_cfg", *OWNED)),
    "agent of the user": (("--agent", "other"), ("--task", "Isaac-Reach", *OWNED)),
}


@pytest.mark.parametrize("case", QUESTIONS)
@pytest.mark.parametrize("workload", ["isaac-validate", "isaac-export"])
def test_isaac_lab_is_asked_about_the_options_of_a_policy(
    robotrain: Any, tmp_path: Path, workload: str, case: str
) -> None:
    options, owned = QUESTIONS[case]
    save_weights(tmp_path / "model_0.pt", {"actor_state_dict": {}})
    written = {"library": "rsl_rl", "task": "Isaac-Reach", "metadata": {"agent": "reach_cfg"}}
    (tmp_path / "run.json").write_text(json.dumps(written))
    (tmp_path / "params").mkdir()
    (tmp_path / "params/agent.yaml").write_text("{}")
    words = ("--checkpoint-uri", tmp_path, "--num-envs", "4", "--seed", "1", "--isaac-version", "3.0")
    line = ("render", workload, "--platform", "local", *words, "--json")
    document = parse_document(robotrain(*line, "--", *options).json["files"]["job.json"]["text"])
    command = policy_container.check_command(document, {}, tmp_path)
    assert command is not None
    assert command.arguments[2:] == ("play", "rsl_rl", *owned, "--", *options)


TASK = ("--task", "Isaac-Velocity-Rough-AnymalD", "--json")
MODEL = "models:/isaac-velocity-rough-anymald/latest"


def test_a_task_alone_means_the_newest_version_of_the_model_of_that_name(robotrain: Any) -> None:
    task = ("isaac-validate", "--platform", "local", *TASK)
    rows = {row["name"]: row for row in robotrain("explain", *task).json["values"]}
    assert (rows["checkpoint"]["value"], rows["checkpoint"]["origin"]) == (f"registered_model {MODEL}", "default")
    answer = robotrain("explain", *task, "--checkpoint-uri", BLOB)
    assert f"blob_url {BLOB}" in [row["value"] for row in answer.json["values"]]


@pytest.mark.parametrize(
    ("platform", "model"), [("osmo", MODEL), ("azureml", "azureml:isaac-velocity-rough-anymald@latest")]
)
def test_plan_names_the_newest_version_of_a_model(robotrain: Any, platform: str, model: str) -> None:
    answer = robotrain("render", "isaac-validate", "--platform", platform, *PLACES[platform], *TASK)
    assert answer.exit_code == 0, answer.stderr
    assert model in json.dumps(answer.json["files"])


def test_the_latest_version_is_pinned_and_an_unknown_model_is_refused(robotrain: Any, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db")) as tables, tables:
        tables.execute("create table registered_models (name text)")
        tables.execute("create table model_versions (name text, version integer, current_stage text)")
        tables.execute("insert into registered_models values ('isaac-ant')")
        tables.execute("insert into model_versions values ('isaac-ant', 7, 'None')")
    words = ("render", "isaac-validate", "--platform", "local", "--tracking-uri", f"sqlite:///{tmp_path}/mlflow.db")
    text = robotrain(*words, "--task", "Isaac-Ant", "--pin", "--json").json["files"]["job.json"]["text"]
    (source,) = json.loads(text)["sources"]
    assert (source["uri"], source["pin"]) == ("models:/isaac-ant/latest", "7")
    robotrain(*words, "--task", "Lab-Aunt", "--pin").check_problems(4, "source-missing")


@pytest.mark.parametrize(
    ("pipeline", "platform"),
    [("example", "local"), ("example", "azureml"), ("documentation", "local"), ("documentation", "osmo")],
)
def test_pipelines_of_isaac_lab_are_planned_on_every_platform(
    robotrain: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pipeline: str, platform: str
) -> None:
    words = iter(PLACES[platform])
    lines = [f'{flag[2:].replace("-", "_")} = "{value}"' for flag, value in zip(words, words, strict=True)]
    (tmp_path / "robotrain.toml").write_text("\n".join((f"[platforms.{platform}]", *lines)))
    monkeypatch.chdir(tmp_path)
    file = ROOT / "examples/isaac-cartpole/pipeline.yaml"
    if pipeline == "documentation":
        page = (ROOT / "docs/isaac.md").read_text()
        file = tmp_path / "pipeline.yaml"
        file.write_text(page.partition("```yaml\n")[2].partition("```")[0])
    answer = robotrain("pipeline", "render", file, "--platform", platform, "--json")
    assert answer.exit_code == 0, answer.stderr
    assert "step-registers-nothing" not in answer.stderr
    if (pipeline, platform) == ("documentation", "local"):
        steps = {step["name"]: step for step in json.loads(answer.json["files"]["pipeline.json"]["text"])["steps"]}
        assert steps["export"]["inputs"] == [{"role": "checkpoint", "step": "train"}]


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """The folder of an Isaac Lab 2.3: `lab()` lays it out."""

    def make() -> Path:
        folder = tmp_path / "lab"
        folder.mkdir()
        (folder / "isaaclab.sh").touch()
        (folder / "VERSION").write_text("2.3.2\n")
        monkeypatch.setenv("ISAACLAB_PATH", str(folder))
        return folder

    return make


SKRL: object = {"policy": {}, "optimizer": {}}
RSL_RL: object = {"model_state_dict": {}, "optimizer_state_dict": {}, "iter": 19}
RSL_RL_5: object = {"actor_state_dict": {}, "optimizer_state_dict": {}, "iter": 19}
PICKLED: object = PurePosixPath("x")
IN_2_3 = ("--isaac-version", "2.3")


def save_weights(file: Path, content: object = SKRL) -> None:
    """Write a file as PyTorch does: an archive with a pickle inside."""
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("agent/data.pkl", pickle.dumps(content, protocol=2))


def save_checkpoint(folder: Path, content: object = SKRL) -> Path:
    """The shell of a checkpoint, with what isaac-train writes beside it."""
    checkpoint_file.write_facts(folder, "Isaac-Ant-v0", "skrl" if content is SKRL else "rsl_rl")
    save_weights(folder / "agent_100.pt", content)
    return folder


@pytest.mark.parametrize(
    ("workload", "content", "words"),
    [
        ("isaac-validate", SKRL, ("--task", "Isaac-Cartpole-v0")),
        ("isaac-validate", SKRL, ("--backend", "rsl_rl")),
        ("isaac-validate", RSL_RL, ("--backend", "skrl")),
        ("isaac-validate", RSL_RL_5, ()),
        ("isaac-validate", PICKLED, ()),
        ("isaac-validate", SKRL, ("--sha256", "a" * 64)),
        ("isaac-validate", SKRL, ("--isaac-version", "3.0")),
        ("isaac-validate", SKRL, ("--isaaclab-path", "/nowhere")),
        ("isaac-train", RSL_RL, ("-b", "rsl_rl", "-m", "20", "-M", "resume")),
        ("isaac-train", RSL_RL, ("-M", "resume")),
        ("isaac-train", PICKLED, ("-M", "warm-start")),
        ("isaac-train", SKRL, ("-M", "warm-start", "--sha256", "a" * 64)),
        ("isaac-train", SKRL, ("-M", "warm-start", "--isaac-version", "3.0", "-t", "Isaac-Ant")),
        ("isaac-train", SKRL, ("-M", "warm-start", "--isaaclab-path", "/nowhere")),
    ],
)
def test_a_checkpoint_that_cannot_be_used_is_refused_before_isaac_lab_starts(
    robotrain: Any, lab: Lab, tmp_path: Path, workload: str, content: object, words: tuple[str, ...]
) -> None:
    lab()
    checkpoint = save_checkpoint(tmp_path / "checkpoint", content)
    words = words if "--isaac-version" in words else (*IN_2_3, *words)
    target = ("--platform", "local", "--tracking-uri", "none", "--checkpoint-uri", str(checkpoint))
    robotrain("submit", workload, *target, "--dry-run", *words).check_problems(4, "data-unusable")


def test_an_environment_is_not_the_isaac_lab_of_2_3_and_that_of_3_0_holds_it(robotrain: Any) -> None:
    job = ("submit", "isaac-train", "--platform", "local", "--tracking-uri", "none", "--dry-run")
    environment = ("--environment", sys.prefix)
    answer = robotrain(*job, *IN_2_3, "--task", "Isaac-Cartpole-v0", *environment)
    answer.check_problems(4, "data-unusable")
    answer = robotrain(*job, "--task", "Isaac-Cartpole-Direct", *environment)
    answer.check(4, "[environment-unusable]", "does not have isaaclab")


def test_a_play_variant_of_the_task_is_accepted_and_a_checkpoint_without_a_task_is_not(
    robotrain: Any, lab: Lab, tmp_path: Path
) -> None:
    lab()
    target = ("submit", "isaac-validate", *IN_2_3, "--platform", "local", "--tracking-uri", "none", "--dry-run")
    checkpoint = save_checkpoint(tmp_path / "known")
    answer = robotrain(*target, "--checkpoint-uri", str(checkpoint), "--task", "Isaac-Ant-Play-v0")
    assert "was trained for" not in answer.stderr
    bare = tmp_path / "bare"
    bare.mkdir()
    save_weights(bare / "agent_100.pt")
    robotrain(*target, "--checkpoint-uri", str(bare)).check_problems(4, "data-unusable")


@pytest.mark.parametrize("workload", ["isaac-validate", "isaac-export"])
def test_policies_of_several_agents_are_refused_by_their_parameters(
    robotrain: Any, tmp_path: Path, workload: str
) -> None:
    folder = save_checkpoint(tmp_path / "checkpoint")
    line = ("submit", workload, "--platform", "local", "--tracking-uri", "none", "--dry-run")
    line = (*line, "--checkpoint-uri", str(folder))
    for algorithm in ("MAPPO", "PPO"):
        (folder / "params/agent.yaml").write_text(f"seed: 1\nagent:\n  class: {algorithm}\n")
        is_named = "policies of several agents (MAPPO)" in " ".join(robotrain(*line).stderr.split())
        assert is_named == (algorithm == "MAPPO")


def save_sb3(folder: Path, settings: str = '{"num_timesteps": 960}') -> Path:
    """The shell of a checkpoint of sb3."""
    folder.mkdir()
    with zipfile.ZipFile(folder / "model_960_steps.zip", "w") as archive:
        archive.writestr("data", settings)
        archive.writestr("policy.pth", "")
    return folder


def test_an_archive_of_sb3_tells_its_library_and_how_long_it_has_trained(tmp_path: Path) -> None:
    content = checkpoint_file.read_content(save_sb3(tmp_path / "good") / "model_960_steps.zip")
    assert (content.backend, content.series, content.timesteps, content.problem) == ("sb3", "3.0", 960, "")
    for index, settings in enumerate(("[]", "no JSON", '{"num_timesteps": "x"}')):
        content = checkpoint_file.read_content(save_sb3(tmp_path / str(index), settings) / "model_960_steps.zip")
        assert content.problem


@pytest.mark.parametrize(
    ("workload", "words", "sentence"),
    [
        ("isaac-export", (), "is a policy of sb3, which is not exported yet"),
        ("isaac-validate", (), "has no params/agent.yaml beside it"),
        ("isaac-train", ("-M", "resume", "-b", "skrl"), "is a checkpoint of sb3, not of skrl"),
        ("isaac-train", ("-M", "resume", "-b", "sb3", "-m", "30"), "has 60 iterations, and the training ends after 30"),
    ],
)
def test_a_checkpoint_of_sb3_that_cannot_be_used_is_refused_though_isaac_lab_is_not_built(
    robotrain: Any, tmp_path: Path, workload: str, words: tuple[str, ...], sentence: str
) -> None:
    folder = save_sb3(tmp_path / "checkpoint")
    checkpoint_file.write_facts(folder, "Isaac-Cartpole-Direct", "sb3", 960, 16)
    if workload == "isaac-export":
        (folder / "params/agent.yaml").write_text("policy: MlpPolicy")
    line = ("submit", workload, "--platform", "local", "--tracking-uri", "none", "--dry-run", *words)
    refused = robotrain(*line, "--checkpoint-uri", str(folder))
    refused.check_problems(4, "checkpoint-not-exportable" if workload == "isaac-export" else "data-unusable")
    assert sentence in " ".join(refused.stderr.split())


@pytest.mark.parametrize("workload", ["isaac-train", "isaac-validate"])
def test_a_checkpoint_of_another_version_is_refused_though_isaac_lab_is_not_built(
    robotrain: Any, tmp_path: Path, workload: str
) -> None:
    checkpoint = save_checkpoint(tmp_path / "checkpoint", RSL_RL)
    resume = ("-M", "resume", "-b", "rsl_rl") if workload == "isaac-train" else ()
    line = ("submit", workload, "--platform", "local", "--tracking-uri", "none", "--dry-run", *resume)
    refused = robotrain(*line, "--checkpoint-uri", str(checkpoint))
    refused.check_problems(4, "data-unusable")
    assert "is of Isaac Lab 2.3: the rsl_rl of 3.0 cannot read it" in refused.stderr
    assert "--isaac-version 2.3" in refused.stderr
