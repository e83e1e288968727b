"""Where values come from: flag > job file > environment > .env.local > .env > robotrain.toml > default.

What else stands between them is in test_project_file.py and test_terraform.py.
"""

from functools import partial
from pathlib import Path

import pytest
from plugin_sources import make_workload

BLOB = "https://acc.blob.core.windows.net/data/p"


@pytest.fixture
def explain(explain_values):
    return partial(explain_values, "--platform", "local")


def job_file(**parameters) -> Path:
    lines = "".join(f"  {name}: {value}\n" for name, value in parameters.items())
    Path("job.yaml").write_text(f"sources:\n  dataset:\n    - local_path: data\nparameters:\n{lines}")
    return Path("job.yaml")


def test_every_layer_in_its_order(explain, monkeypatch):
    path = "--dataset-path", "x"
    origins = []

    def note(*args):
        row = explain(*args)["batch_size"]
        origins.append((row["value"], row["origin"]))
        return row

    note(*path)
    Path("robotrain.toml").write_text("[parameters]\nbatch_size = 8\n[profiles.p.parameters]\nbatch_size = 9\n")
    note(*path)
    monkeypatch.setenv("ROBOTRAIN_PROFILE", "p")
    note(*path)
    Path(".env").write_text("# team defaults\n\nBATCH_SIZE=1\n")
    note(*path)
    Path(".env.local").write_text("BATCH_SIZE=2\n")
    note(*path)
    monkeypatch.setenv("BATCH_SIZE", "3")
    note(*path)
    monkeypatch.setenv("ROBOTRAIN_BATCH_SIZE", "4")
    note(*path)
    job_file(batch_size=5)
    note("job.yaml")
    row = note("job.yaml", "--batch-size", "6")
    assert origins == [
        (32, "default"),
        (8, "robotrain.toml [parameters]"),
        (9, "robotrain.toml [profiles.p.parameters]"),
        (1, ".env:3"),
        (2, ".env.local:1"),
        (3, "environment BATCH_SIZE"),
        (4, "environment ROBOTRAIN_BATCH_SIZE"),
        (5, "job file job.yaml:5"),
        (6, "flag --batch-size"),
    ]
    assert [loser["value"] for loser in row["overrode"]] == ["5", "4", "2", "1", "9", "8", "32"]


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("BATCH_SIZE=\n", "batch_size", (32, "default")),
        ("export JOB_NAME='two words' # why\nSEED=$(touch pwned)8\n", "job_name", ("two words", ".env:1")),
        ("PART=run\nJOB_NAME=${WHO}-${PART}\n", "job_name", ("ada-run", ".env:2")),
        ("A=1\nA=2\nBATCH_SIZE=${A}\n", "batch_size", (2, ".env:3")),
    ],
    ids=["empty is unset", "never executed", "names of the environment and of lines before", "the later line counts"],
)
def test_value_of_dotenv(explain, monkeypatch, text, name, expected):
    monkeypatch.setenv("WHO", "ada")
    monkeypatch.setenv("BATCH_SIZE", "")
    Path(".env").write_text(text)
    row = explain("--dataset-path", "x", "--seed", "1")[name]
    assert (row["value"], row["origin"]) == expected
    assert not Path("pwned").exists()


def test_a_malformed_dotenv_line_is_named(robotrain):
    Path(".env").write_text("A=1\nthis is 'no assignment\n")
    answer = robotrain("render", "--platform", "local", "--dataset-path", "x")
    answer.check_problems(2, "file-malformed .env:2")


def test_a_dotenv_that_cannot_be_read_is_a_sentence(robotrain, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    Path(".env").touch()
    monkeypatch.setattr("robotrain.config.variables.read_limited", refuse)
    answer = robotrain("render", "--platform", "local", "--dataset-path", "x")
    answer.check_problems(2, "file-unreadable")


def test_invalid_value_is_reported_with_its_place(robotrain, monkeypatch):
    monkeypatch.setenv("BATCH_SIZE", "many")
    job_file(training_steps="soon")
    answer = robotrain("render", "--platform", "local", "job.yaml")
    answer.check_problems(2, "value-invalid BATCH_SIZE many", "value-invalid job.yaml:5 soon")


def test_a_source_on_a_higher_level_replaces_all_of_its_role(robotrain, plain_platform, monkeypatch):
    monkeypatch.setenv("DATASET_REPO_ID", "team/default")
    job_file()
    by_flag = robotrain("explain", "--platform", "plain", "job.yaml", "--blob-url", BLOB, "--json")
    assert by_flag.exit_code == 0, by_flag.stderr
    rows = [row for row in by_flag.json["values"] if row["name"] == "dataset"]
    assert [(row["value"], row["origin"]) for row in rows] == [(f"blob_url {BLOB}", "flag --blob-url")]
    assert [loser["value"] for loser in rows[0]["overrode"]] == ["data", "team/default"]
    by_environment = robotrain("explain", "--platform", "plain", "--json")
    rows = {row["name"]: row["value"] for row in by_environment.json["values"]}
    assert rows["dataset"] == "huggingface team/default"


def test_datasets_are_merged_only_within_one_level(robotrain, plain_platform, monkeypatch):
    monkeypatch.setenv("DATASET_REPO_ID", '["team/default", "team/other"]')
    monkeypatch.setenv("BLOB_URLS", f'["{BLOB}1", "{BLOB}2"]')

    def list_datasets(*words):
        values = robotrain("explain", "--platform", "plain", *words, "--json").json["values"]
        return [row["value"] for row in values if row["name"] == "dataset"]

    assert list_datasets("--blob-url", BLOB) == [f"blob_url {BLOB}"]
    assert sorted(list_datasets()) == [
        *(f"blob_url {BLOB}{number}" for number in (1, 2)),
        *("huggingface team/default", "huggingface team/other"),
    ]


def test_a_relative_folder_starts_from_the_working_folder_or_the_job_file(explain):
    Path("deep").mkdir()
    job_file().rename("deep/job.yaml")
    here = Path.cwd()
    assert explain("deep/job.yaml")["dataset"]["value"] == f"local_path {here / 'deep/data'}"
    assert explain("--dataset-path", "data")["dataset"]["value"] == f"local_path {here / 'data'}"


def test_explain_shows_a_table(robotrain, monkeypatch):
    monkeypatch.setenv("BATCH_SIZE", "3")
    answer = robotrain("explain", "--platform", "local", "--dataset-path", "x", "--batch-size", "6")
    line = next(line for line in answer.stdout.splitlines() if line.startswith("batch_size"))
    assert " ".join(line.split()) == "batch_size 6 flag --batch-size 3 (environment BATCH_SIZE), 32 (default)"


def test_control_characters_are_rejected(robotrain):
    Path("job.yaml").write_text('sources: {dataset: [{local_path: .}]}\nplatforms: {local: {runs_dir: "a\\0b"}}\n')
    answer = robotrain("submit", "--platform", "local", "job.yaml", "--dry-run")
    answer.check_problems(2, "value-invalid job.yaml:2")


PICKY = make_workload(
    "picky",
    'scene: Annotated[str, Param(help="where it happens")]',
    'laps: Annotated[int, Param(help="how often", gt=0)]',
    'speed: Annotated[float, Param(help="how fast")] = 1.5',
)


def test_required_parameter(robotrain, install):
    install("acme-picky", {"workload.picky": "acme_picky"}, acme_picky=PICKY)
    explain = ("explain", "picky", "--platform", "local", "--json")
    robotrain(*explain, "--laps", "0").check_problems(2, "value-missing", "value-invalid --laps 0")
    robotrain(*explain, "--scene", "attic", "--laps", "0").check_problems(2, "value-invalid --laps 0")
    right = robotrain(*explain, "--scene", "attic", "--laps", "3")
    assert {row["name"]: row["value"] for row in right.json["values"]}["laps"] == 3
    assert "[required]" in robotrain("submit", "picky", "--platform", "local", "--help").stdout


def test_existing_folder_is_accepted_where_a_flag_takes_urls(explain, robotrain):
    checkpoint = Path("outputs/checkpoints/000400")
    checkpoint.mkdir(parents=True)
    words = ("--dataset-path", "data", "--resume-from", checkpoint)
    assert explain(*words)["resume"]["value"] == f"local_path {checkpoint.absolute()}"
    checkpoint.rmdir()
    robotrain("explain", "--platform", "local", *words).check_problems(2, "source-invalid --resume-from")


def test_a_repository_with_the_name_of_a_folder_is_doubtful(robotrain):
    Path("lab/episodes").mkdir(parents=True)
    words = ("explain", "--platform", "local", "-d")
    robotrain(*words, "lab/episodes").check_problems(0, "source-doubtful")
    assert "[source-doubtful]" not in robotrain(*words, "lab/others").stderr


@pytest.mark.parametrize(
    ("file", "words", "model", "is_skipped"),
    [
        ("register_checkpoint: m", ["--skip-register-checkpoint"], None, True),
        ("skip_register_checkpoint: true", ["--register-checkpoint", "m"], "m", False),
        ("skip_register_checkpoint: false", ["--register-checkpoint", "m"], "m", False),
        ("{register_checkpoint: m, skip_register_checkpoint: true}", [], None, True),
        ("{register_checkpoint: m, skip_register_checkpoint: true}", ["--no-skip-register-checkpoint"], "m", False),
        ("register_checkpoint: m", [], "m", False),
    ],
)
def test_the_stronger_of_a_parameter_and_the_switch_against_it_counts(explain, file, words, model, is_skipped):
    Path("job.yaml").write_text(f"workload: isaac-train\nparameters:\n  {file}\n")
    rows = explain("job.yaml", *words)
    assert (rows["register_checkpoint"]["value"], rows["skip_register_checkpoint"]["value"]) == (model, is_skipped)
