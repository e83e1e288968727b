"""Episodes from a bag: values at a fixed rate, and which picture stands at each step."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from robotrain_workloads.rosbag.bag_files import Bag, BagError, OpenBag, open_bag
from robotrain_workloads.rosbag.messages import (
    MessageError,
    find_damage,
    get_stamp,
)
from robotrain_workloads.rosbag.numbers import NumberReader
from robotrain_workloads.rosbag.picture_formats import find_encoding_problem, find_form_problem
from robotrain_workloads.rosbag.settings import SHORTEST_EPISODE, DataSettings, find_topic_problems
from robotrain_workloads.rosbag.timeline import (
    Stretch,
    TopicTimes,
    describe_unused,
    find_clock_problem,
    find_pieces,
    make_topic_times,
    split_at_jumps,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

SLOW_FACTOR = 1.5
"""A topic whose messages are this many steps apart is too slow for the rate."""


@dataclass(frozen=True)
class Episode:
    """Steps at a fixed rate."""

    name: str
    """The bag's name; pieces of one bag are numbered: `ep002#2`."""
    times: NDArray[np.int64]
    """Nanoseconds since 1970; shape (steps,)."""
    pictures: Mapping[str, NDArray[np.int64]]
    """For each camera, the position of each step's picture among the pictures of its topic; shape (steps,)."""
    values: Mapping[str, NDArray[np.float32]]
    """`observation.state`, `observation.environment_state` and `action`; shape (steps, values)."""
    filled: int
    """Steps at which a message is farther away than the tolerance."""

    @property
    def steps(self) -> int:
        """The number of steps."""
        return len(self.times)


@dataclass
class BagReading:
    """What a bag holds for training."""

    bag: Bag
    image_topics: Mapping[str, str] = field(default_factory=dict)
    """The camera's name by topic, as this bag has them."""
    episodes: list[Episode] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)
    """The steps of pieces that are too short."""
    topics: dict[str, TopicTimes] = field(default_factory=dict)
    """The times of each topic that was read."""
    unused: str = ""
    """How many seconds are in no piece; empty for less than a second."""
    joints: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The names of the values of the topics that have them."""

    @property
    def problem(self) -> str:
        """Why nothing of the bag can be used; empty if something can."""
        return "" if self.episodes or self.dropped else "there is no time at which every topic has messages"

    @property
    def jumps(self) -> int:
        """How often a clock jumped, over all topics."""
        return sum(len(topic_times.jumps) for topic_times in self.topics.values())


@dataclass
class BagMessages:
    """The messages of a bag, by topic and in the order of recording."""

    bag: Bag
    times: dict[str, TopicTimes]
    values: dict[str, NDArray[np.float32]]
    joints: dict[str, tuple[str, ...]]
    damaged: dict[tuple[str, int], str]
    """Why a picture cannot be decoded, by its topic and position."""
    is_whole: bool
    """Whether these are all."""
    stretches: list[Stretch] = field(default_factory=list)
    """What lies between clock jumps."""


def read_bag(bag: Bag, settings: DataSettings, joints: Mapping[str, tuple[str, ...]] | None = None) -> BagReading:
    """Read a bag's values and times; pictures are not decoded.

    Args:
        bag: The bag.
        settings: Which topics are read, and how.
        joints: The joint names by topic, in the order of an earlier bag; default the settings', else the bag's own.

    Raises:
        BagError: the bag is damaged or does not have what the settings say; names the file and the time.
    """
    return make_episodes(read_messages(bag, settings, joints), settings)


def read_messages(
    bag: Bag,
    settings: DataSettings,
    joints: Mapping[str, tuple[str, ...]] | None = None,
    deadline: float | None = None,
) -> BagMessages:
    """Read the messages of a bag, and compare their clocks. Arguments and errors are those of `read_bag`.

    :param deadline: when to stop, by `time.monotonic`; then no picture is decoded either.
    """
    with open_bag(bag) as opened_bag:
        settings = settings.select_cameras(opened_bag.topics)
        check_topics(opened_bag, settings)
        messages = _read_messages(opened_bag, settings, dict(joints or {}), deadline)
        if messages.is_whole:
            _check_counts(opened_bag, messages.times)
    messages.stretches = _split_at_jumps(bag, settings, messages.times)
    return messages


def make_episodes(messages: BagMessages, settings: DataSettings) -> BagReading:
    """Return the episodes of all messages of a bag. Raise BagError as `read_bag`."""
    bag, times, stretches = messages.bag, messages.times, messages.stretches
    settings = settings.select_cameras(times)
    reading = BagReading(bag, settings.image_topics, topics=times, joints=messages.joints)
    _check_rates(bag, settings, times)
    pieces = list(find_pieces(stretches, settings))
    reading.unused = describe_unused(stretches, pieces)
    for number, piece in enumerate(pieces, 1):
        values_by_feature = {
            name: messages.values[topic][piece.indexes[topic]] for name, topic in _list_values(settings)
        }
        steps = len(piece.grid)
        if settings.action_topic is None:
            values_by_feature["action"], steps = values_by_feature["observation.state"][1:], steps - 1
        if steps < SHORTEST_EPISODE:
            reading.dropped.append(steps)
            continue
        reading.episodes.append(
            Episode(
                name=bag.name if len(pieces) == 1 else f"{bag.name}#{number}",
                times=piece.grid[:steps],
                pictures={camera: piece.indexes[topic][:steps] for topic, camera in settings.image_topics.items()},
                values={name: array[:steps] for name, array in values_by_feature.items()},
                filled=piece.filled,
            )
        )
    _check_pictures(reading, messages.damaged)
    return reading


def check_topics(opened_bag: OpenBag, settings: DataSettings) -> None:
    """Check that the bag has each topic, with a type that can be read and at least one message.

    Raises:
        BagError: it has not; all problems in one text.
    """
    problems = [problem.title for problem in find_topic_problems(opened_bag.topics, settings)]
    if unread_topics := [
        topic for topic in settings.units if topic not in settings.topics or topic in settings.image_topics
    ]:
        problems.append(f"--unit is for topics whose numbers are read, and {', '.join(unread_topics)} is none of them")
    if settings.state_topic is None and settings.action_topic is None:
        problems.append("no action: give an action topic, or a state topic whose next value is the action")
    if problems:
        raise BagError(opened_bag.bag.path, "; ".join(problems))


def _list_values(settings: DataSettings) -> list[tuple[str, str]]:
    topics_by_feature = (
        ("observation.state", settings.state_topic),
        ("observation.environment_state", settings.environment_state_topic),
        ("action", settings.action_topic),
    )
    return [(name, topic) for name, topic in topics_by_feature if topic]


def _read_messages(
    opened: OpenBag, settings: DataSettings, joints: dict[str, tuple[str, ...]], deadline: float | None
) -> BagMessages:
    stamps: dict[str, list[tuple[int, int, int]]] = {topic: [] for topic in settings.topics}
    rows: dict[str, list[NDArray[np.float32]]] = {topic: [] for _, topic in _list_values(settings)}
    damage_by_position: dict[tuple[str, int], str] = {}
    flags: dict[str | None, str] = {}
    """The option that names the joints of a topic, by topic."""
    if settings.state_topic and settings.joint_names:
        joints[settings.state_topic] = settings.joint_names
        flags[settings.state_topic] = "--joint-names"
    if settings.action_topic and settings.action_joint_names:
        joints[settings.action_topic] = settings.action_joint_names
        flags[settings.action_topic] = "--action-joint-names"
    readers = {
        topic: NumberReader(opened.topics[topic].type, joints.get(topic), settings.units.get(topic, ""))
        for topic in rows
    }
    find_picture_damage = find_damage if deadline is None else find_form_problem
    is_whole = True
    for number, message in enumerate(opened.read(settings.topics)):
        topic, message_content = message.topic, message.content
        try:
            if topic in rows:
                row = readers[topic].read(message_content)
                if rows[topic] and len(row) != len(rows[topic][0]):
                    raise MessageError(f"{len(row)} values, after messages of {len(rows[topic][0])}")
                rows[topic].append(row)
            elif problem := find_encoding_problem(message_content):
                raise MessageError(problem)
            elif problem := find_picture_damage(message_content):
                damage_by_position[topic, len(stamps[topic])] = problem
        except MessageError as error:
            way = f"{flags[topic]} {error.near}" if error.near and topic in flags else ""
            raise BagError(opened.bag.path, f"{topic}: {error}", message.log_ns, way) from error
        stamp = get_stamp(message_content) if settings.timestamp == "header" else 0
        stamps[topic].append((message.log_ns, stamp, number))
        if deadline is not None and time.monotonic() > deadline:
            is_whole = False
            break
    joints.update({topic: reader.names for topic, reader in readers.items() if reader.names is not None})
    silent_topics = [topic for topic, topic_stamps in stamps.items() if not topic_stamps]
    if silent_topics and is_whole:
        raise BagError(opened.bag.path, f"{', '.join(silent_topics)}: no message could be read")
    for (topic, _), problem in damage_by_position.items():
        if all((topic, position) in damage_by_position for position in range(len(stamps[topic]))):
            raise BagError(opened.bag.path, f"{topic}: {problem}", stamps[topic][0][0])
    times = {topic: make_topic_times(topic_stamps) for topic, topic_stamps in stamps.items()}
    values = {topic: np.stack(vectors) for topic, vectors in rows.items() if vectors}
    return BagMessages(opened.bag, times, values, joints, damage_by_position, is_whole)


def _check_counts(opened_bag: OpenBag, times: Mapping[str, TopicTimes]) -> None:
    for topic, topic_times in times.items():
        if (declared_count := opened_bag.topics[topic].count) != len(topic_times.log):
            raise BagError(
                opened_bag.bag.path,
                f"{topic} has {len(topic_times.log)} messages, and its metadata says {declared_count}: messages are "
                "lost, or"
                " metadata.yaml is of another recording",
                int(topic_times.log[-1]),
            )


def _split_at_jumps(bag: Bag, settings: DataSettings, times: Mapping[str, TopicTimes]) -> list[Stretch]:
    """Return the stretches between clock jumps. Raise BagError where a jump is refused, or clocks differ."""
    if settings.on_clock_jump == "refuse":
        for topic, topic_times in times.items():
            if topic_times.jumps:
                raise BagError(
                    bag.path,
                    f"the clock of {topic} goes back by {topic_times.measure_jump(topic_times.jumps[0]):.1f} s here;"
                    " --on-clock-jump split makes episodes of both sides",
                    int(topic_times.times[topic_times.jumps[0]]),
                )
    stretches = split_at_jumps(times)
    if problem := find_clock_problem(times, stretches):
        raise BagError(bag.path, problem)
    return stretches


def _check_pictures(reading: BagReading, damaged: Mapping[tuple[str, int], str]) -> None:
    used_pictures = {
        (topic, int(position))
        for episode in reading.episodes
        for topic, camera in reading.image_topics.items()
        for position in episode.pictures[camera]
    }
    for (topic, position), problem in damaged.items():
        if (topic, position) in used_pictures:
            raise BagError(reading.bag.path, f"{topic}: {problem}", int(reading.topics[topic].log[position]))


def _check_rates(bag: Bag, settings: DataSettings, times: Mapping[str, TopicTimes]) -> None:
    if settings.sync == "previous":
        return
    slow_rates = {
        name: topic_times.rate
        for name, topic_times in times.items()
        if 0 < topic_times.rate * SLOW_FACTOR < settings.fps
    }
    if slow_rates:
        rates_text = ", ".join(f"{name} {rate:.1f}" for name, rate in sorted(slow_rates.items()))
        raise BagError(
            bag.path,
            f"fewer messages per second than the rate of {settings.fps:g}: {rates_text};"
            f" --fps {min(slow_rates.values()):.3g} takes the slowest, --sync previous repeats messages",
        )


def dump_counts(reading: BagReading) -> dict[str, Any]:
    """Return a bag's counts as data; the keys are an API."""
    return {
        "episodes": len(reading.episodes),
        "steps": sum(episode.steps for episode in reading.episodes),
        "filled_steps": sum(episode.filled for episode in reading.episodes),
        "dropped_pieces": len(reading.dropped),
        "clock_jumps": reading.jumps,
        "unused": reading.unused,
    }
