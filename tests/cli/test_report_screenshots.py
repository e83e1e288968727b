"""The pages of `robotrain report` in a browser: light and dark, wide and narrow, of runs that were trained for them."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium on this machine"),
]

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/pusht-mini"
SIZE = ("--platform", "local", "--training-steps", 60, "--save-freq", 20, "--log-freq", 2, "--wait")
EPISODES = 3


@pytest.fixture
def folder(robotrain, training_python, tmp_path) -> Path:
    """The pages; with ROBOTRAIN_TEST_MADE they are kept there, and so are their screenshots."""
    folder = Path(os.environ.get("ROBOTRAIN_TEST_MADE", tmp_path)) / "report-pages"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, rate in (("first", 3e-4), ("second", 1e-4)):
        robotrain("submit", EXAMPLE / "job.yaml", *SIZE, "--name", name, "--learning-rate", rate).check(0)
    over = ("--over", "learning_rate=1e-4,1e-3", "--over", "batch_size=8,16")
    robotrain("sweep", EXAMPLE / "job.yaml", *SIZE, *over, "--name", "four").check(0)
    episodes = ("--eval-episodes", EPISODES, "--eval-batch-size", EPISODES, "--success-threshold", 0)
    words = ("--policy-run", "first", "--platform", "local", "--name", "rollouts", *episodes, "--wait")
    robotrain("submit", EXAMPLE / "evaluate.yaml", *words).check(0)
    pages = {"evaluation": ["rollouts"], "training": ["first"], "sweep": ["four"], "comparison": ["first", "second"]}
    for name, runs in pages.items():
        robotrain("report", *runs, "--to", folder / f"{name}.html").check(0)
    return folder


def test_each_page_is_whole_in_a_browser(folder):
    script = Path(__file__).with_name("page_screenshots.py")
    command = [ROOT / "uvw", "run", "--quiet", "--no-project", "--script", script, folder]
    seen = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout)
    assert len(list(folder.glob("*.png"))) == len(seen) == 4 * 4
    for page in seen:
        assert (page["complaints"], page["loaded"]) == ([], []), page
        assert page["scroll_width"] == page["unfolded_width"] == page["width"], (
            "the page is never wider than the window"
        )
        assert page["cut_off"] == 0, "labels of an axis are inside"
        assert (page["charts"] > 0) == (page["page"] in ("training", "sweep", "comparison"))
        assert page["curves"] == {"evaluation": 0, "training": 2, "sweep": 8, "comparison": 4}[page["page"]]
        assert page["videos"] == {"evaluation": EPISODES + 1}.get(page["page"], 0), "each shows a picture"
    schemes = {page["scheme"]: page["background"] for page in seen}
    assert schemes == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 26)"}
