"""Run LeRobot's trainer in this process: `python -m robotrain_workloads.lerobot_train.launcher … -- OPTIONS`."""

import argparse
import functools
import importlib
import json
import math
import multiprocessing
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.event import Note, Track, emit_event
from robotrain_runtime.machine import hardware
from robotrain_runtime.process.stop import end_with_parent

from robotrain_workloads.lerobot import (
    data_errors,
    dataset,
    device,
    episode_numbers,
    ffmpeg_libraries,
    hub_cache,
    policy,
    policy_packages,
    training_history,
    warm_up,
)
from robotrain_workloads.lerobot.dataset_texts import read_dataset_texts
from robotrain_workloads.lerobot.feature_renames import RENAME_OPTION
from robotrain_workloads.lerobot.options import (
    ConfigurationRefused,
    end_as_preflight,
    explain_parser_errors,
    get_option_value,
)
from robotrain_workloads.lerobot.training_history import PolicyTraining
from robotrain_workloads.lerobot.warm_up import quick_imports
from robotrain_workloads.lerobot_data_check import statistics_needs
from robotrain_workloads.lerobot_data_check.dataset_files import LocalFiles
from robotrain_workloads.lerobot_data_check.findings import DataFinding
from robotrain_workloads.lerobot_train import trainer_fixes, video_decoder, wandb
from robotrain_workloads.lerobot_train.base_policy import BasePolicy
from robotrain_workloads.lerobot_train.data_wait import DataWait
from robotrain_workloads.lerobot_train.early_stop import EarlyStop, TrainingEnded
from robotrain_workloads.lerobot_train.episode_options import (
    SPLIT_OPTION,
    disable_empty_split,
    hold_out_whole_bags,
    make_episode_options,
    parse_episodes,
)
from robotrain_workloads.lerobot_train.frames import frame_cache
from robotrain_workloads.lerobot_train.launcher_options import parse_launcher_options
from robotrain_workloads.lerobot_train.loading_speed import LoaderChoice
from robotrain_workloads.lerobot_train.loading_state import LoadingState
from robotrain_workloads.lerobot_train.random_draws import RandomDraws
from robotrain_workloads.lerobot_train.trainer_monitor import TrainerMonitor
from robotrain_workloads.lerobot_train.trainer_options import DECODER, TOLERANCE
from robotrain_workloads.lerobot_training import process_group, weights_file
from robotrain_workloads.lerobot_training.process_group import (
    GroupStop,
    NodesStop,
    ProcessAgreement,
    SingleProcessStop,
    StopHandler,
)
from robotrain_workloads.nodes.node_group import read_group
from robotrain_workloads.nodes.rank_store import RankStore

TRAINER = "lerobot.scripts.lerobot_train"
SUBJECT = "the training's configuration"
ORIGINAL = "robotrain_original"
"""The attribute of a wrapper that holds LeRobot's own function."""


def explain_refusals(options: Sequence[str]) -> None:
    """Let LeRobot's parser and its own checks end with a sentence, until the configuration is complete.

    What the training raises later is an error of its own. `options` are those on LeRobot's command line.
    """
    with suppress(ImportError):  # another LeRobot reports errors by itself
        draccus: Any = importlib.import_module("draccus")
        config_class: Any = importlib.import_module("lerobot.configs.train").TrainPipelineConfig

        def restore() -> None:
            draccus.parse, config_class.validate = parse, validate

        parse = _wrap(draccus, "parse", options)
        validate = _wrap(config_class, "validate", options, on_success=restore)


def check_training_configuration(options: Sequence[str]) -> Any:
    """Build the configuration from the command line, and return it. Raise SystemExit if LeRobot refuses it.

    Types of options are checked before submission; rules between several options are LeRobot's own.
    """
    explain_refusals(options)
    ffmpeg_libraries.load_ffmpeg()  # LeRobot asks whether torchcodec loads
    importlib.import_module("lerobot.utils.import_utils").register_third_party_plugins()
    _validate.__annotations__["config"] = importlib.import_module("lerobot.configs.train").TrainPipelineConfig
    return importlib.import_module("lerobot.configs.parser").wrap()(_validate)()


def _validate(config: Any) -> Any:
    config.validate()
    return config


def _wrap(
    owner: Any, name: str, options: Sequence[str], on_success: Callable[[], None] = lambda: None
) -> Callable[..., Any]:
    """Let a function of LeRobot end with a sentence where it refuses something; return the function itself."""
    original: Callable[..., Any] = getattr(owner, name)
    original = vars(original).get(ORIGINAL, original)

    @functools.wraps(original)
    def replacement(*arguments: Any, **named: Any) -> Any:
        try:
            with explain_parser_errors(options, SUBJECT):
                return_value = original(*arguments, **named)
        except ConfigurationRefused as refused:
            end_as_preflight(refused)
        except (ValueError, TypeError, NotImplementedError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            end_as_preflight(ConfigurationRefused(options, SUBJECT, reason))

        on_success()
        return return_value

    vars(replacement)[ORIGINAL] = original
    setattr(owner, name, replacement)
    return original


def main(arguments: Sequence[str]) -> None:
    """Train, alone or as one of several processes. Raise SystemExit."""
    arguments = warm_up.wait_for_arguments(arguments, _prepare_training)
    agreement = process_group.get_process_agreement()
    if agreement is None:
        _run_trainer(arguments, SingleProcessStop())
        return
    with process_group.report_failures(agreement):
        process_group.attach_to_launcher()
        agreement.enter_rank()
        _run_trainer(arguments, _make_group_stop(agreement))
        agreement.leave_rank()


def _make_group_stop(agreement: ProcessAgreement) -> GroupStop:
    is_first = device.is_first_rank()
    if not read_group():
        return GroupStop(agreement, first=is_first)
    process_group.outlive_platform_signals(agreement)
    return NodesStop(agreement, RankStore(), first=is_first)


def find_policy_type(options: Sequence[str]) -> str:
    """Return the type of policy that options name, perhaps by the folder of one; empty if they do not."""
    if kind := get_option_value(options, "--policy.type"):
        return kind
    config = get_option_value(options, "--config_path")
    folder = Path(config).parent if config else Path(get_option_value(options, "--policy.path") or "")
    with suppress(OSError, ValueError):
        return str(policy.load_policy_settings(folder).get("type") or "")
    return ""


def _import_trainer() -> Any:
    ffmpeg_libraries.load_ffmpeg()  # LeRobot asks whether torchcodec loads
    return importlib.import_module(TRAINER)


def _prepare_training(options: Sequence[str]) -> None:
    """Import the trainer, and check its options if they are known already."""
    sys.argv = ["lerobot-train", *options]
    with quick_imports():
        _import_trainer()
        policy_packages.register_policies(find_policy_type(options))
    if options:
        check_training_configuration(options)


def _run_trainer(arguments: Sequence[str], stop_handler: StopHandler) -> None:
    """Run the trainer. Raise SystemExit with a sentence, or with the exit code of a trainer that was stopped."""
    separator = arguments.index("--")
    launcher_options = parse_launcher_options(arguments[:separator])
    trainer = list(arguments[separator + 1 :])
    if device.is_first_rank() and launcher_options.tag:
        emit_event(Track(tags=dict(tag.split("=", 1) for tag in launcher_options.tag)))
    if isinstance(stop_handler, NodesStop):
        stop_handler.require_same_start(launcher_options.first)
    if launcher_options.first >= int(get_option_value(trainer, "--steps") or 1):  # an earlier attempt finished
        return
    if device.is_first_rank() and TRAINER not in sys.modules:
        print(warm_up.LOADING, flush=True)
    with quick_imports():
        chosen_device = device.choose_device(launcher_options.device)
        if isinstance(stop_handler, NodesStop):
            stop_handler.require_same(chosen_device, device.name_hardware(chosen_device))
        trainer.append(f"--{launcher_options.trains}.device={chosen_device}")
        root = Path(get_option_value(trainer, "--dataset.root") or "")
        trainer += make_episode_options(launcher_options.exclude_episodes, root, trainer)
        if device.is_first_rank() and not launcher_options.first:
            _check_tables(launcher_options, trainer, root)
        trainer += hold_out_whole_bags(root, trainer)
        trainer += disable_empty_split(root, trainer)
        decoder = video_decoder.choose_decoder(root, trainer)
        if decoder.backend and not get_option_value(trainer, DECODER):
            trainer.append(f"{DECODER}={decoder.backend}")
        if isinstance(stop_handler, NodesStop):
            stop_handler.require_same_decoder(decoder.program)
        if device.is_first_rank():  # known only now: a task of one episode disables the split
            split = {"val_split": get_option_value(trainer, SPLIT_OPTION) or "0"}
            decodes = {"video_backend": decoder.backend, "video_decoder": decoder.program} if decoder.backend else {}
            emit_event(Track(params={**split, **decodes}))
        if device.is_first_rank():
            _note_data(launcher_options, root, has_chosen=parse_episodes(trainer) is not None)
        if not launcher_options.first:
            output = Path(get_option_value(trainer, "--output_dir") or "")
            with suppress(FileNotFoundError):  # several processes do this at once
                if output.is_dir() and not any(output.iterdir()):
                    output.rmdir()  # LeRobot rejects a folder that exists
        sys.argv = ["lerobot-train", *trainer]  # LeRobot reads it several times
        module = _import_trainer()
        policy_packages.register_policies(find_policy_type(trainer))
    if launcher_options.new_processors:
        trainer_fixes.rebuild_processors(module)
    if renames := get_option_value(trainer, RENAME_OPTION):
        trainer_fixes.rename_statistics(module, json.loads(renames))
    trainer_fixes.require_loaded_weights(module)
    trainer_fixes.keep_statistics(module)
    if launcher_options.computed_statistics:
        from robotrain_workloads.lerobot_train.computed_statistics import ComputedStatistics  # numpy starts threads

        episodes = parse_episodes(trainer)
        ComputedStatistics(root, episodes, are_relative=launcher_options.relative_statistics).install(module)
    if launcher_options.mixture:
        from robotrain_workloads.lerobot_mixture.training import install_mixture  # numpy starts threads

        samples = (int(get_option_value(trainer, name) or 0) for name in ("--steps", "--batch_size"))
        install_mixture(module, launcher_options.mixture, root, math.prod(samples) * launcher_options.ranks)
    if launcher_options.base:
        BasePolicy(launcher_options.base, launcher_options.base_reference).install(module)
    if launcher_options.weights:
        _place_weights(launcher_options)
    explain_refusals(trainer)
    if wandb.ENABLED_OPTION in trainer and device.is_first_rank():
        wandb.allow_unknown_runs()
    data_wait = None
    if device.is_first_rank():  # as LeRobot's log, it tells of the first process
        workers = int(get_option_value(trainer, "--num_workers") or 0)
        ways = (
            *frame_cache.list_ways(root, launcher_options.frame_cache),
            *filter(None, (launcher_options.cores_option,)),
        )
        data_wait = DataWait(workers, hardware.count_cores(), is_on_gpu=chosen_device != "cpu", other_ways=ways)
    checkpoint = Path(get_option_value(trainer, "--config_path") or "").parents[1] if launcher_options.first else None
    LoadingState(launcher_options.first, checkpoint).install(
        module
    )  # it saves before the monitor tells of a checkpoint
    monitor = TrainerMonitor(
        int(get_option_value(trainer, "--steps") or 0),
        stop_handler,
        launcher_options.first,
        allow_non_finite=launcher_options.allow_non_finite,
        ranks=(launcher_options.nodes, launcher_options.ranks, launcher_options.batch),
        earlier=_load_earlier_trainings(trainer),
        texts=read_dataset_texts(root),
        root=root,
        waits=data_wait,
        early_stop=_make_early_stop(launcher_options.stop_after, trainer, checkpoint),
    )
    monitor.install(module)
    draws = RandomDraws(launcher_options.first, loads_alone=launcher_options.loads_alone)
    draws.install(module)
    if launcher_options.measured_workers:
        requested_workers = int(get_option_value(trainer, "--num_workers") or 0)
        LoaderChoice(requested_workers, launcher_options.measured_workers, launcher_options.ranks, draws).install(
            module
        )
    data_errors.guard_frames()
    try:
        with frame_cache.start(root, trainer, launcher_options.frame_cache):
            module.main()
    except TrainingEnded:
        pass
    except Exception as error:
        if sentence := _explain_trainer_error(error, launcher_options, trainer, root):
            raise SystemExit(
                f"error: {episode_numbers.keep_excluded(sentence, launcher_options.exclude_episodes)}"
            ) from error
        raise
    finally:
        _kill_workers()
    monitor.require_finite_loss()


def _make_early_stop(patience: int, trainer: Sequence[str], checkpoint: Path | None) -> EarlyStop | None:
    """Return what ends the training early, with what it saw up to a checkpoint; None if nothing does."""
    if not patience or not float(get_option_value(trainer, SPLIT_OPTION) or 0):
        return None
    early_stop = EarlyStop(patience)
    if checkpoint is not None:
        early_stop.load(checkpoint)
    return early_stop


def _place_weights(launcher_options: argparse.Namespace) -> None:
    """Put the weights where torchvision looks for them. Raise SystemExit with a sentence."""
    try:
        warning = weights_file.place_weights(
            launcher_options.weights, launcher_options.weights_name, is_given=launcher_options.given_weights
        )
    except (OSError, weights_file.WeightsError) as error:
        raise SystemExit(f"error: {error}") from error
    if warning and device.is_first_rank():
        emit_event(Note(level="warning", text=warning))


def _find_problems(launcher_options: argparse.Namespace, trainer: Sequence[str], root: Path) -> list[DataFinding]:
    """Return why the tables of the dataset do not agree, for a trainer with these options. Raise as the comparison."""
    from robotrain_workloads.lerobot_data_check import dataset_tables  # numpy starts threads

    tolerance = get_option_value(trainer, TOLERANCE)
    chosen_episodes = parse_episodes(trainer)
    return dataset_tables.list_table_problems(
        LocalFiles(root),
        float(tolerance) if tolerance else None,
        None if chosen_episodes is None else {*chosen_episodes},
        allow_non_finite=launcher_options.allow_non_finite,
        **launcher_options.read_numbers,
    )


def _check_tables(launcher_options: argparse.Namespace, trainer: Sequence[str], root: Path) -> None:
    """End as preflight if the tables of the dataset do not agree, with what to do."""
    try:
        findings = _find_problems(launcher_options, trainer, root)
    except Exception as error:  # a form of tables that LeRobot may read nevertheless
        note_text = f"the tables of the dataset were not compared: {type(error).__name__}: {error}"
        emit_event(Note(level="warning", text=note_text))
        return
    if findings:
        end_as_preflight(ValueError(data_errors.REFUSED + "; ".join(map(str, findings))))


def _note_data(launcher_options: argparse.Namespace, root: Path, *, has_chosen: bool) -> None:
    """Tell what only the dataset's files show, which do not keep the training from running."""
    if has_chosen and not launcher_options.computed_statistics and not launcher_options.first:
        note_text = "numbers are normalized with the statistics of the whole dataset, of the other episodes too"
        emit_event(Note(level="info", text=note_text, ways=((statistics_needs.COMPUTED_WAY,),)))
    if launcher_options.reads_task:
        taskless_episodes = sum(not task.strip() for _, task in dataset.read_first_tasks(root))
        if taskless_episodes:
            emit_event(
                Note(
                    level="warning",
                    text=f"{taskless_episodes} episode(s) have no text of their task, which is trained on",
                )
            )


def _load_earlier_trainings(trainer: Sequence[str]) -> list[PolicyTraining]:
    """Return the known trainings of the policy that the trainer starts from."""
    config = get_option_value(trainer, "--config_path")
    paths = (get_option_value(trainer, f"--{model}.path") for model in ("policy", "reward_model"))
    start = next(filter(None, paths), "") or (str(Path(config).parent) if config else "")
    return training_history.load_trainings(Path(start)) if start else []


def _explain_trainer_error(
    error: Exception, launcher_options: argparse.Namespace, trainer: Sequence[str], root: Path
) -> str:
    """Return a sentence for known errors of LeRobot; else empty."""
    from robotrain_workloads.lerobot_data_check.decoding import find_unreadable_episodes  # numpy starts threads

    if mismatch := next((line.strip() for line in str(error).splitlines() if "size mismatch for" in line), ""):
        return f"the policy's weights do not match the network that its configuration describes: {mismatch}"
    return hub_cache.explain_missing_repository(error) or data_errors.explain_reading_error(
        error,
        root,
        lambda: _find_problems(launcher_options, trainer, root),
        lambda: find_unreadable_episodes(root, parse_episodes(trainer)),
    )


def _kill_workers() -> None:
    """Kill data-loading processes, which something may still hold.

    After a failure Python would wait for them forever; and PyTorch waits 5 s for each at exit where batches are pinned,
    as for a GPU, which the process holds meanwhile.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # PyTorch's handler would hide the real error
    for process in multiprocessing.active_children():
        process.kill()


if __name__ == "__main__":
    main(sys.argv[1:])
elif __name__ == "__mp_main__":  # a data-loading process: only the trainer handles a stop of the process group
    if process_group.get_process_agreement() is None:  # several trainers have process groups of their own
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ffmpeg_libraries.load_ffmpeg()
    data_errors.guard_frames()
    frame_cache.join()
    end_with_parent()  # PyTorch's own watch does not see the trainer's end while a batch waits to be taken
