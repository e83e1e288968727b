"""Videos of a training with `--video`: each checkpoint has those since the one before, so that they are published."""

import json
import os
from pathlib import Path
from typing import Any, cast

import pytest
from robotrain_runtime.process.stop import ChildGroup
from robotrain_workloads.isaac_train import supervisor


def test_a_checkpoint_has_the_videos_that_were_complete_when_it_was_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, _ = supervisor.parse_arguments(
        [f"--work={tmp_path}", f"--checkpoints={tmp_path / 'saved'}", "--backend=rsl_rl", "--task=T", "--"]
    )
    monkeypatch.setattr(supervisor, "GroupFollower", lambda group: group)  # no processes, no signal handlers
    follower = supervisor.TrainingFollower(cast("ChildGroup", None), own)
    recorded = tmp_path / "log" / "videos" / "train"
    recorded.mkdir(parents=True)
    began = {"event": "began", "folder": str(tmp_path / "log"), "first": 0, "total": 9, "rollouts": 1}
    reports: list[dict[str, Any]] = [{**began, "processes": 1, "environments": 1}]

    def save(step: int, at: int) -> None:
        path = tmp_path / "log" / f"model_{step}.pt"
        path.write_bytes(b"weights")
        os.utime(path, (at, at))
        reports.append({"event": "checkpoint", "path": str(path), "step": step})

    for number in (1, 3, 5):  # the last is not complete
        (recorded / f"{number}.mp4").write_bytes(b"video")
        os.utime(recorded / f"{number}.mp4", (number, number))
    save(0, at=2)
    save(10, at=4)
    (tmp_path / supervisor.REPORT_FILE).write_text("".join(f"{json.dumps(report)}\n" for report in reports))
    follower.read_reports()
    videos = {path.relative_to(tmp_path / "saved").as_posix() for path in (tmp_path / "saved").rglob("*.mp4")}
    assert videos == {"000000/videos/1.mp4", "000010/videos/3.mp4"}
