"""A few of the cuts of bench/slurm_cuts.py: a training on a real Slurm ends with the weights of an uncut one."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

BENCHMARK = Path(__file__).parents[2] / "bench/slurm_cuts.py"


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("sbatch"), reason="no Slurm on this machine; .ci/run installs it where it can")
def test_cut_training_ends_with_the_weights_of_an_uninterrupted_one():
    done = subprocess.run([sys.executable, BENCHMARK, "--quick"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "bit by bit" in done.stdout
    assert done.stdout.count("\ncut ") + done.stdout.startswith("cut ") == 3
