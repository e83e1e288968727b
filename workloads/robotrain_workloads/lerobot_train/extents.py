"""How much of a made dataset came from each of those it was made of: a note beside its description."""

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from robotrain_workloads.lerobot_train import dataset, json_object

FILE = Path("meta", "robotrain.json")


def write(folder: Path, each: Sequence[tuple[int, int]]) -> None:
    """each: episodes and frames, in order."""
    made_of = [{"episodes": episodes, "frames": frames} for episodes, frames in each]
    (folder / FILE).write_text(json.dumps({"made_of": made_of}, indent=1) + "\n", encoding="utf-8")


def of(folder: Path, at: int, count: int) -> tuple[int, int] | None:
    """Episodes and frames of the one at place `at`, of `count` that `folder` was made of; None when nobody knows."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        if count > 1:
            made_of = json_object.read(folder / FILE)["made_of"]
            return (int(made_of[at]["episodes"]), int(made_of[at]["frames"])) if len(made_of) == count else None
        found = dataset.info(folder)
        return int(found["total_episodes"]), int(found["total_frames"])
    return None
