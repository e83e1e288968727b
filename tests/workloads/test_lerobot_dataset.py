"""Problems of datasets that cannot be trained on, each with its own sentence, before anything is built."""

import json
import os
from dataclasses import replace
from pathlib import Path

import job_documents
import pytest
from robotrain_workloads.lerobot.dataset import find_dataset_problems, list_cameras
from robotrain_workloads.lerobot_train import container

FILM = ((b"ftyp", b"12345678isom"), (b"mdat", b"12345678pictures"), (b"moov", b"12345678index"))
"""The parts of one, each with room for its head."""


def find_problems(folder: Path) -> str:
    return " / ".join(find_dataset_problems(folder))


def test_what_is_no_dataset_is_named_and_a_dataset_in_it_is_suggested(dataset, tmp_path):
    assert find_problems(tmp_path / "gone") == f"{tmp_path / 'gone'} is not a folder"
    (tmp_path / "file").touch()
    assert "is not a folder" in find_problems(tmp_path / "file")
    assert find_problems(tmp_path).endswith("is not a LeRobot dataset: it has no meta/info.json")
    assert f"(but {dataset()} has)" in find_problems(tmp_path)


@pytest.mark.parametrize(
    ("text", "why"), [("{", "is not JSON"), ("[]", "must hold a JSON object"), ("{}", "total_frames")]
)
def test_invalid_description_is_named(dataset, text, why):
    folder = dataset()
    (folder / "meta/info.json").write_text(text)
    assert why in find_problems(folder)


PROBLEMS: list[tuple[dict[str, object], tuple[str, ...], str]] = [
    ({"codebase_version": None, "fps": None, "features": None}, ("lacks codebase_version, fps, features",), ""),
    ({"codebase_version": "v2.1"}, ("v2.1", "\n--convert-v21"), ""),
    ({"codebase_version": "v2.0"}, ("v2.0",), "--convert-v21"),
    ({"codebase_version": "1.6"}, ("1.6",), "--convert-v21"),
    ({"codebase_version": "v9"}, ("'v9'",), "convert"),
    ({"without": ["meta/stats.json"]}, ("cannot be normalized",), ""),
    ({"total_episodes": 0}, ("has no episodes",), ""),
    ({"total_tasks": -1}, ("has no tasks",), ""),
    ({"fps": "many"}, ("has no fps",), ""),
    ({"features": {}}, ("has no feature `action`",), ""),
    ({"without": ["meta/tasks.parquet"]}, ("is incomplete", "tasks"), ""),
    ({"without": ["meta/episodes/chunk-000/file-000.parquet"]}, ("is incomplete", "episodes"), ""),
    ({"without": ["data/chunk-000/file-000.parquet"]}, ("is incomplete",), ""),
]
"""How the dataset differs from a good one, what its problem says, and what it must not say."""


@pytest.mark.parametrize(("changes", "expected", "excluded"), PROBLEMS)
def test_problem_of_a_dataset_is_named(dataset, changes, expected, excluded):
    problem = find_problems(dataset(**changes))
    assert [text for text in expected if text not in problem] == []
    assert not excluded or excluded not in problem


@pytest.mark.parametrize("version", ["v3.1", "3.0"])
@pytest.mark.parametrize("kind", ["float", "double", "float16", "bool", "large_string"])
def test_versions_and_types_that_lerobot_reads_are_accepted(dataset, version, kind):
    features = {"action": {"dtype": "float32", "shape": [2]}, "extra": {"dtype": kind, "shape": [1]}}
    assert find_problems(dataset(codebase_version=version, features=features)) == ""


def test_missing_and_incomplete_videos_are_named(dataset):
    folder = dataset(video=True)
    assert "no videos" in find_problems(folder)
    (folder / "videos/observation.image/chunk-000").mkdir(parents=True)
    film = folder / "videos/observation.image/chunk-000/file-000.mp4"
    parts = [len(content).to_bytes(4, "big") + name + content[8:] for name, content in FILM]
    film.write_bytes(b"".join(parts))
    assert find_problems(folder) == ""
    for cut in (b"", b"".join(parts)[:-1], b"".join(parts[:2])):
        film.write_bytes(cut)
        assert find_problems(folder).startswith(f"{film} is not a complete MP4 file")


def test_videos_lie_where_the_dataset_says(dataset):
    folder = dataset(video=True, video_path="films/{video_key}/{chunk_index}-{file_index:03d}.mkv")
    assert "no films/*/*-*.mkv" in find_problems(folder)
    (folder / "films/observation.image").mkdir(parents=True)
    (folder / "films/observation.image/0-000.mkv").touch()
    assert find_problems(folder) == ""


def test_folders_may_be_links(dataset, tmp_path):
    folder = dataset()
    for name in ("data/chunk-000", "meta/episodes/chunk-000"):
        (folder / name).rename(tmp_path / "elsewhere")
        (folder / name).symlink_to(tmp_path / "elsewhere")
        assert find_problems(folder) == ""
        (folder / name).unlink()
        (tmp_path / "elsewhere").rename(folder / name)


def test_cameras_are_images_and_videos():
    features = {"a": {"dtype": "image"}, "b": {"dtype": "video"}, "c": {"dtype": "float32"}}
    assert list_cameras({"features": features}) == ["a", "b"]


def test_an_output_folder_with_something_in_it_is_refused_and_an_empty_one_is_not(training, tmp_path, pusht):
    document = training(pusht, output_dir=str(tmp_path / "out"))
    assert job_documents.find_problems(document) == []
    (tmp_path / "out").mkdir()
    assert job_documents.find_problems(document) == []
    (tmp_path / "out" / "checkpoints").mkdir()
    (problem,) = job_documents.find_problems(document)
    assert str(tmp_path / "out") in problem


def test_a_relative_output_folder_lies_below_the_run(training):
    for given, name in (("mine", "mine"), (None, "outputs")):
        document = training(output_dir=given)
        assert container.tracked(document).params["output_dir"] == f"{document.placement.work}/{name}"


HOSTILE_DESCRIPTIONS = [
    ({"data_path": "../../secrets/{file_index}.parquet"}, "data_path"),
    ({"data_path": "/etc/{chunk_index}"}, "data_path"),
    ({"data_path": "data/{chunk_index.__class__}.parquet"}, "data_path"),
    ({"data_path": "data/{chunk_index:999999999d}.parquet"}, "data_path"),
    ({"data_path": "data/{chunk_index"}, "data_path"),
    ({"data_path": ["data"]}, "data_path"),
    ({"fps": float("nan")}, "fps"),
    ({"fps": True}, "fps"),
    ({"total_episodes": 10**18}, "total_episodes"),
    ({"total_frames": 20.5}, "total_frames"),
    ({"features": {"action": {"dtype": "float32", "shape": [10**12]}}}, "shape of action"),
    ({"features": {"action": {"dtype": "float32", "shape": "2"}}}, "shape of action"),
    ({"features": {"action": {"dtype": "object", "shape": [2]}}}, "'object'"),
    ({"features": {"action": {"dtype": "bfloat16", "shape": [2]}}}, "'bfloat16'"),
    ({"features": {"action": {"dtype": ["float32"], "shape": [2]}}}, "dtype"),
    ({"features": {"action": {}, **{f"observation.a{number}": {} for number in range(20_000)}}}, "20,001 features"),
    ({"chunks_size": 10**18}, "chunks_size"),
    ({"chunks_size": 0}, "chunks_size"),
    ({"chunks_size": "1000"}, "chunks_size"),
    ({"data_files_size_in_mb": -1}, "data_files_size_in_mb"),
    ({"video_files_size_in_mb": float("inf")}, "video_files_size_in_mb"),
    ({"features": {"action": {}, "../../x": {"dtype": "float32"}}}, "../../x"),
]


@pytest.mark.parametrize(("changes", "named"), HOSTILE_DESCRIPTIONS)
def test_a_hostile_description_is_named(dataset, changes, named):
    (problem,) = find_dataset_problems(dataset(**changes), description_only=True)
    assert named in problem


STATISTICS = [
    ('{"action": {"mean": [NaN, 1]}}', "finite"),
    ('{"action": {"std": [[Infinity, 1]]}}', "finite"),
    ('{"action": {"std": "1"}}', "finite"),
    ("[", "is not JSON"),
    ('{"action": {"std": [1, -0.1]}}', "negative"),
    ('{"action": {"min": [1, 5], "max": [2, 4]}}', "larger than max"),
    ('{"action": {"mean": [1, 2, 3]}}', "mean of action has 3 values, and the feature has 2"),
    ('{"action": {"mean": []}}', "has 0 values"),
    (json.dumps({"observation.image": {"mean": [0.1] * 96}}), "must have a number a channel"),
    ('{"observation.image": {"mean": [[[0.5]], [[0.5]], [[0.5]]]}}', ""),
    ('{"action": {"mean": [1], "std": [1]}}', "mean of action has 1 values, std of action has 1 values"),
    ('{"action": {"mean": [[1, 2.5]]}, "next.reward": {"mean": [NaN]}}', ""),
]
"""With what is wrong with them; empty for nothing."""


@pytest.mark.parametrize("description_only", [True, False])
@pytest.mark.parametrize(("statistics", "why"), STATISTICS)
def test_impossible_statistics_are_named(dataset, statistics, why, description_only):
    features = {"action": {"dtype": "float32", "shape": [2]}}
    folder = dataset(features={**features, "observation.image": {"dtype": "image", "shape": [96, 96, 3]}})
    (folder / "meta/stats.json").write_text(statistics)
    problems = list(find_dataset_problems(folder, description_only=description_only))
    assert len(problems) == bool(why)
    assert all(f"{folder}/meta/stats.json" in problem and why in problem for problem in problems)


@pytest.mark.parametrize(
    ("camera", "why"),
    [
        ({"shape": [96, 96, 3], "names": None}, "observation.image does not name its dimensions"),
        ({"shape": [96, 96, 3], "names": ["height", "width"]}, "observation.image does not name its dimensions"),
        ({"shape": [96, 96]}, "observation.image has the shape [96, 96]"),
        ({"shape": [3, 96, 96], "names": ["channels", "height", "width"]}, ""),
    ],
)
def test_a_camera_that_lerobot_cannot_read_is_named(dataset, camera, why):
    features = {"action": {"dtype": "float32", "shape": [2]}, "observation.image": {"dtype": "video", **camera}}
    problems = list(find_dataset_problems(dataset(features=features), description_only=True))
    assert [why in problem for problem in problems] == [True] * bool(why)


INCOMPLETE_FILES = {
    "empty": Path.touch,
    "cut short": lambda path: path.write_text("PAR1 cut sho"),
    "text": lambda path: path.write_text("PAR1 this is no table PAR1"),
    "fifo": os.mkfifo,
    "link to a device": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("name", ["meta/tasks.parquet", "data/chunk-000/file-000.parquet"])
@pytest.mark.parametrize("make", INCOMPLETE_FILES.values(), ids=INCOMPLETE_FILES)
def test_a_file_that_is_not_complete_parquet_is_named_without_waiting(dataset, name, make):
    folder = dataset()
    (folder / name).unlink()
    make(folder / name)
    assert f"{folder / name} is not a complete Parquet file" in find_problems(folder)


def test_a_link_out_of_a_folder_is_named_and_one_of_a_cache_or_of_fetched_data_is_not(dataset, training, tmp_path):
    folder = dataset(folder="repo/snapshots/main")
    document, stats = training(folder), folder / "meta/stats.json"
    (tmp_path / "repo/blobs").mkdir()
    for place in (tmp_path / "repo/blobs/stats", folder / "meta/other.json"):
        stats.rename(place)
        stats.symlink_to(place)
        assert job_documents.find_problems(document) == []
        stats.unlink()
        place.rename(stats)
    stats.rename(tmp_path / "secret")
    stats.symlink_to(tmp_path / "secret")
    (problem,) = job_documents.find_problems(document)
    assert str(stats) in problem
    assert "\ncp -rL " in problem
    fetched = replace(document.sources[0], kind="huggingface")
    assert list(container.inspect(replace(document, sources=(fetched,)), {fetched: folder})) == []
