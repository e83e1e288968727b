"""What is wrong with a LeRobot dataset, from its small files alone. Standard library only."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

INFO = Path("meta", "info.json")
VERSION = "v3.0"
OLD = ("v2.0", "v2.1")
NEEDED = ("codebase_version", "total_episodes", "total_frames", "fps", "features")
META = ("meta/stats.json", "meta/tasks.parquet", "meta/episodes/**/*.parquet")
CONVERT = "python -m lerobot.scripts.convert_dataset_v21_to_v30 --repo-id local/NAME --root FOLDER --push-to-hub false"


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
    if missing := [name for name in NEEDED if name not in found]:
        yield f"{folder / INFO} does not say {', '.join(missing)}: it is not the description of a LeRobot dataset"
        return
    version = found["codebase_version"]
    if version != VERSION:
        yield _other_version(folder, version)
        return
    yield from _content(folder, found)


def info(folder: Path) -> dict[str, Any]:
    """The dataset's description. Raises OSError or ValueError with a sentence."""
    path = folder / INFO
    if not path.is_file():
        raise FileNotFoundError(f"{folder} is not a LeRobot dataset: it has no {INFO}{_below(folder)}")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path} must hold a JSON object, and holds a {type(found).__name__}")
    return found


def cameras(found: Mapping[str, Any]) -> list[str]:
    """The features that are images or videos."""
    features = found.get("features")
    kinds = {name: one.get("dtype") for name, one in features.items()} if isinstance(features, dict) else {}
    return [name for name, kind in kinds.items() if kind in ("image", "video")]


def _below(folder: Path) -> str:
    """Where the person may have meant: the folder above is a common slip."""
    near = sorted(path.parents[1] for path in folder.glob(f"*/{INFO}"))
    return f" (but {near[0]} has)" if near else ""


def _other_version(folder: Path, version: object) -> str:
    if version in OLD:
        return f"{folder} is a LeRobot {version} dataset and the trainer reads {VERSION}: convert it with `{CONVERT}`"
    return f"{folder} has codebase_version {version!r}, and the trainer reads {VERSION}"


def _content(folder: Path, found: Mapping[str, Any]) -> Iterator[str]:
    for name in ("total_episodes", "total_frames"):
        if not isinstance(found[name], int) or found[name] <= 0:
            yield f"{folder} holds no {name.removeprefix('total_')}: {INFO} says {name} {found[name]!r}"
    if not isinstance(found["features"], dict) or "action" not in found["features"]:
        yield f"{folder} records no `action`, which is what a policy learns"
    files = (*META, "data/**/*.parquet")
    if missing := [pattern for pattern in files if not any(folder.glob(pattern))]:
        yield f"{folder} is incomplete: there is no {', no '.join(missing)}"
    if any(one.get("dtype") == "video" for one in _features(found)) and not any(folder.glob("videos/**/*.mp4")):
        yield f"{folder} is incomplete: it records video, and there is no videos/**/*.mp4"


def _features(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    features = found["features"]
    return [one for one in features.values() if isinstance(one, dict)] if isinstance(features, dict) else []
