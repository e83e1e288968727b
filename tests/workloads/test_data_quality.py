"""Planted defects are found with their episodes, and good datasets are not blamed."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from robotrain_runtime.contract import child_python

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
FEWEST_FOUND = 0.95
MOST_WARNED = 0.1


TRIED = [
    pytest.param(("--without-cameras", 3, 40, 100), id="numbers"),
    pytest.param(("", 1, 10, 100), id="pictures"),
    pytest.param(("", 2, 40, None), id="drawn", marks=pytest.mark.long),
]
"""Words, places of each defect, good datasets, and the first seed: without one it is drawn from the commit."""


def draw_seed() -> int:
    """A number that each commit has another one of."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return int(commit.stdout[:7], 16)


@pytest.fixture(scope="module", params=TRIED)
def tried(request, training_python) -> list[dict]:
    """What was found in datasets with planted defects, and in good ones."""
    only, places, good, seed = request.param
    words = [
        "--places",
        places,
        "--good",
        good,
        "--seed",
        seed or draw_seed(),
        *filter(None, [only]),
    ]
    environ = child_python.make_import_environ(
        [ROOT / "workloads", ROOT / "runtime", Path(__file__).parent], os.environ
    )
    command = [training_python, Path(__file__).with_name("planted_defects.py"), *map(str, words)]
    printed = subprocess.run(command, env=environ, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [json.loads(line) for line in printed.splitlines()]


def test_planted_defects_are_found_with_all_their_episodes(tried):
    planted = [trial for trial in tried if trial["defect"]]
    missed = [trial for trial in planted if not trial["found"]]
    assert len(missed) <= (1 - FEWEST_FOUND) * len(planted), missed


def test_good_datasets_have_no_errors_and_few_warnings(tried):
    good = [trial for trial in tried if not trial["defect"]]
    assert [trial for trial in good if any(finding[0] == "error" for finding in trial["findings"])] == []
    warned = [trial for trial in good if trial["findings"]]
    assert len(warned) <= MOST_WARNED * len(good), warned
