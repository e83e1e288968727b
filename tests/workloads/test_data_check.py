"""What `robotrain data check` says about a dataset, and what it suggests to type."""

import json
from pathlib import Path

import pytest
from robotrain.model.data_report import RemoteFiles
from robotrain_workloads.data_command import process
from robotrain_workloads.data_command.check_report import (
    CheckedDataset,
    format_heading,
    list_next_lines,
    list_rows,
)
from robotrain_workloads.dataset_check.findings import load_finding, make_finding
from robotrain_workloads.lerobot import episode_numbers

COUNTS = {"tables": {"episodes": 10, "frames": 12040, "cameras": 2}, "quality": {}}


def make_checked(*findings, **results) -> CheckedDataset:
    return CheckedDataset("recordings/pick cube", findings, {**COUNTS, **results})


@pytest.mark.parametrize(
    ("episodes", "text"), [((), ""), ((3,), "3"), ((9, 3, 7, 8), "3, 7-9"), ((1, 2), "1-2"), (range(300), "0-299")]
)
def test_episodes_are_printed_as_ranges_that_the_option_takes(episodes, text):
    assert episode_numbers.format_ranges(episodes, ", ") == text
    ranges = episode_numbers.parse_ranges(episode_numbers.format_ranges(episodes)) if episodes else []
    assert episode_numbers.select_episodes(ranges, 1000) == sorted(episodes)


def test_a_finding_is_the_same_after_json():
    finding = make_finding("idle-end", "text", [2, 1], feature="action", number=2.5, unit="s", spans=[(1, 0, 9)])
    assert load_finding(json.loads(json.dumps(finding.dump()))) == finding


def test_a_finding_of_an_unknown_code_is_refused():
    with pytest.raises(ValueError, match="no code"):
        load_finding({**make_finding("idle-end", "text").dump(), "code": "idle"})


def test_errors_come_first_and_then_what_most_episodes_have():
    findings = (
        make_finding("idle-end", "short", [1]),
        make_finding("idle-start", "long", [1, 2, 3]),
        make_finding("video-short", "ends", [4]),
    )
    checked = make_checked(*findings)
    assert [row[1] for row in list_rows(checked)] == ["video-short", "idle-start", "idle-end"]
    assert "(episodes 1-3)" in [*list_rows(checked)][1][2]
    assert format_heading(checked) == "recordings/pick cube: 10 episodes, 12,040 frames, 2 cameras; 1 error, 2 warnings"


def test_only_episodes_are_left_out_of_which_that_cures_the_dataset():
    findings = (
        make_finding("camera-black", "black", [3, 7]),
        make_finding("episode-repeated", "copy", [8, 9]),
        make_finding("idle-end", "idle", [1]),  # cutting its end cures it
        make_finding("timestamps-irregular", "uneven", range(10)),
        make_finding("camera-frozen", "frozen", range(6)),  # in most: the camera, not the episodes
    )
    checked = make_checked(*findings)
    assert checked.excluded == [3, 7, 8, 9]
    assert [*list_next_lines(checked)] == [
        "leave them out:  --exclude-episodes 3,7-9",
        "look at one:     robotrain data view 'recordings/pick cube' 0",
    ]


def test_nothing_is_suggested_where_nothing_was_found():
    assert [*list_next_lines(make_checked())] == []
    assert format_heading(make_checked()).endswith("; nothing found")


def test_what_was_not_looked_at_is_said():
    broken = CheckedDataset("name", (make_finding("video-short", "ends", [4]),), {"tables": COUNTS["tables"]})
    assert "once the errors are corrected" in broken.explain_unchecked()
    assert "4 of 10 episodes" in make_checked(quality={"pictured_episodes": 4}).explain_unchecked()
    assert make_checked(quality={"pictured_episodes": 10}).explain_unchecked() == ""


def test_how_many_pictures_were_decoded_is_said():
    decoded = make_checked(quality={"pictures": 320, "decoded_pictures": 64})
    assert "64 of 320 pictures decoded" in format_heading(decoded)
    assert (decoded.dump()["pictures"], decoded.dump()["decoded_pictures"]) == (320, 64)
    assert "decoded" not in format_heading(make_checked())


def test_all_pictures_are_decoded_of_folders_only(robotrain):
    refused = robotrain("data", "check", "lerobot/pusht", "--decode", "all")
    refused.check_problems(2, "source-invalid --decode")


def test_a_sample_says_nothing_about_the_other_episodes():
    sampled = make_checked(quality={"numbered_episodes": 8, "pictured_episodes": 3})
    assert sampled.explain_unchecked() == "numbers were looked at in 8, pictures were looked at in 3 of 10 episodes"
    assert format_heading(sampled).endswith("nothing found in 3 of them")
    assert format_heading(make_checked(quality={"pictured_episodes": 0})).endswith("nothing found in its tables")
    tables = CheckedDataset("u/d", (), {"tables": COUNTS["tables"]})
    assert format_heading(tables).endswith("nothing found in its tables")
    assert "robotrain data check u/d" in tables.explain_unchecked()


def test_a_dataset_that_could_not_be_read_does_not_train():
    unread = CheckedDataset("name", (), {}, "there was no answer")
    assert not unread.can_train
    assert format_heading(unread) == "name: there was no answer"
    assert unread.dump()["failure"] == "there was no answer"


def test_a_folder_that_does_not_exist_is_refused(robotrain, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused = robotrain("data", "check", "./recordings/pick-cub", str(tmp_path / "nothing"), "--json")
    refused.check_problems(2, "source-invalid DATASET", "source-invalid DATASET")


def test_only_forms_that_are_read_from_here_are_offered(robotrain, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (problem,) = robotrain("data", "check", "nothing", "--json").json["problems"]
    offered = " ".join(way["text"] for way in problem["instead"])
    assert "OWNER/NAME" in offered
    assert not {"azureml:NAME:VERSION", "HOST:/PATH", "[BUCKET/]NAME[:VERSION]"} & set(offered.split())


def test_a_hub_that_is_not_reached_is_the_reason(robotrain, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    checked = robotrain("data", "check", "lerobot/pusht", "--json")
    (dataset,) = checked.json["datasets"]
    assert (checked.exit_code, dataset["can_train"]) == (2, False)
    assert "127.0.0.1" in dataset["failure"]


@pytest.mark.parametrize("dataset", ["lerobot/pusht", "https://account1.blob.core.windows.net/train/set1"])
def test_a_page_is_made_of_a_folder_of_this_machine_only(robotrain, dataset):
    (problem,) = robotrain("data", "view", dataset, "--json").json["problems"]
    assert (problem["code"], problem["where"], problem["given"]) == ("source-invalid", "DATASET", dataset)


@pytest.mark.parametrize(
    ("path", "size", "reason"),
    [("data/a.parquet", 3_000_000_000, "3.0 GB"), ("data/../../../a", 1, "outside of the dataset")],
)
def test_of_a_dataset_elsewhere_only_tables_of_some_size_are_downloaded(monkeypatch, tmp_path, path, size, reason):
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(tmp_path))
    files = RemoteFiles("u/d", "1", lambda: {path: size, "videos/a.mp4": 1 << 40}, pytest.fail)
    with pytest.raises(process.InspectionFailed, match=reason):
        process.inspect_dataset(files, {"tables": {}}, lambda: Path("python"))
