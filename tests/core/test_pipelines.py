"""A pipeline of steps: read, checked with all problems at once, and rendered."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

PUSHT = Path(__file__).parents[2] / "examples/pusht-mini"
THREE = """
name: pusht-mini
steps:
  register: {register: pusht-act, from: evaluate}
  evaluate:
    job: EXAMPLE/evaluate.yaml
    parameters: {eval_episodes: 3}
    sources:
      policy:
        - from: train
  train: {job: EXAMPLE/job.yaml, parameters: {training_steps: 20}}
"""


@pytest.fixture
def pipeline(tmp_path):
    """Write a pipeline file: its path."""

    def write(text: str = THREE):
        path = tmp_path / "here/pipeline.yaml"
        path.write_text(text.replace("EXAMPLE", str(PUSHT)))
        return path

    return write


@pytest.fixture
def rendered(robotrain, pipeline):
    """Render a pipeline on this machine: pipeline.json."""

    def render(text: str = THREE, *options: object):
        answer = robotrain("pipeline", "render", pipeline(text), "--platform", "local", "--json", *options)
        assert answer.exit_code == 0, answer.stderr
        plan = answer.json
        return json.loads(plan["files"][plan["spec"]]["text"])

    return render


@pytest.fixture
def problems(robotrain, pipeline):
    """The problems of a pipeline, by code."""

    def find(text: str, *options: object):
        answer = robotrain("pipeline", "render", pipeline(text), "--platform", "local", "--json", *options)
        assert answer.exit_code in (2, 3)
        errors = [one for one in answer.json["problems"] if one["severity"] == "error"]
        return {one["code"]: one for one in errors}

    return find


def test_steps_are_rendered_in_an_order_in_which_they_can_run(rendered):
    plan = rendered()
    train, evaluate, register = plan["steps"]
    assert [step["name"] for step in plan["steps"]] == ["train", "evaluate", "register"]
    assert train["parameters"]["training_steps"] == 20
    assert train["parameters"]["batch_size"] == 64  # of its job file
    assert train["sources"][0]["uri"] == str(PUSHT / "dataset")
    assert evaluate["inputs"] == [{"role": "policy", "step": "train"}]
    assert evaluate["needs"] == ["train"]
    assert (register["model"], register["policy_from"], register["needs"]) == ("pusht-act", "evaluate", ["evaluate"])


def test_equal_pipelines_are_equal_plans_and_another_value_is_another_run(robotrain, pipeline):
    def render(text: str):
        return robotrain("pipeline", "render", pipeline(text), "--platform", "local", "--json").json

    first, again, other = render(THREE), render(THREE), render(THREE.replace("20}", "21}"))
    assert first == again
    assert first["run"].startswith("pusht-mini-")
    assert first["run"] != other["run"]


def test_the_example_of_the_repository_is_a_pipeline(robotrain):
    answer = robotrain("pipeline", "render", PUSHT / "pipeline.yaml", "--platform", "local", "--json")
    plan = json.loads(answer.json["files"]["pipeline.json"]["text"])
    assert [step["name"] for step in plan["steps"]] == ["train", "evaluate", "register"]


def test_a_value_of_a_step_is_set(rendered, problems):
    plan = rendered(THREE, "--set", "train.batch_size=8", "--set", "evaluate.seed=3")
    assert plan["steps"][0]["parameters"]["batch_size"] == 8
    assert plan["steps"][1]["parameters"]["seed"] == 3
    found = problems(THREE, "--set", "trian.seed=3", "--set", "register.seed=3")
    assert found.keys() == {"set-malformed", "set-unknown-key"}, "a registration has settings only"
    assert problems(THREE, "--set", "trian.seed=3")["set-malformed"]["instead"][0]["text"] == "--set train.seed=3"
    assert "names no value of step train" in problems(THREE, "--set", "train=3")["set-malformed"]["title"]
    unknown = problems(THREE, "--set", "train.batch_sizes=3")["set-unknown-key"]
    assert unknown["where"] == "--set train.batch_sizes"
    assert unknown["instead"][0]["text"] == "--set train.batch_size=3"


def test_options_after_the_dashes_are_for_the_step_that_trains(rendered, robotrain, pipeline):
    train, evaluate, _ = rendered(THREE, "--", "--policy.dropout", "0.1")["steps"]
    assert train["trainer_args"][-2:] == ["--policy.dropout", "0.1"]
    assert "--policy.dropout=0.0" not in train["trainer_args"]
    assert "--policy.n_heads=4" in train["trainer_args"], "the other options of its job file stay"
    assert "trainer_args" not in evaluate
    table = robotrain("pipeline", "explain", pipeline(), "--platform", "local", "--", "--policy.dropout", "0.1").stdout
    assert len([line for line in table.splitlines() if "--policy.dropout 0.1  " in line]) == 1
    answer = robotrain("pipeline", "submit", "pipeline.yaml", "--platform", "local", "--policy.dropout=0.1")
    assert "use   -- --policy.dropout=0.1" in answer.stderr
    answer = robotrain("pipeline", "submit", "pipeline.yaml", "--platform", "local", "--training-steps", "30")
    assert "use   --set STEP.training_steps=30" in answer.stderr


@pytest.mark.parametrize("words", [("-p", "local"), ("--out", "x"), ("--bogus", "pipeline.yaml")])
def test_an_unknown_option_of_a_pipeline_is_no_value_of_a_step(robotrain, pipeline, words):
    pipeline()
    for command in ("submit", "render", "explain"):
        answer = robotrain("pipeline", command, *words, "pipeline.yaml", "--platform", "local")
        assert (answer.exit_code, "STEP." in answer.stderr) == (2, False), answer.stderr


@pytest.mark.parametrize(
    ("option", "value"),
    [("--training-steps", "training_steps=8"), ("--seed", "seed=8"), ("--steps", "training_steps=8")],
)
def test_a_value_of_robotrain_after_the_dashes_is_set_in_its_step(robotrain, pipeline, option, value):
    path = pipeline()
    answer = robotrain("pipeline", "submit", path, "--platform", "local", "--dry-run", "--", f"{option}=8")
    assert answer.exit_code == 2
    assert f"--set train.{value}" in answer.stderr
    assert "before --" not in answer.stderr


def test_a_file_that_cannot_be_read_is_not_reported_as_without_training(problems, robotrain, tmp_path):
    arguments = ("--platform", "local", "--json", "--", "--policy.dropout=0.1")
    missing = robotrain("pipeline", "render", tmp_path / "missing.yaml", *arguments).json["problems"]
    unknown = problems(THREE.replace("{job: EXAMPLE/job.yaml,", "{workload: lerobot-trian,"), "--", arguments[-1])
    for codes in ([one["code"] for one in missing], list(unknown)):
        assert codes
        assert "step-ambiguous" not in codes


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        (THREE + "  again: {job: EXAMPLE/job.yaml}", ["train", "again"]),
        (THREE.replace("from: train", "local_path: /policy").partition("  train:")[0], ["evaluate"]),
    ],
)
def test_options_after_the_dashes_of_no_single_step_are_answered_with_a_line_for_each(problems, text, steps):
    found = problems(text, "--", "--policy.dropout=0.1", "--wandb.api_key=S3CRET")["step-ambiguous"]
    ways = [way["text"] for way in found["instead"]]
    assert [way.partition(".")[0] for way in ways] == [f"--set '{step}" for step in steps]
    assert ways[0].startswith(f"""--set '{steps[0]}.trainer_args=["--policy.dropout=0.1", """)
    assert "S3CRET" not in json.dumps(found)


def test_a_training_registers_nothing(robotrain, pipeline, rendered):
    text = THREE.replace("training_steps: 20", "register_checkpoint: early")
    assert rendered(text)["steps"][0]["parameters"]["register_checkpoint"] is None
    assert "[step-registers-nothing]" in robotrain("pipeline", "render", pipeline(text), "--platform", "local").stderr


def test_every_problem_is_reported_at_once(problems):
    found = problems(
        """
        name: Big Name
        steps:
          train: {sources: {dataset: {from: evaluate}}, parameters: {batch_sizes: 3}}
          Train: {workload: lerobot-eval, sources: {policy: {from: trian}}, parameters: {env: pusht}}
          evaluate: {job: missing.yaml}
          register: {register: a b, from: evaluate}
          2nd: {register: model, from: register}
          one: {job: EXAMPLE/job.yaml, after: two}
          two: {job: EXAMPLE/job.yaml, after: [one]}
          three: {job: EXAMPLE/evaluate.yaml, sources: {policy: {from: Train}}}
        """
    )
    assert found.keys() == {
        "pipeline-name-invalid",
        "step-name-repeated",
        "step-name-invalid",
        "step-unknown",
        "step-cycle",
        "step-input-refused",
        "step-output-missing",
        "job-file-unknown-key",
        "job-file-unreadable",
        "model-name-invalid",
    }
    assert found["step-unknown"]["instead"][0]["text"] == "train"
    assert "one → two → one" in found["step-cycle"]["title"] or "two → one → two" in found["step-cycle"]["title"]
    assert found["job-file-unknown-key"]["where"].endswith("pipeline.yaml:4")


INVALID_FILES = {
    "": "pipeline-empty",
    "steps: {}": "pipeline-empty",
    "steps: [a]": "pipeline-file-wrong",
    "steps: {a: {register: m}}": "pipeline-file-wrong",
    "steps: {a: {from: b, job: EXAMPLE/job.yaml}}": "pipeline-file-wrong",
    "stages: {}": "pipeline-file-unknown-key",
    "steps: {a: {jobs: b}}": "pipeline-file-unknown-key",
    "at_most: 0": "pipeline-file-wrong",
    "steps: [": "pipeline-file-malformed",
    "steps: {a: {job: EXAMPLE/job.yaml, after: a}}": "step-cycle",
    "steps: {a_b: {job: EXAMPLE/job.yaml}, A-B: {job: EXAMPLE/job.yaml}}": "step-name-repeated",
}


def test_an_invalid_pipeline_file_is_refused(problems):
    for text, code in INVALID_FILES.items():
        assert code in problems(text), text


def test_a_job_file_is_no_pipeline_and_a_pipeline_no_job(robotrain, pipeline, tmp_path):
    job = f"{PUSHT / 'job.yaml'}"
    answer = robotrain("pipeline", "submit", job, "--platform", "local", "--json")
    (wrong,) = answer.json["problems"]
    assert (answer.exit_code, wrong["code"]) == (2, "pipeline-file-wrong")
    assert wrong["instead"][0]["text"] == f"robotrain submit {job} …"
    answer = robotrain("submit", file := pipeline(), "--platform", "local", "--json")
    (wrong,) = answer.json["problems"]
    assert (answer.exit_code, wrong["code"]) == (2, "job-file-wrong")
    assert wrong["instead"][0]["text"] == f"robotrain pipeline submit {file} …"
    (missing,) = robotrain("pipeline", "submit", "gone.yaml", "--platform", "local", "--json").json["problems"]
    assert missing["code"] == "pipeline-file-unreadable"


def test_each_cycle_is_reported(robotrain, pipeline):
    pairs = {"a": "b", "b": "a", "c": "d", "d": "c", "e": "e"}
    text = "steps:\n" + "".join(f"  {one}: {{job: EXAMPLE/job.yaml, after: {other}}}\n" for one, other in pairs.items())
    found = robotrain("pipeline", "render", pipeline(text), "--platform", "local", "--json").json["problems"]
    cycles = [{*one["title"].partition(": ")[2].split(" → ")} for one in found if one["code"] == "step-cycle"]
    assert sorted(map(sorted, cycles)) == [["a", "b"], ["c", "d"], ["e"]]


def test_too_many_steps_are_refused_with_how_many_fit(problems):
    steps = "".join(f"  s{number}: {{register: m, from: s{number + 1}}}\n" for number in range(1001))
    assert "at most 1000 steps" in problems(f"steps:\n{steps}")["steps-over-limit"]["title"]


def test_each_value_of_each_step_is_explained(robotrain, pipeline):
    answer = robotrain("pipeline", "explain", pipeline(), "--platform", "local", "--json")
    values = {row["name"]: row for row in answer.json["values"]}
    assert values["train.training_steps"]["value"] == 20
    assert values["train.training_steps"]["origin"] == "job file pipeline.yaml:11"
    assert values["evaluate.policy"]["value"] == "step train"


def test_steps_share_settings_only_where_their_own_are_equal(robotrain, pipeline):
    text = """
    steps:
      plain: {job: EXAMPLE/job.yaml}
      named: {job: EXAMPLE/job.yaml, platforms: {local: {download_mib: 64}}}
      other: {job: EXAMPLE/job.yaml, after: plain}
    """
    words = ("--platform", "local", "--set", "other.download_mib=32", "--json")
    answer = robotrain("pipeline", "explain", pipeline(text), *words)
    values = {row["name"]: (row["value"], row["origin"]) for row in answer.json["values"]}
    assert values["plain.download_mib"][1] == "default"
    assert (values["named.download_mib"][0], values["other.download_mib"][0]) == (64, 32)
    assert values["named.download_mib"][1].startswith("job file pipeline.yaml:")


def test_the_schema_accepts_what_is_read_and_nothing_else(robotrain):
    import yaml
    from jsonschema import Draft202012Validator

    validator = Draft202012Validator(robotrain("pipeline", "schema").json)
    assert validator.is_valid(yaml.safe_load(THREE))
    for wrong in (
        {},
        {"steps": {}},
        {"steps": {"a": {"register": "m"}}},
        {"steps": {"a": {"jobs": "x"}}},
        {"steps": {"1": {"job": "x"}}},
        {"steps": {"a": {"parameters": {"batch_sizes": 3}}}},
        {"steps": {"a": {"sources": {"dataset": {"from": "b"}}}}},
        {"steps": {"a": {"job": "x"}}, "at_most": 0},
    ):
        assert not validator.is_valid(wrong), wrong


def test_a_platform_without_an_engine_for_pipelines_needs_this_machine(robotrain, pipeline, plain_platform):
    text = "steps: {a: {job: EXAMPLE/job.yaml}, b: {job: EXAMPLE/job.yaml, after: a}}"
    answer = robotrain("pipeline", "render", pipeline(text), "--platform", "plain")
    assert (answer.exit_code, "[pipeline-driven-here]" in answer.stderr) == (0, True)
    answer = robotrain("pipeline", "render", pipeline(text), "--platform", "local")
    assert "[pipeline-driven-here]" not in answer.stderr


def test_a_plain_job_imports_nothing_of_pipelines():
    code = (
        "import sys; from robotrain.cli.app import app\n"
        f"try: app(['render', {str(PUSHT / 'job.yaml')!r}, '--platform', 'local'])\n"
        "except SystemExit: pass\n"
        "print([name for name in sys.modules if name.startswith('robotrain.pipelines')], file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stderr.splitlines()[-1] == "[]"


@pytest.mark.parametrize(("command", "flags"), [("submit", 3), ("resume", 3)])
def test_the_help_of_options_that_jobs_have_too_speaks_of_pipelines(robotrain, command, flags):
    shown = " ".join(robotrain("pipeline", command, "--help").stdout.split())
    phrases = (
        "the last step of a pipeline, ends",
        "every step of a pipeline",
        "even if the same job or pipeline is running",
    )
    assert all(text in shown for text in phrases[:flags]), shown


def test_what_a_registration_lacks_is_suggested_in_the_language_of_pipelines(robotrain, problems, pipeline):
    """Its settings are those of the step that made the policy."""
    off = ("--set", "evaluate.tracking_uri=none")
    (way,) = problems(THREE, *off)["feature-not-there"]["instead"]
    assert way == {
        "text": "leave out --set evaluate.tracking_uri",
        "remark": "",
        "replaces": "--set=evaluate.tracking_uri",
    }
    words = ("pipeline", "render", pipeline(THREE), "--platform", "osmo")
    refused = robotrain(*words, "--set", "train.storage_account=acct1").stderr
    ways = re.findall(r"^  (?:use  |or   ) (.*)$", refused, re.MULTILINE)
    assert any(way.endswith(".tracking_uri=none") for way in ways)  # also of warnings
    assert [way for way in ways if way.startswith("--") and not way.startswith("--set ")] == []
