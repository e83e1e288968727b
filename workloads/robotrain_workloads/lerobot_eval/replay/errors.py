"""How far predicted actions are from recorded ones."""

import importlib
from collections.abc import Sequence
from typing import Any

from robotrain_workloads.lerobot_eval.replay.asked import EpisodeReplayed


def told(
    episode: int, names: Sequence[str], predicted: Sequence[Any], recorded: Sequence[Any], seconds: Sequence[float]
) -> EpisodeReplayed:
    """Of one episode. predicted, recorded: an action for each frame. seconds: as in what is told."""
    torch: Any = importlib.import_module("torch")
    made, done = torch.stack(list(predicted)).numpy(), torch.stack(list(recorded)).float().numpy()
    off = made.astype("float64") - done
    square, absolute = off**2, abs(off)
    return EpisodeReplayed(
        episode=episode,
        steps=len(made),
        mse=float(square.mean()),
        mae=float(absolute.mean()),
        max_error=float(absolute.max()),
        each_mse=_by_name(names, square.mean(axis=0)),
        each_mae=_by_name(names, absolute.mean(axis=0)),
        each_max=_by_name(names, absolute.max(axis=0)),
        predicted=made,
        recorded=done,
        seconds=seconds,
    )


def _by_name(names: Sequence[str], values: Any) -> dict[str, float]:
    return dict(zip(names, map(float, values), strict=True))
