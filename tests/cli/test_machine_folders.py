"""Folders of this machine that a job of the platform local names are refused before it is sent, all at once."""

from pathlib import Path

import pytest
from problem_assertions import check_rejected

MISTAKES = ("--batch-size", "x", "--nonsense")
REFUSED = ("option-unknown --nonsense", "value-invalid --batch-size x")


@pytest.fixture
def submit(robotrain):
    Path("taken").write_text("")
    return lambda *words: robotrain("submit", "--platform", "local", "--no-pin", *words)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--dataset-path", "nothing"), "source-unreachable"),
        (("--dataset-path", ".", "--runs-dir", "taken/runs"), "run-folder-refused --runs-dir"),
        (("--dataset-path", ".", "--runs-dir", "/proc/1/runs"), "run-folder-refused --runs-dir"),
        (("--dataset-path", ".", "--output-dir", "/proc/1/out"), "run-folder-refused --output-dir"),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused_with_all_else(submit, words, problem):
    submit(*words, *MISTAKES).check_problems(2, problem, *REFUSED)


PIPELINE = """
steps:
  train: {workload: lerobot-train, sources: {dataset: [{local_path: ./nothing}]}}
  evaluate: {workload: lerobot-eval, parameters: {env: pusht, seed: x}, sources: {policy: {from: train}}}
"""


@pytest.mark.parametrize(
    "words",
    [
        ("pipeline", "submit", "pipeline.yaml"),
        ("sweep", "lerobot-train", "--over", "batch_size=0,1,2", "--dataset-path", "nothing"),
        (
            "submit",
            "lerobot-train",
            "--batch-size",
            "0",
            "--dataset-path",
            "nothing",
            "--evaluate-checkpoints",
            "all",
            "--env",
            "pusht",
        ),
    ],
)
def test_a_folder_that_is_missing_for_one_of_several_jobs_is_named_once(robotrain, words):
    Path("pipeline.yaml").write_text(PIPELINE)
    answer = robotrain(*words, "--platform", "local")
    answer.check_problems(2, "value-invalid", "source-unreachable")


def test_a_missing_folder_is_refused_from_python_with_all_else():
    import robotrain

    with check_rejected("value-invalid batch_size 0", "source-unreachable"):
        robotrain.submit(platform="local", dataset_path="nothing", batch_size=0)


@pytest.mark.parametrize("folder", ["{here}/taken/out", "/proc/1/out"])
def test_an_output_folder_that_cannot_be_created_is_refused_before_anything_is_sent(submit, pusht, folder):
    place = ("--output-dir", folder.format(here=Path.cwd()))
    answer = submit("--dataset-path", pusht, *place, "--dry-run", "--checker", "none")
    answer.check_problems(4, "run-folder-refused --output-dir")


def test_a_folder_of_another_machine_is_not_looked_at(robotrain):
    words = ("submit", "--platform", "azureml", "--dataset-path", "/proc/1/data", "--output-dir", "/proc/1/out")
    assert "folder-refused" not in robotrain(*words, *MISTAKES).stderr


def test_a_missing_folder_is_a_wrong_request_with_the_place_where_it_was_given(robotrain, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("job.yaml").write_text("workload: lerobot-train\nsources:\n  dataset:\n    - local_path: ./nothing\n")
    line = ("submit", "--platform", "local", "--no-pin", "--dry-run")
    robotrain(*line, "--dataset-path", "nothing").check_problems(2, "source-unreachable --dataset-path")
    answer = robotrain("submit", "job.yaml", *line[1:], "--json")
    assert answer.exit_code == 2
    assert "job.yaml:4" in [problem["where"] for problem in answer.json["problems"]]


def test_all_mistakes_of_a_job_file_have_their_lines(robotrain, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "workload: lerobot-train\nparameters:\n  training_steps: 20k\n  batch_sise: 8\n  policy_type: atc\n"
    Path("job.yaml").write_text(text)
    shown = robotrain("explain", "job.yaml", "--platform", "local").stderr
    places = [line.split()[0] for line in shown.splitlines() if line.startswith("  job.yaml:")]
    assert sorted(places) == ["job.yaml:3", "job.yaml:4", "job.yaml:5"]
