"""Core and the platforms name no workload and no metric: they learn both from declarations."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMES = (
    r"lerobot-train|lerobot-eval|rosbag-act-train|isaac-(?:train|export|validate)"
    r"|mean_reward|train/loss|val/loss|rollout|\bmse\b"
)
FILES = [path for folder in ("core", "plugins") for path in (ROOT / folder).rglob("*.py")]


@pytest.mark.parametrize("folder", ["core", "plugins"])
def test_no_source_names_a_workload_or_a_metric(folder: str) -> None:
    mentions = [
        f"{path.relative_to(ROOT)}:{at}: {line.strip()}"
        for path in FILES
        if path.is_relative_to(ROOT / folder)
        for at, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(NAMES, line)
    ]
    assert mentions == []
    assert len(FILES) > 50
