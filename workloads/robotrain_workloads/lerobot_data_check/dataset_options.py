"""Options after `--` that say what is read of the dataset: episodes, frames, pictures; compared with its description.

LeRobot would refuse them on the machine of the job, once the data is there.
"""

import math
import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from robotrain_runtime.contract.problem import Problem, Suggestion, make_data_problem, suggest_leaving_out

from robotrain_workloads.lerobot import dataset, versions
from robotrain_workloads.lerobot.dataset_shares import MIXTURE
from robotrain_workloads.lerobot.episode_numbers import EXCLUDE_FLAG, EXCLUDED, leave_out
from robotrain_workloads.lerobot.job import LerobotJob
from robotrain_workloads.lerobot.option_values import RefusedValue, UnreadValue, is_true, read_value, read_yaml
from robotrain_workloads.lerobot.options import get_option_value
from robotrain_workloads.lerobot.start import SPLIT_KEY
from robotrain_workloads.lerobot.trained_model import TrainedModel
from robotrain_workloads.option_kinds import find_near_option

EPISODES, TOLERANCE, BACKEND = "--dataset.episodes", "--tolerance_s", "--dataset.video_backend"
STREAMING, MOST_TRANSFORMS = "--dataset.streaming", "--dataset.image_transforms.max_num_transforms"
TRANSFORMS = "--dataset.image_transforms.enable"
WEIGHTING, PROGRESS = "--sample_weighting.type", "--sample_weighting.progress_path"
NO_LOADER = f"{STREAMING}=true reads nothing without a process that loads data"
BACKENDS = ("pyav", "torchcodec", "video_reader")
"""What LeRobot 0.6 decodes videos with."""
WEIGHTINGS, PROGRESS_FILE = ("rabc", "uniform"), "sarm_progress.parquet"
LOCAL_KIND = "local_path"
"""The kind of a source whose description is the folder itself."""
NUMBER = re.compile(r"[+-]?\d*\.?\d+(?:[eE][+-]?\d+)?")
EPISODES_KIND = {"any of": [{"each": "int"}, "null"]}
"""The type of `--dataset.episodes`, as `options.json` has it."""
MOST_NAMED = 5
LONGEST_WAY = 2000
"""Characters of a remedy that people may still paste."""


class EpisodesRefused(ValueError):
    """A value of --dataset.episodes that LeRobot does not read."""

    def __init__(self, sentence: str, meant: Sequence[int] | None) -> None:
        super().__init__(sentence)
        self.finding = make_data_problem(sentence, _format_way(meant))


class Recorded(NamedTuple):
    """The episodes of a job's datasets, which are numbered through in the order of the datasets."""

    names: Sequence[str]
    counts: Sequence[int]

    @property
    def total(self) -> int:
        """The episodes of all."""
        return sum(self.counts)

    def describe(self) -> str:
        """Return how many there are, and their numbers."""
        range_text = f"{self.total} episode{'s' * (self.total != 1)}, " + _describe_range(0, self.total)
        if len(self.counts) == 1:
            return f"the dataset has {range_text}"
        first_number, range_texts = 0, []
        for name, count in zip(self.names, self.counts, strict=True):
            range_texts.append(f"{_describe_range(first_number, count)} of {name}")
            first_number += count
        return f"the datasets have {range_text} together: {', '.join(range_texts)}"


def _describe_range(first_number: int, count: int) -> str:
    return f"{first_number} to {first_number + count - 1}" if count > 1 else str(first_number)


def find_problems(job: LerobotJob) -> Iterator[Problem | str]:
    """Yield one sentence for each option that LeRobot would refuse for the dataset, which is valid."""
    streams = is_streamed(job)
    model = job.model if job.is_start_known else None
    if not streams:
        refused_problems = list(_find_episode_problems(job))
        refused_problems = refused_problems or list(_find_exclusion_problems(job))
        yield from refused_problems or _find_mixture_problems(job)
    elif job.parameters[EXCLUDED]:
        streamed_text = f"{EXCLUDE_FLAG} has no effect with {STREAMING}=true: LeRobot streams all episodes"
        yield make_data_problem(streamed_text, suggest_leaving_out(STREAMING))
    yield from _find_tolerance_problems(job, model)
    yield from _find_picture_problems(job)
    yield from _find_weighting_problems(job, model)
    if streams and job.parameters["num_workers"] == 0:
        yield make_data_problem(NO_LOADER, "--num-workers 1")


def list_warnings(job: LerobotJob) -> Iterator[str]:
    """Yield a sentence for what LeRobot accepts, though it is probably not what is meant."""
    if is_streamed(job) and job.options.get(EPISODES) is not None:
        yield f"{EPISODES} has no effect with {STREAMING}=true: LeRobot streams all episodes"
    yield from _list_split_warnings(job)


def _list_split_warnings(job: LerobotJob) -> Iterator[str]:
    """Yield a sentence if no episode would be left to train on, so that robotrain holds none out.

    Each task keeps its own episodes: of several only the trainer's machine knows how many each has.
    """
    held_out_part = float(job.parameters["val_split"] or 0)
    recorded_episodes = count_recorded(job)
    if (
        not held_out_part
        or job.parameters["eval_freq"] == 0
        or recorded_episodes is None
        or len(recorded_episodes.counts) != 1
    ):
        return
    with suppress(ValueError):
        count = len(list_trained(job, recorded_episodes.total))
        if job.info.get("total_tasks") == 1 and dataset.find_emptied_tasks({"": count}, held_out_part):
            episodes = f"{count} episode{'s' * (count != 1)}"
            yield (
                f"no episodes are held out, so there is no val/loss: --val-split {held_out_part:g} of {episodes} "
                "leaves none"
            )


def is_streamed(job: LerobotJob) -> bool:
    """Return whether training streams the data: LeRobot does so only when no episodes are held out."""
    is_split = job.parameters["val_split"] and job.parameters["eval_freq"] != 0
    return job.option_values.get(STREAMING) is True and not is_split


def is_streamed_by(options: Sequence[str]) -> bool:
    """Return the same of the options of LeRobot's command line."""
    holds_out = float(get_option_value(options, f"--dataset.{SPLIT_KEY}") or 0) > 0
    return is_true(get_option_value(options, STREAMING)) and not holds_out


def count_recorded(job: LerobotJob) -> Recorded | None:
    """Return the episodes of the job's datasets; None unless all are described."""
    sources = [source for source in job.sources if source.role == "dataset"]
    if len(sources) != len(job.datasets):
        return None
    with suppress(OSError, ValueError, KeyError, TypeError):
        if sources and (job.folders[sources[0]] / dataset.SIZES_FILE).is_file():  # they are merged already
            sources = sources[:1]
        counts = [int(dataset.load_dataset_info(job.folders[source])["total_episodes"]) for source in sources]
        return Recorded([source.uri for source in sources], counts)
    return None


def list_trained(job: LerobotJob, total: int) -> list[int]:
    """Return the episodes that are trained on, of so many in the datasets. Raise ValueError with a sentence."""
    return leave_out(job.parameters[EXCLUDED], total, parse_episodes(job.options.get(EPISODES) or "null"))


def parse_episodes(text: str) -> list[int] | None:
    """Return the numbers; None for all episodes, and for what only LeRobot can read. Raise EpisodesRefused."""
    try:
        episode_numbers: list[int | None] | None = read_value(text, EPISODES_KIND)
    except UnreadValue:
        return None
    except RefusedValue:
        raise _explain_episodes(text) from None
    if episode_numbers is None:
        return None
    if None in episode_numbers:  # LeRobot's parser takes it
        raise _explain_episodes(text)
    return [number for number in episode_numbers if number is not None]


def _explain_episodes(episodes_text: str) -> EpisodesRefused:
    """Return why LeRobot does not read a value, with the numbers that are meant."""
    with suppress(RefusedValue, UnreadValue):
        episode_items = read_yaml(episodes_text)
        if isinstance(episode_items, list):
            wrong_item = next(
                episode_item
                for episode_item in episode_items
                if not isinstance(episode_item, int) and not str(episode_item).isdecimal()
            )
            is_meant = all(
                NUMBER.fullmatch(str(episode_item)) and float(episode_item).is_integer()
                for episode_item in episode_items
            )
            meant_episodes = [int(float(episode_item)) for episode_item in episode_items] if is_meant else None
            return EpisodesRefused(f"{EPISODES} takes whole numbers, and {str(wrong_item)!r} is none", meant_episodes)
    match = re.fullmatch(r"\(?\s*(\d+(?:\s*,\s*\d+)*)\s*,?\s*\)?", episodes_text.strip())
    meant_episodes = [int(part) for part in match[1].split(",")] if match else None
    return EpisodesRefused(f"{EPISODES} takes a list of numbers, not {episodes_text!r}", meant_episodes)


def _find_episode_problems(job: LerobotJob) -> Iterator[Problem | str]:
    episodes_text = job.options.get(EPISODES)
    if episodes_text is None:
        return
    try:
        chosen_episodes = parse_episodes(episodes_text)
    except EpisodesRefused as refused:
        yield refused.finding
        return
    if chosen_episodes is None:
        return
    recorded_episodes = count_recorded(job)
    existing_episodes = [
        number
        for number in dict.fromkeys(chosen_episodes)
        if number >= 0 and (recorded_episodes is None or number < recorded_episodes.total)
    ]
    missing_episodes = [
        number
        for number in chosen_episodes
        if number < 0 or (recorded_episodes is not None and number >= recorded_episodes.total)
    ]
    description = f": {recorded_episodes.describe()}" if recorded_episodes else ""
    if not chosen_episodes:
        yield make_data_problem(f"{EPISODES}=[] leaves nothing to train on{description}", _format_way(None))
    elif missing_episodes:
        range_text = recorded_episodes.describe() if recorded_episodes else "episodes are counted from 0"
        yield make_data_problem(
            f"{EPISODES} names {_list_numbers(missing_episodes)}, and {range_text}", _format_way(existing_episodes)
        )
    elif len(existing_episodes) < len(chosen_episodes):
        repeated_episodes = [number for number in existing_episodes if chosen_episodes.count(number) > 1]
        yield make_data_problem(
            f"{EPISODES} names {_list_numbers(repeated_episodes)} twice", _format_way(existing_episodes)
        )


def _find_exclusion_problems(job: LerobotJob) -> Iterator[Problem | str]:
    """Yield why episodes cannot be left out: the datasets do not have them, or no others."""
    excluded, recorded_episodes = job.parameters[EXCLUDED], count_recorded(job)
    if not excluded or recorded_episodes is None:
        return
    episodes_text = job.options.get(EPISODES)
    if job.option_values.get(EPISODES) is not None and parse_episodes(episodes_text or "null") is None:
        yield f"{EPISODES} takes plain numbers with {EXCLUDE_FLAG}, not {episodes_text!r}"
        return
    try:
        list_trained(job, recorded_episodes.total)
    except ValueError as error:
        yield f"{error} ({recorded_episodes.describe()})" if len(recorded_episodes.counts) > 1 else str(error)


def _find_mixture_problems(job: LerobotJob) -> Iterator[Problem]:
    """Yield why a dataset of a mixture cannot be drawn from: none of its episodes is trained on."""
    recorded_episodes = count_recorded(job) if job.parameters.get(MIXTURE) else None
    if recorded_episodes is None or len(recorded_episodes.counts) < 2:
        return
    flag = EXCLUDE_FLAG if job.parameters[EXCLUDED] else EPISODES
    trained_episodes = {*list_trained(job, recorded_episodes.total)}
    first_number = 0
    for name, count in zip(recorded_episodes.names, recorded_episodes.counts, strict=True):
        if trained_episodes.isdisjoint(range(first_number, first_number + count)):
            numbers = _describe_range(first_number, count)
            all_text = f"all {count} of its episodes, {numbers}" if count > 1 else f"its only episode, {numbers}"
            values = f"{EXCLUDE_FLAG} NUMBERS" if flag == EXCLUDE_FLAG else _format_way(None)
            yield make_data_problem(
                f"no episode of {name} is trained on: {flag} leaves out {all_text}",
                Suggestion(values, "or train without this dataset"),
            )
        first_number += count


def _list_numbers(numbers: Sequence[int]) -> str:
    unique_numbers = dict.fromkeys(numbers)
    omitted_count = len(dict.fromkeys(numbers)) - MOST_NAMED
    return ", ".join(map(str, list(unique_numbers)[:MOST_NAMED])) + (
        f" and {omitted_count} more" if omitted_count > 0 else ""
    )


def _format_way(episodes: Sequence[int] | None) -> str:
    """Return the remedy; a form where nobody knows which episodes are meant."""
    numbers_text = f"[{','.join(map(str, episodes))}]" if episodes else "[NUMBER,…]"
    option = f"{EPISODES}={numbers_text if len(numbers_text) <= LONGEST_WAY else '[NUMBER,…]'}"
    return f"-- {shlex.quote(option)}"


def _find_tolerance_problems(job: LerobotJob, model: TrainedModel | None) -> Iterator[Problem | str]:
    """Yield why no frame would be found: policies compare times of actions, videos those of pictures."""
    if TOLERANCE not in job.option_values:
        return
    tolerance_text, tolerance_value = job.options[TOLERANCE], job.option_values[TOLERANCE]
    tolerance = math.nan if tolerance_value is None else tolerance_value
    if not isinstance(tolerance, float):  # reported elsewhere
        return
    has_actions = model is not None and model.section == versions.POLICIES
    reads_videos = dataset.has_video(job.info)
    if (reads_videos and not tolerance > 0) or (has_actions and not tolerance >= 0):
        way = f"-- {TOLERANCE}={0.25 / job.info['fps']:g}"
        yield make_data_problem(
            f"{TOLERANCE}={tolerance_text}: no frame of the dataset is nearer than that to its time", way
        )


def _find_picture_problems(job: LerobotJob) -> Iterator[Problem | str]:
    backend = job.option_values.get(BACKEND)
    if backend is not None and backend not in BACKENDS and dataset.has_video(job.info):
        nearest_backend = find_near_option(str(backend).lower(), BACKENDS) or BACKENDS[0]
        takes = f"LeRobot decodes videos with {' or '.join(BACKENDS[:2])}"
        yield make_data_problem(f"{BACKEND}={backend}: {takes}", f"-- {BACKEND}={nearest_backend}")
    most_transforms = job.option_values.get(MOST_TRANSFORMS)
    if job.option_values.get(TRANSFORMS) is True and isinstance(most_transforms, int) and most_transforms < 0:
        yield make_data_problem(
            f"{MOST_TRANSFORMS} must not be negative, and is {most_transforms}",
            f"-- {MOST_TRANSFORMS}={-most_transforms}",
        )


def _find_weighting_problems(job: LerobotJob, model: TrainedModel | None) -> Iterator[Problem | str]:
    is_meant = any(name.startswith("--sample_weighting.") for name in job.options)
    kind = str(job.option_values.get(WEIGHTING) or (WEIGHTINGS[0] if is_meant else ""))
    if not kind:
        return
    if model and model.kind in model.lerobot.policies and not model.facts.weighs_samples:
        fitting_types = [
            name for name, facts in model.lerobot.policies.items() if facts.weighs_samples and not facts.refused
        ]
        yield f"{model.kind} does not take weighted samples ({WEIGHTING}={kind}): {', '.join(fitting_types)} do"
    elif kind not in WEIGHTINGS:
        nearest_weighting = find_near_option(kind, WEIGHTINGS)
        problem_text = f"LeRobot has no {WEIGHTING}={kind}, only {' and '.join(WEIGHTINGS)}"
        yield make_data_problem(problem_text, f"-- {WEIGHTING}={nearest_weighting}" if nearest_weighting else "")
    elif kind == WEIGHTINGS[0] and not job.option_values.get(PROGRESS):
        sources = [source for source in job.sources if source.role == "dataset"]
        is_data_here = job.is_complete or all(source.kind == LOCAL_KIND for source in sources)
        if len(sources) > 1 or (is_data_here and job.root and not (job.root / PROGRESS_FILE).is_file()):
            problem_text = "merged datasets lack" if len(sources) > 1 else "it lacks"
            remedy_text = "`python -m lerobot.rewards.sarm.compute_rabc_weights` makes it"
            yield f"{WEIGHTING}={kind} reads {PROGRESS_FILE} of the dataset, which {problem_text}: {remedy_text}"
