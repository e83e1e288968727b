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
from robotrain_workloads.lerobot.loaded_policy import load_policy
from robotrain_workloads.lerobot_eval.inputs.request import EvaluationRequest
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


def make_policy(name, kind="act", world=PIXELS, camera="", size=(32, 48), **settings):
    """Save and load a policy with random weights, which moves through the whole world."""
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
    statistics = {
        feature: {name: torch.full((count,), value) for name, value in values.items()}
        for feature, count, values in ((STATE, 2, PIXELS), (ACTION, 2, PIXELS), (WORLD, 16, world))
    }
    for part in (policy, *make_pre_post_processors(config, dataset_stats=statistics)):
        part.save_pretrained(FOLDER / name)
    return load_policy(FOLDER / name, "cpu")


def load_act():
    return load_policy(FOLDER / "act", "cpu")


def get_result(policy, on_episode=lambda episode: None, **parameters):
    request = EvaluationRequest(
        env="pusht", **{"eval_episodes": 6, "env_steps": 30, "env_workers": 0, "starts": "easy", **parameters}
    )
    return run_rollout(policy, request, on_episode)


def roll_out(*arguments, **parameters):
    return [dataclasses.asdict(episode) for episode in get_result(*arguments, **parameters).episodes]


def alone():
    return roll_out(make_policy("act", **ACT))


def as_lerobot_eval():
    return roll_out(load_act(), eval_episodes=10, env_steps=40, starts=None)


def two_processes():
    reported = []
    return roll_out(load_act(), reported.append, env_workers=2), [episode.index for episode in reported]


def as_on_gpu():
    """As on a GPU: the policy here, the environments in other processes."""
    return roll_out(dataclasses.replace(load_act(), device="cpu:0"), env_workers=2, eval_batch_size=4)


def in_batches():
    return roll_out(load_act(), eval_batch_size=4)


def filmed():
    episodes = roll_out(load_act(), env_workers=2, video_folder=FOLDER / "videos")
    return episodes, sorted([path.name, *describe_video(path)] for path in (FOLDER / "videos").iterdir())


def describe_video(path):
    import av

    with av.open(str(path)) as video:
        stream = video.streams.video[0]
        frames = sum(1 for _ in video.decode(stream))
        return stream.codec_context.name, stream.codec_context.pix_fmt, float(stream.average_rate), frames


def random_draws():
    policy = make_policy("diffusion", "diffusion", **DIFFUSION)
    ways = ({"env_workers": 0}, {"env_workers": 1}, {"env_workers": 2}, {"seed": 1001})
    return [roll_out(policy, **{"eval_episodes": 5, "env_steps": 10, "eval_batch_size": 3, **way}) for way in ways]


def random_draws_in_one_batch():
    return roll_out(load_policy(FOLDER / "diffusion", "cpu"), eval_episodes=2, env_steps=2, env_workers=2)


def not_finite():
    policy = load_act()
    for weights in policy.policy.parameters():
        weights.data.fill_(float("nan"))
    return get_refusal(policy, env_workers=2)


def scaled():
    result = get_result(make_policy("scaled", world=SCALED, **ACT))
    return [dataclasses.asdict(episode) for episode in result.episodes], result.summarize()["scaled_key_points"]


def camera():
    policy = make_policy("camera", camera="observation.images.top", size=(96, 96), **ACT)
    return roll_out(policy, eval_episodes=2, env_steps=3)


def image_sizes():
    """A policy of the size that LeRobot renders, and one of another that is rendered for it."""
    parameters = {"eval_episodes": 4, "env_steps": 20, "starts": None}
    usual = make_policy("image_sizes", camera="observation.image", size=(96, 96), **ACT)
    small = make_policy("small_images", camera="observation.image", size=(64, 64), **ACT)
    options = ("--env.observation_height=64", "--env.observation_width=64")
    return roll_out(usual, **parameters), roll_out(small, options=options, **parameters)


def other_size():
    return get_refusal(load_policy(FOLDER / "small_images", "cpu"), eval_episodes=1, env_steps=1)


def renamed():
    """The same policy, by LeRobot's own step that renames observations."""
    policy = load_policy(FOLDER / "camera", "cpu", renames={"observation.image": "observation.images.top"})
    return roll_out(policy, eval_episodes=2, env_steps=3)


def given_starts():
    """A T that lies at home, one near it, and one far away."""
    home, near, far = ([490, 490, *place, 0.785398] for place in ([256, 256], [270, 256], [100, 400]))
    policy = load_act()
    parameters = {"eval_episodes": 4, "starts": json.dumps([home, near, far])}
    return roll_out(policy, env_steps=2, **parameters), roll_out(policy, env_steps=2, success_reward=0.5, **parameters)


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
        pairs.append(
            [
                [*simulated.agent.position, *simulated.block.position, simulated.block.angle]
                for simulated in (world, other)
            ]
        )
    return pairs


def killed():
    def kill(_episode):
        for process in multiprocessing.active_children():
            os.kill(process.pid, signal.SIGKILL)

    return get_refusal(on_episode=kill, eval_episodes=40, eval_batch_size=1, env_workers=2)


def small_batch():
    """The number of processes when each episode ends."""
    counts = []
    roll_out(
        load_act(), lambda _: counts.append(len(multiprocessing.active_children())), eval_batch_size=2, env_workers=8
    )
    return counts


def many_videos():
    parameters = {"eval_episodes": 51, "env_steps": 1, "eval_batch_size": 51, "video_folder": FOLDER / "many"}
    return [episode["video"] for episode in roll_out(load_act(), **parameters)]


def invalid_size():
    policy = load_policy(FOLDER / "image_sizes", "cpu")
    return get_refusal(policy, options=("--env.observation_height=40",))


def missing_observation():
    return get_refusal(options=("--env.obs_type=pixels_agent_pos",))


def invalid_option():
    return get_refusal(options=("--env.fps=often",))


def get_refusal(policy=None, **parameters):
    try:
        return roll_out(policy or load_act(), **parameters)
    except SystemExit as end:
        return [str(end), len(multiprocessing.active_children())]


def without_end():
    make_policy("act", **ACT)
    roll_out(
        load_act(), lambda episode: print("rolling", flush=True), eval_episodes=9999, eval_batch_size=1, env_workers=2
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    for scene in [name for name in sys.argv[2:] if name in globals()]:
        print(json.dumps({scene: globals()[scene]()}), flush=True)
