"""What is wrong with a LeRobot dataset, from its small files alone. Standard library only."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from robotrain_workloads.lerobot_train import json_object, mp4

INFO = Path("meta", "info.json")
VERSION = "v3.0"
SERIES = re.compile(r"v?3(?:\.\d+)*")
CONVERTED = re.compile(r"v?2\.1")
OLD = re.compile(r"v?[012](?:\.\d+)*")
CONVERT = "--convert-v21"
COUNTED = ("total_episodes", "total_frames", "total_tasks", "fps")
NEEDED = ("codebase_version", *COUNTED, "features")
STATISTICS = "meta/stats.json"
FILES = ("meta/tasks.parquet", "meta/episodes/*/*.parquet", "data/*/*.parquet")  # as LeRobot looks for them
FILES_V21 = ("meta/tasks.jsonl", "meta/episodes.jsonl", "meta/episodes_stats.jsonl", "data/*/*.parquet")
CHECKED = 200  # files of a kind that are looked into: this must stay quick
VIDEOS = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
VIDEOS_V21 = "videos/*/*/*.mp4"


def wrong(folder: Path, name: str = "", *, convert: bool = False) -> Iterator[str]:
    """One sentence for each thing wrong. name: what the person calls it. convert: whether it is converted from v2.1."""
    name = name or str(folder)
    if not folder.is_dir():
        yield f"{name} is not a folder"
        return
    try:
        found = info(folder, name)
    except (OSError, ValueError) as error:
        yield str(error)
        return
    if hindrance := _unreadable(found, name, convert):
        yield hindrance
        return
    yield from _empty(found, name)
    yield from _incomplete(folder, found, name)


def wrong_description(found: Mapping[str, Any], name: str, *, convert: bool = False) -> Iterator[str]:
    """One sentence for each thing that its description alone says is wrong."""
    if hindrance := _unreadable(found, name, convert):
        yield hindrance
    else:
        yield from _empty(found, name)


def info(folder: Path, name: str = "") -> dict[str, Any]:
    """The dataset's description. Raises OSError or ValueError with a sentence."""
    path = folder / INFO
    if not path.is_file():
        raise FileNotFoundError(f"{name or folder} is not a LeRobot dataset: it has no {INFO}{_below(folder)}")
    return json_object.read(path)


def is_old(found: Mapping[str, Any]) -> bool:
    """Whether it is of the version that can be converted."""
    return CONVERTED.fullmatch(str(found.get("codebase_version"))) is not None


def cameras(found: Mapping[str, Any]) -> list[str]:
    """The features that are images or videos."""
    return [name for name, kind in _kinds(found).items() if kind in ("image", "video")]


def has_video(found: Mapping[str, Any]) -> bool:
    """Whether some camera was recorded as video."""
    return "video" in _kinds(found).values()


def _below(folder: Path) -> str:
    """Where the person may have meant: the folder above is a common slip."""
    near = sorted(path.parents[1] for path in folder.glob(f"*/{INFO}"))
    return f" (but {near[0]} has)" if near else ""


def _unreadable(found: Mapping[str, Any], name: str, convert: bool) -> str:
    """Why nothing else of it can be judged; empty for no reason."""
    version = found.get("codebase_version")
    if version is not None and not SERIES.fullmatch(str(version)) and not (convert and is_old(found)):
        return _other_version(name, version)
    if missing := [one for one in NEEDED if one not in found]:
        return f"{INFO} of {name} does not say {', '.join(missing)}: it is not the description of a LeRobot dataset"
    return ""


def _other_version(name: str, version: object) -> str:
    if CONVERTED.fullmatch(str(version)):
        return f"{name} is a LeRobot {version} dataset and the trainer reads {VERSION}: have it converted\n{CONVERT}"
    if OLD.fullmatch(str(version)):
        return (
            f"{name} is a LeRobot {version} dataset and the trainer reads {VERSION}: what can be converted is v2.1,"
            " which the converter of an older LeRobot makes of it"
        )
    return f"{name} has codebase_version {version!r}, and the trainer reads {VERSION}"


def _empty(found: Mapping[str, Any], name: str) -> Iterator[str]:
    for count in COUNTED:
        if not isinstance(found[count], int | float) or found[count] <= 0:
            yield f"{name} holds no {count.removeprefix('total_')}: {INFO} says {count} {found[count]!r}"
    if not isinstance(found["features"], dict) or "action" not in found["features"]:
        yield f"{name} records no `action`, which is what a policy learns"


def _incomplete(folder: Path, found: Mapping[str, Any], name: str) -> Iterator[str]:
    old = is_old(found)
    files = FILES_V21 if old else FILES
    if not old and not (folder / STATISTICS).is_file():
        yield f"{name} has no {STATISTICS}: its values could not be normalised"
    if missing := [pattern for pattern in (*files, *_videos(found, old)) if not any(folder.glob(pattern))]:
        yield f"{name} is incomplete: there is no {', no '.join(missing)}"
    tables = [pattern for pattern in files if pattern.endswith(".parquet")]
    if broken := next((path for pattern in tables for path in _first(folder, pattern) if not _parquet(path)), None):
        yield f"{broken} is not a whole Parquet file: it may have been cut short on its way here"
    films = (path for pattern in _videos(found, old) for path in _first(folder, pattern) if path.suffix == ".mp4")
    if cut := next((path for path in films if not mp4.is_whole(path)), None):
        yield f"{cut} is not a whole MP4 file: it may have been cut short on its way here"


def _first(folder: Path, pattern: str) -> list[Path]:
    return sorted(folder.glob(pattern))[:CHECKED]


def _parquet(path: Path) -> bool:
    """Whether the file begins and ends as its format does."""
    with path.open("rb") as file:
        begins = file.read(4)
        file.seek(max(0, path.stat().st_size - 4))
        return begins == file.read(4) == b"PAR1"


def _videos(found: Mapping[str, Any], old: bool) -> Iterator[str]:
    """Where the videos lie, by the dataset's own template, if it has any; v2.1 is converted by its fixed places."""
    if has_video(found):
        template = found.get("video_path")
        own = re.sub(r"\{[^}]*\}", "*", template if isinstance(template, str) and template else VIDEOS)
        yield VIDEOS_V21 if old else own


def _kinds(found: Mapping[str, Any]) -> dict[str, Any]:
    """The type of each feature."""
    features = found.get("features")
    described = features.items() if isinstance(features, dict) else ()
    return {name: one.get("dtype") for name, one in described if isinstance(one, dict)}
