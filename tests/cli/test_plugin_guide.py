"""What the plugin guide says of runs, on runs that follow a script."""

import csv
import re
from pathlib import Path

GUIDE = (Path(__file__).parents[2] / "docs/plugins.md").read_text()


def test_the_notification_of_the_plugin_guide_keeps_its_table(robotrain, install, scripted, soon, tmp_path):
    (source,) = re.findall(r"table of ended runs:\n\n```python\n(.*?)```", GUIDE, re.DOTALL)
    table = tmp_path / "runs.csv"
    install("acme", {"acme": "acme_table"}, acme_table=source.replace("/srv/lab/runs.csv", str(table)))
    run = scripted.run("train-1")
    soon(*[lambda: None] * 20, lambda: run.status(state="failed", reason="no disk left"))
    assert robotrain("wait", "train-1").exit_code == 5
    with table.open(newline="") as kept:
        assert list(csv.reader(kept)) == [["train-1", "pluto", "lerobot-train", "failed", "no disk left"]]
