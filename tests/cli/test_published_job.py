"""The job file that a checkpoint is published with: others submit it, and learn nothing of the machine it ran on."""

import json
import shutil

import pytest
from robotrain.store import plans

COMMAND = ("--platform", "fake", "--param", "epochs=3", "command", "--", "python", "-c", "pass {epochs}", "/opt/mine")


@pytest.fixture
def read_job_file(robotrain, fake_platform, tmp_path, monkeypatch):
    """Return the job file of the run that a line submits."""

    def read(*words: object) -> str:
        answer = robotrain("submit", *words)
        assert answer.exit_code == 0, answer.stderr
        document = json.loads(plans.read_stored_plan(answer.stdout.strip()).plan.files["job.json"])
        (tmp_path / "robotrain-job.yaml").write_text(document["record"]["job_file"])
        monkeypatch.chdir(tmp_path)
        return document["record"]["job_file"]

    return read


def test_the_job_file_of_a_checkpoint_gives_the_same_job(robotrain, read_job_file, pusht, tmp_path):
    data = shutil.copytree(pusht, tmp_path / "data")
    text = read_job_file(
        *("--platform", "fake", "--dataset-path", data, "--training-steps", "7", "--slots", "3"),
        *("--", "--policy.n_action_steps=16"),
    )
    assert "dataset: a folder of another machine" in text
    assert "slots" not in text
    assert str(tmp_path) not in text
    words = ("submit", "robotrain-job.yaml", "--platform", "fake", "--new", "--json", "--dry-run")
    answer = robotrain(*words)
    answer.check_problems(2, "source-missing")
    answer = robotrain(*words, "--dataset-path", data)
    assert answer.exit_code == 0, answer.stderr


def test_parameters_of_the_users_own_are_in_the_job_file(robotrain, read_job_file):
    text = read_job_file(*COMMAND)
    assert "epochs: '3'" in text.partition("params:")[2]
    assert text.endswith("- PATH\n")
    shown = robotrain("submit", "robotrain-job.yaml", "--platform", "fake", "--dry-run")
    assert shown.exit_code == 0, shown.stderr
