"""Program for the evaluation environment: make small policies, roll them out, and print the results as JSON.

`python rollout_program.py FOLDER NAME…` runs the scenes of these names. The policies are left in FOLDER.
"""

import dataclasses
import importlib.util
import json
import multiprocessing
import os
import signal
import sys
from pathlib import Path

import torch
from lerobot.configs import FeatureType, NormalizationMode, PolicyFeature
from lerobot.policies.factory import get_policy_class, make_policy_config, make_pre_post_processors
from robotrain_workloads.lerobot_eval.inputs.loaded_policy import load_policy
from robotrain_workloads.lerobot_eval.results.evaluation import RolloutRequest
from robotrain_workloads.lerobot_eval.rollout.rollout import run_rollout

FOLDER = Path(sys.argv[1])
STATE, WORLD, ACTION = "observation.state", "observation.environment_state", "action"
SMALL = {"dim_model": 32, "n_heads": 2, "dim_feedforward": 32, "n_encoder_layers": 1, "use_vae": False}
ACT = SMALL | {"chunk_size": 4, "n_action_steps": 2, "pretrained_backbone_weights": None}
DIFFUSION = {"down_dims": (32, 64), "horizon": 8, "n_action_steps": 4, "num_inference_steps": 2}
DIFFUSION |= {"pretrained_backbone_weights": None}
PIXELS = {"mean": 256.0, "std": 256.0, "min": 0.0, "max": 512.0}
SCALED = {"mean": 0.0, "std": 1.0, "min": -1.0, "max": 1.0}
TIMES = ("seconds", "video")


def made(name, kind="act", world=PIXELS, camera="", size=(32, 48), **settings):
    """A policy with random weights, that moves about the whole world."""
    shapes = {STATE: (FeatureType.STATE, (2,))}
    shapes |= {camera: (FeatureType.VISUAL, (3, *size))} if camera else {WORLD: (FeatureType.ENV, (16,))}
    features = {key: PolicyFeature(*shape) for key, shape in shapes.items()}
    action = {ACTION: PolicyFeature(FeatureType.ACTION, (2,))}
    ways = dict.fromkeys(("STATE", "ENV", "ACTION"), NormalizationMode.MEAN_STD)
    config = make_policy_config(kind, device="cpu", push_to_hub=False, **settings)
    config.input_features, config.output_features = features, action
    config.normalization_mapping = {**ways, "VISUAL": NormalizationMode.IDENTITY}
    torch.manual_seed(1)
    policy = get_policy_class(kind)(config)
    statistics = {STATE: (2, PIXELS), ACTION: (2, PIXELS), WORLD: (16, world)}
    filled = {key: {n: torch.full((size,), v) for n, v in of.items()} for key, (size, of) in statistics.items()}
    for part in (policy, *make_pre_post_processors(config, dataset_stats=filled)):
        part.save_pretrained(FOLDER / name)
    return load_policy(FOLDER / name, "cpu")


def rolled(policy, told=lambda episode: None, episodes=6, **asked):
    asked = RolloutRequest(env="pusht", **{"episodes": episodes, "steps": 30, "workers": 0, "starts": "easy", **asked})
    return [dataclasses.asdict(episode) for episode in run_rollout(policy, asked, told)]


def by_itself():
    return rolled(made("act", **ACT))


def to_compare():
    return rolled(load_policy(FOLDER / "act", "cpu"), episodes=10, steps=40, starts=None)


def in_two():
    told = []
    return rolled(load_policy(FOLDER / "act", "cpu"), told.append, workers=2), [episode.index for episode in told]


def apart():
    """As on a GPU: the policy here, the environments in other processes."""
    return rolled(dataclasses.replace(load_policy(FOLDER / "act", "cpu"), device="cpu:0"), workers=2, batch=4)


def in_waves():
    return rolled(load_policy(FOLDER / "act", "cpu"), batch=4)


def filmed():
    return rolled(load_policy(FOLDER / "act", "cpu"), workers=2, video_folder=FOLDER / "videos"), sorted(
        [path.name, *frames(path)] for path in (FOLDER / "videos").iterdir()
    )


def frames(path):
    import av

    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        pictures = sum(1 for _ in film.decode(stream))
        return stream.codec_context.name, stream.codec_context.pix_fmt, float(stream.average_rate), pictures


def drawing_at_random():
    policy = made("diffusion", "diffusion", **DIFFUSION)
    ways = ({"workers": 0}, {"workers": 1}, {"workers": 2}, {"seed": 1001})
    return [rolled(policy, **{"episodes": 5, "steps": 10, "batch": 3, **way}) for way in ways]


def drawing_in_one_batch():
    return rolled(load_policy(FOLDER / "diffusion", "cpu"), episodes=2, steps=2, workers=2)


def not_finite():
    policy = load_policy(FOLDER / "act", "cpu")
    for weights in policy.policy.parameters():
        weights.data.fill_(float("nan"))
    return refused(policy, workers=2)


def scaled():
    return rolled(made("scaled", world=SCALED, **ACT))


def through_a_camera():
    return rolled(made("camera", camera="observation.images.top", **ACT), episodes=2, steps=3)


def pictures():
    """As LeRobot draws them, and as they were asked for."""
    policy = made("pictures", camera="observation.image", size=(64, 64), **ACT)
    asked = {"episodes": 4, "steps": 20, "starts": None}
    small = ("--env.observation_height=64", "--env.observation_width=64")
    return rolled(policy, **asked), rolled(policy, env_options=small, **asked)


def one_size_only():
    """A policy that reads no other size than its own."""
    return rolled(made("one_size", "diffusion", camera="observation.image", **DIFFUSION), episodes=1, steps=1)


def rewarded():
    """A T that lies at home, one near it, and one far away."""
    home, near, far = ([490, 490, *place, 0.785398] for place in ([256, 256], [270, 256], [100, 400]))
    policy = load_policy(FOLDER / "act", "cpu")
    given = {"episodes": 4, "starts": json.dumps([home, near, far])}
    return rolled(policy, steps=2, **given), rolled(policy, steps=2, success_reward=0.5, **given)


def easy():
    """Where the parts lie, as the example puts them and as `easy` does."""
    import gymnasium
    from robotrain_workloads.lerobot_eval.inputs import simulation
    from robotrain_workloads.lerobot_eval.rollout import environment_group

    spec = importlib.util.spec_from_file_location("pusht_task", sys.argv[-1])
    task = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(task)
    world, other = task.make_env(), gymnasium.make("gym_pusht/PushT-v0").unwrapped
    pairs = []
    for seed in (0, 1000, 1_000_000):
        task.reset_to_easy_start(world, seed)
        other.reset(seed=seed)
        environment_group.place_start(other, simulation.parse_starts("easy", "pusht"), 0, seed)
        pairs.append([[*one.agent.position, *one.block.position, one.block.angle] for one in (world, other)])
    return pairs


def killed():
    def kill(_episode):
        for process in multiprocessing.active_children():
            os.kill(process.pid, signal.SIGKILL)

    return refused(told=kill, episodes=40, batch=1, workers=2)


def more_processes_than_a_batch():
    """How many there were."""
    seen = []
    rolled(
        load_policy(FOLDER / "act", "cpu"),
        lambda _: seen.append(len(multiprocessing.active_children())),
        batch=2,
        workers=8,
    )
    return seen


def many_films():
    given = {"episodes": 51, "steps": 1, "batch": 51, "video_folder": FOLDER / "many"}
    return [one["video"] for one in rolled(load_policy(FOLDER / "act", "cpu"), **given)]


def picture_of_no_size():
    return refused(load_policy(FOLDER / "one_size", "cpu"), env_options=("--env.observation_height=40",))


def not_to_be_seen():
    return refused(env_options=("--env.obs_type=pixels_agent_pos",))


def not_an_option():
    return refused(env_options=("--env.fps=often",))


def refused(policy=None, **given):
    try:
        return rolled(policy or load_policy(FOLDER / "act", "cpu"), **given)
    except SystemExit as end:
        return [str(end), len(multiprocessing.active_children())]


def without_end():
    made("act", **ACT)
    rolled(load_policy(FOLDER / "act", "cpu"), lambda episode: print("rolling", flush=True), 9999, batch=1, workers=2)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for scene in [name for name in sys.argv[2:] if name in globals()]:
        print(json.dumps({scene: globals()[scene]()}), flush=True)
