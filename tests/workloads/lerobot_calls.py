"""What robotrain calls, replaces or reads of LeRobot, and a program that says what an installed LeRobot lacks of it.

ENVIRONMENT/bin/python tests/workloads/lerobot_calls.py
"""

import importlib.util
import inspect
import json
import sys
from collections.abc import Iterator
from pathlib import Path

CALLS: dict[str, dict[str, tuple[str, ...]]] = {
    "lerobot.scripts.lerobot_train": {
        "main": (),
        "MetricsTracker.to_dict": ("self",),
        "MetricsTracker.reset_averages": ("self",),
        "MetricsTracker.__setattr__": ("name", "value"),
        "update_last_checkpoint": ("checkpoint_dir",),
        "should_save_checkpoint": ("step", "save_freq", "total_steps"),
        "TrainPipelineConfig.validate": ("self",),
        "TrainPipelineConfig.save_freq": (),
        "TrainPipelineConfig.eval_steps": (),
        "TrainPipelineConfig.persistent_workers": (),
        "TrainPipelineConfig.num_workers": (),
        "TrainPipelineConfig.prefetch_factor": (),
        "TrainPipelineConfig.dataloader_multiprocessing_context": (),
        "EpisodeAwareSampler": ("dataset_from_indices", "dataset_to_indices", "episode_indices_to_use", "seed"),
        "EpisodeAwareSampler.set_epoch": ("epoch",),
        "EpisodeAwareSampler.load_state_dict": ("state",),
        "make_pre_post_processors": ("pretrained_path", "preprocessor_overrides"),
        "make_train_eval_datasets": ("cfg",),
        "TrainPipelineConfig.trainable_config": (),
    },
    "lerobot.processor": {
        "RelativeActionsProcessorStep": ("enabled", "exclude_joints", "action_names"),
        "RelativeActionsProcessorStep._build_mask": ("action_dim",),
    },
    "lerobot.configs.train": {"TrainPipelineConfig.validate": ("self",)},
    "lerobot.configs.parser": {"wrap": ()},
    "lerobot.configs": {
        "PreTrainedConfig.from_pretrained": ("pretrained_name_or_path", "cli_overrides"),
        "PreTrainedConfig.get_choice_class": (),
        "PreTrainedConfig.get_known_choices": (),
    },
    "lerobot.datasets": {
        "LeRobotDatasetMetadata": ("repo_id", "root"),
        "LeRobotDatasetMetadata.features": (),
        "LeRobotDatasetMetadata.fps": (),
        "LeRobotDataset": (
            *("repo_id", "root", "episodes", "delta_timestamps", "tolerance_s", "video_backend", "return_uint8"),
        ),
    },
    "lerobot.datasets.lerobot_dataset": {
        "LeRobotDataset.create": ("repo_id", "fps", "features", "root", "robot_type", "use_videos"),
        "LeRobotDataset.add_frame": ("frame",),
        "LeRobotDataset.save_episode": (),
        "LeRobotDataset.finalize": (),
    },
    "lerobot.datasets.dataset_reader": {
        "decode_video_frames": ("video_path", "timestamps", "tolerance_s", "backend", "return_uint8", "is_depth"),
    },
    "lerobot.datasets.video_utils": {
        "VideoDecoderCache.clear": (),
        "_default_decoder_cache.clear": (),
        "decode_video_frames_torchcodec": ("video_path", "timestamps", "tolerance_s", "decoder_cache"),
    },
    "lerobot.datasets.aggregate": {
        "shutil": (),
        "aggregate_datasets": ("repo_ids", "aggr_repo_id", "roots", "aggr_root", "concatenate_videos"),
    },
    "lerobot.scripts.convert_dataset_v21_to_v30": {"convert_dataset": ("repo_id", "root", "push_to_hub")},
    "lerobot.envs": {
        "preprocess_observation": ("observations",),
        "make_env_pre_post_processors": ("env_cfg", "policy_cfg"),
    },
    "lerobot.envs.factory": {"make_env": ("cfg", "n_envs")},
    "lerobot.envs.metaworld": {},
    "lerobot.envs.configs": {"EnvConfig.get_choice_class": ()},
    "lerobot.envs.utils": {"env_to_policy_features": ("env_cfg",)},
    "lerobot.policies": {"PreTrainedPolicy": ()},
    "lerobot.policies.utils": {"validate_visual_features_consistency": ("cfg", "features")},
    "lerobot.datasets.factory": {"resolve_delta_timestamps": ("cfg", "ds_meta")},
    "lerobot.datasets.feature_utils": {"check_delta_timestamps": ("delta_timestamps", "fps", "tolerance_s")},
    "lerobot.utils.collate": {"lerobot_collate_fn": ("batch",)},
    "lerobot.utils.feature_utils": {"dataset_to_policy_features": ("features",)},
    "lerobot.rewards": {},
    "lerobot.policies.factory": {
        "make_policy": ("cfg", "ds_meta"),
        "make_pre_post_processors": (
            *("policy_cfg", "pretrained_path", "preprocessor_overrides", "dataset_stats", "dataset_meta"),
        ),
        "get_policy_class": ("name",),
    },
    "lerobot.policies.pretrained": {
        "PreTrainedPolicy.from_pretrained": ("pretrained_name_or_path", "config"),
        "PreTrainedPolicy._load_as_safetensor": (),
        "PreTrainedPolicy.select_action": ("batch",),
        "PreTrainedPolicy.reset": (),
    },
    "lerobot.utils.import_utils": {"register_third_party_plugins": ()},
    "lerobot.utils.random_utils": {"set_seed": ("seed",)},
    "accelerate": {"Accelerator.reduce": (), "Accelerator.wait_for_everyone": (), "Accelerator.end_training": ()},
    "torch.distributed.run": {"parse_args": ("args",), "run": ("args",)},
    "torch.distributed.elastic.multiprocessing.errors": {"ChildFailedError": ()},
    "torch.utils.data": {"DataLoader._get_iterator": ()},
    "torch.utils.data.dataloader": {"_MultiProcessingDataLoaderIter._try_put_index": ()},
    "draccus": {"parse": ("config_class", "args"), "encode": ()},
}
"""By module, its members with the arguments that they are called with by name; a member that LeRobot calls is replaced
with a function that passes on all arguments.
"""
SAYS = {
    "lerobot.scripts.lerobot_train": (
        *("eval_loss=", "accelerator.reduce(", "accelerator.wait_for_everyone()", "update_last_checkpoint("),
        *(".reset_averages()", "make_pre_post_processors(", "cfg.validate()", "cfg.save_freq"),
        *("make_train_eval_datasets(cfg)", "dataset.meta.stats", "num_workers=cfg.num_workers"),
        *("is_saving_step = should_save_checkpoint(step, cfg.save_freq", "if cfg.save_checkpoint and is_saving_step"),
        *("train_tracker.dataloading_s = ", "train_metrics.update_s = "),
    ),
    "lerobot.datasets.aggregate": ("shutil.copy(",),
    "torch.utils.data.dataloader": (
        *("data = self._next_data()", "self._base_seed", "self._collate_fn = loader.collate_fn"),
        *("worker_queue_idx = next(self._worker_queue_idx_cycle)", "self._try_put_index()"),
    ),
    "lerobot.envs.metaworld": (
        *("self.task_description = ", "self._max_episode_steps = "),
        *("env.seeded_rand_vec = True", "self._env.seed(seed)"),
    ),
}
"""What stands in the code of a module: lines of its log that are read, calls of members that are replaced, and
attributes of objects.
"""
NOT_IMPORTED = {"lerobot.envs.metaworld"}
"""Modules whose simulator this environment lacks: only their text is read."""


def find_missing() -> Iterator[str]:
    """Yield what the installed packages lack."""
    for module, members in CALLS.items():
        try:
            text = read_source(module) if module in SAYS else ""
            place = None if module in NOT_IMPORTED else importlib.import_module(module)
        except ImportError as error:
            yield f"{module}: {error}"
            continue
        for member, arguments in members.items():
            yield from find_lacking(place, f"{module}.{member}", member.split("."), arguments)
        yield from (f"{module} has no longer {said!r}" for said in SAYS.get(module, ()) if said not in text)


def read_source(module: str) -> str:
    """Return the text of a module, which is not imported. Raise ImportError if there is none."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ImportError(f"no module named {module}")
    return Path(spec.origin).read_text()


def find_lacking(place: object, name: str, path: list[str], arguments: tuple[str, ...]) -> Iterator[str]:
    for part in path:
        if not hasattr(place, part):
            yield f"there is no {name}"
            return
        place = getattr(place, part)
    if not arguments:
        return
    assert callable(place)
    parameters = inspect.signature(place).parameters
    if not any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        yield from (f"{name} takes no {argument}" for argument in arguments if argument not in parameters)


if __name__ == "__main__":
    json.dump([*find_missing()], sys.stdout)
