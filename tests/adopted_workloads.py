"""Jobs of every workload, each sent, adopted by a machine without any state, and compared."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SHA = "a" * 40
MODEL = "https://example.org/model_100.pt"
JOBS = {
    "lerobot-train": ("-d", f"lerobot/pusht@{SHA}", "--training-steps", "10", "--batch-size", "4"),
    "lerobot-train-smolvla": ("-d", f"lerobot/pusht@{SHA}", "--policy-repo-id", f"lerobot/smolvla_base@{SHA}"),
    "lerobot-eval": ("--policy-repo-id", f"lerobot/diffusion_pusht@{SHA}", "--env", "pusht", "--eval-episodes", "3"),
    "lerobot-merge": ("--policy-repo-id", f"me/adapter@{SHA}"),
    "isaac-train": ("--task", "Isaac-Cartpole-Direct", "--num-envs", "64"),
    "isaac-export": ("--checkpoint-uri", MODEL, "--task", "Isaac-Cartpole-Direct"),
    "isaac-validate": ("--checkpoint-uri", MODEL, "--task", "Isaac-Cartpole-Direct", "--eval-episodes", "5"),
    "rosbag-act-train": (
        *("-d", f"me/bags@{SHA}", "--image-topics", "/camera"),
        *("--state-topic", "/joints", "--action-topic", "/command"),
    ),
    "command": ("--", "python", "-m", "train", "--lr", "3"),
}
NOT_KEPT = {"created": 0, "notes": [], "log": "", "age": ""}
"""Of a status: what an adoption changes, and paths of the state folder."""


def compare_adopted(
    robotrain: Any,
    monkeypatch: pytest.MonkeyPatch,
    other: Path,
    words: tuple[str, ...],
    name_run: Callable[[dict[str, Any]], str],
) -> None:
    """Submit, adopt from a machine without state, and compare what `status --json` says.

    :param words: of the submit.
    :param name_run: returns what is adopted, from the status.
    """
    sent = robotrain(*words)
    assert sent.exit_code == 0, sent.stderr
    run = re.findall(r"^\S+-[0-9a-f]{8}-1$", sent.stdout, re.M)[-1]
    before = robotrain("status", run, "--json").json
    monkeypatch.setenv("ROBOTRAIN_STATE", str(other))
    adopted = robotrain("adopt", "--platform", before["platform"], name_run(before))
    assert adopted.exit_code == 0, adopted.stderr
    assert {**robotrain("status", run, "--json").json, **NOT_KEPT} == {**before, **NOT_KEPT}
