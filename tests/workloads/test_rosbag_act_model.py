"""Our ACT is LeRobot's, to the number: outputs, loss, checkpoints both ways, and 200 steps of training."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import source_tree

PROGRAM = Path(__file__).with_name("act_parity.py")
CASES = ("state", "cameras", "pre-norm", "without VAE")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def compare(training_python, tmp_path_factory):
    """Run a comparison in LeRobot's environment and return what it measured."""
    root = source_tree.ROOT
    environ = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(str(root / part) for part in ("workloads", "core", "runtime")),
    }

    def run(what: str, case: str) -> dict[str, float]:
        folder = tmp_path_factory.mktemp("act")
        command = [str(training_python), str(PROGRAM), what, case, str(folder)]
        told = subprocess.run(command, env=environ, stdout=subprocess.PIPE, text=True, check=True)
        return json.loads(told.stdout.splitlines()[-1])

    return run


def test_outputs_and_loss_are_lerobots(compare):
    for case, facts in compare("compare", ",".join(CASES)).items():
        assert max(facts.values()) < 1e-5, case


def test_a_checkpoint_acts_the_same_here_and_there(compare):
    """Ours loads into LeRobot with strict=True, is saved there, and loads here again."""
    for case, facts in compare("exchange", ",".join(CASES)).items():
        assert facts["actions"] < 1e-5, case


def test_training_follows_lerobots_over_200_steps(compare):
    facts = compare("train", "state")["state"]
    assert facts["loss"] < 1e-4
    assert facts["last"] < facts["first"] / 10, "it learned"
