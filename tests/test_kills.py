"""A submit that is killed at a random moment and repeated leaves one run: a few of the kills of bench/kills.py."""

import subprocess
import sys

import pytest
from source_tree import ROOT


@pytest.mark.slow
@pytest.mark.parametrize("platform", ["local", "osmo", "azureml"])
def test_a_submit_that_is_killed_at_a_random_moment_and_repeated_leaves_one_run(platform: str) -> None:
    words = [sys.executable, str(ROOT / "bench/kills.py"), platform, "--kills", "6", "--seed", "2"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (0, f"{platform} 6 kills, 0 lost, 0 doubled".split()), done.stderr
