"""A few of the kills of bench/*kills.py, at random moments: nothing is lost or doubled."""

import subprocess
import sys

import pytest
from source_tree import ROOT


@pytest.mark.slow
@pytest.mark.parametrize(
    ("platform", "kills"),
    [
        ("dag-pipeline", 4),
        pytest.param("slurm-login", 20, marks=pytest.mark.long),
        pytest.param("local", 6, marks=pytest.mark.long),
        pytest.param("osmo", 6, marks=pytest.mark.long),
        pytest.param("azureml", 6, marks=pytest.mark.long),
        pytest.param("osmo-pipeline", 3, marks=pytest.mark.long),
        pytest.param("azureml-pipeline", 3, marks=pytest.mark.long),
    ],
)
def test_a_submit_that_is_killed_at_a_random_moment_and_repeated_leaves_one_run(platform: str, kills: int) -> None:
    words = [sys.executable, str(ROOT / "bench/kills.py"), platform, "--kills", str(kills), "--seed", "2"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split() == f"{platform} {kills} kills, 0 lost, 0 doubled".split()


@pytest.mark.slow
def test_a_training_that_is_killed_and_resumed_has_the_result_of_one_without_kills() -> None:
    words = [sys.executable, str(ROOT / "bench/command_kills.py"), "--kills", "10", "--seed", "2"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split() == ["command", *["10", "kills,", "0", "lost,", "0", "doubled"]]


@pytest.mark.slow
def test_a_publisher_to_the_hub_that_is_killed_leaves_each_tag_whole_or_absent(data_python) -> None:
    words = [sys.executable, str(ROOT / "bench/hub_kills.py"), "--kills", "4", "--seed", "2"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split() == ["hub", "4", "kills,", "0", "torn", "or", "missing"]


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("what", ["submit", "driver", "sweep-driver"])
def test_each_step_of_a_pipeline_runs_once_although_its_submit_or_driver_is_killed(what: str) -> None:
    words = [sys.executable, str(ROOT / "bench/pipeline_kills.py"), what, "--kills", "2", "--seed", "3"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"{what:<12} 2 kills of ")
    assert done.stdout.endswith(" steps, 0 lost, 0 doubled\n")
