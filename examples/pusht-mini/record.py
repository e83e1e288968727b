"""Record the pusht-mini dataset: a scripted expert pushes the T to its goal, once an episode.

Run it in the evaluation environment, which has LeRobot and gym-pusht: see README.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recorder import prepare_recording, sort_statistics

if TYPE_CHECKING:
    from gym_pusht.envs.pusht import PushTEnv
    from lerobot.datasets.lerobot_dataset import LeRobotDataset
    from numpy.random import Generator
    from numpy.typing import NDArray

Frame = dict[str, Any]

HERE = Path(__file__).parent
CORNERS = [f"corner_{number}_{axis}" for number in range(8) for axis in "xy"]
FEATURES = {
    "observation.state": {"dtype": "float32", "shape": (2,), "names": ["agent_x", "agent_y"]},
    "observation.environment_state": {"dtype": "float32", "shape": (16,), "names": CORNERS},
    "action": {"dtype": "float32", "shape": (2,), "names": ["target_x", "target_y"]},
}
GOAL_COVERAGE = 0.8


@dataclass(frozen=True)
class Recording:
    """How to record: the same values give the same dataset."""

    episodes: int
    frames: int
    noise: float
    seed: int


def main() -> int:
    """Parse the command line, record, and print a summary."""
    recording, folder = _arguments()
    if not prepare_recording(folder, "lerobot", "gym_pusht"):
        return 2
    frames = record(recording, folder)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    print(f"{recording.episodes} episodes, {frames} frames, {size / 1024:.0f} KB in {folder}")
    return 0


def record(recording: Recording, folder: Path) -> int:
    """Write the dataset; return its number of frames."""
    import numpy as np
    from pusht_task import FIRST_UNSEEN_SEED, make_env

    env, dataset, random = make_env(), _create(folder), np.random.default_rng(recording.seed)
    seeds, recorded = iter(range(recording.seed, FIRST_UNSEEN_SEED)), 0
    while recorded < recording.episodes:
        episode = _play(env, recording, next(seeds), random)
        if episode:
            for frame in episode:
                dataset.add_frame(frame)
            dataset.save_episode()
            recorded += 1
    dataset.finalize()
    sort_statistics(folder)
    return int(dataset.meta.total_frames)


def _play(env: PushTEnv, recording: Recording, seed: int, random: Generator) -> list[Frame]:
    """Return the frames of an episode, or nothing if the T did not reach its goal.

    The agent is disturbed, but the expert's undisturbed action is recorded: the data shows how to recover from errors.
    """
    from controller import expert_action
    from pusht_task import TASK, observe, reset_to_easy_start, step

    reset_to_easy_start(env, seed)
    frames, best = [], 0.0
    for disturbance in _disturbances(recording, random):
        action = expert_action(env)
        frames.append({**observe(env), "action": action.astype("float32"), "task": TASK})
        best = max(best, step(env, action + disturbance))
    return frames if best >= GOAL_COVERAGE else []


def _disturbances(recording: Recording, random: Generator) -> Iterator[NDArray[Any]]:
    """Yield slowly changing pixel offsets, one a frame."""
    import numpy as np

    offset = np.zeros(2)
    for _ in range(recording.frames):
        yield offset
        offset = 0.6 * offset + random.normal(0, recording.noise, 2)


def _create(folder: Path) -> LeRobotDataset:
    from lerobot.datasets.lerobot_dataset import LeRobotDataset
    from pusht_task import FPS

    return LeRobotDataset.create(
        "local/pusht-mini", fps=FPS, features=FEATURES, root=folder, robot_type="pusht", use_videos=False
    )


def _arguments() -> tuple[Recording, Path]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "folder", type=Path, nargs="?", default=HERE / "dataset", help="where to write (default: %(default)s)"
    )
    parser.add_argument("--episodes", type=int, default=50, help="how many to keep (default: %(default)s)")
    parser.add_argument(
        "--frames", type=int, default=40, help="frames an episode, at 10 a second (default: %(default)s)"
    )
    parser.add_argument("--noise", type=float, default=8.0, help="disturbance in pixels (default: %(default)s)")
    parser.add_argument(
        "--seed", type=int, default=0, help="of the first start and the disturbances (default: %(default)s)"
    )
    values = parser.parse_args()
    return Recording(values.episodes, values.frames, values.noise, values.seed), values.folder


if __name__ == "__main__":
    sys.exit(main())
