"""What is wrong with a LeRobot dataset, from its small files alone. Standard library only."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from robotrain_workloads.lerobot_train import json_object

INFO = Path("meta", "info.json")
VERSION = "v3.0"
SERIES = re.compile(r"v?3(?:\.\d+)*")
OLD = re.compile(r"v?[012](?:\.\d+)*")
COUNTED = ("total_episodes", "total_frames", "total_tasks", "fps")
NEEDED = ("codebase_version", *COUNTED, "features")
STATISTICS = "meta/stats.json"
FILES = ("meta/tasks.parquet", "meta/episodes/*/*.parquet", "data/*/*.parquet")  # as LeRobot looks for them
CHECKED = 200  # files of a kind that are looked into: this must stay quick
VIDEOS = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
CONVERT = (
    "python -m lerobot.scripts.convert_dataset_v21_to_v30 --repo-id local/{name} --root {folder} --push-to-hub false"
)


def wrong(folder: Path) -> Iterator[str]:
    """One sentence for each thing wrong."""
    if not folder.is_dir():
        yield f"{folder} is not a folder"
        return
    try:
        found = info(folder)
    except (OSError, ValueError) as error:
        yield str(error)
        return
    version = found.get("codebase_version")
    if version is not None and not SERIES.fullmatch(str(version)):
        yield _other_version(folder, version)
    elif missing := [name for name in NEEDED if name not in found]:
        yield f"{folder / INFO} does not say {', '.join(missing)}: it is not the description of a LeRobot dataset"
    else:
        yield from _content(folder, found)


def info(folder: Path) -> dict[str, Any]:
    """The dataset's description. Raises OSError or ValueError with a sentence."""
    path = folder / INFO
    if not path.is_file():
        raise FileNotFoundError(f"{folder} is not a LeRobot dataset: it has no {INFO}{_below(folder)}")
    return json_object.read(path)


def cameras(found: Mapping[str, Any]) -> list[str]:
    """The features that are images or videos."""
    return [name for name, kind in _kinds(found).items() if kind in ("image", "video")]


def _below(folder: Path) -> str:
    """Where the person may have meant: the folder above is a common slip."""
    near = sorted(path.parents[1] for path in folder.glob(f"*/{INFO}"))
    return f" (but {near[0]} has)" if near else ""


def _other_version(folder: Path, version: object) -> str:
    if OLD.fullmatch(str(version)):
        convert = CONVERT.format(name=folder.name, folder=folder)
        return f"{folder} is a LeRobot {version} dataset and the trainer reads {VERSION}: convert it\n{convert}"
    return f"{folder} has codebase_version {version!r}, and the trainer reads {VERSION}"


def _content(folder: Path, found: Mapping[str, Any]) -> Iterator[str]:
    for name in COUNTED:
        if not isinstance(found[name], int | float) or found[name] <= 0:
            yield f"{folder} holds no {name.removeprefix('total_')}: {INFO} says {name} {found[name]!r}"
    if not isinstance(found["features"], dict) or "action" not in found["features"]:
        yield f"{folder} records no `action`, which is what a policy learns"
    if not (folder / STATISTICS).is_file():
        yield f"{folder} has no {STATISTICS}: its values could not be normalised"
    if missing := [pattern for pattern in (*FILES, *_videos(found)) if not any(folder.glob(pattern))]:
        yield f"{folder} is incomplete: there is no {', no '.join(missing)}"
    if broken := next((path for pattern in FILES for path in _first(folder, pattern) if not _parquet(path)), None):
        yield f"{broken} is not a whole Parquet file: it may have been cut short on its way here"


def _first(folder: Path, pattern: str) -> list[Path]:
    return sorted(folder.glob(pattern))[:CHECKED]


def _parquet(path: Path) -> bool:
    """Whether the file begins and ends as its format does."""
    with path.open("rb") as file:
        begins = file.read(4)
        file.seek(max(0, path.stat().st_size - 4))
        return begins == file.read(4) == b"PAR1"


def _videos(found: Mapping[str, Any]) -> Iterator[str]:
    """Where the videos lie, by the dataset's own template, if it has any."""
    if "video" in _kinds(found).values():
        template = found.get("video_path")
        yield re.sub(r"\{[^}]*\}", "*", template if isinstance(template, str) and template else VIDEOS)


def _kinds(found: Mapping[str, Any]) -> dict[str, Any]:
    """The type of each feature."""
    features = found.get("features")
    described = features.items() if isinstance(features, dict) else ()
    return {name: one.get("dtype") for name, one in described if isinstance(one, dict)}
