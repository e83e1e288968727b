"""A few of the kills of bench/kills.py, at random moments: nothing is lost or doubled."""

import shutil
import subprocess
import sys

import pytest
from source_tree import ROOT

KILLS = {
    ("submits", "dag-pipeline"): 4,
    ("submits", "local"): 6,
    ("submits", "osmo"): 6,
    ("submits", "azureml"): 6,
    ("submits", "osmo-pipeline"): 3,
    ("submits", "azureml-pipeline"): 3,
    ("submits", "slurm"): 30,
    ("submits", "slurm-login"): 20,
    ("pipelines", "submit"): 2,
    ("pipelines", "driver"): 2,
    ("pipelines", "sweep-driver"): 2,
    ("trainings", "trainings"): 10,
    ("hub", "hub"): 4,
    ("slurm_cuts", "slurm_cuts"): 3,
    ("slurm_nodes", "one-loss"): 1,
}
QUICK = {("submits", "dag-pipeline"), ("hub", "hub")}


def list_cases():
    for (subject, name), kills in KILLS.items():
        marks = [pytest.mark.slow, *([] if (subject, name) in QUICK else [pytest.mark.long])]
        if "slurm" in f"{subject} {name}":
            reason = "no Slurm on this machine; .ci/run installs it where it can"
            marks.append(pytest.mark.skipif(not shutil.which("sbatch"), reason=reason))
        yield pytest.param(subject, name, kills, marks=marks, id=f"{subject} {name}")


@pytest.mark.parametrize(("subject", "name", "kills"), [*list_cases()])
def test_nothing_is_lost_or_doubled(subject: str, name: str, kills: int, request) -> None:
    if subject == "hub":
        request.getfixturevalue("data_python")  # what publishes
    words = [sys.executable, str(ROOT / "bench/kills.py"), subject, name, "--kills", str(kills), "--seed", "2"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split() == f"{name} {kills} kills, 0 lost, 0 doubled".split()
