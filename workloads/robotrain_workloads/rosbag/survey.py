"""Survey of a folder of bags: their content, and the episodes to train on, for `robotrain bags inspect`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from robotrain_workloads.rosbag.bag_files import Bag, BagError, Topic, format_time, open_bag, select_bags
from robotrain_workloads.rosbag.episodes import BagReading, dump_counts, read_bag
from robotrain_workloads.rosbag.messages import get_stamp
from robotrain_workloads.rosbag.number_types import NUMBER_TYPES
from robotrain_workloads.rosbag.picture_formats import IMAGE_TYPES
from robotrain_workloads.rosbag.settings import (
    DataSettings,
    count_bags,
    list_action_candidates,
    suggest_settings,
)
from robotrain_workloads.rosbag.timeline import TopicTimes, make_topic_times

READABLE_TYPES = (*IMAGE_TYPES, *NUMBER_TYPES)


@dataclass(frozen=True)
class TopicFacts:
    """A topic of one bag."""

    type: str
    messages: int
    times: TopicTimes | None
    """None for types that no setting takes."""


@dataclass
class BagFacts:
    """A bag, its content, and the episodes to train on."""

    bag: Bag
    source: int = 0
    """Which of the folders it is in."""
    topics: Mapping[str, TopicFacts] = field(default_factory=dict)
    reading: BagReading | None = None
    problem: str = ""
    """Why it would not train; empty if it would."""


@dataclass(frozen=True)
class BagSurvey:
    """The bags of one folder, or of several."""

    folders: Sequence[Path]
    settings: DataSettings
    bags: Sequence[BagFacts]

    @property
    def folder(self) -> Path:
        """The first folder."""
        return self.folders[0]

    @property
    def partial_topics(self) -> dict[str, tuple[int, int]]:
        """The topics that some bags have and some lack: how many have it, of how many that could be opened.

        Topics of one camera are one, under the name of the first.
        """
        topics_by_bag = [bag_facts.topics for bag_facts in self.bags if bag_facts.topics]
        readable_topics = {
            name for topics in topics_by_bag for name, facts in topics.items() if facts.times is not None
        }
        cameras = [topics for topics in self.settings.uses.values() if len(topics) > 1]
        single_topics = [(name,) for name in sorted(readable_topics) if not any(name in topics for topics in cameras)]
        counts_by_topic = {topics[0]: count_bags(topics, topics_by_bag) for topics in (*cameras, *single_topics)}
        return {
            name: (count, len(topics_by_bag)) for name, count in counts_by_topic.items() if count < len(topics_by_bag)
        }

    @property
    def action_candidates(self) -> dict[str, str]:
        """The topics that may be the action, with their types, if nobody said what it is."""
        candidates: dict[str, str] = {}
        for bag in self.bags if self.settings.is_action_open else ():
            topics = {name: Topic(facts.type, facts.messages) for name, facts in bag.topics.items()}
            candidates |= list_action_candidates(topics, self.settings)
        return candidates

    @property
    def usable_sources(self) -> list[int]:
        """Which of the folders each of the bags is in that would train."""
        return [bag_facts.source for bag_facts in self.bags if bag_facts.reading and not bag_facts.problem]

    @property
    def usable(self) -> list[BagReading]:
        """The bags that would train."""
        return [bag_facts.reading for bag_facts in self.bags if bag_facts.reading and not bag_facts.problem]

    @property
    def refused(self) -> list[BagFacts]:
        """The bags that would not."""
        return [bag_facts for bag_facts in self.bags if bag_facts.problem]


def survey_bags(
    folders: Sequence[Path],
    given_settings: Mapping[str, Any],
    report: Callable[[str], None],
) -> BagSurvey:
    """Read every bag in some folders.

    Args:
        folders: The folders, in the order of their episodes.
        given_settings: The settings that the user gave, in place of those that are guessed from the topics.
        report: Takes a line before each bag.

    Raises:
        BagError: a folder holds no bag, or none is left.
        UnknownBag: no bag has one of the names.
    """
    bags = select_bags(folders, given_settings.get("exclude_bags", ()))
    numbered_bags = [(source, bag) for source, folder_bags in enumerate(bags) for bag in folder_bags]
    facts = []
    for number, (source, bag) in enumerate(numbered_bags, 1):
        report(f"reading {bag.name} ({number} of {len(numbered_bags)})")
        facts.append(_read_topics(bag, source))
    settings = replace(_suggest(facts), **given_settings)
    is_open = settings.action_topic is None and "action_topic" not in given_settings
    joints: Mapping[str, tuple[str, ...]] = {}
    for bag_facts in facts:
        bag_facts.problem = bag_facts.problem or _find_missing_topics(bag_facts, facts, settings)
        if bag_facts.problem:
            continue
        try:
            bag_facts.reading = read_bag(bag_facts.bag, settings, joints)
        except BagError as error:
            bag_facts.problem = str(error)
            continue
        joints = bag_facts.reading.joints
        if problem := bag_facts.reading.problem:
            bag_facts.problem = f"{bag_facts.bag.path}: {problem}"
    state_joints, action_joints = (joints.get(topic or "") for topic in (settings.state_topic, settings.action_topic))
    settings = replace(
        settings,
        is_action_open=is_open,
        joint_names=settings.joint_names or state_joints,
        action_joint_names=settings.action_joint_names or action_joints,
    )
    return BagSurvey(folders, settings, facts)


def _find_missing_topics(bag_facts: BagFacts, facts: Sequence[BagFacts], settings: DataSettings) -> str:
    """Return which topics the bag lacks that other bags have; empty if none."""
    topics_by_bag = [other_bag.topics for other_bag in facts if other_bag.topics]
    missing_texts = [
        f"no topic {topics[0]} ({use}), which {count} of {len(topics_by_bag)} bags have"
        for use, topics in settings.uses.items()
        if not any(topic in bag_facts.topics for topic in topics) and (count := count_bags(topics, topics_by_bag))
    ]
    return f"{bag_facts.bag.path}: {'; '.join(missing_texts)}" if missing_texts else ""


def dump_survey(survey: BagSurvey) -> dict[str, Any]:
    """Return the survey as data; the keys are an API."""
    return {
        "folder": str(survey.folder),
        "settings": survey.settings.dump(),
        "action_candidates": survey.action_candidates,
        "partial_topics": {
            name: {"bags": bag_count, "of": total_bags}
            for name, (bag_count, total_bags) in survey.partial_topics.items()
        },
        "bags": [
            {
                "name": bag_facts.bag.name,
                "files": [str(file) for file in bag_facts.bag.files],
                "problem": bag_facts.problem,
                "topics": {name: _dump_topic(facts) for name, facts in bag_facts.topics.items()},
                **(dump_counts(bag_facts.reading) if bag_facts.reading else {}),
            }
            for bag_facts in survey.bags
        ],
    }


def _dump_topic(facts: TopicFacts) -> dict[str, Any]:
    fields: dict[str, Any] = {"type": facts.type, "messages": facts.messages}
    if facts.times is not None and len(facts.times.log):
        seconds, start = facts.times.longest_gap
        fields.update(
            rate=round(facts.times.rate, 3),
            time="header" if facts.times.uses_stamps else "log",
            longest_gap_s=round(seconds, 6),
            longest_gap_at=format_time(start) if start else None,
            clock_jumps=len(facts.times.jumps),
        )
    return fields


def _read_topics(bag: Bag, source: int) -> BagFacts:
    facts = BagFacts(bag, source)
    try:
        with open_bag(bag) as opened_bag:
            read_topics = [name for name, topic in opened_bag.topics.items() if topic.type in READABLE_TYPES]
            stamps: dict[str, list[tuple[int, int, int]]] = {name: [] for name in read_topics}
            for number, message in enumerate(opened_bag.read(read_topics)):
                stamps[message.topic].append((message.log_ns, get_stamp(message.content), number))
            facts.topics = {
                name: TopicFacts(topic.type, topic.count, make_topic_times(stamps[name]) if name in stamps else None)
                for name, topic in sorted(opened_bag.topics.items())
            }
    except BagError as error:
        facts.problem = str(error)
    return facts


def _suggest(facts: Sequence[BagFacts]) -> DataSettings:
    readable_bags = [bag_facts.topics for bag_facts in facts if not bag_facts.problem]
    if not readable_bags:
        return DataSettings()
    bags = [{name: Topic(topic.type, topic.messages) for name, topic in topics.items()} for topics in readable_bags]
    rates: dict[str, float] = {}
    for topics in readable_bags:
        for name, topic in topics.items():
            if topic.times is not None and len(topic.times.log):
                rates[name] = min(rates.get(name, topic.times.rate), topic.times.rate)
    return suggest_settings(bags, rates)
