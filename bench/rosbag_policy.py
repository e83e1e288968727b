"""What a policy trained from bags does: ours against LeRobot's own ACT on the converted dataset, and an untrained one.

    ./uvw run python bench/rosbag_policy.py [--trainings 1] [--episodes 50] [--steps 400] [--quick] [--json]

Each trains on examples/pusht-bags (state only), with the same configuration and steps, without held-out episodes, and
pushes the T from the same 50 starts that no recording has (`lerobot-eval`, `starts: easy`). The coverage of the goal is
that of the reward, where 95 % is all. Intervals are of 95 % over the starts; the difference is taken start by start.
With --trainings N each start counts with the mean over N seeds of training. Exits 1 when ours is below LeRobot's by
more than the interval of the difference, or one of them is not above the untrained policy.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples/pusht-bags"
ROBOTRAIN = str(Path(sys.executable).with_name("robotrain"))
FULL_COVERAGE = 0.95
"""The coverage at which the reward of PushT is 1."""
Z_95 = 1.96
NETWORK = ("chunk_size", "n_action_steps", "use_vae", "dim_model", "n_heads", "dim_feedforward", "n_encoder_layers")
SHARED = ("training_steps", "batch_size", "learning_rate", "log_freq")


def train_ours(steps: int, *options: str) -> str:
    """Train from the bags; return the run."""
    return submit(str(EXAMPLE / "job.yaml"), "--no-val-split", f"--training-steps={steps}", *options)


def train_theirs(dataset: Path, steps: int, seed: int) -> str:
    """Train LeRobot's ACT on the dataset as job.yaml says; return the run."""
    values = {**yaml.safe_load((EXAMPLE / "job.yaml").read_text())["parameters"], "training_steps": steps}
    own = [f"--{name.replace('_', '-')}={values[name]}" for name in SHARED]
    network = [f"--policy.{name}={json.dumps(values[name])}" for name in (*NETWORK, "dropout")]
    more = ("--policy-type=act", "--num-workers=0", "--no-val-split", f"--seed={seed}", f"--save-freq={steps}")
    return submit("lerobot-train", f"--dataset-path={dataset}", *own, *more, "--", *network)


def evaluate(run: str, episodes: int) -> list[float]:
    """Return the greatest coverage of each episode."""
    found = submit(
        str(EXAMPLE / "evaluate.yaml"), f"--policy-run={run}", f"--eval-episodes={episodes}", "--set=record_video=false"
    )
    file = Path(os.environ["ROBOTRAIN_STATE"], "local", found, "outputs/eval_results/eval_results.json")
    results: dict[str, Any] = json.loads(file.read_text())
    return [FULL_COVERAGE * one["max_reward"] for one in results["rollout"]["per_episode"]]


def submit(*words: str) -> str:
    """Run a job to its end; return the run."""
    at = words.index("--") if "--" in words else len(words)
    options = ("--platform=local", "--wait", "--json", "--device=cpu", "--new")
    done = subprocess.run([ROBOTRAIN, "submit", *words[:at], *options, *words[at:]], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"robotrain submit {' '.join(words)}: exit code {done.returncode}\n{done.stdout}")
    run: str = json.loads(done.stdout)["run"]
    return run


def summarize(values: Sequence[float]) -> dict[str, float]:
    """Return the mean and its interval."""
    mean = statistics.fmean(values)
    half = Z_95 * statistics.stdev(values) / math.sqrt(len(values))
    return {"mean": mean, "low": mean - half, "high": mean + half}


def average(trainings: Sequence[Sequence[float]]) -> list[float]:
    """Return the mean over trainings of each start."""
    return [statistics.fmean(values) for values in zip(*trainings, strict=True)]


def main() -> int:
    """Train, evaluate, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trainings", type=int, default=1, help="seeds of training, of each (default: %(default)s)")
    parser.add_argument("--episodes", type=int, default=50, help="starts (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=400, help="training steps (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="10 starts and 40 steps: to try it")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.episodes, options.steps = 10, 40
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ROBOTRAIN_STATE"] = str(Path(folder, "state"))
        dataset = Path(folder, "dataset")
        convert = [ROBOTRAIN, "bags", "convert", "--config", str(EXAMPLE / "config.yaml"), "--to", str(dataset)]
        subprocess.run(convert, check=True, stdout=subprocess.DEVNULL)
        seeds = range(1, 1 + options.trainings)
        ours = [evaluate(train_ours(options.steps, f"--seed={seed}"), options.episodes) for seed in seeds]
        theirs = [evaluate(train_theirs(dataset, options.steps, seed), options.episodes) for seed in seeds]
        # A step so small that no weight changes.
        untrained = evaluate(train_ours(1, "--learning-rate=1e-12"), options.episodes)
    coverage = {"ours": average(ours), "LeRobot's": average(theirs), "untrained": untrained}
    differences = [one - other for one, other in zip(coverage["ours"], coverage["LeRobot's"], strict=True)]
    found = {name: summarize(values) for name, values in {**coverage, "ours - LeRobot's": differences}.items()}
    if options.json:
        print(json.dumps(found))
    else:
        print(f"greatest coverage: {options.episodes} starts, {options.trainings} x {options.steps} training steps")
        for name, one in found.items():
            print(f"{name:<18} {one['mean']:6.3f}   [{one['low']:.3f}, {one['high']:.3f}]")
    is_worse = found["ours - LeRobot's"]["high"] < 0
    is_untrained = min(found[name]["low"] for name in ("ours", "LeRobot's")) <= found["untrained"]["high"]
    return int(is_worse or is_untrained)


if __name__ == "__main__":
    sys.exit(main())
