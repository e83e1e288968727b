"""A dry run ends with what a submit would do, in rows; what is probably not meant is a warning, at a submit too."""

from pathlib import Path

import pytest
from robotrain.cli.commands import sending
from robotrain.model.preview import RunPlace
from robotrain_local import render


@pytest.fixture(autouse=True)
def without_gpu(monkeypatch):
    """Let no machine have a GPU, whatever this one has."""
    monkeypatch.setattr(render, "lacks_gpu", lambda: True)


@pytest.fixture
def preview(robotrain, fake_platform, pusht):
    """Return the rows of a dry run as data: what each row of a step says, and how it differs."""
    Path("data").symlink_to(pusht)

    def run(*words):
        at = 2 if words[0] == "pipeline" else 1
        answer = robotrain(*words[:at], "--dry-run", "--json", "--platform", "fake", *words[at:])
        assert answer.exit_code == 0, answer.stderr
        return {(row["step"], row["name"]): (row["value"], row["differs"]) for row in answer.json["preview"]}

    return run


BLOB = "https://acc.blob.core.windows.net/box/bags"
TRAIN = ("submit", "--dataset-path", "data", "--no-pin")


def test_rows_of_a_training_are_these(preview, robotrain):
    rows = preview(*TRAIN, "--training-steps", "400", "--batch-size", "8", "--num-gpus", "1", "--publish-url", "/kept")
    assert [name for _, name in rows] == [
        *(
            "workload",
            "policy",
            "statistics",
            "dataset",
            "steps",
            "batch",
            "epochs",
            "device",
            "GPUs",
            "nodes",
            "platform",
        ),
        "checkpoints",
    ]
    shown = {name: value for (_, name), (value, _) in rows.items()}
    here = Path.cwd()
    assert shown["dataset"] == f"{here}/data: 50 episodes, 2,000 frames, no camera"
    assert (shown["policy"], shown["epochs"]) == ("act, new", "1.8, each of 1,800 frames")
    assert shown["checkpoints"] == "copied to /kept"
    assert {name: differs for (_, name), (_, differs) in rows.items() if differs} == {
        "steps": "default: 100,000"  # a batch of 8 is LeRobot's own
    }


def test_a_row_says_what_the_line_means(preview):
    for words, row, value in (
        (("--val-split", "0"), "epochs", "1,600, each of 2,000 frames"),
        (("--val-split", "0.001"), "epochs", "1,633, each of 1,960 frames"),
        (("--", "--dataset.episodes=[0,1,2,3,4]"), "epochs", "20,000, each of 160 frames"),
        (("--policy-repo-id", "u/p"), "policy", "from u/p"),
        (("--policy-type", "diffusion"), "policy", "diffusion, new"),
        (("--device", "cpu"), "GPUs", "0"),
    ):
        assert preview(*TRAIN, *words)["", row][0] == value, words


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ("isaac-train", "--task", "Isaac-Ant"),
            {"task": "Isaac-Ant", "environments": "2,048", "GPUs": "1"},
        ),
        (("lerobot-eval", "--policy-repo-id", "u/p", "--env", "pusht"), {"environment": "pusht", "episodes": "10"}),
        (
            ("rosbag-act-train", "--blob-url", BLOB, "--image-topics", "/c", "--training-steps", "9"),
            {"steps": "9", "batch": "32"},
        ),
        (
            ("command", "--", "python", "/app/train.py"),
            {"command": "python /app/train.py", "platform": "fake: a folder that takes jobs"},
        ),
        (
            ("command", "--resume-from", "/runs/20", "--resume-args", '["--go", "{resume}"]', "--", "true", "now"),
            {"command": "true now --go '{resume}'", "resume": "/runs/20"},
        ),
        (("command", "--resume-args", '["--go", "{resume}"]', "--", "true", "now"), {"command": "true now"}),
        (
            ("command", "--param", "lr=1e-3", "--", "true", "--lr={lr}", "{outputs}"),
            {"command": "true --lr=1e-3 '{outputs}'"},
        ),
    ],
)
def test_rows_of_other_workloads(preview, words, expected):
    rows = {name: value for (_, name), (value, _) in preview("submit", "--no-pin", *words).items()}
    assert {name: rows[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("platform", "words", "place"),
    [
        (
            "local",
            ("--runs-dir", "r"),
            {"time limit": "none", "tracking": "sqlite:///", "device": "auto: the CPU", "GPUs": "0"},
        ),
        ("slurm", ("--time", "4h", "--tracking-uri", "none"), {"time limit": "4h", "tracking": "none"}),
        ("osmo", ("--pool", "p", "--tracking-uri", "none"), {"time limit": "12h", "tracking": "none"}),
        (
            "azureml",
            ("--compute", "k8s-1", "--exec-timeout", "2h"),
            {"time limit": "2h", "tracking": "the workspace w-1"},
        ),
    ],
)
def test_a_platform_tells_where_a_run_works(robotrain, monkeypatch, platform, words, place):
    workspace = (
        "--subscription-id",
        "01234567-89ab-cdef-0123-456789abcdef",
        "--resource-group",
        "g",
        "--workspace-name",
        "w-1",
    )
    azure = workspace if platform == "azureml" else ()
    monkeypatch.setattr(sending, "dry_run_plan", lambda *arguments: [])  # no engine is asked
    made = robotrain("render", "--platform", platform, "-d", "u/d", "--to", "plan", *words, *azure)
    assert made.exit_code == 0, made.stderr
    answer = robotrain("submit", "--plan", "plan", "--dry-run", "--json")
    rows = {row["name"]: row["value"] for row in answer.json["preview"]}
    assert {name: rows[name][: len(text)] for name, text in place.items()} == place


def test_each_step_of_a_pipeline_has_its_rows(preview):
    rows = preview("pipeline", "train-eval", "--dataset-path", "data", "--env", "pusht", "--no-pin")
    assert {step for step, _ in rows} == {"train", "evaluate"}
    assert rows["evaluate", "policy"] == ("act, from train", "")
    assert rows["evaluate", "episodes"] == ("10", "LeRobot's is 50")


def test_a_sweep_has_the_rows_of_its_first_trial(preview):
    rows = preview("sweep", "--dataset-path", "data", "--over", "seed=1..3", "--no-pin")
    assert {step for step, _ in rows} == {"trial-1"}


def test_the_table_ends_with_its_legend_and_the_other_two_commands(robotrain, fake_platform, pusht):
    answer = robotrain("submit", "--platform", "fake", "--dataset-path", pusht, "--dry-run", "--no-pin")
    lines = answer.stdout.splitlines()
    assert lines[0].startswith("run ")
    assert lines[-1].startswith("*  ")
    assert "save_freq 5000 (LeRobot's is 20000)" in lines[-1]
    assert [line.split(maxsplit=1)[1] for line in lines if line.startswith("batch")] == ["32 * (LeRobot's is 8)"]
    assert answer.stderr.splitlines()[-1].count("`") == 4


def test_each_view_of_a_job_names_the_other_two(robotrain, fake_platform, pusht):
    views = ("submit --dry-run", "render", "explain")
    for view in views:
        answer = robotrain(*view.split(), "--platform", "fake", "--dataset-path", pusht)
        last = answer.stderr.splitlines()[-1]
        assert [other for other in views if f"`robotrain {other}`" in last] == [
            other for other in views if other != view
        ]


def test_a_platform_may_tell_nothing(robotrain, plain_platform):
    words = ("submit", "--platform", "plain", "-d", "u/d", "--dry-run", "--no-pin", "--json")
    rows = {row["name"]: row["value"] for row in robotrain(*words).json["preview"]}
    assert {"time limit", "checkpoints", "tracking"}.isdisjoint(rows)
    assert rows["dataset"] == "u/d: what is in it is not known from here"
    assert RunPlace()[:4] == ("", "", "", "")


def test_a_program_of_its_own_has_no_gpu_where_there_is_none(robotrain):
    answer = robotrain("submit", "command", "--platform", "local", "--dry-run", "--json", "--", "true")
    assert {row["name"]: row["value"] for row in answer.json["preview"]}["GPUs"] == "0"


@pytest.mark.parametrize(
    ("words", "way"),
    [
        (("command", "--num-gpus", "1", "--", "true"), "--num-gpus 0"),
        (("lerobot-train", "--num-gpus", "1", "-d", "u/d"), "--device cpu"),
        (("command", "--num-gpus", "0", "--", "true"), ""),
        (("command", "--", "true"), ""),
    ],
)
def test_gpu_that_is_typed_where_there_is_none_is_refused(robotrain, words, way):
    answer = robotrain("submit", "--dry-run", "--platform", "local", *words)
    assert ("[gpu-unavailable]\n  --num-gpus 1\n" in answer.stderr) == bool(way), answer.stderr
    assert f"use   {way}" in answer.stderr or not way
    assert (answer.exit_code == 4) is bool(way)


def test_gpu_of_a_job_file_where_there_is_none_is_warned_of(robotrain, tmp_path):
    file = tmp_path / "job.yaml"
    file.write_text("workload: command\ntrainer_args: ['true']\nparameters: {num_gpus: 1}\n")
    answer = robotrain("submit", str(file), "--platform", "local", "--dry-run")
    assert answer.exit_code == 0, answer.stderr
    assert "[gpu-unavailable]" in answer.stderr
    assert "computes" not in answer.stderr  # what the program does is not known


def test_explain_shows_defaults_only_where_they_are_asked_for(robotrain, pusht):
    line = ("explain", "--platform", "local", "--dataset-path", str(pusht), "--batch-size", "8")
    few, every = robotrain(*line), robotrain(*line, "--all")
    assert "batch_size" in few.stdout
    assert "job_name" not in few.stdout
    assert "LeRobot's is" in few.stdout
    assert "--all shows them" in few.stderr
    assert "job_name" in every.stdout
    assert len(every.stdout.splitlines()) > 3 * len(few.stdout.splitlines())
