"""Ten cells once more, each as a process of its own: what holds in this process holds for whoever types it."""

import json
import random
import subprocess
import sys

import pytest
from parity_cells import Cell, cells
from parity_command import NEEDED, platform_words
from test_parity_sources import is_installed, words

pytestmark = pytest.mark.slow

EVERY = [*cells("sources", taken=True, where=is_installed), *cells("sources", taken=False, where=is_installed)]
TEN = random.Random(7).sample(EVERY, 10)


@pytest.fixture(autouse=True)
def no_side_effects() -> None:
    """Here programs are started."""


def test_both_kinds_of_cells_are_among_them() -> None:
    assert {bool(param.values[0].support) for param in TEN} == {True, False}


@pytest.mark.parametrize("cell", TEN)
def test_process_answers_as_in_this_process(robotrain, cell: Cell) -> None:
    needed = NEEDED.get((cell.platform, cell.what[1]))
    line = ["--no-plugins", "render", *words(*cell.what), *platform_words(cell.platform, needed), "--json"]
    ran = subprocess.run([sys.executable, "-m", "robotrain", *line], capture_output=True, text=True)
    assert ran.returncode == (0 if cell.support else 3), ran.stderr
    answer = robotrain(*line)
    assert json.loads(ran.stdout) == answer.json
    assert ran.stderr == answer.stderr
