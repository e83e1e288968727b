"""The pages of `robotrain data view` in a browser: light and dark, wide and narrow, of datasets with defects."""

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
PLANTED = {"camera frozen": 2, "idle end": 0, "spikes": 0}
"""Each defect, and how many videos its page has."""
PLANT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import planted_defects
for seed, name in enumerate(sys.argv[3:], 900_000):
    planted_defects.plant(name, seed, Path(sys.argv[2], name))
"""


@pytest.fixture
def folder(robotrain, training_python, tmp_path) -> Path:
    """The pages; with ROBOTRAIN_TEST_MADE they are kept there, and so are their screenshots."""
    folder = Path(os.environ.get("ROBOTRAIN_TEST_MADE", tmp_path)) / "dataset-pages"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    words = [training_python, "-c", PLANT, ROOT / "tests/workloads", tmp_path / "planted", *PLANTED]
    subprocess.run(words, check=True, capture_output=True)
    for name in PLANTED:
        robotrain("data", "view", tmp_path / "planted" / name, "--to", folder / f"{name}.html").check(0)
    return folder


def test_each_page_is_whole_in_a_browser(folder):
    script = Path(__file__).with_name("page_screenshots.py")
    command = [ROOT / "uvw", "run", "--quiet", "--no-project", "--script", script, folder]
    seen = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout)
    assert len(list(folder.glob("*.png"))) == len(seen) == len(PLANTED) * 4
    for page in seen:
        assert (page["complaints"], page["loaded"]) == ([], []), page
        assert page["scroll_width"] == page["unfolded_width"] == page["width"], (
            "the page is never wider than the window"
        )
        assert page["cut_off"] == 0, "labels of an axis are inside"
        assert page["charts"] > 0
        assert page["videos"] == PLANTED[page["page"]], "each shows a picture"
    schemes = {page["scheme"]: page["background"] for page in seen}
    assert schemes == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 26)"}
