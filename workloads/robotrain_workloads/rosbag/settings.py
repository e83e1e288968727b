"""Settings of bags: the use of each topic, and how time is read. Keys and defaults: contract, section G."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from robotrain_runtime.contract.problem import Problem, Suggestion, make_data_problem

from robotrain_workloads import bag_parameters
from robotrain_workloads.bag_parameters import Clock, ClockJump, Sync
from robotrain_workloads.option_kinds import find_near_option
from robotrain_workloads.rosbag.bag_files import Topic
from robotrain_workloads.rosbag.number_types import (
    JOINT_TYPE,
    NUMBER_TYPES,
    STATE_TYPES,
    describe_topics,
    list_unused_numbers,
)
from robotrain_workloads.rosbag.picture_formats import IMAGE_TYPES

_PLAIN_SEGMENTS = {"image", "image_raw", "image_rect", "color", "compressed", "raw", "rgb", "image_color", "camera"}
_ACTION_WORDS = re.compile(r"action|command|cmd|target|goal|leader", re.IGNORECASE)
_ENVIRONMENT_WORDS = re.compile(r"environment|env_state|keypoints|object", re.IGNORECASE)
SHORTEST_EPISODE = 2
"""Steps of the shortest piece of a bag that is converted; a policy pads it to its chunk."""
USUAL_RATES = (1, 2, 5, 10, 15, 20, 25, 30, 50, 60, 100)
"""A measured rate near one of them is taken for it: 29.6 is 30."""


@dataclass(frozen=True)
class DataSettings:
    """How bags become episodes."""

    image_topics: Mapping[str, str] = field(default_factory=dict)
    """The camera's name by topic. Several topics may be one camera: of these, a bag's first one counts."""
    state_topic: str | None = None
    environment_state_topic: str | None = None
    action_topic: str | None = None
    """None: the action of a step is the state of the next one."""
    is_action_open: bool = False
    """Whether nobody said what the action is, so that a bag with topics that it may be is refused."""
    joint_names: tuple[str, ...] | None = None
    """The joints of the state, in order; None: those of the first message of the first bag."""
    action_joint_names: tuple[str, ...] | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    """By topic: `deg` for angles that become radians."""
    fps: float = 30.0
    sync: Sync = "nearest"
    tolerance_s: float | None = None
    """None: half a step."""
    max_gap_s: float = 0.5
    timestamp: Clock = "header"
    """`log`: header stamps do not count."""
    image_size: tuple[int, int] | None = None
    """(height, width); None: the pictures' own."""
    on_clock_jump: ClockJump = "refuse"
    exclude_bags: tuple[str, ...] = ()
    """The names of bags that are left out."""

    @property
    def topics(self) -> tuple[str, ...]:
        """Every topic that is read."""
        topics = (*self.image_topics, self.state_topic, self.environment_state_topic, self.action_topic)
        return tuple(dict.fromkeys(topic for topic in topics if topic))

    @property
    def uses(self) -> dict[str, tuple[str, ...]]:
        """The topics of each use: of a camera several may be, one in each bag."""
        cameras = dict.fromkeys(self.image_topics.values())
        topics_by_use = {
            "state": self.state_topic,
            "environment state": self.environment_state_topic,
            "action": self.action_topic,
        }
        return {
            **{
                f"camera {camera}": tuple(t for t, name in self.image_topics.items() if name == camera)
                for camera in cameras
            },
            **{use: (topic,) for use, topic in topics_by_use.items() if topic},
        }

    def get_use(self, topic: str) -> str:
        """Return the setting that names a topic of numbers."""
        return next(name for name in bag_parameters.TOPIC_PARAMETERS if getattr(self, name) == topic)

    @property
    def tolerance(self) -> float:
        """How far a message may be from its step, in seconds."""
        return self.tolerance_s if self.tolerance_s is not None else 0.5 / self.fps

    def select_cameras(self, topics: Collection[str]) -> DataSettings:
        """Return the settings for a bag with these topics: of several topics of one camera, the first that it has."""
        topics_by_camera: dict[str, str] = {}
        for topic, camera in self.image_topics.items():
            present_topic = topics_by_camera.get(camera)
            if present_topic is None or (present_topic not in topics and topic in topics):
                topics_by_camera[camera] = topic
        return replace(self, image_topics={topic: camera for camera, topic in topics_by_camera.items()})

    def dump(self) -> dict[str, Any]:
        """Return the keys of `data:` in config.yaml."""
        setting_values = {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()
        }
        return {name: value for name, value in setting_values.items() if name != "is_action_open"}


def find_topic_problems(topics: Mapping[str, Topic], settings: DataSettings) -> Iterator[Problem]:
    """Yield why a bag with these topics does not have a topic of the settings: it, its type, or messages of it."""
    for topic in settings.select_cameras(topics).topics:
        is_camera = topic in settings.image_topics
        fitting_types = IMAGE_TYPES if is_camera else NUMBER_TYPES
        flag = "--image-topics" if is_camera else f"--{settings.get_use(topic).replace('_', '-')}"
        recorded_topic = topics.get(topic)
        if recorded_topic is None:
            fitting = [
                name for name in topics if topics[name].type in fitting_types and name not in settings.topics
            ]  # what has another use is not it: the state is not the action
            way = _suggest_topic(topic, flag, fitting, settings)
            yield make_data_problem(f"no topic {topic} ({flag}); it has {', '.join(sorted(topics))}", way)
        elif recorded_topic.type not in fitting_types:
            yield make_data_problem(
                f"{topic} ({flag}) has messages of {recorded_topic.type}, and this needs {' or '.join(fitting_types)}"
            )
        elif recorded_topic.count == 0:
            yield make_data_problem(f"{topic} ({flag}) has no message")


def _suggest_topic(topic: str, flag: str, fitting: Sequence[str], settings: DataSettings) -> Suggestion:
    """Return what to type in place of a topic that a bag does not have."""
    longer = [name for name in fitting if topic.lower() in name.lower()]
    nearest = find_near_option(topic, fitting)
    for few in (longer, fitting):
        nearest = nearest or (few[0] if len(few) == 1 else "")
    if not nearest and topic == settings.action_topic and settings.state_topic:
        return Suggestion(f"{flag} {bag_parameters.NO_TOPIC}", bag_parameters.NEXT_STATE)
    if not fitting:
        return Suggestion("")
    text = nearest or "TOPIC"
    if topic in settings.image_topics:
        cameras = settings.image_topics.items()
        text = ",".join(f"{text if name == topic else name}={camera}" for name, camera in cameras)
    return Suggestion(f"{flag} {text}", "" if nearest else f"one of {', '.join(sorted(fitting))}")


def list_action_candidates(topics: Mapping[str, Topic], settings: DataSettings) -> dict[str, str]:
    """Return the type of each topic of numbers that is used for nothing."""
    types = {name: topic.type for name, topic in topics.items() if topic.count}
    return list_unused_numbers(types, settings.topics)


def explain_open_action(candidates: Mapping[str, str]) -> str:
    """Return the question which of these topics, by their types, is the action, with what to type."""
    ways = ", ".join(f"--action-topic {topic}" for topic in candidates)
    question_text = f"no action is named, and it may be in {describe_topics(candidates)}"
    return f"{question_text}: {ways}; with --action-topic none it is the next state"


def suggest_settings(bags: Sequence[Mapping[str, Topic]], rates: Mapping[str, float]) -> DataSettings:
    """Guess settings from the topics of each bag and from their messages per second.

    Cameras are picture topics, where a topic and its `/compressed` are one camera; the state is the topic of joint
    states; the action is a topic whose name says so. Topics count that at least half of the bags have: a bag that
    lacks one of them cannot be read, so that it does not decide about the others.
    """
    topics = {name: topic for bag in bags for name, topic in bag.items()}
    cameras = _name_cameras([name for name in topics if topics[name].type in IMAGE_TYPES and "depth" not in name])
    topic_names = [name for name in sorted(topics) if _is_in_most([name], bags)]
    vectors = [name for name in topic_names if topics[name].type in NUMBER_TYPES]
    action = next((name for name in vectors if _ACTION_WORDS.search(name)), None)
    states = [name for name in vectors if topics[name].type in STATE_TYPES and name != action]
    environment = next(
        (name for name in states if _ENVIRONMENT_WORDS.search(name) and topics[name].type != JOINT_TYPE), None
    )
    state_topics = [name for name in states if name != environment]
    suggested_settings = DataSettings(
        image_topics={
            topic: camera
            for topic, camera in cameras.items()
            if _is_in_most([other_topic for other_topic in cameras if cameras[other_topic] == camera], bags)
        },
        state_topic=min(state_topics, key=lambda name: topics[name].type != JOINT_TYPE, default=None),
        environment_state_topic=environment,
        action_topic=action,
    )
    slowest_rate = min((rates[topic] for topic in suggested_settings.topics if rates.get(topic)), default=30.0)
    usual_rate = min(USUAL_RATES, key=lambda rate: abs(rate - slowest_rate))
    return replace(
        suggested_settings,
        fps=float(usual_rate) if abs(usual_rate - slowest_rate) <= 0.1 * usual_rate else round(slowest_rate, 1),
    )


def _is_in_most(topics: Sequence[str], bags: Sequence[Mapping[str, Topic]]) -> bool:
    """Return whether at least half of the bags have one of the topics."""
    return 2 * count_bags(topics, bags) >= len(bags)


def count_bags(topics: Sequence[str], bags: Sequence[Collection[str]]) -> int:
    """Return how many bags have one of the topics."""
    return sum(any(topic in bag for topic in topics) for bag in bags)


def _name_cameras(topics: Iterable[str]) -> dict[str, str]:
    """Return the camera of each topic, compressed topics first: a bag that has both is read from those."""
    ordered_topics = sorted(topics, key=lambda topic: (not topic.endswith("/compressed"), topic))
    base_topics = {topic: topic.removesuffix("/compressed") for topic in ordered_topics}
    segments_by_name = {name: [segment for segment in name.split("/") if segment] for name in base_topics.values()}
    telling_segments = {
        name: [segment for segment in name_segments if segment not in _PLAIN_SEGMENTS] or name_segments[:1]
        for name, name_segments in segments_by_name.items()
    }
    short_names = {name: segments[-1] for name, segments in telling_segments.items()}
    is_unique = len(set(short_names.values())) == len(short_names)
    return {
        topic: short_names[name] if is_unique else "_".join(telling_segments[name])
        for topic, name in base_topics.items()
    }
