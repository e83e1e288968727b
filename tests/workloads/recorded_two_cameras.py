"""Program for the training environment: record a dataset, make a policy for it, replay it in both ways, write results.

Episodes of unlike lengths, one longer than what is read at once; one camera as video, one as single images; two tasks.
"""

import dataclasses
import json
import math
import sys
from pathlib import Path

import numpy as np
import torch
from lerobot.datasets import LeRobotDataset
from robotrain_workloads.lerobot_eval import replay
from robotrain_workloads.lerobot_eval.inputs import loaded_policy
from robotrain_workloads.lerobot_eval.results import result_store
from robotrain_workloads.lerobot_eval.results.evaluation import ReplayRequest

LENGTHS = (9, 70, 5, 30)
CHOSEN = [3, 0, 1]
NETWORK = ("dim_model=32", "n_heads=2", "dim_feedforward=32", "chunk_size=4", "n_action_steps=3", "latent_dim=8")
FEATURES = {
    "observation.state": {"dtype": "float32", "shape": (2,), "names": None},
    "observation.images.front": {"dtype": "video", "shape": (64, 64, 3), "names": ["height", "width", "channels"]},
    "observation.images.wrist": {"dtype": "image", "shape": (32, 32, 3), "names": ["height", "width", "channels"]},
    "action": {"dtype": "float32", "shape": (3,), "names": {"motors": ["shoulder", "elbow", "gripper"]}},
}


def record(to):
    made = LeRobotDataset.create("two", fps=10, features=FEATURES, root=to, use_videos=True)
    random = np.random.default_rng(0)
    for episode, length in enumerate(LENGTHS):
        for _ in range(length):
            values = {name: random.random(one["shape"]) for name, one in FEATURES.items() if one["dtype"] == "float32"}
            images = {
                name: np.full(one["shape"], random.integers(256), np.uint8)
                for name, one in FEATURES.items()
                if one["dtype"] in ("video", "image")
            }
            numbers = {name: value.astype("float32") * 5 for name, value in values.items()}
            made.add_frame({**numbers, **images, "task": f"task {episode % 2}"})
        made.save_episode()
    made.finalize()


def one_at_a_time(policy, root, episode):
    """LeRobot's own way: frame by frame, a batch of one."""
    found = LeRobotDataset("two", root=root, episodes=[episode], tolerance_s=0.025)
    policy.policy.reset()
    made, done = [], []
    for number in range(len(found)):
        item = found[number]
        seen = {name: item[name][None] for name in FEATURES if name != "action"} | {"task": [item["task"]]}
        with torch.inference_mode():
            made.append(policy.postprocessor(policy.policy.select_action(policy.preprocessor(seen)))[0].numpy())
        done.append(item["action"].numpy())
    return np.stack(made), np.stack(done)


def refusal(attempt, *arguments):
    try:
        attempt(*arguments)
    except SystemExit as end:
        return str(end)
    return None


def spoilt(policy, folder, name):
    """The policy's files, one of them gone."""
    result_store.copy_policy(policy, folder)
    (folder / name).unlink()
    return folder


def main():
    work = Path(sys.argv[1])
    root = work / "dataset"
    record(root)
    options = [f"--policy.{one}" for one in NETWORK]
    torch.set_num_threads(1)
    untrained = loaded_policy.make_untrained_policy("act", root, "cpu", options, 1)
    again = loaded_policy.make_untrained_policy("act", root, "cpu", options, 1)
    result_store.copy_policy(untrained, work / "policy")
    policy = loaded_policy.load_policy(work / "policy", "cpu", ["--policy.n_action_steps=2"])
    told = []
    asked = ReplayRequest(root=root, episodes=CHOSEN, batch=2, tolerance=0.025)
    recording = replay.open_recording(policy, asked)
    replay.MOST_FRAMES = 35
    measured = replay.measure_latency(policy, recording, CHOSEN)
    found = replay.replay_episodes(policy, recording, asked, lambda one: told.append(one.episode), measured.seconds)
    alone = {one.episode: one_at_a_time(policy, root, one.episode) for one in found}
    off = {one.episode: float(abs(one.predicted - alone[one.episode][0]).max()) for one in found}
    result_store.copy_policy(policy, work / "linked")
    weights = untrained.policy.state_dict()
    seen = {
        "lengths": {one.episode: one.steps for one in found},
        "off": off,
        "spread": float(found[0].predicted.std()),
        "recorded": all(np.array_equal(one.recorded, alone[one.episode][1]) for one in found),
        "mse": {one.episode: [one.mse, float(((one.predicted - one.recorded) ** 2).mean())] for one in found},
        "names": list(found[0].each_mae),
        "told": told,
        "tasks": sorted({moment.observation["task"][0] for one in CHOSEN for moment in recording.read_frames([one])}),
        "measured": {one.episode: sum(not math.isnan(taken) for taken in one.seconds) for one in found},
        "latency": dataclasses.asdict(replay.summarize_latency(measured)),
        "same seed": all(torch.equal(weights[name], value) for name, value in again.policy.state_dict().items()),
        "steps": policy.policy.config.n_action_steps,
        "kind": policy.kind,
        "digests": [result_store.digest_policy(work / "policy"), result_store.digest_policy(work / "linked")],
        "linked": (work / "linked/model.safetensors").stat().st_ino
        == (work / "policy/model.safetensors").stat().st_ino,
        "refusals": refusals(policy, work) | damages(recording, asked, work),
    }
    (work / "seen.json").write_text(json.dumps(seen))


def refusals(policy, work):
    unknown = work / "unknown"
    result_store.copy_policy(policy, unknown)
    settings = json.loads((unknown / "config.json").read_text())
    (unknown / "config.json").unlink()  # it is a link: what it leads to must stay
    (unknown / "config.json").write_text(json.dumps({**settings, "type": "walker"}))
    holes = work / "holes"
    result_store.copy_policy(policy, holes)
    (holes / "model.safetensors").unlink()
    weights = policy.policy.state_dict()
    from safetensors.torch import save_file

    kept = {name: value.clone() for name, value in weights.items() if not name.startswith("model.action_head")}
    save_file(kept, holes / "model.safetensors")
    return {
        "type": refusal(loaded_policy.load_policy, unknown, "cpu"),
        "holes": refusal(loaded_policy.load_policy, holes, "cpu"),
        "processors": refusal(
            loaded_policy.load_policy, spoilt(policy, work / "no-processors", "policy_preprocessor.json"), "cpu"
        ),
        "option": refusal(loaded_policy.load_policy, work / "policy", "cpu", ["--policy.walks=2"]),
        "value": refusal(loaded_policy.load_policy, work / "policy", "cpu", ["--policy.n_action_steps=two"]),
        "chunk": refusal(
            loaded_policy.load_policy, work / "policy", "cpu", ["--policy.use_vae=true", "--policy.n_action_steps=400"]
        ),
        "larger": refusal(loaded_policy.load_policy, work / "policy", "cpu", ["--policy.dim_feedforward=64"]),
        "nothing": refusal(loaded_policy.load_policy, work / "nothing", "cpu"),
    }


def damages(recording, asked, work):
    """What ends a replay that has begun. The last one damages the dataset."""

    def replay_all(policy):
        replay.replay_episodes(policy, recording, asked, lambda one: None, {})

    whole, empty = loaded_policy.load_policy(work / "policy", "cpu"), loaded_policy.load_policy(work / "policy", "cpu")
    for weights in empty.policy.parameters():
        weights.data.fill_(math.nan)
    found = {"not finite": refusal(replay_all, empty)}
    (film,) = asked.root.glob("videos/*/*/*.mp4")
    film.write_bytes(film.read_bytes()[: film.stat().st_size // 2])
    return {**found, "film": refusal(replay_all, whole)}


main()
