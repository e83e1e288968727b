"""The options of LeRobot's trainer that are known only where it runs: device, episodes, split and decoder."""

import argparse
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from robotrain_runtime.contract.event import Note, Track, emit_event

from robotrain_workloads.dataset_check import statistics_needs
from robotrain_workloads.dataset_check.findings import Finding
from robotrain_workloads.exit_status import end_as_preflight
from robotrain_workloads.lerobot import data_errors, dataset, device
from robotrain_workloads.lerobot.options import get_option_value
from robotrain_workloads.lerobot_train import video_decoder
from robotrain_workloads.lerobot_train.episode_options import (
    SPLIT_OPTION,
    choose_episode_order,
    disable_empty_split,
    hold_out_whole_bags,
    make_episode_options,
    note_mixture_split,
    parse_episodes,
)
from robotrain_workloads.lerobot_train.trainer_options import DECODER, TOLERANCE
from robotrain_workloads.lerobot_training.process_group import NodesStop, StopHandler


def get_dataset_folder(options: Sequence[str]) -> Path:
    """Return the folder of the dataset that options of LeRobot's name."""
    return Path(get_option_value(options, "--dataset.root") or "")


def complete_options(
    options: Sequence[str], launcher_options: argparse.Namespace, stop_handler: StopHandler
) -> list[str]:
    """Return LeRobot's options with those that depend on this machine and on the dataset, and tell what was chosen.

    Raise SystemExit as preflight for data that cannot be trained on.
    """
    root = get_dataset_folder(options)
    chosen_device = device.choose_device(launcher_options.device)
    if isinstance(stop_handler, NodesStop):
        stop_handler.require_same(chosen_device, device.name_hardware(chosen_device))
    options = [*options, f"--{launcher_options.trains}.device={chosen_device}"]
    options += make_episode_options(launcher_options.exclude_episodes, root, options)
    if device.is_first_rank() and not launcher_options.first:
        _check_tables(launcher_options, options, root)
    episode_order = choose_episode_order(root, options, launcher_options)
    options += hold_out_whole_bags(root, options, episode_order)
    options += disable_empty_split(root, options)
    if launcher_options.mixture:
        note_mixture_split(root, options, launcher_options)
    decoder = video_decoder.choose_decoder(root, options)
    if decoder.backend and not get_option_value(options, DECODER):
        options.append(f"{DECODER}={decoder.backend}")
    if isinstance(stop_handler, NodesStop):
        stop_handler.require_same_decoder(decoder.program)
    if device.is_first_rank():  # known only now: a task of one episode disables the split
        split = {"val_split": get_option_value(options, SPLIT_OPTION) or "0"}
        decodes = {"video_backend": decoder.backend, "video_decoder": decoder.program} if decoder.backend else {}
        emit_event(Track(params={**split, **decodes}))
        note_data(launcher_options, root, has_chosen=parse_episodes(options) is not None)
    return options


def remove_empty_output(options: Sequence[str]) -> None:
    """Remove an empty folder for outputs: LeRobot rejects one that exists."""
    output = Path(get_option_value(options, "--output_dir") or "")
    with suppress(FileNotFoundError):  # several processes do this at once
        if output.is_dir() and not any(output.iterdir()):
            output.rmdir()


def find_problems(launcher_options: argparse.Namespace, options: Sequence[str], root: Path) -> list[Finding]:
    """Return why the tables of the dataset do not agree, for a training with these options. Raise as the comparison."""
    from robotrain_workloads.dataset_check import checks  # numpy starts threads
    from robotrain_workloads.dataset_check.load import Training

    tolerance = get_option_value(options, TOLERANCE)
    training = Training(
        parse_episodes(options),
        float(tolerance) if tolerance else None,
        launcher_options.allow_non_finite,
        **launcher_options.read_numbers,
    )
    return checks.check_tables(root, training)[1]


def _check_tables(launcher_options: argparse.Namespace, options: Sequence[str], root: Path) -> None:
    """End as preflight if the tables of the dataset do not agree, with what to do."""
    try:
        findings = find_problems(launcher_options, options, root)
    except Exception as error:  # a form of tables that LeRobot may read nevertheless
        note_text = f"the tables of the dataset were not compared: {type(error).__name__}: {error}"
        emit_event(Note(level="warning", text=note_text))
        return
    if findings:
        end_as_preflight(data_errors.REFUSED + "; ".join(map(str, findings)))


def note_data(launcher_options: argparse.Namespace, root: Path, *, has_chosen: bool) -> None:
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
