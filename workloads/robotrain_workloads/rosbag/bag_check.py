"""Bags compared with the job before it is sent: opened, and the first of them read as the conversion does.

A training reads every bag, and stops at the first that does not fit. That takes an environment and a machine: what a
second of reading tells is said before.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from robotrain_runtime.contract.document import Scalar
from robotrain_runtime.contract.problem import Problem, Suggestion, make_data_problem

from robotrain_workloads import bag_parameters
from robotrain_workloads.bag_parameters import COMPRESSED_SUFFIX
from robotrain_workloads.lerobot.policy_features import STATE, WORLD
from robotrain_workloads.rosbag.bag_files import Bag, BagError, Topic, UnknownBag, open_bag, select_bags
from robotrain_workloads.rosbag.episodes import BagReading, make_episodes, read_messages
from robotrain_workloads.rosbag.number_types import describe_topics
from robotrain_workloads.rosbag.settings import (
    DataSettings,
    find_topic_problems,
    list_action_candidates,
    suggest_settings,
)

OPEN_SECONDS = 1.0
"""How long bags are opened; damage in the others is said by the job."""
READ_SECONDS = 0.3
"""How long bags are read: the first of many, the others by the job."""


class BagFindings(NamedTuple):
    """What the bags of a job show at a glance."""

    problems: list[Problem]
    """Each reason why the training would stop."""
    features: frozenset[str] | None = None
    """The inputs that the dataset will have, its cameras among them; None if not all bags could be opened."""


def check_bags(folders: Sequence[Path], values: Mapping[str, Scalar]) -> BagFindings:
    """Return what the bags of a job show at a glance; topics that it does not name are guessed from all bags.

    :param values: the parameters of the job.
    """
    given = bag_parameters.make_settings(bag_parameters.list_given(values))
    try:
        bags = [bag for folder_bags in select_bags(folders, given.get("exclude_bags", ())) for bag in folder_bags]
    except UnknownBag as error:
        names = [error.near[0] if name == error.name else name for name in given["exclude_bags"] if error.near]
        return BagFindings([make_data_problem(str(error), f"--exclude-bags {','.join(names)}" if names else "")])
    except (BagError, OSError) as error:
        return BagFindings([make_data_problem(str(error))])
    found: dict[Problem, list[Path]] = {}
    topics_by_bag: dict[Bag, Mapping[str, Topic]] = {}
    deadline = time.monotonic() + OPEN_SECONDS
    for bag in bags:
        if any(file.suffix == COMPRESSED_SUFFIX for file in bag.files):  # to decompress it takes as long as to read it
            continue
        try:
            with open_bag(bag) as opened_bag:
                topics_by_bag[bag] = opened_bag.topics
        except BagError as error:
            found.setdefault(make_data_problem(error.why), []).append(error.file)
        if time.monotonic() > deadline:
            break
    is_complete = len(topics_by_bag) == len(bags)
    settings = suggest_settings([*topics_by_bag.values()], {}) if is_complete else DataSettings()
    settings = dataclasses.replace(settings, **given)
    is_action_open = is_complete and "action_topic" not in given and not settings.action_topic
    for bag, topics in topics_by_bag.items():
        problems = [*find_topic_problems(topics, settings)]
        if is_action_open:
            problems += _find_open_action(topics, settings)
        for problem in problems:
            found.setdefault(problem, []).append(bag.path)
    if bag_parameters.is_action_the_state(vars(settings)):
        ways = (f"--action-topic {bag_parameters.NO_TOPIC}", "--state-topic TOPIC")
        found[make_data_problem(bag_parameters.ACTION_IS_STATE, *ways)] = [bags[0].path]
    if not found and (settings.state_topic or settings.action_topic):
        readings = _read_bags([*topics_by_bag], settings, found, has_rate="fps" in given)
        if not found and len(readings) == len(bags) and not any(reading.episodes for reading in readings):
            found[make_data_problem("no bag makes an episode")] = [bag.path for bag in bags]
    features = {
        **{f"observation.images.{camera}": True for camera in settings.image_topics.values()},
        **{STATE: settings.state_topic, WORLD: settings.environment_state_topic},
    }
    titled_problems = [
        dataclasses.replace(problem, title=f"{_describe_bags(paths)}: {problem.title}")
        for problem, paths in found.items()
    ]
    return BagFindings(titled_problems, frozenset(filter(features.get, features)) if is_complete else None)


def _find_open_action(topics: Mapping[str, Topic], settings: DataSettings) -> list[Problem]:
    """Ask which topic is the action: where one has numbers that nobody reads, it is not the next state unsaid."""
    candidates = list_action_candidates(topics, settings)
    if not candidates:
        return []
    ways = [Suggestion(f"--action-topic {name}") for name in candidates]
    ways.append(Suggestion(f"--action-topic {bag_parameters.NO_TOPIC}", bag_parameters.NEXT_STATE))
    return [make_data_problem(f"no action is named, and it may be in {describe_topics(candidates)}", *ways)]


def _read_bags(
    bags: Sequence[Bag], settings: DataSettings, found: dict[Problem, list[Path]], *, has_rate: bool
) -> list[BagReading]:
    """Read bags as long as there is time, and return the episodes of those that were read whole.

    :param found: takes why the training would stop at a bag.
    :param has_rate: whether the job names its rate: else that is guessed from all messages of all bags.
    """
    deadline = time.monotonic() + READ_SECONDS
    joints: Mapping[str, tuple[str, ...]] = {}
    readings: list[BagReading] = []
    for bag in bags:
        try:
            messages = read_messages(bag, settings, joints, deadline)
            joints = messages.joints
            if messages.is_whole and has_rate:
                readings.append(make_episodes(messages, settings))
                if problem := readings[-1].problem:
                    found.setdefault(make_data_problem(problem), []).append(bag.path)
        except BagError as error:
            found.setdefault(make_data_problem(error.why, error.way), []).append(error.file)
        if time.monotonic() > deadline:
            break
    return readings


def _describe_bags(paths: Sequence[Path]) -> str:
    other_count = len({*paths}) - 1
    others_text = f" and {other_count} other bag{'s' * (other_count != 1)}" if other_count else ""
    return f"{paths[0]}{others_text}"
