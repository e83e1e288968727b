"""The command lines of Isaac Lab 2.3.x."""

import argparse


def build_parser(backend, action):
    parser = argparse.ArgumentParser(description=f"{action.capitalize()} an RL agent with {backend}.")
    _add_common(parser, action)
    if backend == "rsl_rl":
        _add_rsl_rl(parser)
    else:
        parser.add_argument("--checkpoint", type=str, default=None)  # a path
        parser.add_argument("--ml_framework", type=str, default="torch", choices=["torch", "jax", "jax-numpy"])
        parser.add_argument("--algorithm", type=str, default="PPO", choices=["AMP", "PPO", "IPPO", "MAPPO"])
    parser.add_argument("--agent", type=str, default="rsl_rl_cfg_entry_point" if backend == "rsl_rl" else None)
    _add_launcher(parser)
    return parser


def _add_common(parser, action):
    parser.add_argument("--video", action="store_true", default=False)
    parser.add_argument("--video_length", type=int, default=200)
    parser.add_argument("--num_envs", type=int, default=None)
    parser.add_argument("--task", type=str, default=None)
    parser.add_argument("--seed", type=int, default=None)
    if action == "train":
        parser.add_argument("--video_interval", type=int, default=2000)
        parser.add_argument("--max_iterations", type=int, default=None)
        parser.add_argument("--distributed", action="store_true", default=False)
        parser.add_argument("--export_io_descriptors", action="store_true", default=False)
        parser.add_argument("--ray-proc-id", "-rid", type=int, default=None)
    else:
        parser.add_argument("--disable_fabric", action="store_true", default=False)
        parser.add_argument("--use_pretrained_checkpoint", action="store_true")
        parser.add_argument("--real-time", action="store_true", default=False)


def _add_rsl_rl(parser):
    """Add `cli_args.add_rsl_rl_args`."""
    parser.add_argument("--experiment_name", type=str, default=None)
    parser.add_argument("--run_name", type=str, default=None)
    parser.add_argument("--resume", action="store_true", default=False)
    parser.add_argument("--load_run", type=str, default=None)
    # a regular expression of a file name, not a path
    parser.add_argument("--checkpoint", type=str, default=None)
    parser.add_argument("--logger", type=str, default=None, choices={"wandb", "tensorboard", "instant"})
    parser.add_argument("--log_project_name", type=str, default=None)


def _add_launcher(parser):
    """Add `AppLauncher.add_app_launcher_args`."""
    group = parser.add_argument_group("app_launcher arguments")
    group.add_argument("--headless", action="store_true", default=False)
    group.add_argument("--livestream", type=int, default=-1, choices={0, 1, 2})
    group.add_argument("--enable_cameras", action="store_true", default=False)
    group.add_argument("--xr", action="store_true", default=False)
    group.add_argument("--device", type=str, default="cuda:0")
    group.add_argument("--cpu", action="store_true", help=argparse.SUPPRESS)
    group.add_argument("--verbose", action="store_true")
    group.add_argument("--info", action="store_true")
    group.add_argument("--experience", type=str, default="")
    group.add_argument("--rendering_mode", type=str, choices={"performance", "balanced", "quality"})
    group.add_argument("--kit_args", type=str, default="")
    group.add_argument("--anim_recording_enabled", action="store_true")
    group.add_argument("--anim_recording_start_time", type=float, default=0)
    group.add_argument("--anim_recording_stop_time", type=float, default=10)
