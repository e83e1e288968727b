"""The first line of each submit says which platform it is for, and where that was chosen."""

from pathlib import Path

import pytest

DATASET = ("--dataset-path", "./episodes", "--dry-run")
PIPELINE = "steps:\n  train: {workload: lerobot-train, sources: {dataset: [{local_path: ./episodes}]}}\n"


@pytest.mark.parametrize(
    ("words", "files", "environ", "origin"),
    [
        (("submit", "--platform", "fake", *DATASET), {}, {}, "flag --platform"),
        (("submit", *DATASET), {}, {"ROBOTRAIN_PLATFORM": "fake"}, "environment ROBOTRAIN_PLATFORM"),
        (("submit", *DATASET), {".env": "ROBOTRAIN_PLATFORM=fake"}, {}, ".env:1"),
        (("submit", *DATASET), {"robotrain.toml": 'platform = "fake"'}, {}, "robotrain.toml"),
        (("sweep", "--over", "seed=1..2", "--platform", "fake", *DATASET), {}, {}, "flag --platform"),
        (("pipeline", "submit", "p.yaml", "--platform", "fake"), {"p.yaml": PIPELINE}, {}, "flag --platform"),
        (("submit", "--plan", "plan", "--dry-run"), {}, {}, "plan plan"),
        (("resubmit", "last", "--dry-run"), {}, {}, "run {run}"),
    ],
)
def test_first_line_of_a_submit_is_the_platform(
    robotrain, fake_platform, pusht, monkeypatch, words, files, environ, origin
):
    Path("episodes").symlink_to(pusht)
    job = ("--platform", "fake", "--dataset-path", "./episodes")
    if "--plan" in words:
        robotrain("render", *job, "--to", "plan")
    run = robotrain("submit", *job, "--json").json["run"] if words[0] == "resubmit" else ""
    for name, text in files.items():
        Path(name).write_text(text)
    for name, text in environ.items():
        monkeypatch.setenv(name, text)
    assert robotrain(*words).stderr.splitlines()[0] == f"platform fake ({origin.format(run=run)})"


def test_a_command_that_sends_nothing_does_not_say_it(robotrain, fake_platform, pusht):
    assert "platform fake" not in robotrain("explain", "--platform", "fake", "--dataset-path", pusht).stderr
