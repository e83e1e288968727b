"""job.yaml: what is wrong is named with file:line, all at once; a value means what the flag would mean."""

from pathlib import Path

import pytest

GOOD = "sources:\n  dataset:\n    - local_path: data\n"


@pytest.fixture
def render(robotrain):
    def run(text, *words):
        Path("job.yaml").write_text(text)
        return robotrain("render", "--platform", "local", "job.yaml", "--json", *words)

    return run


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (GOOD + "parametres:\n  batch_size: 3\n", "file-unknown-key job.yaml:4"),
        (GOOD + "parameters:\n  batch_sise: 3\n", "file-unknown-key job.yaml:5"),
        (GOOD + "parameters:\n  batch_sise:\n", "file-unknown-key job.yaml:5"),
        (GOOD + "parameters: {training_steps: 20,000}\n", "file-unknown-key job.yaml:4"),
        (GOOD + "parameters:\n  batch_size: [3]\n", "value-invalid job.yaml:5"),
        (GOOD + "parameters: 3\n", "file-wrong job.yaml:4"),
        ("sources: episodes\n", "file-wrong job.yaml:1"),
        (GOOD + "parameters:\n  batch_size: some\n", "value-invalid job.yaml:5 some"),
        (GOOD + "platforms:\n  local:\n    enviroment: x\n", "file-unknown-key job.yaml:6"),
        (GOOD + "trainer_args: --x\n", "file-wrong job.yaml:4"),
        (GOOD + "run: a 'b c' {d}\n", "file-wrong job.yaml:4"),
        (GOOD + "batch_size: 3\n", "file-unknown-key job.yaml:4"),
        ("sources:\n  dataset:\n    - path: x\n", "file-unknown-key job.yaml:3"),
        (GOOD + "trainer_args:\n  - --steps=5\n", "option-owned job.yaml:5 --steps"),
        (GOOD + "parameters:\n  steps: 10\n", "file-unknown-key job.yaml:5"),
        ("sources:\n  dataset:\n    - blob: x\n", "file-unknown-key job.yaml:3"),
        ("sources:\n  datasets:\n    - local_path: x\n", "file-unknown-key job.yaml:3"),
        ("sources:\n  dataset:\n    - blob_url: http://x/y\n", "source-invalid job.yaml:3"),
        ("a: [\n", "file-malformed job.yaml:2"),
        ("workload: nope\n", "plugin-not-loaded job.yaml nope"),
    ],
)
def test_problem_is_reported_with_its_line(render, text, problem):
    render(text).check_problems(2, problem)


@pytest.mark.parametrize(
    ("text", "words", "codes"),
    [
        (
            "parametres: {}\nsources:\n  dataset:\n    - local_path: x\nparameters:\n  batch_sise: 1\n  seed: x\n",
            (),
            ["file-unknown-key", "file-unknown-key", "value-invalid"],
        ),
        (GOOD + "workload: lerobot-trian\n", ("--batch-size", "3"), ["plugin-not-loaded"]),
        ("sources:\n  dataset: [\n", (), ["file-malformed"]),
        ("# nothing yet\n", (), ["file-empty", "source-missing"]),
        ("run: [python, train.py]\nsources: {code: {local_path: x}}\n", (), ["file-command"]),
    ],
    ids=[
        "everything at once",
        "no other problem without its workload",
        "nothing is called missing as well",
        "an empty one is named",
        "a command of another workload is not called an option",
    ],
)
def test_problems_of_a_file(render, text, words, codes):
    assert sorted(problem["code"] for problem in render(text, *words).json["problems"]) == codes


def test_a_file_that_is_not_there(robotrain):
    answer = robotrain("render", "--platform", "local", "missing.yaml")
    answer.check_problems(2, "file-unreadable missing.yaml")


def test_a_parameter_at_the_top_is_not_taken_for_another_key(render):
    (problem,) = render(GOOD + "resume_args: [--resume]\n").json["problems"]
    assert (problem["code"], problem["instead"]) == ("file-unknown-key", [])


def test_settings_of_another_platform_do_no_harm(render):
    assert render(GOOD + "platforms:\n  fake:\n    pressure: high\n").exit_code == 0


def test_relative_paths_of_settings_start_from_the_file(robotrain):
    Path("deep").mkdir()
    Path("deep/job.yaml").write_text(GOOD + "platforms:\n  local:\n    runs_dir: mine/runs\n")
    answer = robotrain("explain", "--platform", "local", "deep/job.yaml", "--json")
    values = {row["name"]: row["value"] for row in answer.json["values"]}
    assert values["runs_dir"] == str(Path.cwd() / "deep/mine/runs")


def test_settings_of_an_unknown_platform_are_a_warning(render):
    answer = render(GOOD + "platforms:\n  locl:\n    environment: x\n")
    answer.check_problems(0, "file-strange-table job.yaml")


def test_no_secret_of_a_job_file_is_echoed(render):
    answer = render('sources: {"sig=S3CRETS3CRET": x}\nplatforms: {"token=S3CRETS3CRET": 3}\n')
    assert answer.exit_code == 2
    assert "S3CRET" not in answer.stdout + answer.stderr
