"""Storage of bags: files that were compressed while recording, and folders that hold only a part of a bag."""

import shutil

import pytest
from job_documents import check_findings
from recorded_bags import Recording
from robotrain_workloads.rosbag.bag_files import BagError, find_bags
from robotrain_workloads.rosbag.episodes import read_bag
from robotrain_workloads.rosbag.settings import DataSettings

SETTINGS = DataSettings(
    image_topics={"/camera/top": "top"}, state_topic="/joint_states", action_topic="/action", fps=10
)
STORAGES = ("sqlite3", "mcap")


def count_steps(folder):
    (bag,) = find_bags(folder)
    return sum(episode.steps for episode in read_bag(bag, SETTINGS).episodes)


def record_compressed(folder, storage, **options):
    """Write a bag whose file is compressed; return its folder and its file."""
    Recording(**options).write(folder, storage, "file")
    (file,) = folder.glob("*.zstd")
    return folder, file


@pytest.mark.parametrize("storage", STORAGES)
def test_compressed_files_are_read_with_and_without_metadata(tmp_path, storage):
    folder, _ = record_compressed(tmp_path / "ep", storage)
    assert count_steps(folder) == 40
    (folder / "metadata.yaml").unlink()
    assert [bag.name for bag in find_bags(tmp_path)] == ["ep"]
    assert count_steps(folder) == 40


@pytest.mark.parametrize("storage", STORAGES)
def test_parts_of_a_recording_that_was_killed_are_one_bag(tmp_path, storage):
    """The recorder compresses a part when it begins the next one."""
    _, file = record_compressed(tmp_path / "whole", storage)
    suffix = file.suffixes[0]
    parts = tmp_path / "parts"
    parts.mkdir()
    shutil.copy(file, parts / f"ep_0{suffix}.zstd")
    shutil.copy(Recording().write(tmp_path / "plain", storage) / f"plain{suffix}", parts / f"ep_1{suffix}")
    assert [(bag.name, len(bag.files)) for bag in find_bags(parts)] == [("ep", 2)]
    shutil.copy(parts / f"ep_1{suffix}", parts / f"ep_0{suffix}")
    (bag,) = find_bags(parts)
    assert [file.name for file in bag.files] == [f"ep_0{suffix}", f"ep_1{suffix}"], "it was decompressed by hand"


@pytest.mark.parametrize("storage", STORAGES)
def test_parts_are_read_in_their_order(tmp_path, storage):
    messages = Recording(steps=80).list_messages()
    parts = tmp_path / "parts"
    parts.mkdir()
    for number, part in enumerate((messages[:120], messages[120:])):
        folder = Recording(steps=0, messages=part).write(tmp_path / f"ep_{number}", storage, "file")
        (file,) = folder.glob("*.zstd")
        shutil.copy(file, parts / file.name)
    (bag,) = find_bags(parts)
    (episode,) = read_bag(bag, SETTINGS).episodes
    assert episode.values["observation.state"][:, 0].tolist() == list(range(80))


@pytest.mark.parametrize("metadata", [True, False])
@pytest.mark.parametrize("storage", STORAGES)
def test_a_compressed_file_that_is_damaged_is_named(tmp_path, storage, metadata):
    folder, file = record_compressed(tmp_path / "ep", storage, size=(48, 64))
    whole = file.read_bytes()
    if not metadata:
        (folder / "metadata.yaml").unlink()
    for content in (whole[: len(whole) * 6 // 10], b"not zstd" + whole):
        file.write_bytes(content)
        with pytest.raises(BagError) as caught:
            count_steps(folder)
        assert caught.value.file == file
        check_findings([str(caught.value)])
