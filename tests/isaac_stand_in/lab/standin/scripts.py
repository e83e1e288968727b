"""The train and play scripts of rsl_rl and skrl, as Isaac Lab 2.3.x has them."""

import copy
import os
import random
import sys
from datetime import datetime

from standin import agents, command_line, distributed, launcher

SKRL_MINIMUM = "1.4.2"


def run(backend, action):
    args, rest = command_line.build_parser(backend, action).parse_known_args()
    sys.argv = [sys.argv[0], *rest]  # Hydra gets what argparse did not know
    launcher.launch(args)
    distributed.use_gloo()
    _check_versions(backend)

    import hydra
    from hydra.core.config_store import ConfigStore
    from omegaconf import OmegaConf

    name = (args.task or "").split(":")[-1]
    if name not in agents.TASKS:
        import gymnasium

        raise gymnasium.error.NameNotFound(f"Environment `{name}` doesn't exist.")
    kind = agents.TASKS[name]
    agent = agents.rsl_cfg(kind) if backend == "rsl_rl" else agents.skrl_cfg(kind)
    env = {"seed": None, "scene": {"num_envs": 4096}, "sim": {"device": "cuda:0"}, "episode_length_s": 5.0}
    ConfigStore.instance().store(name=name, node=OmegaConf.create({"env": env, "agent": agent}))

    @hydra.main(config_path=None, config_name=name, version_base="1.3")
    def main(cfg):
        cfg = OmegaConf.to_container(cfg, resolve=True)
        globals()[f"_{action}_{backend}"](args, cfg["env"], cfg["agent"])

    main()


def _check_versions(backend):
    """Refuse old libraries as the scripts do: rsl_rl with exit 1, skrl with exit 0 and no training."""
    from importlib.metadata import version as installed

    from packaging import version as versions

    if backend == "rsl_rl":
        if versions.parse(installed("rsl-rl-lib")) < versions.parse("3.0.1"):
            print("Please install the correct version of RSL-RL.")
            sys.exit(1)
        return
    minimum = os.environ.get("STANDIN_SKRL_MINIMUM", SKRL_MINIMUM)
    if versions.parse(installed("skrl")) < versions.parse(minimum):
        import skrl

        skrl.logger.error(f"Unsupported skrl version: {installed('skrl')}. Install supported version: >={minimum}")
        sys.exit()


def _require_file(path):
    if not os.path.isfile(path):
        raise FileNotFoundError(f"Unable to find the file: {path}")


def _dump_params(log_dir, env_cfg, agent_cfg):
    import yaml

    os.makedirs(os.path.join(log_dir, "params"), exist_ok=True)
    for name, cfg in (("env", env_cfg), ("agent", agent_cfg)):
        with open(os.path.join(log_dir, "params", f"{name}.yaml"), "w") as file:
            yaml.dump(cfg, file, default_flow_style=False, sort_keys=False)


def _apply_arguments(args, env_cfg, agent):
    if args.seed == -1:
        args.seed = random.randint(0, 10000)
    agent["seed"] = args.seed if args.seed is not None else agent["seed"]
    if getattr(args, "distributed", False):
        agent["seed"] += int(os.getenv("LOCAL_RANK", "0"))
    env_cfg["seed"] = agent["seed"]
    if args.num_envs is not None:
        env_cfg["scene"]["num_envs"] = args.num_envs


def _make_env(args, env_cfg, log_dir, action):
    from standin.cartpole import make_env

    video = os.path.join(log_dir, "videos", action) if args.video else ""
    every = args.video_interval if action == "train" else 0
    return make_env(env_cfg["scene"]["num_envs"], env_cfg["seed"], video, args.video_length, every)


# ---------------------------------------------------------------- rsl_rl
def _wrap_for_rsl_rl(env, clip):
    """Wrap as RslRlVecEnvWrapper does: TensorDict observations, one done flag, time-outs in the extras."""
    from rsl_rl.env import VecEnv
    from tensordict import TensorDict

    plain = env.unwrapped

    class Wrapped(VecEnv):
        num_envs, num_actions, device, cfg = plain.num_envs, 1, "cpu", plain.cfg
        max_episode_length, unwrapped = plain.max_episode_length, plain
        episode_length_buf = property(
            lambda self: plain.episode_length_buf, lambda self, value: setattr(plain, "episode_length_buf", value)
        )

        def get_observations(self):
            return TensorDict(plain.obs(), batch_size=[plain.num_envs])

        def step(self, actions):
            if clip is not None:
                actions = actions.clamp(-clip, clip)
            obs, reward, fell, timeout, extras = env.step(actions)
            return TensorDict(obs, batch_size=[plain.num_envs]), reward, (fell | timeout).long(), extras

    env.reset()
    return Wrapped()


def _make_rsl_rl_runner(args, env, agent, log_dir):
    import torch
    from rsl_rl.runners import OnPolicyRunner

    torch.manual_seed(agent["seed"])
    runner = distributed.make_runner_on_cpu(OnPolicyRunner)
    return runner(_wrap_for_rsl_rl(env, agent["clip_actions"]), copy.deepcopy(agent), log_dir=log_dir, device="cpu")


def _apply_rsl_rl_arguments(args, env_cfg, agent):
    agent["resume"] = getattr(args, "resume", False)
    names = {"load_run": "load_run", "experiment_name": "experiment_name", "run_name": "run_name", "logger": "logger"}
    for flag, key in (names | {"checkpoint": "load_checkpoint"}).items():
        if getattr(args, flag, None) is not None:
            agent[key] = getattr(args, flag)
    _apply_arguments(args, env_cfg, agent)
    return os.path.abspath(os.path.join("logs", "rsl_rl", agent["experiment_name"]))


def _train_rsl_rl(args, env_cfg, agent):
    root = _apply_rsl_rl_arguments(args, env_cfg, agent)
    iterations = args.max_iterations if args.max_iterations is not None else agent["max_iterations"]
    print(f"[INFO] Logging experiment in directory: {root}")
    stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    print(f"Exact experiment name requested from command line: {stamp}")
    log_dir = os.path.join(root, stamp + (f"_{agent['run_name']}" if agent["run_name"] else ""))
    runner = _make_rsl_rl_runner(args, _make_env(args, env_cfg, log_dir, "train"), agent, log_dir)
    runner.add_git_repo_to_log(__file__)
    if int(os.getenv("RANK", "0")) == 0:
        _dump_params(log_dir, env_cfg, agent)
    runner.learn(num_learning_iterations=iterations, init_at_random_ep_len=True)


def _play_rsl_rl(args, env_cfg, agent):
    root = _apply_rsl_rl_arguments(args, env_cfg, agent)
    print(f"[INFO] Loading experiment from directory: {root}")
    _require_file(args.checkpoint)
    env = _make_env(args, env_cfg, os.path.dirname(args.checkpoint), "play")
    print(f"[INFO]: Loading model checkpoint from: {args.checkpoint}")
    _make_rsl_rl_runner(args, env, agent, None).load(args.checkpoint)
    _refuse_to_go_on()


# ---------------------------------------------------------------- skrl
def _train_skrl(args, env_cfg, agent):
    from skrl.envs.wrappers.torch.isaaclab_envs import IsaacLabWrapper
    from skrl.utils.runner.torch import Runner

    if args.max_iterations:
        agent["trainer"]["timesteps"] = args.max_iterations * agent["agent"]["rollouts"]
    agent["trainer"]["close_environment_at_exit"] = False
    _apply_arguments(args, env_cfg, agent)
    experiment = agent["agent"]["experiment"]
    root = os.path.abspath(os.path.join("logs", "skrl", experiment["directory"]))
    print(f"[INFO] Logging experiment in directory: {root}")
    name = datetime.now().strftime("%Y-%m-%d_%H-%M-%S") + f"_{args.algorithm.lower()}_{args.ml_framework}"
    print(f"Exact experiment name requested from command line: {name}")
    name += f"_{experiment['experiment_name']}" if experiment["experiment_name"] else ""
    experiment |= {"directory": root, "experiment_name": name}
    log_dir = os.path.join(root, name)
    if int(os.getenv("RANK", "0")) == 0:
        _dump_params(log_dir, env_cfg, agent)
    runner = Runner(IsaacLabWrapper(_make_env(args, env_cfg, log_dir, "train")), agent)
    runner.run()


def _play_skrl(args, env_cfg, agent):
    from skrl.envs.wrappers.torch.isaaclab_envs import IsaacLabWrapper
    from skrl.utils.runner.torch import Runner

    _apply_arguments(args, env_cfg, agent)
    experiment = agent["agent"]["experiment"]
    root = os.path.abspath(os.path.join("logs", "skrl", experiment["directory"]))
    print(f"[INFO] Loading experiment from directory: {root}")
    path = os.path.abspath(args.checkpoint)
    agent["trainer"]["close_environment_at_exit"] = False
    experiment |= {"write_interval": 0, "checkpoint_interval": 0}
    env = _make_env(args, env_cfg, os.path.dirname(os.path.dirname(path)), "play")
    runner = Runner(IsaacLabWrapper(env), agent)
    print(f"[INFO] Loading model checkpoint from: {path}")
    runner.agent.load(path)
    _refuse_to_go_on()


def _refuse_to_go_on():
    """End where the real scripts play the policy without an end: robotrain's programs take over before that."""
    sys.exit("the play script went on after it had loaded the checkpoint")
