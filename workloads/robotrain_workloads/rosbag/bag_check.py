"""Bags compared with the job before they are read: topics, joints, and some pictures. Standard library only.

A training reads every bag, and stops at the first that does not fit. That takes an environment and a machine: what the
files tell at a glance is said before.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from robotrain_runtime.contract.document import Scalar
from robotrain_runtime.contract.problem import Problem, Suggestion, make_data_problem

from robotrain_workloads import bag_parameters
from robotrain_workloads.lerobot.policy_features import STATE, WORLD
from robotrain_workloads.option_kinds import find_near_option
from robotrain_workloads.rosbag import SLOW_FACTOR, bag_probe, explain_clocks
from robotrain_workloads.rosbag.bag_files import (
    Bag,
    BagError,
    Topic,
    UnknownBag,
    check_files,
    select_bags,
)
from robotrain_workloads.rosbag.bag_probe import ProbedTopic
from robotrain_workloads.rosbag.number_types import (
    FIXED_NAMES,
    JOINT_TYPE,
    NUMBER_TYPES,
    describe_topics,
    list_unused_numbers,
)
from robotrain_workloads.rosbag.picture_formats import find_encoding_problem, find_visible_damage
from robotrain_workloads.rosbag.settings import suggest_settings

BUDGET_SECONDS = 0.12
"""How long bags are looked at: the first of many, the others by the job."""
LENGTH_MARGIN = 1.05
"""How much longer a bag may be than the times of its recording say: header stamps are others."""
FILES_SECONDS = 1.0
"""How long the beginnings of files are, which is some thousands of them."""
SHORTEST_EPISODE = 2
"""Steps of the shortest piece of a bag that is converted; a policy pads it to its chunk."""
IMAGES = (bag_probe.IMAGE, bag_probe.COMPRESSED_IMAGE)
TOPICS = {"state_topic": "joint_names", "environment_state_topic": "", "action_topic": "action_joint_names"}
"""The parameters with a topic of numbers, and those with the names of its joints."""
FEATURES = {"state_topic": STATE, "environment_state_topic": WORLD}
"""The inputs of a policy that these topics become."""


class BagCheck:
    """What the bags of a job show at a glance.

    Topics that the job does not name, and a rate, are guessed from the bags.

    :param values: the parameters of the job.
    """

    def __init__(self, values: Mapping[str, Scalar]) -> None:
        self._values = values
        images = bag_parameters.read_topic(_get_text(values["image_topics"]))
        self._cameras = bag_parameters.parse_cameras(images or "")
        named = {name: bag_parameters.read_topic(_get_text(values[name])) for name in TOPICS}
        self._topics = {name: topic for name, topic in named.items() if topic}
        self._problems: dict[Problem, list[Path]] = {}
        """The bags of each."""
        self._steps: list[int] = []
        """The most steps of each bag whose length is known."""
        self._probed: list[Mapping[str, ProbedTopic]] = []
        """The topics of each bag that could be read."""
        self.features: frozenset[str] | None = None
        """The inputs that the dataset will have, its cameras among them; None if not all bags could be read."""
        self.warnings: list[str] = []
        """What may stop the training."""

    def find_problems(self, folders: Sequence[Path]) -> list[Problem]:
        """Return each reason why the training would stop."""
        excluded = bag_parameters.parse_names(_get_text(self._values["exclude_bags"]))
        try:
            bags = [bag for folder_bags in select_bags(folders, excluded) for bag in folder_bags]
        except UnknownBag as error:
            near = [error.near[0] if name == error.name else name for name in excluded] if error.near else ()
            return [make_data_problem(str(error), f"--exclude-bags {','.join(near)}" if near else "")]
        except (BagError, OSError) as error:
            return [make_data_problem(str(error))]
        unreadable = self._check_files(bags) if not self._values["salvage"] else []
        end = time.monotonic() + BUDGET_SECONDS
        for number, bag in enumerate([bag for bag in bags if bag not in unreadable]):
            if number and time.monotonic() > end:
                break
            try:
                self._check_bag(bag, end)
            except BagError as error:
                self._add_problem(error.file, error.why, error.way)
            except OSError:  # the job says it
                continue
        self._check_lengths(folders, bags)
        if len(self._probed) == len(bags):
            self._check_guesses(bags)
        problems = self._problems.items()
        return [
            dataclasses.replace(finding, title=f"{_describe_bags(paths)}: {finding.title}")
            for finding, paths in problems
        ]

    def _check_files(self, bags: Sequence[Bag]) -> list[Bag]:
        """Look at the beginning of all files, which takes no time; return the bags that cannot be opened."""
        end = time.monotonic() + FILES_SECONDS
        unreadable = list[Bag]()
        for bag in bags:
            if time.monotonic() > end:
                break
            try:
                check_files(bag)
            except BagError as error:
                self._add_problem(error.file, error.why, error.way)
                unreadable.append(bag)
            except OSError:  # the job says it
                continue
        return unreadable

    def _add_problem(self, path: Path, text: str, *ways: Suggestion | str) -> None:
        self._problems.setdefault(make_data_problem(text, *ways), []).append(path)

    def _check_bag(self, bag: Bag, deadline: float) -> None:
        sampled = (*self._cameras, *self._topics.values())
        topics = bag_probe.probe_bag(bag, sampled, deadline, salvage=bool(self._values["salvage"]))
        if topics is None:
            return
        self._probed.append(topics)
        for camera in dict.fromkeys(self._cameras.values()):
            choices = [topic for topic, name in self._cameras.items() if name == camera]
            chosen = next((topic for topic in choices if topic in topics), choices[0])
            self._check_topic(bag, topics, chosen, IMAGES, "image_topics")
            if chosen in topics and topics[chosen].type in IMAGES:
                self._check_pictures(bag, chosen, topics[chosen])
        numbers = {name: topic for name, topic in self._topics.items() if topic not in self._cameras}
        for name, topic in numbers.items():
            self._check_topic(bag, topics, topic, NUMBER_TYPES, name)
            self._check_joints(bag, topics, topic, name)
        used = {topic: topics[topic] for topic in (*numbers.values(), *self._cameras) if topic in topics}
        if self._values["timestamp"] == "header":
            self._check_clocks(bag, used)
        if self._values["fps"] is None:
            return
        self._check_rates(bag, used)
        lengths = [topic.longest_ns for topic in used.values()]
        if lengths and None not in lengths:
            seconds = min(length for length in lengths if length is not None) / 1e9
            self._steps.append(int(seconds * float(str(self._values["fps"])) * LENGTH_MARGIN) + 1)

    def _check_clocks(self, bag: Bag, used: Mapping[str, ProbedTopic]) -> None:
        """Say that a topic has a clock of its own, if all samples of it do."""
        late: dict[str, list[float]] = {}
        for name, topic in used.items():
            stamps = [bag_probe.read_stamp(topic.type, data) for data in topic.samples]
            pairs = zip(topic.recorded, stamps if stamps and all(stamps) else topic.recorded, strict=True)
            late[name] = [(recorded - stamp) / 1e9 for recorded, stamp in pairs]
        if late and all(late.values()):
            problems = {explain_clocks({name: choose(ones) for name, ones in late.items()}) for choose in (min, max)}
            if "" not in problems:
                self._add_problem(bag.path, max(problems))

    def _check_rates(self, bag: Bag, used: Mapping[str, ProbedTopic]) -> None:
        """Say that a topic has fewer messages than steps: for sure if all of it was looked at."""
        fps = float(str(self._values["fps"]))
        gap = float(str(self._values["max_gap_s"]))
        alone = {name: topic.shortest_s for name, topic in used.items() if topic.is_complete and topic.shortest_s > gap}
        if alone:
            text = f"all messages of {', '.join(alone)} are farther apart than --max-gap-s {gap:g}, which splits there"
            self._add_problem(bag.path, text, f"--max-gap-s {2 * max(alone.values()):.3g}")
        slow = {name: topic for name, topic in used.items() if 0 < topic.rate * SLOW_FACTOR < fps}
        if not slow or self._values["sync"] == "previous":
            return
        named = ", ".join(f"{name} {topic.rate:.1f}" for name, topic in sorted(slow.items()))
        text = f"fewer messages per second than the rate of {fps:g}: {named}"
        lowest = f"{min(topic.rate for topic in slow.values()):.3g}"
        if any(topic.is_complete for topic in slow.values()):
            self._add_problem(bag.path, f"{text}; --sync previous repeats messages", f"--fps {lowest}")
        else:
            self.warnings.append(f"{bag.path}: {text} at the beginning; training stops if all of it is so")

    def _check_lengths(self, folders: Sequence[Path], bags: Sequence[Bag]) -> None:
        """Say that no bag is long enough, if all were looked at."""
        if not self._problems and len(self._steps) == len(bags) and max(self._steps) < SHORTEST_EPISODE:
            self._add_problem(folders[0], f"no episode is left: all bags have less than {SHORTEST_EPISODE} steps")

    def _check_topic(
        self, bag: Bag, topics: Mapping[str, ProbedTopic], topic: str, kinds: Sequence[str], name: str
    ) -> None:
        flag = f"--{name.replace('_', '-')}"
        recorded = topics.get(topic)
        if recorded is None:
            taken = (*self._cameras, *self._topics.values())  # the state is not the action
            fitting = [other for other in topics if topics[other].type in kinds and other not in taken]
            longer = [other for other in fitting if topic.lower() in other.lower()]
            near = find_near_option(topic, fitting)
            for few in (longer, fitting):
                near = near or (few[0] if len(few) == 1 else "")
            names = ", ".join(sorted(topics))
            way = Suggestion(f"{flag} {self._replace_topic(topic, near)}" if near else "")
            if not near and name == "action_topic" and "state_topic" in self._topics:
                way = Suggestion(f"{flag} {bag_parameters.NO_TOPIC}", bag_parameters.NEXT_STATE)
            elif not near and fitting:
                choices = f"one of {', '.join(sorted(fitting))}"
                way = Suggestion(f"{flag} {self._replace_topic(topic, 'TOPIC')}", choices)
            self._add_problem(bag.path, f"no topic {topic} ({flag}); it has {names}", way)
        elif recorded.type not in kinds:
            needs = " or ".join(kinds)
            self._add_problem(bag.path, f"{topic} ({flag}) has messages of {recorded.type}, and this needs {needs}")
        elif recorded.is_empty:
            self._add_problem(bag.path, f"{topic} ({flag}) has no message")

    def _check_guesses(self, bags: Sequence[Bag]) -> None:
        """Ask which topic is the action, where the topics of all bags give no guess."""
        topics = [{name: Topic(topic.type, not topic.is_empty) for name, topic in bag.items()} for bag in self._probed]
        guessed = suggest_settings(topics, {})
        cameras = guessed.image_topics if self._values["image_topics"] is None else self._cameras
        guesses = {name: getattr(guessed, name) for name in TOPICS if self._values[name] is None}
        for name, topic in guesses.items():
            for bag, probed in zip(bags, self._probed, strict=True):
                self._check_joints(bag, probed, topic, name)
        inputs = [feature for name, feature in FEATURES.items() if self._topics.get(name) or guesses.get(name)]
        self.features = frozenset([*inputs, *(f"observation.images.{camera}" for camera in cameras.values())])
        if bag_parameters.is_action_the_state({**self._values, **guesses}) and "state_topic" in guesses:
            ways = (f"--action-topic {bag_parameters.NO_TOPIC}", "--state-topic TOPIC")
            self._add_problem(bags[0].path, bag_parameters.ACTION_IS_STATE, *ways)
        if self._values["action_topic"] is None and not guesses["action_topic"]:
            used = [topic for topic in (*cameras, *self._topics.values(), *guesses.values()) if topic]
            for bag, probed in zip(bags, self._probed, strict=True):
                self._check_open_action(bag, probed, used)

    def _check_open_action(self, bag: Bag, topics: Mapping[str, ProbedTopic], used: Collection[str]) -> None:
        """Ask which topic is the action: where one has numbers that nobody reads, it is not the next state unsaid."""
        types = {name: topic.type for name, topic in topics.items() if not topic.is_empty}
        unused_topics = list_unused_numbers(types, used)
        if unused_topics:
            ways = [Suggestion(f"--action-topic {name}") for name in unused_topics]
            ways.append(Suggestion(f"--action-topic {bag_parameters.NO_TOPIC}", bag_parameters.NEXT_STATE))
            self._add_problem(bag.path, f"no action is named, and it may be in {describe_topics(unused_topics)}", *ways)

    def _replace_topic(self, topic: str, other: str) -> str:
        if topic not in self._cameras:
            return other
        return ",".join(f"{other if name == topic else name}={camera}" for name, camera in self._cameras.items())

    def _check_pictures(self, bag: Bag, name: str, topic: ProbedTopic) -> None:
        """A damaged picture stops a training only if a step uses it: where all are damaged, one does."""
        damaged = []
        for data in topic.samples:
            try:
                message = bag_probe.parse_message(topic.type, data)
            except ValueError as error:
                self._add_problem(bag.path, f"{name}: {error}")
                return
            if problem := find_encoding_problem(message):
                self._add_problem(bag.path, f"{name}: {problem}")
                return
            damaged += [problem for problem in [find_visible_damage(message)] if problem]
        if damaged and len(damaged) == len(topic.samples):
            self._add_problem(bag.path, f"{name}: {damaged[0]}")
        elif damaged:
            self.warnings.append(f"{bag.path}: {name}: {damaged[0]}; training stops if a step uses this picture")

    def _check_joints(self, bag: Bag, topics: Mapping[str, ProbedTopic], topic: str | None, name: str) -> None:
        """Say that a topic lacks joints that the job names.

        :param name: the parameter with the topic.
        """
        joints = bag_parameters.parse_names(_get_text(self._values[TOPICS[name]])) if TOPICS[name] else ()
        if not joints or topic is None or topic not in topics:
            return
        try:
            recorded = _list_joints(topics[topic])
        except ValueError as error:
            self._add_problem(bag.path, f"{topic}: {error}")
            return
        missing = [joint for joint in joints if recorded is not None and joint not in recorded]
        if recorded is None or not missing:
            return
        flag = f"--{TOPICS[name].replace('_', '-')}"
        unnamed = [joint for joint in recorded if joint not in joints]
        near = {joint: find_near_option(joint, unnamed) for joint in missing}
        corrected = [near.get(joint, joint) for joint in joints]
        is_clear = all(corrected) and len(set(corrected)) == len(corrected)
        way = f"{flag} {','.join(corrected)}" if is_clear else ""
        has = ", ".join(recorded) or "none"
        self._add_problem(bag.path, f"no joint {', '.join(missing)} ({flag}); it has {has}", way)


def _list_joints(topic: ProbedTopic) -> Sequence[str] | None:
    """Return what the values of a topic are called; None if that is not known. Raise ValueError for a bad message."""
    if topic.type == JOINT_TYPE:
        return sorted(bag_probe.parse_message(topic.type, topic.samples[0]).name) if topic.samples else None
    return FIXED_NAMES.get(topic.type)


def _describe_bags(paths: Sequence[Path]) -> str:
    others = len(dict.fromkeys(paths)) - 1
    return f"{paths[0]}" + (f" and {others} other bag{'s' * (others != 1)}" if others else "")


def _get_text(value: Scalar) -> str | None:
    return None if value is None else str(value)
