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
        topics_by_name = {name: bag_parameters.read_topic(_get_text(values[name])) for name in TOPICS}
        self._topics = {name: topic for name, topic in topics_by_name.items() if topic}
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
        excluded_names = bag_parameters.parse_names(_get_text(self._values["exclude_bags"]))
        try:
            bags = [bag for folder_bags in select_bags(folders, excluded_names) for bag in folder_bags]
        except UnknownBag as error:
            corrected_names = (
                [error.near[0] if name == error.name else name for name in excluded_names] if error.near else ()
            )
            return [
                make_data_problem(str(error), f"--exclude-bags {','.join(corrected_names)}" if corrected_names else "")
            ]
        except (BagError, OSError) as error:
            return [make_data_problem(str(error))]
        unreadable_bags = self._check_files(bags)
        deadline = time.monotonic() + BUDGET_SECONDS
        for number, bag in enumerate([bag for bag in bags if bag not in unreadable_bags]):
            if number and time.monotonic() > deadline:
                break
            try:
                self._check_bag(bag, deadline)
            except BagError as error:
                self._add_problem(error.file, error.why)
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
        deadline = time.monotonic() + FILES_SECONDS
        unreadable_bags = list[Bag]()
        for bag in bags:
            if time.monotonic() > deadline:
                break
            try:
                check_files(bag)
            except BagError as error:
                self._add_problem(error.file, error.why)
                unreadable_bags.append(bag)
            except OSError:  # the job says it
                continue
        return unreadable_bags

    def _add_problem(self, path: Path, problem_text: str, *ways: Suggestion | str) -> None:
        self._problems.setdefault(make_data_problem(problem_text, *ways), []).append(path)

    def _check_bag(self, bag: Bag, deadline: float) -> None:
        sampled_topics = (*self._cameras, *self._topics.values())
        topics = bag_probe.probe_bag(bag, sampled_topics, deadline)
        if topics is None:
            return
        self._probed.append(topics)
        for camera in dict.fromkeys(self._cameras.values()):
            choices = [topic for topic, name in self._cameras.items() if name == camera]
            chosen_topic = next((topic for topic in choices if topic in topics), choices[0])
            self._check_topic(bag, topics, chosen_topic, IMAGES, "image_topics")
            if chosen_topic in topics and topics[chosen_topic].type in IMAGES:
                self._check_pictures(bag, chosen_topic, topics[chosen_topic])
        number_topics = {name: topic for name, topic in self._topics.items() if topic not in self._cameras}
        for name, topic in number_topics.items():
            self._check_topic(bag, topics, topic, NUMBER_TYPES, name)
            self._check_joints(bag, topics, topic, name)
        used_topics = {topic: topics[topic] for topic in (*number_topics.values(), *self._cameras) if topic in topics}
        if self._values["timestamp"] == "header":
            self._check_clocks(bag, used_topics)
        if self._values["fps"] is None:
            return
        self._check_rates(bag, used_topics)
        lengths = [topic.longest_ns for topic in used_topics.values()]
        if lengths and None not in lengths:
            seconds = min(length for length in lengths if length is not None) / 1e9
            self._steps.append(int(seconds * float(str(self._values["fps"])) * LENGTH_MARGIN) + 1)

    def _check_clocks(self, bag: Bag, used_topics: Mapping[str, ProbedTopic]) -> None:
        """Say that a topic has a clock of its own, if all samples of it do."""
        late_seconds: dict[str, list[float]] = {}
        for name, topic in used_topics.items():
            stamps = [bag_probe.read_stamp(topic.type, message_bytes) for message_bytes in topic.samples]
            recorded_and_stamped = zip(
                topic.recorded, stamps if stamps and all(stamps) else topic.recorded, strict=True
            )
            late_seconds[name] = [(recorded_ns - stamp) / 1e9 for recorded_ns, stamp in recorded_and_stamped]
        if late_seconds and all(late_seconds.values()):
            problems = {
                explain_clocks({name: choose(differences) for name, differences in late_seconds.items()})
                for choose in (min, max)
            }
            if "" not in problems:
                self._add_problem(bag.path, max(problems))

    def _check_rates(self, bag: Bag, used: Mapping[str, ProbedTopic]) -> None:
        """Say that a topic has fewer messages than steps: for sure if all of it was looked at."""
        fps = float(str(self._values["fps"]))
        gap = float(str(self._values["max_gap_s"]))
        distant_topics = {
            name: topic.shortest_s for name, topic in used.items() if topic.is_complete and topic.shortest_s > gap
        }
        if distant_topics:
            problem_text = (
                f"all messages of {', '.join(distant_topics)} are farther apart than --max-gap-s "
                f"{gap:g}, which splits there"
            )
            self._add_problem(bag.path, problem_text, f"--max-gap-s {2 * max(distant_topics.values()):.3g}")
        slow_topics = {name: topic for name, topic in used.items() if 0 < topic.rate * SLOW_FACTOR < fps}
        if not slow_topics or self._values["sync"] == "previous":
            return
        rates_text = ", ".join(f"{name} {topic.rate:.1f}" for name, topic in sorted(slow_topics.items()))
        problem_text = f"fewer messages per second than the rate of {fps:g}: {rates_text}"
        lowest_rate = f"{min(topic.rate for topic in slow_topics.values()):.3g}"
        if any(topic.is_complete for topic in slow_topics.values()):
            self._add_problem(bag.path, f"{problem_text}; --sync previous repeats messages", f"--fps {lowest_rate}")
        else:
            self.warnings.append(f"{bag.path}: {problem_text} at the beginning; training stops if all of it is so")

    def _check_lengths(self, folders: Sequence[Path], bags: Sequence[Bag]) -> None:
        """Say that no bag is long enough, if all were looked at."""
        if not self._problems and len(self._steps) == len(bags) and max(self._steps) < SHORTEST_EPISODE:
            self._add_problem(folders[0], f"no episode is left: all bags have less than {SHORTEST_EPISODE} steps")

    def _check_topic(
        self, bag: Bag, topics: Mapping[str, ProbedTopic], topic: str, kinds: Sequence[str], name: str
    ) -> None:
        flag = f"--{name.replace('_', '-')}"
        recorded_topic = topics.get(topic)
        if recorded_topic is None:
            taken_topics = (*self._cameras, *self._topics.values())  # the state is not the action
            fitting_topics = [
                other_topic
                for other_topic in topics
                if topics[other_topic].type in kinds and other_topic not in taken_topics
            ]
            longer = [other_topic for other_topic in fitting_topics if topic.lower() in other_topic.lower()]
            nearest_topic = find_near_option(topic, fitting_topics)
            for few in (longer, fitting_topics):
                nearest_topic = nearest_topic or (few[0] if len(few) == 1 else "")
            topic_names = ", ".join(sorted(topics))
            way = Suggestion(f"{flag} {self._replace_topic(topic, nearest_topic)}" if nearest_topic else "")
            if not nearest_topic and name == "action_topic" and "state_topic" in self._topics:
                way = Suggestion(f"{flag} {bag_parameters.NO_TOPIC}", bag_parameters.NEXT_STATE)
            elif not nearest_topic and fitting_topics:
                choices = f"one of {', '.join(sorted(fitting_topics))}"
                way = Suggestion(f"{flag} {self._replace_topic(topic, 'TOPIC')}", choices)
            self._add_problem(bag.path, f"no topic {topic} ({flag}); it has {topic_names}", way)
        elif recorded_topic.type not in kinds:
            needed_types = " or ".join(kinds)
            self._add_problem(
                bag.path, f"{topic} ({flag}) has messages of {recorded_topic.type}, and this needs {needed_types}"
            )
        elif recorded_topic.is_empty:
            self._add_problem(bag.path, f"{topic} ({flag}) has no message")

    def _check_guesses(self, bags: Sequence[Bag]) -> None:
        """Ask which topic is the action, where the topics of all bags give no guess."""
        topics = [{name: Topic(topic.type, not topic.is_empty) for name, topic in bag.items()} for bag in self._probed]
        guessed_settings = suggest_settings(topics, {})
        cameras = guessed_settings.image_topics if self._values["image_topics"] is None else self._cameras
        guesses = {name: getattr(guessed_settings, name) for name in TOPICS if self._values[name] is None}
        for name, topic in guesses.items():
            for bag, probed_topics in zip(bags, self._probed, strict=True):
                self._check_joints(bag, probed_topics, topic, name)
        inputs = [feature for name, feature in FEATURES.items() if self._topics.get(name) or guesses.get(name)]
        self.features = frozenset([*inputs, *(f"observation.images.{camera}" for camera in cameras.values())])
        if bag_parameters.is_action_the_state({**self._values, **guesses}) and "state_topic" in guesses:
            ways = (f"--action-topic {bag_parameters.NO_TOPIC}", "--state-topic TOPIC")
            self._add_problem(bags[0].path, bag_parameters.ACTION_IS_STATE, *ways)
        if self._values["action_topic"] is None and not guesses["action_topic"]:
            used_topics = [topic for topic in (*cameras, *self._topics.values(), *guesses.values()) if topic]
            for bag, probed_topics in zip(bags, self._probed, strict=True):
                self._check_open_action(bag, probed_topics, used_topics)

    def _check_open_action(self, bag: Bag, topics: Mapping[str, ProbedTopic], used_topics: Collection[str]) -> None:
        """Ask which topic is the action: where one has numbers that nobody reads, it is not the next state unsaid."""
        types = {name: topic.type for name, topic in topics.items() if not topic.is_empty}
        unused_topics = list_unused_numbers(types, used_topics)
        if unused_topics:
            ways = [Suggestion(f"--action-topic {name}") for name in unused_topics]
            ways.append(Suggestion(f"--action-topic {bag_parameters.NO_TOPIC}", bag_parameters.NEXT_STATE))
            self._add_problem(bag.path, f"no action is named, and it may be in {describe_topics(unused_topics)}", *ways)

    def _replace_topic(self, topic: str, other_topic: str) -> str:
        if topic not in self._cameras:
            return other_topic
        return ",".join(f"{other_topic if name == topic else name}={camera}" for name, camera in self._cameras.items())

    def _check_pictures(self, bag: Bag, name: str, topic: ProbedTopic) -> None:
        """A damaged picture stops a training only if a step uses it: where all are damaged, one does."""
        damage_texts = []
        for message_bytes in topic.samples:
            try:
                message = bag_probe.parse_message(topic.type, message_bytes)
            except ValueError as error:
                self._add_problem(bag.path, f"{name}: {error}")
                return
            if problem := find_encoding_problem(message):
                self._add_problem(bag.path, f"{name}: {problem}")
                return
            damage_texts += [problem for problem in [find_visible_damage(message)] if problem]
        if damage_texts and len(damage_texts) == len(topic.samples):
            self._add_problem(bag.path, f"{name}: {damage_texts[0]}")
        elif damage_texts:
            self.warnings.append(f"{bag.path}: {name}: {damage_texts[0]}; training stops if a step uses this picture")

    def _check_joints(self, bag: Bag, topics: Mapping[str, ProbedTopic], topic: str | None, name: str) -> None:
        """Say that a topic lacks joints that the job names.

        :param name: the parameter with the topic.
        """
        joints = bag_parameters.parse_names(_get_text(self._values[TOPICS[name]])) if TOPICS[name] else ()
        if not joints or topic is None or topic not in topics:
            return
        try:
            recorded_joints = _list_joints(topics[topic])
        except ValueError as error:
            self._add_problem(bag.path, f"{topic}: {error}")
            return
        missing_joints = [joint for joint in joints if recorded_joints is not None and joint not in recorded_joints]
        if recorded_joints is None or not missing_joints:
            return
        flag = f"--{TOPICS[name].replace('_', '-')}"
        unnamed_joints = [joint for joint in recorded_joints if joint not in joints]
        nearest_joints = {joint: find_near_option(joint, unnamed_joints) for joint in missing_joints}
        corrected_joints = [nearest_joints.get(joint, joint) for joint in joints]
        is_clear = all(corrected_joints) and len(set(corrected_joints)) == len(corrected_joints)
        way = f"{flag} {','.join(corrected_joints)}" if is_clear else ""
        joints_text = ", ".join(recorded_joints) or "none"
        self._add_problem(bag.path, f"no joint {', '.join(missing_joints)} ({flag}); it has {joints_text}", way)


def _list_joints(topic: ProbedTopic) -> Sequence[str] | None:
    """Return what the values of a topic are called; None if that is not known. Raise ValueError for a bad message."""
    if topic.type == JOINT_TYPE:
        return sorted(bag_probe.parse_message(topic.type, topic.samples[0]).name) if topic.samples else None
    return FIXED_NAMES.get(topic.type)


def _describe_bags(paths: Sequence[Path]) -> str:
    other_count = len(dict.fromkeys(paths)) - 1
    return f"{paths[0]}" + (f" and {other_count} other bag{'s' * (other_count != 1)}" if other_count else "")


def _get_text(value: Scalar) -> str | None:
    return None if value is None else str(value)
