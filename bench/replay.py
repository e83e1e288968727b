"""Frames a second of a replay, against the plain loop over LeRobot's dataset: one frame, one batch of one.

    ./uvw run python bench/replay.py [--pairs 3] [--episodes 8] [--batch 8]

Both act with the same untrained policy, on one thread, and
their actions must agree; what is measured is from the first frame to the last, on examples/pusht-camera and on a
dataset that is recorded for it, of two cameras of 320 × 240. Reading alone stands beside: there, on a CPU, most of the
time is the network's, which a batch of several episodes does not make smaller.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from environments import find_python

ROOT = Path(__file__).parents[1]
FLOOR = 2.0
INSIDE = "ROBOTRAIN_BENCH_INSIDE"
LENGTH, FPS = 60, 10
FEATURES: dict[str, dict[str, Any]] = {
    "observation.state": {"dtype": "float32", "shape": (6,), "names": None},
    "observation.images.front": {"dtype": "video", "shape": (240, 320, 3), "names": ["height", "width", "channels"]},
    "observation.images.wrist": {"dtype": "video", "shape": (240, 320, 3), "names": ["height", "width", "channels"]},
    "action": {"dtype": "float32", "shape": (6,), "names": None},
}


def main() -> None:
    """In the environment of evaluations: this very file again."""
    given = _parse_options()
    if os.environ.get(INSIDE):
        measure(given)
        return
    python = find_python("lerobot_versions/v0_6_1/eval.txt")
    quiet = {
        "SVT_LOG": "0",
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "TQDM_DISABLE": "1",
    }
    paths = os.pathsep.join(str(ROOT / part) for part in ("workloads", "runtime"))
    environ = os.environ | quiet | {INSIDE: "1", "PYTHONPATH": paths}
    raise SystemExit(subprocess.run([str(python), __file__, *sys.argv[1:]], env=environ).returncode)


def measure(given: argparse.Namespace) -> None:
    """Print every pair, and the median of their ratios."""
    import torch
    from robotrain_workloads.lerobot import loaded_policy

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        recorded = Path(name, "recorded")
        _record_dataset(recorded, given.episodes)
        for what, root in (("pusht-camera", ROOT / "examples/pusht-camera/dataset"), ("two cameras", recorded)):
            small = [f"--policy.{one}" for one in ("dim_model=64", "dim_feedforward=64", "n_action_steps=50")]
            policy = loaded_policy.make_untrained_policy("act", root, "cpu", small, 0)
            pairs = [_measure_pair(policy, root, given, what) for _ in range(given.pairs)]
            replayed, read = (statistics.median(ratios) for ratios in zip(*pairs, strict=True))
            floor = f"floor {FLOOR}{'' if read >= FLOOR else '  below'}"
            print(f"{what}: median replayed {replayed:.2f} ×, read {read:.2f} ×, {floor}", flush=True)


def _measure_pair(policy: Any, root: Path, given: argparse.Namespace, what: str) -> tuple[float, float]:
    """How many times the plain loop's speed: replayed, and read alone."""
    import numpy

    episodes = list(range(given.episodes))
    read, ours, made = _replay(policy, root, episodes, given.batch)
    read_plainly, plain, loop = _loop_plainly(policy, root, episodes)
    frames = len(loop)
    off = float(abs(numpy.concatenate(made) - loop).max())
    assert off < 1e-3, f"the actions differ by {off}"
    reading = f"reading alone {frames / read:6.0f} and {frames / read_plainly:6.0f}"
    print(f"{what}: frames/s replayed {frames / ours:6.0f}, plain loop {frames / plain:6.0f}; {reading}", flush=True)
    return plain / ours, read_plainly / read


def _replay(policy: Any, root: Path, episodes: list[int], batch: int) -> tuple[float, float, list[Any]]:
    """Seconds to read, seconds to read and act, and the actions."""
    from robotrain_workloads.lerobot_eval import replay
    from robotrain_workloads.lerobot_eval.inputs.request import EvaluationRequest

    asked = EvaluationRequest(root=root, eval_batch_size=batch)
    recording = replay.open_recording(policy, root, asked, episodes)
    began = time.perf_counter()
    for _ in recording.read_frames(episodes):
        pass
    read = time.perf_counter() - began
    began = time.perf_counter()
    found = replay.replay_episodes(policy, recording, asked, lambda one: None, {})
    return read, time.perf_counter() - began, [one.predicted for one in found]


def _loop_plainly(policy: Any, root: Path, episodes: list[int]) -> tuple[float, float, Any]:
    """The same of the plain loop."""
    import numpy
    from lerobot.datasets import LeRobotDataset

    dataset = LeRobotDataset("bench", root=root, episodes=episodes, tolerance_s=0.25 / FPS, video_backend="pyav")
    read, began, made, before = 0.0, time.perf_counter(), [], None
    for number in range(len(dataset)):
        asked = time.perf_counter()
        item = dataset[number]
        read += time.perf_counter() - asked
        if item["episode_index"] != before:
            policy.policy.reset()
            before = item["episode_index"]
        seen = {name: value[None] for name, value in item.items() if name.startswith("observation.")}
        made.append(policy.act(seen | {"task": [item["task"]]}))
    return read, time.perf_counter() - began, numpy.concatenate([one.numpy() for one in made])


def _record_dataset(to: Path, episodes: int) -> None:
    import numpy
    from lerobot.datasets import LeRobotDataset

    made = LeRobotDataset.create("bench", fps=FPS, features=FEATURES, root=to, use_videos=True)
    random = numpy.random.default_rng(0)
    for _ in range(episodes):
        for step in range(LENGTH):
            frame: dict[str, Any] = {"task": "bench"}
            for name, one in FEATURES.items():
                if one["dtype"] == "video":
                    frame[name] = numpy.roll(_make_picture(one["shape"]), step * 3, axis=1)
                else:
                    frame[name] = random.random(one["shape"]).astype("float32")
            made.add_frame(frame)
        made.save_episode()
    made.finalize()


def _make_picture(shape: tuple[int, ...]) -> Any:
    """A picture with edges and shades, which a video codec has to work for."""
    import numpy

    rows, columns, colours = (numpy.arange(length) for length in shape)
    waves = numpy.add.outer(numpy.add.outer(rows // 3, columns), 40 * colours)
    return ((waves * 7) % 256).astype(numpy.uint8)


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--episodes", type=int, default=8, help="pusht-camera has 8")
    parser.add_argument("--batch", type=int, default=8)
    return parser.parse_args()


if __name__ == "__main__":
    main()
