"""Problems of datasets that cannot be trained on, each with its own sentence, before anything is built."""

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import job_documents
import pytest
from job_documents import check_findings
from robotrain_workloads.lerobot.dataset import find_dataset_problems, list_cameras
from robotrain_workloads.lerobot_train import container

FILM = ((b"ftyp", b"12345678isom"), (b"mdat", b"12345678pictures"), (b"moov", b"12345678index"))
"""The parts of one, each with room for its head."""


def find_problems(folder: Path) -> str:
    return " / ".join(find_dataset_problems(folder))


def test_what_is_no_dataset_is_named_and_a_dataset_in_it_is_suggested(dataset, tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "gone", tmp_path / "file", tmp_path, dataset().parent):
        check_findings(find_dataset_problems(folder), fact=f"{folder} is not a ")


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_invalid_description_is_named(dataset, text):
    folder = dataset()
    (folder / "meta/info.json").write_text(text)
    check_findings(find_dataset_problems(folder), fact="meta/info.json")


PROBLEMS: list[tuple[dict[str, object], str]] = [
    ({"codebase_version": None, "fps": None, "features": None}, "lacks codebase_version, fps, features"),
    ({"codebase_version": "v2.1"}, "--convert-v21"),
    ({"codebase_version": "v2.0"}, "only v2.1 is converted"),
    ({"codebase_version": "1.6"}, "only v2.1 is converted"),
    ({"codebase_version": "v9"}, "'v9', and the trainer reads v3.0"),
    ({"without": ["meta/stats.json"]}, "recompute_stats"),
    ({"total_episodes": 0}, "total_episodes 0"),
    ({"total_tasks": -1}, "total_tasks -1"),
    ({"fps": "many"}, "fps 'many'"),
    ({"features": {}}, "`action`"),
    ({"without": ["meta/tasks.parquet"]}, "there is no meta/tasks.parquet"),
    ({"without": ["meta/episodes/chunk-000/file-000.parquet"]}, "there is no meta/episodes/*/*.parquet"),
    ({"without": ["data/chunk-000/file-000.parquet"]}, "there is no data/*/*.parquet"),
]
"""How the dataset differs from a good one, and a fact of what is said."""


@pytest.mark.parametrize(("changes", "fact"), PROBLEMS)
def test_problem_of_a_dataset_is_named(dataset, changes, fact):
    check_findings(find_dataset_problems(dataset(**changes)), fact=fact)


@pytest.mark.parametrize("version", ["v3.1", "3.0"])
@pytest.mark.parametrize("kind", ["float", "double", "float16", "bool", "large_string"])
def test_versions_and_types_that_lerobot_reads_are_accepted(dataset, version, kind):
    features = {"action": {"dtype": "float32", "shape": [2]}, "extra": {"dtype": kind, "shape": [1]}}
    assert find_problems(dataset(codebase_version=version, features=features)) == ""


def test_missing_and_incomplete_videos_are_named(dataset):
    folder = dataset(video=True)
    check_findings(find_dataset_problems(folder), fact="there is no videos/observation.image/chunk-*/file-*.mp4")
    (folder / "videos/observation.image/chunk-000").mkdir(parents=True)
    film = folder / "videos/observation.image/chunk-000/file-000.mp4"
    parts = [len(content).to_bytes(4, "big") + name + content[8:] for name, content in FILM]
    film.write_bytes(b"".join(parts))
    assert find_problems(folder) == ""
    for cut in (b"", b"".join(parts)[:-1], b"".join(parts[:2])):
        film.write_bytes(cut)
        assert find_problems(folder).startswith((f"{film} is not a complete MP4 file", f"{film} is empty"))


@pytest.mark.parametrize("name", ["observation.wrist", "../elsewhere", "a\0b"])
def test_videos_of_each_camera_are_looked_for(dataset, name):
    folder = dataset(video=True)
    info = json.loads((folder / "meta/info.json").read_text())
    info["features"][name] = info["features"]["observation.image"]
    (folder / "meta/info.json").write_text(json.dumps(info))
    (folder / "videos/observation.image/chunk-000").mkdir(parents=True)
    film = folder / "videos/observation.image/chunk-000/file-000.mp4"
    film.write_bytes(b"".join(len(content).to_bytes(4, "big") + kind + content[8:] for kind, content in FILM))
    fact = "there is no videos/observation.wrist/chunk-*/file-*.mp4"
    assert (fact in find_problems(folder)) == (name == "observation.wrist")


def test_videos_lie_where_the_dataset_says(dataset):
    folder = dataset(video=True, video_path="films/{video_key}/{chunk_index}-{file_index:03d}.mkv")
    check_findings(find_dataset_problems(folder), fact="there is no films/observation.image/*-*.mkv")
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
    check_findings(job_documents.find_problems(document), fact="--output-dir NEW_FOLDER")


def test_a_relative_output_folder_lies_below_the_run(training):
    for output_dir, name in (("mine", "mine"), (None, "outputs")):
        document = training(output_dir=output_dir)
        assert container.tracked(document).params["output_dir"] == f"{document.placement.work}/{name}"


HOSTILE_DESCRIPTIONS: list[tuple[dict[str, object], str]] = [
    ({"data_path": "../../secrets/{file_index}.parquet"}, "outside the dataset"),
    ({"data_path": "/etc/{chunk_index}"}, "outside the dataset"),
    ({"data_path": "data/{chunk_index.__class__}.parquet"}, "not a path with fields"),
    ({"data_path": "data/{chunk_index:999999999d}.parquet"}, "not a path with fields"),
    ({"data_path": "data/{chunk_index"}, "not a path with fields"),
    ({"data_path": ["data"]}, "not a path with fields"),
    ({"fps": float("nan")}, "fps nan"),
    ({"fps": True}, "fps True"),
    ({"total_episodes": 10**18}, "total_episodes"),
    ({"total_frames": 20.5}, "total_frames 20.5"),
    ({"features": {"action": {"dtype": "float32", "shape": [10**12]}}}, "the shape of action"),
    ({"features": {"action": {"dtype": "float32", "shape": "2"}}}, "the shape of action"),
    ({"features": {"action": {"dtype": "object", "shape": [2]}}}, "'object'"),
    ({"features": {"action": {"dtype": "bfloat16", "shape": [2]}}}, "'bfloat16'"),
    ({"features": {"action": {"dtype": ["float32"], "shape": [2]}}}, "float32"),
    ({"features": {"action": {}, **{f"observation.a{number}": {} for number in range(20_000)}}}, "20,001 features"),
    ({"chunks_size": 10**18}, "chunks_size"),
    ({"chunks_size": 0}, "chunks_size 0"),
    ({"chunks_size": "1000"}, "chunks_size '1000'"),
    ({"data_files_size_in_mb": -1}, "data_files_size_in_mb -1"),
    ({"video_files_size_in_mb": float("inf")}, "video_files_size_in_mb inf"),
    ({"features": {"action": {}, "../../x": {"dtype": "float32"}}}, "../../x"),
]


@pytest.mark.parametrize(("changes", "fact"), HOSTILE_DESCRIPTIONS)
def test_a_hostile_description_is_named(dataset, changes, fact):
    check_findings(find_dataset_problems(dataset(**changes), description_only=True), fact=fact)


STATISTICS = [
    ('{"action": {"mean": [NaN, 1]}}', True),
    ('{"action": {"std": [[Infinity, 1]]}}', True),
    ('{"action": {"std": "1"}}', True),
    ("[", True),
    ('{"action": {"std": [1, -0.1]}}', True),
    ('{"action": {"min": [1, 5], "max": [2, 4]}}', True),
    ('{"action": {"mean": [1, 2, 3]}}', True),
    ('{"action": {"mean": []}}', True),
    (json.dumps({"observation.image": {"mean": [0.1] * 96}}), True),
    ('{"observation.image": {"mean": [[[0.5]], [[0.5]], [[0.5]]]}}', False),
    ('{"action": {"mean": [1], "std": [1]}}', True),
    ('{"action": {"mean": [[1, 2.5]]}, "next.reward": {"mean": [NaN]}}', False),
]
"""With whether something is wrong with them."""


@pytest.mark.parametrize(("statistics", "is_wrong"), STATISTICS)
def test_impossible_statistics_are_named(dataset, statistics, is_wrong):
    features = {"action": {"dtype": "float32", "shape": [2]}}
    folder = dataset(features={**features, "observation.image": {"dtype": "image", "shape": [96, 96, 3]}})
    (folder / "meta/stats.json").write_text(statistics)
    described = [*find_dataset_problems(folder, description_only=True)]
    assert described == [*find_dataset_problems(folder)]
    check_findings(described, is_wrong, "meta/stats.json")


@pytest.mark.parametrize(
    ("camera", "is_wrong"),
    [
        ({"shape": [96, 96, 3], "names": None}, True),
        ({"shape": [96, 96, 3], "names": ["height", "width"]}, True),
        ({"shape": [96, 96]}, True),
        ({"shape": [3, 96, 96], "names": ["channels", "height", "width"]}, False),
    ],
)
def test_a_camera_that_lerobot_cannot_read_is_named(dataset, camera, is_wrong):
    features = {"action": {"dtype": "float32", "shape": [2]}, "observation.image": {"dtype": "video", **camera}}
    check_findings(
        find_dataset_problems(dataset(features=features), description_only=True), is_wrong, "observation.image"
    )


UNREADABLE_FILES = {
    "empty": (Path.touch, "is empty"),
    "cut short": (lambda path: path.write_text("PAR1 cut sho"), "is not a complete Parquet file"),
    "text": (lambda path: path.write_text("PAR1 this is no table PAR1"), "is not a complete Parquet file"),
    "Git LFS": (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"), "Git LFS pointer"),
    "fifo": (os.mkfifo, "is no file"),
    "link to a device": (lambda path: path.symlink_to("/dev/zero"), "is no file"),
}


@pytest.mark.parametrize("name", ["meta/tasks.parquet", "data/chunk-000/file-000.parquet"])
@pytest.mark.parametrize(("make", "reason"), UNREADABLE_FILES.values(), ids=UNREADABLE_FILES)
def test_a_table_that_cannot_be_read_is_named_without_waiting(dataset, name, make, reason):
    folder = dataset()
    (folder / name).unlink()
    make(folder / name)
    assert re.match(f"{folder / name} .*{reason}", find_problems(folder))


def test_a_description_that_would_fill_the_memory_is_refused_unread(dataset):
    folder = dataset()
    os.truncate(folder / "meta/info.json", 1 << 30)  # a file with a hole
    assert find_problems(folder).endswith("is too large to be read: more than 20,000,000 bytes")


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
    check_findings(job_documents.find_problems(document), fact="meta/stats.json")
    fetched = replace(document.sources[0], kind="huggingface")
    assert list(container.inspect(replace(document, sources=(fetched,)), {fetched: folder})) == []
