"""A pipeline of steps: read, checked with all problems at once, and rendered."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from problem_assertions import check_rejected

PUSHT = Path(__file__).parents[2] / "examples/pusht-mini"
THREE = """
name: pusht-mini
steps:
  again: {job: EXAMPLE/evaluate.yaml, after: evaluate, sources: {policy: {from: train}}}
  evaluate:
    job: EXAMPLE/evaluate.yaml
    parameters: {eval_episodes: 3, register_model: pusht-act}
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
def render(robotrain, pipeline):
    """Render a pipeline on this machine: the answer."""
    return lambda text, *options: robotrain("pipeline", "render", pipeline(text), "--platform", "local", *options)


@pytest.fixture
def rendered(render):
    """Render a pipeline on this machine: pipeline.json."""

    def read(text: str = THREE, *options: object):
        answer = render(text, "--json", *options)
        assert answer.exit_code == 0, answer.stderr
        plan = answer.json
        return json.loads(plan["files"][plan["spec"]]["text"])

    return read


def test_steps_are_rendered_in_an_order_in_which_they_can_run(rendered):
    plan = rendered()
    train, evaluate, again = plan["steps"]
    assert [step["name"] for step in plan["steps"]] == ["train", "evaluate", "again"]
    assert train["parameters"]["training_steps"] == 20
    assert train["parameters"]["batch_size"] == 64  # of its job file
    assert train["sources"][0]["uri"] == str(PUSHT / "dataset")
    assert evaluate["inputs"] == [{"role": "policy", "step": "train"}]
    assert evaluate["needs"] == ["train"]
    assert (evaluate["parameters"]["register_model"], again["needs"]) == ("pusht-act", ["train", "evaluate"])


def test_equal_pipelines_are_equal_plans_and_another_value_is_another_run(render):
    first, again, other = (render(text, "--json").json for text in (THREE, THREE, THREE.replace("20}", "21}")))
    assert first == again
    assert first["run"].startswith("pusht-mini-")
    assert first["run"] != other["run"]


def test_relative_paths_of_a_job_file_start_from_its_folder(robotrain, pipeline, tmp_path):
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs/job.yaml").write_text(
        "platforms: {local: {runs_dir: runs}}\nsources: {dataset: {local_path: data}}\n"
    )
    own = "{job: ../jobs/job.yaml, platforms: {local: {runs_dir: mine}}}"
    text = f"steps:\n  file: {{job: ../jobs/job.yaml}}\n  own: {own}\n"
    answer = robotrain("pipeline", "explain", pipeline(text), "--platform", "local", "--json")
    values = {row["name"]: row["value"] for row in answer.json["values"]}
    folders = [tmp_path / "jobs/runs", tmp_path / "here/mine"]
    assert [values["file.runs_dir"], values["own.runs_dir"]] == [*map(str, folders)]
    assert values["file.dataset"] == f"local_path {tmp_path / 'jobs/data'}"


def test_a_step_adds_to_the_pairs_of_its_job_file_and_shows_what_it_overrode(robotrain, pipeline, tmp_path):
    job = tmp_path / "job.yaml"
    job.write_text("workload: command\nparameters: {environ: {A: one, B: two}, seed: 1}\ntrainer_args: [python, -V]\n")
    text = "steps:\n  run: {job: ../job.yaml, parameters: {environ: {B: three}, seed: 2}, trainer_args: [python]}\n"
    answer = robotrain("pipeline", "explain", pipeline(text), "--platform", "local", "--json")
    assert answer.exit_code == 0, answer.stderr
    values = {row["name"]: row for row in answer.json["values"]}
    assert values["run.environ"]["value"] == '{"A": "one", "B": "three"}'
    assert values["run.seed"]["overrode"][0] == {"value": "1", "origin": "job file job.yaml:2"}
    assert [overridden["value"] for overridden in values["run.trainer_args"]["overrode"]] == ["python", "-V"]


def test_the_workload_of_a_step_wins_over_that_of_its_job_file(rendered, tmp_path):
    (tmp_path / "job.yaml").write_text("workload: lerobot-eval\nsources: {dataset: [{local_path: data}]}\n")
    plan = rendered("steps:\n  own: {job: ../job.yaml, workload: lerobot-train}\n")
    assert [step["workload"] for step in plan["steps"]] == ["lerobot-train"]


def test_a_value_that_is_set_takes_the_place_of_a_step_as_an_input(robotrain, pipeline, tmp_path):
    words = ("--platform", "local", "--set", f"evaluate.sources.policy.local_path={tmp_path}", "--json")
    plan = robotrain("pipeline", "render", pipeline(), *words)
    assert plan.exit_code == 0, plan.stderr
    steps = json.loads(plan.json["files"][plan.json["spec"]]["text"])["steps"]
    assert [step.get("inputs") for step in steps if step["name"] == "evaluate"] == [None]


def test_from_python_a_step_takes_the_values_that_a_submit_takes(pipeline, tmp_path):
    import robotrain

    data = tmp_path / "data"
    data.mkdir()
    values = {
        "train": {"dataset_path": data, "seed": None, "batch_size": 4, "trainer_args": ["--log_freq=5"]},
        "evaluate": {"image": None},
        "trian": {},
    }
    with check_rejected("step-unknown values", "option-owned step train: train.trainer_args"):
        robotrain.pipeline(pipeline(), platform="local", values=values)
    values = {"train": {"batch_siez": 4}}
    with check_rejected("value-unknown"):
        robotrain.pipeline(pipeline(), platform="local", values=values)


def test_a_training_is_not_its_own_reference(render):
    text = f"""
name: cheating
steps:
  train:
    workload: lerobot-train
    parameters: {{training_steps: 2}}
    sources: {{dataset: [{{local_path: {PUSHT / "dataset"}}}]}}
  compare:
    workload: lerobot-eval
    parameters: {{env: pusht, margin: 0.3, register_model: gated}}
    sources: {{policy: [{{from: train}}], reference: [{{from: train}}]}}
"""
    render(text).check_problems(2, "sources-conflict step compare: reference")


def test_the_example_of_the_repository_is_a_pipeline(robotrain):
    answer = robotrain("pipeline", "render", PUSHT / "pipeline.yaml", "--platform", "local", "--json")
    plan = json.loads(answer.json["files"]["pipeline.json"]["text"])
    assert [step["name"] for step in plan["steps"]] == ["train", "evaluate"]
    assert plan["steps"][1]["parameters"]["register_model"] == "pusht-mini"


def test_a_value_of_a_step_is_set(rendered, render):
    plan = rendered(THREE, "--set", "train.batch_size=8", "--set", "evaluate.seed=3")
    assert plan["steps"][0]["parameters"]["batch_size"] == 8
    assert plan["steps"][1]["parameters"]["seed"] == 3
    render(THREE, "--set", "trian.seed=3", "--set", "train=3").check_problems(2, "value-invalid --set")
    render(THREE, "--set", "train.batch_sizes=3").check_problems(2, "value-unknown --set train.batch_sizes")


def test_options_after_the_dashes_are_for_the_step_that_trains(rendered, robotrain, pipeline):
    train, evaluate, _ = rendered(THREE, "--", "--policy.dropout", "0.1")["steps"]
    assert train["trainer_args"][-2:] == ["--policy.dropout", "0.1"]
    assert "--policy.dropout=0.0" not in train["trainer_args"]
    assert "--policy.n_heads=4" in train["trainer_args"], "the other options of its job file stay"
    assert "trainer_args" not in evaluate
    table = robotrain("pipeline", "explain", pipeline(), "--platform", "local", "--", "--policy.dropout", "0.1").stdout
    assert len([line for line in table.splitlines() if "--policy.dropout 0.1  " in line]) == 1
    submit = ("pipeline", "submit", "pipeline.yaml", "--platform", "local")
    robotrain(*submit, "--policy.dropout=0.1").check_problems(2, "option-unknown --policy.dropout")
    robotrain(*submit, "--training-steps", "30").check_problems(2, "option-unknown --training-steps")


@pytest.mark.parametrize("words", [("--out", "x"), ("--bogus", "pipeline.yaml")])
def test_an_unknown_option_of_a_pipeline_is_no_value_of_a_step(robotrain, pipeline, words):
    pipeline()
    for command in ("submit", "render", "explain"):
        answer = robotrain("pipeline", command, *words, "pipeline.yaml", "--platform", "local")
        assert (answer.exit_code, "STEP." in answer.stderr) == (2, False), answer.stderr


@pytest.mark.parametrize(
    ("option", "code"),
    [("--training-steps", "option-elsewhere"), ("--seed", "option-owned"), ("--steps", "option-owned")],
)
def test_a_value_of_robotrain_after_the_dashes_is_set_in_its_step(robotrain, pipeline, option, code):
    path = pipeline()
    answer = robotrain("pipeline", "submit", path, "--platform", "local", "--dry-run", "--", f"{option}=8")
    answer.check_problems(2, f"{code} step train: after -- {option}")


def test_a_file_that_cannot_be_read_is_not_reported_as_without_training(render, robotrain):
    arguments = ("--", "--policy.dropout=0.1")
    answer = robotrain("pipeline", "render", "missing.yaml", "--platform", "local", *arguments)
    answer.check_problems(2, "file-unreadable missing.yaml")
    answer = render(THREE.replace("{job: EXAMPLE/job.yaml,", "{workload: lerobot-trian,"), *arguments)
    answer.check_problems(2, "plugin-failed pipeline.yaml:11")


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        (THREE + "  longer: {job: EXAMPLE/job.yaml}", ["train", "longer"]),
        (THREE.replace("from: train", "local_path: /policy").partition("  train:")[0], ["again", "evaluate"]),
    ],
)
def test_options_after_the_dashes_of_no_single_step_are_answered_with_a_line_for_each(render, text, steps):
    answer = render(text, "--json", "--", "--policy.dropout=0.1", "--wandb.api_key=S3CRET")
    answer.check_problems(2, "step-ambiguous --")
    ways = next(problem["instead"] for problem in answer.json["problems"] if problem["code"] == "step-ambiguous")
    assert [way["text"].partition(".")[0] for way in ways] == [f"--set '{step}" for step in steps]
    assert "S3CRET" not in answer.stdout + answer.stderr


def test_a_training_whose_policy_others_take_registers_nothing(render, rendered):
    text = THREE.replace("training_steps: 20", "register_checkpoint: early")
    assert rendered(text)["steps"][0]["parameters"]["register_checkpoint"] is None
    render(text).check_problems(0, "step-registers-nothing step train")
    alone = "steps: {train: {job: EXAMPLE/job.yaml, parameters: {register_checkpoint: mine}}}"
    assert rendered(alone)["steps"][0]["parameters"]["register_checkpoint"] == "mine"
    assert "step-registers-nothing" not in render(alone).stderr


def test_every_problem_is_reported_at_once(render):
    answer = render(
        """
        name: Big Name
        steps:
          train: {sources: {dataset: {from: evaluate}}, parameters: {batch_sizes: 3}}
          Train: {workload: lerobot-eval, sources: {policy: {from: trian}}, parameters: {env: pusht}}
          evaluate: {job: missing.yaml}
          other: {job: EXAMPLE/evaluate.yaml, sources: {policy: {from: evaluate}}, parameters: {register_model: a b}}
          2nd: {job: EXAMPLE/evaluate.yaml, sources: {policy: {from: other}}}
          one: {job: EXAMPLE/job.yaml, after: two}
          two: {job: EXAMPLE/job.yaml, after: [one]}
          three: {job: EXAMPLE/evaluate.yaml, sources: {policy: {from: Train}}}
        """
    )
    problems = {
        4: ("step-input-refused", "file-unknown-key"),
        5: ("step-name-repeated", "step-unknown"),
        6: ("file-unreadable",),
        7: ("value-invalid",),
        8: ("step-name-invalid", "step-output-missing"),
        9: ("step-cycle",),
        11: ("step-output-missing",),
    }
    places = (f"{code} pipeline.yaml:{line}" for line, codes in problems.items() for code in codes)
    answer.check_problems(2, "pipeline-name-invalid name", *places)


INVALID_FILES = {
    "": "pipeline-empty",
    "steps: {}": "pipeline-empty",
    "steps: [a]": "file-wrong pipeline.yaml:1",
    "steps: {a: {register: m, job: EXAMPLE/job.yaml}}": "file-unknown-key pipeline.yaml:1",
    "stages: {}": "file-unknown-key pipeline.yaml:1",
    "steps: {a: {jobs: b, job: EXAMPLE/job.yaml}}": "file-unknown-key pipeline.yaml:1",
    "at_most: 0": "file-wrong pipeline.yaml:1",
    "steps: [": "file-malformed pipeline.yaml:2",
    "steps: {a: {job: EXAMPLE/job.yaml, after: a}}": "step-cycle pipeline.yaml:1",
    "steps: {a_b: {job: EXAMPLE/job.yaml}, A-B: {job: EXAMPLE/job.yaml}}": "step-name-repeated pipeline.yaml:1",
}


def test_an_invalid_pipeline_file_is_refused(render):
    for text, problem in INVALID_FILES.items():
        render(text).check_problems(2, problem)


def test_a_job_file_is_no_pipeline_and_a_pipeline_no_job(robotrain, pipeline):
    for answer in (
        robotrain("pipeline", "submit", PUSHT / "job.yaml", "--platform", "local"),
        robotrain("submit", pipeline(), "--platform", "local"),
    ):
        assert (answer.exit_code, "[file-unknown-key]" in answer.stderr) == (2, True)
    gone = robotrain("pipeline", "submit", "gone.yaml", "--platform", "local")
    gone.check_problems(2, "file-unreadable gone.yaml")


def test_each_cycle_is_reported(render):
    pairs = {"a": "b", "b": "a", "c": "d", "d": "c", "e": "e"}
    text = "steps:\n" + "".join(
        f"  {step}: {{job: EXAMPLE/job.yaml, after: {other}}}\n" for step, other in pairs.items()
    )
    render(text).check_problems(2, *(f"step-cycle pipeline.yaml:{line}" for line in (2, 4, 6)))


def test_too_many_steps_are_refused_with_how_many_fit(render):
    steps = "".join(f"  s{number}: {{job: EXAMPLE/job.yaml}}\n" for number in range(1001))
    answer = render(f"steps:\n{steps}", "--json")
    assert "steps-over-limit" in {problem["code"] for problem in answer.json["problems"]}


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
        {"steps": {"a": {"job": "x", "from": "b"}}},
        {"steps": {"a": {"jobs": "x"}}},
        {"steps": {"1": {"job": "x"}}},
        {"steps": {"a": {"parameters": {"batch_sizes": 3}}}},
        {"steps": {"a": {"sources": {"dataset": {"from": "b"}}}}},
        {"steps": {"a": {"job": "x"}}, "at_most": 0},
    ):
        assert not validator.is_valid(wrong), wrong


def test_a_platform_without_an_engine_for_pipelines_needs_this_machine(robotrain, pipeline, render, plain_platform):
    text = "steps: {a: {job: EXAMPLE/job.yaml}, b: {job: EXAMPLE/job.yaml, after: a}}"
    answer = robotrain("pipeline", "render", pipeline(text), "--platform", "plain")
    answer.check_problems(0, "driven-here")
    assert "[driven-here]" not in render(text).stderr


def test_a_plain_job_imports_nothing_of_pipelines():
    code = (
        "import sys; from robotrain.cli.app import app\n"
        f"try: app(['render', {str(PUSHT / 'job.yaml')!r}, '--platform', 'local'])\n"
        "except SystemExit: pass\n"
        "print([name for name in sys.modules if name.startswith('robotrain.pipelines')], file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stderr.splitlines()[-1] == "[]"


def test_a_step_that_registers_needs_a_registry(render):
    render(THREE, "--set", "evaluate.tracking_uri=none").check_problems(3, "feature-not-there")
