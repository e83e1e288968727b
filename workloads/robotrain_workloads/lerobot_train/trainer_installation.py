"""What the launcher puts into LeRobot's trainer before it trains: statistics, mixtures, weights and its monitor."""

import functools
import json
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from robotrain_runtime.contract.event import emit_note
from robotrain_runtime.machine import hardware

from robotrain_workloads.exit_status import WorkFailed
from robotrain_workloads.lerobot import adapter, device, training_history
from robotrain_workloads.lerobot.adapter import Base
from robotrain_workloads.lerobot.options import get_option_value
from robotrain_workloads.lerobot.policy import MODEL_FOLDER
from robotrain_workloads.lerobot.policy_features import RENAME_OPTION
from robotrain_workloads.lerobot.training_history import PolicyTraining, read_dataset_texts
from robotrain_workloads.lerobot_train import trainer_fixes, wandb
from robotrain_workloads.lerobot_train.completed_options import get_dataset_folder
from robotrain_workloads.lerobot_train.data_wait import DataWait
from robotrain_workloads.lerobot_train.episode_options import SPLIT_OPTION, choose_episode_order, parse_episodes
from robotrain_workloads.lerobot_train.frames import frame_cache
from robotrain_workloads.lerobot_train.loading_state import LoadingState, RandomDraws
from robotrain_workloads.lerobot_train.request import TrainingRequest
from robotrain_workloads.lerobot_train.trainer_monitor import EarlyStop, TrainerMonitor
from robotrain_workloads.lerobot_training import weights_file
from robotrain_workloads.lerobot_training.process_group import StopHandler


class BasePolicy:
    """A base, by its reference and by its folder on this machine."""

    def __init__(self, folder: Path, reference: Mapping[str, Any]) -> None:
        """Begin to compute the digest of its weights. `reference`: the fields of a `Base`."""
        self._folder = folder
        self._base = Base(**reference)
        self._measuring = threading.Thread(target=self._measure, daemon=True)

    def install(self, trainer: ModuleType) -> None:
        """Let the trainer read the base from its folder, and save adapters that name it by its reference."""
        self._measuring.start()  # of gigabytes it takes a while, and is needed when the first checkpoint is saved
        _locate_base(self._folder)
        save = trainer.save_checkpoint
        vars(trainer)["save_checkpoint"] = functools.wraps(save)(functools.partial(self.save, save))

    def _measure(self) -> None:
        self._base = adapter.measure_base(self._base, self._folder)

    def save(self, save: Callable[..., Any], *, checkpoint_dir: Path, cfg: Any, **kwargs: Any) -> Any:
        """Save a checkpoint that names no folder of this machine as its base. Raise OSError."""
        if self._measuring.is_alive():
            self._measuring.join()
        if not self._base.sha256:  # the thread failed
            self._measure()
        path, cfg.policy.pretrained_path = cfg.policy.pretrained_path, None
        try:
            save_result = save(checkpoint_dir=checkpoint_dir, cfg=cfg, **kwargs)
        finally:
            cfg.policy.pretrained_path = path
        adapter.name_base(checkpoint_dir / MODEL_FOLDER, self._base)
        return save_result


def _locate_base(folder: Path) -> None:
    """Let PEFT's class of configurations name this folder as the base, whatever the files of an adapter say."""
    from peft import PeftConfig

    original_loader = PeftConfig.from_pretrained.__func__

    def load(cls: type, *args: Any, **kwargs: Any) -> Any:
        config = original_loader(cls, *args, **kwargs)
        config.base_model_name_or_path, config.revision = str(folder), None
        return config

    PeftConfig.from_pretrained = classmethod(functools.wraps(original_loader)(load))


def install_changes(module: Any, options: Sequence[str], request: TrainingRequest) -> None:
    """Put in what changes the data or the policy that LeRobot trains with.

    :param module: LeRobot's trainer.
    :param options: its own.
    """
    root = get_dataset_folder(options)
    if request.new_processors:
        trainer_fixes.rebuild_processors(module)
    if renames := get_option_value(options, RENAME_OPTION):
        trainer_fixes.rename_statistics(module, json.loads(renames))
    trainer_fixes.require_loaded_weights(module)
    trainer_fixes.keep_statistics(module)
    if request.computed_statistics:
        from robotrain_workloads.lerobot_train.computed_statistics import ComputedStatistics  # numpy starts threads

        episodes = parse_episodes(options)
        ComputedStatistics(root, episodes, are_relative=request.relative_statistics).install(module)
    if request.mixture:
        from robotrain_workloads.lerobot_mixture.training import install_mixture  # numpy starts threads

        install_mixture(
            module,
            request.mixture,
            root,
            math.prod(int(get_option_value(options, name) or 0) for name in ("--steps", "--batch_size"))
            * request.ranks,
        )
        episode_order = choose_episode_order(root, options, request)
        if episode_order is not None:
            trainer_fixes.read_episodes_in_order(module, [*episode_order])
    if request.base:
        BasePolicy(Path(request.base), request.base_reference).install(module)
    if request.weights:
        _place_weights(request)
    if wandb.ENABLED_OPTION in options and device.is_first_rank():
        wandb.allow_unknown_runs()


def install_monitor(
    module: Any, options: Sequence[str], request: TrainingRequest, stop_handler: StopHandler
) -> TrainerMonitor:
    """Put in what watches, stops, saves and resumes a training; return what tells of its progress.

    :param module: LeRobot's trainer.
    :param options: its own.
    """
    root = get_dataset_folder(options)
    workers = int(get_option_value(options, "--num_workers") or 0)
    checkpoint = Path(get_option_value(options, "--config_path") or "").parents[1] if request.first else None
    LoadingState(request.first, checkpoint).install(module)  # it saves before the monitor tells of a checkpoint
    monitor = TrainerMonitor(
        int(get_option_value(options, "--steps") or 0),
        stop_handler,
        request.first,
        allow_non_finite=request.allow_non_finite,
        ranks=(request.nodes, request.ranks, request.batch),
        earlier=_load_earlier_trainings(options),
        texts=read_dataset_texts(root),
        root=root,
        waits=_make_data_wait(options, request, workers),
        early_stop=_make_early_stop(request.stop_after, options, checkpoint),
    )
    monitor.install(module)
    RandomDraws(request.first, loads_alone=request.loads_alone).install(module)
    return monitor


def _make_data_wait(options: Sequence[str], request: TrainingRequest, workers: int) -> DataWait | None:
    """Return what measures how long a step waits for data; None but in the first process, as for LeRobot's log."""
    if not device.is_first_rank():
        return None
    ways = (
        *frame_cache.list_ways(get_dataset_folder(options), request.frame_cache),
        *filter(None, (request.cores_option,)),
    )
    chosen_device = get_option_value(options, f"--{request.trains}.device")
    return DataWait(workers, hardware.count_cores(), is_on_gpu=chosen_device != "cpu", other_ways=ways)


def _make_early_stop(patience: int, options: Sequence[str], checkpoint: Path | None) -> EarlyStop | None:
    """Return what ends the training early, with what it saw up to a checkpoint; None if nothing does."""
    if not patience or not float(get_option_value(options, SPLIT_OPTION) or 0):
        return None
    early_stop = EarlyStop(patience)
    if checkpoint is not None:
        early_stop.load(checkpoint)
    return early_stop


def _place_weights(request: TrainingRequest) -> None:
    """Put the weights where torchvision looks for them. Raise SystemExit with a sentence."""
    try:
        warning = weights_file.place_weights(
            Path(request.weights), request.weights_name, is_given=request.given_weights
        )
    except (OSError, weights_file.WeightsError) as error:
        raise WorkFailed(error) from error
    if warning and device.is_first_rank():
        emit_note(warning, "warning")


def _load_earlier_trainings(options: Sequence[str]) -> list[PolicyTraining]:
    """Return the known trainings of the policy that the training starts from."""
    config = get_option_value(options, "--config_path")
    start = next(
        filter(None, (get_option_value(options, f"--{model}.path") for model in ("policy", "reward_model"))), ""
    ) or (str(Path(config).parent) if config else "")
    return training_history.load_trainings(Path(start)) if start else []
