"""What differs between pipelines and between sweeps: each option of a trainer is a row of its own."""

from pathlib import Path
from typing import Any

import pytest

OSMO_FLAGS = ("--platform", "osmo", "--pool", "default", "--tracking-uri", "none", "--no-pin", "--json")
JOB = """\
workload: lerobot-train
sources: {{dataset: [{{huggingface: me/episodes}}]}}
parameters: {{policy_type: act, training_steps: 20, save_freq: 20}}
trainer_args: [--policy.dim_model={dim}, --policy.n_heads=2, --policy.dim_feedforward=128]
"""
PIPELINE = """\
name: pp
steps:
  train: {{job: job{dim}.yaml}}
  evaluate:
    workload: lerobot-eval
    sources: {{policy: [{{from: train}}]}}
    parameters: {{env: pusht, eval_episodes: 2}}
"""


@pytest.fixture
def submit_pipeline(robotrain: Any, osmo: Any, tmp_path: Path) -> Any:
    def submit(dim: int) -> str:
        (tmp_path / f"job{dim}.yaml").write_text(JOB.format(dim=dim))
        file = tmp_path / f"pipeline{dim}.yaml"
        file.write_text(PIPELINE.format(dim=dim))
        settings = {"pool": "default", "tracking_uri": "none"}
        sets = [f"--set={step}.{name}={text}" for step in ("train", "evaluate") for name, text in settings.items()]
        answer = robotrain("pipeline", "submit", file, "--platform", "osmo", "--no-pin", "--json", *sets)
        assert answer.exit_code == 0, answer.stderr
        return str(answer.json["run"])

    return submit


def test_pipelines_differ_in_the_option_of_one_step(robotrain: Any, submit_pipeline: Any, tmp_path: Path) -> None:
    runs = [submit_pipeline(32), submit_pipeline(64)]
    option = "train --policy.dim_model"
    assert robotrain("diff", *runs, "--json").json["settings"] == [{"name": option, "values": ["32", "64"]}]
    page = robotrain("report", *runs, "--json").json
    assert page["settings"] == [{"name": option, "values": ["32", "64"]}]
    assert "same settings" not in Path(page["path"]).read_text()
