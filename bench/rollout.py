"""Letting a policy act in PushT: `lerobot-eval` of this workload against LeRobot's own, at batch 10, in paired runs.

    ./uvw run python bench/rollout.py [--pairs 3] [--episodes 20] [--steps 300] [--policy FOLDER] [--only state films]

state: a small ACT policy on key points. films: the same, with films of 10 episodes, as LeRobot's always makes them.
pictures: one that looks through a camera, without films. LeRobot's steps its environments one after the other: its
processes (its default in 0.6.1) do not find gym-pusht, and are shut down where it asks them for a task.
Only the episodes are timed, from the first reset to the last result, not what both take to load; medians. Ours has a
process for each core. A ratio below its floor is printed as such; nothing here is a test, machines differ.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from environments import find_python

ROOT = Path(__file__).parents[1]
FLOOR = 1.5
CASES = {"state": ("state", False), "films": ("state", True), "pictures": ("pictures", False)}
WAYS = ("ours", "theirs")
MAKE = """
import sys, torch
from lerobot.configs import FeatureType as Type, NormalizationMode, PolicyFeature
from lerobot.policies.factory import get_policy_class, make_policy_config, make_pre_post_processors
folder, kind = sys.argv[1:]
seen = {"observation.environment_state": PolicyFeature(Type.ENV, (16,))}
if kind == "pictures":
    seen = {"observation.image": PolicyFeature(Type.VISUAL, (3, 96, 96))}
small = dict(dim_model=128, n_heads=4, dim_feedforward=256, n_encoder_layers=2, chunk_size=16, n_action_steps=4)
config = make_policy_config("act", device="cpu", use_vae=False, pretrained_backbone_weights=None, **small)
config.input_features = {"observation.state": PolicyFeature(Type.STATE, (2,)), **seen}
config.output_features = {"action": PolicyFeature(Type.ACTION, (2,))}
config.normalization_mapping = dict.fromkeys(("STATE", "ENV", "ACTION"), NormalizationMode.MEAN_STD)
config.normalization_mapping["VISUAL"] = NormalizationMode.IDENTITY
torch.manual_seed(1)
sizes = {"observation.state": 2, "observation.environment_state": 16, "action": 2}
stats = {name: {"mean": torch.full((size,), 256.0), "std": torch.full((size,), 200.0)} for name, size in sizes.items()}
for part in (get_policy_class("act")(config), *make_pre_post_processors(config, dataset_stats=stats)):
    part.save_pretrained(folder)
"""
OURS = """
import json, sys, time
from pathlib import Path
from robotrain_workloads.lerobot.loaded_policy import load_policy
from robotrain_workloads.lerobot_eval.inputs.request import EvaluationRequest
from robotrain_workloads.lerobot_eval.rollout.rollout import run_rollout
policy, films, to, episodes, steps = sys.argv[1:]
loaded = load_policy(Path(policy), "cpu")
folder = Path(to, "videos") if films == "True" else None
request = EvaluationRequest(
    env="pusht", eval_episodes=int(episodes), env_steps=int(steps), video_folder=folder
)
began = time.perf_counter()
results = run_rollout(loaded, request, lambda episode: None).episodes
figures = {"seconds": time.perf_counter() - began, "rewards": [episode.sum_reward for episode in results]}
Path(to, "figures.json").write_text(json.dumps(figures))
"""
THEIRS = """
import sys
from lerobot.scripts import lerobot_eval
if sys.argv.pop(1) == "False":
    whole = lerobot_eval.eval_policy_all
    lerobot_eval.eval_policy_all = lambda **given: whole(**{**given, "max_episodes_rendered": 0})
lerobot_eval.main()
"""


def main() -> None:
    """Print a line for each case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--episodes", type=int, default=20)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--policy", type=Path, help="one on key points in pixels; else an untrained one is made")
    parser.add_argument("--only", nargs="*", choices=CASES, default=list(CASES))
    given = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {given.episodes} episodes of {given.steps} steps")
    with tempfile.TemporaryDirectory() as name:
        for case in given.only:
            compare(case, given, Path(name))


def compare(case: str, given: argparse.Namespace, folder: Path) -> None:
    """Print the medians of one case."""
    kind, films = CASES[case]
    policy = given.policy if given.policy and kind == "state" else make_policy(kind, folder)
    runs_by_way: dict[str, list[dict]] = {way: [] for way in WAYS}
    for _ in range(given.pairs):
        for way in WAYS:
            runs_by_way[way].append(measure_episodes(way, policy, films, given, folder))
    rewards = (runs_by_way[way][0]["rewards"] for way in WAYS)
    unlike = max(abs(one - other) for one, other in zip(*rewards, strict=True))
    rates = {way: given.episodes / statistics.median(run["seconds"] for run in runs_by_way[way]) for way in WAYS}
    ratio = rates["ours"] / rates["theirs"]
    text = ", ".join(
        f"{way} {rate:.2f} ({find_least_cpu(runs_by_way[way]):.0f} s of CPU)" for way, rate in rates.items()
    )
    below = "" if ratio >= FLOOR else "  below"
    print(f"{case}: episodes a second: {text}; {ratio:.2f}{below}; rewards differ by {unlike:.1g}", flush=True)


def find_least_cpu(runs_by_way: list[dict]) -> float:
    """The least that a whole process and those of its own used, loading included."""
    return min(run["processor"] for run in runs_by_way)


def make_policy(kind: str, folder: Path) -> Path:
    """An untrained policy."""
    run([PYTHON, "-c", MAKE, str(folder / kind), kind])
    return folder / kind


def measure_episodes(way: str, policy: Path, films: bool, given: argparse.Namespace, folder: Path) -> dict:
    """How long the episodes took, and their rewards."""
    with tempfile.TemporaryDirectory(dir=folder) as to:
        if way == "ours":
            used = run([PYTHON, "-c", OURS, str(policy), str(films), to, str(given.episodes), str(given.steps)])
            return json.loads(Path(to, "figures.json").read_text()) | {"processor": used}
        used = run([PYTHON, "-c", THEIRS, str(films), *list_lerobot_options(policy, given), f"--output_dir={to}/out"])
        found = json.loads(Path(to, "out/eval_info.json").read_text())
    rewards = found["per_task"][0]["metrics"]["sum_rewards"]
    return {"seconds": found["overall"]["eval_s"], "rewards": rewards, "processor": used}


def list_lerobot_options(policy: Path, given: argparse.Namespace) -> list[str]:
    """LeRobot's."""
    shown = "pixels_agent_pos" if policy.name == "pictures" else "environment_state_agent_pos"
    world = ["--env.type=pusht", f"--env.obs_type={shown}", f"--env.episode_length={given.steps}"]
    many = [f"--eval.n_episodes={given.episodes}", "--eval.batch_size=10", "--seed=1000"]
    return [f"--policy.path={policy}", "--policy.device=cpu", *world, *many, "--eval.use_async_envs=false"]


def run(command: list[str]) -> float:
    """To its end; seconds of CPU. What it says is only shown when it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    paths = os.pathsep.join(str(ROOT / member) for member in ("workloads", "runtime"))
    environ = {**os.environ, "PYTHONPATH": paths, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    PYTHON = str(find_python("lerobot_versions/v0_6_1/eval.txt"))
    main()
