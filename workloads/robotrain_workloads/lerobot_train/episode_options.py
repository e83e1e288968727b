"""The episodes that LeRobot's trainer reads, and whether some are held out: options that the dataset itself decides."""

import math
from collections.abc import Collection, Sequence
from pathlib import Path

from robotrain_runtime.contract.event import Track, emit_event, emit_note

from robotrain_workloads.dataset_check import dataset_options
from robotrain_workloads.exit_status import end_as_preflight
from robotrain_workloads.lerobot import dataset, dataset_preparation, device, episode_numbers, file_formats
from robotrain_workloads.lerobot.options import get_option_value
from robotrain_workloads.lerobot_mixture.episode_split import MixtureEpisodes
from robotrain_workloads.lerobot_train.request import TrainingRequest

SPLIT_OPTION, EPISODES_OPTION = "--dataset.eval_split", "--dataset.episodes"


def read_held_out_part(arguments: Sequence[str]) -> float:
    """Return which part of the episodes of each task is held out."""
    return float(get_option_value(arguments, SPLIT_OPTION) or 0)


def disable_empty_split(root: Path, arguments: Sequence[str]) -> list[str]:
    """Return options that disable the held-out split, with a note, if a task would lose its only episodes."""
    held_out_part = read_held_out_part(arguments)
    if not held_out_part:
        return []
    emptied_tasks = dataset.find_emptied_tasks(
        dataset.count_episodes_by_task(root, parse_episodes(arguments)), held_out_part
    )
    if not emptied_tasks:
        return []
    if device.is_first_rank():
        note_text = (
            f"no episodes are held out, so there is no val/loss: {held_out_part:g} of each task leaves no training "
            "episodes for"
            f" {len(emptied_tasks)} task(s), such as {emptied_tasks[0]!r}"
        )
        emit_note(note_text, "warning")
    return [f"{SPLIT_OPTION}=0", "--eval_steps=0"]


def hold_out_whole_bags(
    root: Path, arguments: Sequence[str], chosen_episodes: Collection[int] | None = None
) -> list[str]:
    """Return the option with which LeRobot holds out all episodes of a bag, or none; empty for a dataset without bags.

    LeRobot holds out the last episodes. If some of a bag's are among them, its others are held out as well.

    :param chosen_episodes: those that LeRobot reads, in its order; None for all.
    """
    held_out_part = read_held_out_part(arguments)
    sizes = dataset_preparation.read_bag_episodes(root)
    if not held_out_part or not sizes:
        return []
    bags = [bag for bag, count in enumerate(sizes) for _ in range(count)]
    owners = bags if chosen_episodes is None else [bags[episode] for episode in chosen_episodes if episode < len(bags)]
    split_start = len(owners) - math.ceil(len(owners) * held_out_part)
    if split_start <= 0:  # nothing would be left: said elsewhere
        return []
    held_out_start = split_start
    while held_out_start and owners[held_out_start - 1] == owners[split_start]:
        held_out_start -= 1
    if not held_out_start:  # of the first bag
        held_out_start = next((bag_start for bag_start, owner in enumerate(owners) if owner != owners[0]), len(owners))
    if held_out_start == split_start:
        return []
    count = len(owners) - held_out_start
    if device.is_first_rank():
        held_bags = len(set(owners[held_out_start:]))
        note_text = f"{count} of {len(owners)} episodes are held out: those of {held_bags} bag{'s' * (held_bags != 1)}"
        emit_note(note_text if count else "no episodes are held out: all are of one bag")
    # LeRobot takes the next greater whole number of the product
    return [f"{SPLIT_OPTION}={(count - 0.5) / len(owners):.9f}"] if count else [f"{SPLIT_OPTION}=0", "--eval_steps=0"]


def choose_episode_order(root: Path, arguments: Sequence[str], request: TrainingRequest) -> Collection[int] | None:
    """Return the episodes that are read, in the order of which the last ones are held out; None for LeRobot's own.

    Those of a mixture have an order of ours, which a later attempt finds in the configuration of its checkpoint.
    """
    chosen_episodes = parse_episodes(arguments)
    if not request.mixture or request.first:
        return chosen_episodes
    mixture_episodes = _read_mixture_episodes(root, request)
    return mixture_episodes.order(chosen_episodes, read_held_out_part(arguments)) or chosen_episodes


def note_mixture_split(root: Path, arguments: Sequence[str], request: TrainingRequest) -> None:
    """Tell how many episodes of each dataset are held out. Raise SystemExit with a sentence if all of one are."""
    held_out_part = read_held_out_part(arguments)
    episode_order = choose_episode_order(root, arguments, request)
    text = _read_mixture_episodes(root, request).describe_split(episode_order, held_out_part)
    if held_out_part and device.is_first_rank():
        emit_note(f"episodes held out for val/loss: {text}")


def _read_mixture_episodes(root: Path, request: TrainingRequest) -> MixtureEpisodes:
    return MixtureEpisodes(root, [name for name, _ in request.mixture])


def make_episode_options(excluded: str, root: Path, arguments: Sequence[str]) -> list[str]:
    """Return the option with the episodes that are trained on, with a note; none without episodes to leave out.

    They are known here, after several datasets have become one, and a line of a command could not hold thousands.
    """
    chosen_episodes = parse_episodes(arguments)
    if not excluded and chosen_episodes is None:
        return []
    total = int(dataset.load_dataset_info(root)["total_episodes"])
    try:
        remaining = episode_numbers.leave_out(excluded, total, chosen_episodes)
    except ValueError as error:
        end_as_preflight(error)
    if device.is_first_rank():
        count = f"{len(remaining)} of {total}"
        emit_event(Track(params={"episodes": count}))
        without_text = f", without {excluded}" if excluded else ""
        emit_note(
            f"training on {count} episodes{without_text}",
            ways=((f"{episode_numbers.EXCLUDE_FLAG} none",),) if excluded else (),
        )
    return [f"{EPISODES_OPTION}=[{','.join(map(str, remaining))}]"] if excluded else []


def parse_episodes(arguments: Sequence[str]) -> Collection[int] | None:
    """Return the episodes of `--dataset.episodes=[0,1]`, else those of the checkpoint that is resumed.

    None for all, and for values that only LeRobot can read.
    """
    episodes_text = get_option_value(arguments, EPISODES_OPTION)
    config = get_option_value(arguments, "--config_path")
    try:
        if episodes_text is None and config:
            saved_episodes = (file_formats.read_json_object(Path(config)).get("dataset") or {}).get("episodes")
            return saved_episodes if isinstance(saved_episodes, list) else None
        return dataset_options.parse_episodes(episodes_text or "null")
    except (OSError, ValueError):
        return None
