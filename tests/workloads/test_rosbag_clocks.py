"""Clocks of bags: one that is set while recording, and a camera with a clock of its own."""

from dataclasses import replace

import numpy as np
import pytest
from job_documents import check_findings
from recorded_bags import SECOND, Recording
from robotrain_workloads.rosbag.bag_files import BagError, find_bags
from robotrain_workloads.rosbag.episodes import read_bag
from robotrain_workloads.rosbag.settings import DataSettings

SETTINGS = DataSettings(
    image_topics={"/camera/top": "top"}, state_topic="/joint_states", action_topic="/action", fps=10
)
SPLIT = replace(SETTINGS, on_clock_jump="split")


def read(folder, settings=SETTINGS):
    (bag,) = find_bags(folder)
    return read_bag(bag, settings)


def refuse(folder):
    """Read a bag that is refused."""
    with pytest.raises(BagError) as caught:
        read(folder)
    check_findings([str(caught.value)])


def set_back(nanoseconds):
    """The system's clock, set back in the middle of 80 steps."""
    return lambda step: -nanoseconds if step >= 40 else 0


@pytest.mark.parametrize(
    ("storage", "compression"), [("sqlite3", "none"), ("sqlite3", "file"), ("mcap", "none"), ("mcap", "message")]
)
def test_a_system_clock_that_is_set_back_never_mixes_two_times(tmp_path, storage, compression):
    folder = Recording(steps=80, clock=set_back(3 * SECOND)).write(tmp_path / "ep", storage, compression)
    refuse(folder)
    reading = read(folder, SPLIT)
    assert [episode.steps for episode in reading.episodes] == [40, 40]
    for episode, first in zip(reading.episodes, (0, 40), strict=True):
        steps = np.arange(first, first + 40)
        assert episode.values["observation.state"][:, 0].tolist() == steps.tolist()
        assert episode.pictures["top"].tolist() == steps.tolist()
    assert reading.topics["/camera/top"].rate == pytest.approx(10)


@pytest.mark.parametrize(
    "recording",
    [
        Recording(steps=80, clock=set_back(3 * SECOND), stamped=False),
        Recording(steps=80, clock=set_back(SECOND // 2)),
        # Exposed before the clock was set, and recorded after: the headers jump some messages later.
        Recording(steps=80, clock=set_back(3 * SECOND), offset=lambda step: 3 * SECOND if step in (40, 41) else 0),
    ],
    ids=["without headers", "by half a second", "headers later"],
)
def test_every_step_back_of_the_recorders_clock_is_found(tmp_path, recording):
    folder = recording.write(tmp_path / "ep")
    refuse(folder)
    for episode in read(folder, SPLIT).episodes:
        assert (np.abs(np.diff(episode.values["observation.state"][:, 0])) <= 1).all()


@pytest.mark.parametrize("storage", ["sqlite3", "mcap"])
def test_topics_that_were_written_one_after_the_other_are_no_jump(tmp_path, storage):
    recording = Recording()
    topics = ("/joint_states", "/camera/top", "/action")
    messages = [
        message
        for topic in topics
        for message in replace(recording, without=[t for t in topics if t != topic]).list_messages()
    ]
    folder = Recording(steps=0, messages=messages).write(tmp_path / "ep", storage)
    assert [episode.steps for episode in read(folder).episodes] == [40]


@pytest.mark.parametrize("seconds", [-3600, 2])
def test_a_camera_with_a_clock_of_its_own_is_named(tmp_path, seconds):
    folder = Recording(camera_offset=seconds * SECOND).write(tmp_path / "ep")
    refuse(folder)
    assert [episode.steps for episode in read(folder, replace(SETTINGS, timestamp="log")).episodes] == [40]
