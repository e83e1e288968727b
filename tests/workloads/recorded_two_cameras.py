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
from robotrain_workloads.lerobot import loaded_policy
from robotrain_workloads.lerobot_eval import replay
from robotrain_workloads.lerobot_eval.inputs.request import EvaluationRequest
from robotrain_workloads.lerobot_eval.results import result_store

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
            values = {
                name: random.random(feature["shape"])
                for name, feature in FEATURES.items()
                if feature["dtype"] == "float32"
            }
            images = {
                name: np.full(feature["shape"], random.integers(256), np.uint8)
                for name, feature in FEATURES.items()
                if feature["dtype"] in ("video", "image")
            }
            numbers = {name: value.astype("float32") * 5 for name, value in values.items()}
            made.add_frame({**numbers, **images, "task": f"task {episode % 2}"})
        made.save_episode()
    made.finalize()


def predict_frame_by_frame(policy, root, episode):
    """LeRobot's own way: frame by frame, a batch of one."""
    dataset = LeRobotDataset("two", root=root, episodes=[episode], tolerance_s=0.025)
    policy.policy.reset()
    predicted, recorded = [], []
    for number in range(len(dataset)):
        item = dataset[number]
        observed = {name: item[name][None] for name in FEATURES if name != "action"} | {"task": [item["task"]]}
        with torch.inference_mode():
            action = policy.policy.select_action(policy.preprocessor(observed))
            predicted.append(policy.postprocessor(action)[0].numpy())
        recorded.append(item["action"].numpy())
    return np.stack(predicted), np.stack(recorded)


def get_refusal(attempt, *arguments):
    try:
        attempt(*arguments)
    except SystemExit as end:
        return str(end)
    return None


def main():
    work = Path(sys.argv[1])
    root = work / "dataset"
    record(root)
    options = [f"--policy.{option}" for option in NETWORK]
    torch.set_num_threads(1)
    untrained = loaded_policy.make_untrained_policy("act", root, "cpu", options, 1)
    again = loaded_policy.make_untrained_policy("act", root, "cpu", options, 1)
    for part in (untrained.policy, untrained.preprocessor, untrained.postprocessor):
        part.save_pretrained(work / "policy")
    policy = loaded_policy.load_policy(work / "policy", "cpu", ["--policy.n_action_steps=2"])
    order = []
    request = EvaluationRequest(root=root, eval_batch_size=2)
    recording = replay.open_recording(policy, root, request, CHOSEN)
    replay.MOST_FRAMES = 35
    measured = replay.measure_latency(policy, recording, CHOSEN)

    def add(episode):
        order.append(episode.episode)

    episodes = {
        replayed.episode: replayed for replayed in replay.replay_episodes(policy, recording, request, add, measured)
    }
    alone = {number: predict_frame_by_frame(policy, root, number) for number in episodes}
    result_store.copy_policy(work / "policy", work / "linked")
    weights = untrained.policy.state_dict()
    frames = [frame for number in CHOSEN for frame in recording.read_frames([number])]
    report = {
        "lengths": {number: episode.steps for number, episode in episodes.items()},
        "differences": {
            number: float(abs(replayed.predicted - alone[number][0]).max()) for number, replayed in episodes.items()
        },
        "spread": float(episodes[0].predicted.std()),
        "recorded": all(np.array_equal(replayed.recorded, alone[number][1]) for number, replayed in episodes.items()),
        "mse": {
            number: [episode.mse, float(((episode.predicted - episode.recorded) ** 2).mean())]
            for number, episode in episodes.items()
        },
        "names": list(episodes[0].each_mae),
        "order": order,
        "tasks": sorted({frame.observation["task"][0] for frame in frames}),
        "measured": {
            number: sum(not math.isnan(taken) for taken in replayed.seconds) for number, replayed in episodes.items()
        },
        "latency": dataclasses.asdict(replay.summarize_latency(measured)),
        "same seed": all(torch.equal(weights[name], value) for name, value in again.policy.state_dict().items()),
        "steps": policy.policy.config.n_action_steps,
        "kind": policy.kind,
        "digests": [result_store.digest_policy(work / "policy"), result_store.digest_policy(work / "linked")],
        "linked": (work / "linked/model.safetensors").stat().st_ino
        == (work / "policy/model.safetensors").stat().st_ino,
        "refusals": list_refused_policies(policy, work) | list_refused_replays(recording, request, work),
    }
    (work / "found.json").write_text(json.dumps(report))


def list_refused_policies(policy, work):
    unknown, holes, incomplete = work / "unknown", work / "holes", work / "incomplete"
    for folder in (unknown, holes, incomplete):
        result_store.copy_policy(work / "policy", folder)
    (incomplete / "policy_preprocessor.json").unlink()
    settings = json.loads((unknown / "config.json").read_text())
    (unknown / "config.json").unlink()  # it is a link: what it leads to must stay
    (unknown / "config.json").write_text(json.dumps({**settings, "type": "walker"}))
    (holes / "model.safetensors").unlink()
    weights = policy.policy.state_dict()
    from safetensors.torch import save_file

    remaining = {name: value.clone() for name, value in weights.items() if not name.startswith("model.action_head")}
    save_file(remaining, holes / "model.safetensors")
    cases = {
        "type": (unknown, []),
        "holes": (holes, []),
        "processors": (incomplete, []),
        "option": (work / "policy", ["--policy.walks=2"]),
        "value": (work / "policy", ["--policy.n_action_steps=two"]),
        "chunk": (work / "policy", ["--policy.use_vae=true", "--policy.n_action_steps=400"]),
        "larger": (work / "policy", ["--policy.dim_feedforward=64"]),
        "nothing": (work / "nothing", []),
    }
    load = loaded_policy.load_policy
    return {name: get_refusal(load, folder, "cpu", options) for name, (folder, options) in cases.items()}


def list_refused_replays(recording, request, work):
    """What ends a replay that has begun. The last one damages the dataset."""

    def replay_all(policy):
        replay.replay_episodes(policy, recording, request, lambda episode: None, {})

    whole, empty = loaded_policy.load_policy(work / "policy", "cpu"), loaded_policy.load_policy(work / "policy", "cpu")
    for weights in empty.policy.parameters():
        weights.data.fill_(math.nan)
    refusals = {"not finite": get_refusal(replay_all, empty)}
    (video,) = request.root.glob("videos/*/*/*.mp4")
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    return {**refusals, "video": get_refusal(replay_all, whole)}


main()
