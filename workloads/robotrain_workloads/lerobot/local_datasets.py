"""LeRobot datasets on this machine, below a folder and in LeRobot's cache."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from robotrain.model.workload import FoundInput

from robotrain_workloads.lerobot import dataset

DEEPEST, MOST_FOLDERS = 4, 5000
"""How far below a folder datasets are looked for, so that the search ends soon."""
SKIPPED_FOLDERS = re.compile(r"\..*|node_modules|__pycache__|site-packages")
SNAPSHOT = re.compile(r"datasets--([^/]+?)--([^/]+)")
ID_PATTERN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


def find_dataset_inputs(folder: Path) -> Iterator[tuple[FoundInput, dict[str, Any]]]:
    """Yield each dataset that can be trained on, with its description: first those below the folder, the nearest first.

    One of LeRobot's cache that came from the Hub is named by its repository.
    """
    cache = get_lerobot_home()
    for path in _find_dataset_folders(folder, DEEPEST):
        if not path.resolve().is_relative_to(cache):
            yield from _describe_dataset("local_path", path.relative_to(folder).as_posix(), path)
    for path in _find_dataset_folders(cache, 2):
        yield from _describe_dataset("local_path", _abbreviate_home(path), path, "; in LeRobot's cache")
    seen_names: set[str] = set()
    for path in sorted(cache.glob("hub/datasets--*--*/snapshots/*")):
        match = SNAPSHOT.fullmatch(path.parts[-3])
        name = f"{match[1]}/{match[2]}" if match else ""
        if name and name not in seen_names and (path / dataset.INFO_FILE).is_file():
            seen_names.add(name)
            yield from _describe_dataset("huggingface", name, path, "; in LeRobot's cache")


def get_lerobot_home() -> Path:
    """Return the folder of LeRobot's cache, as LeRobot chooses it."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or os.path.join(cache, "huggingface")
    return Path(os.environ.get("HF_LEROBOT_HOME") or os.path.join(home, "lerobot")).expanduser().resolve()


def _find_dataset_folders(folder: Path, depth: int) -> Iterator[Path]:
    """Yield the datasets at most `depth` folders below, level by level; nothing is looked for inside of one."""
    level, looked_count = [folder], 0
    for _ in range(depth + 1):
        next_level: list[Path] = []
        for candidate in level:
            looked_count += 1
            if (candidate / dataset.INFO_FILE).is_file():
                yield candidate
            elif looked_count <= MOST_FOLDERS:
                next_level += _list_folders(candidate)
        level = next_level


def _list_folders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            folder_names = [
                child.name for child in entries if child.is_dir() and not SKIPPED_FOLDERS.fullmatch(child.name)
            ]
    except OSError:
        return []
    return [folder / name for name in sorted(folder_names)]


def _describe_dataset(kind: str, text: str, path: Path, where: str = "") -> Iterator[tuple[FoundInput, dict[str, Any]]]:
    """Yield the dataset if it can be trained on."""
    if any(dataset.find_dataset_problems(path, convert=True, description_only=True)):
        return
    info = dataset.load_dataset_info(path)
    cameras = ", ".join(dataset.list_cameras(info)) or "no camera"
    summary = f"{info['total_episodes']} episodes, {info['total_frames']} frames, {cameras}{where}"
    parameters: dict[str, Any] = {"convert_v21": True} if dataset.is_convertible(info) else {}
    if kind == "local_path" and ID_PATTERN.fullmatch(path.resolve().name):
        parameters["dataset_id"] = path.resolve().name
    yield FoundInput("dataset", kind, text, summary, parameters), info


def _abbreviate_home(path: Path) -> str:
    home = Path.home().resolve()
    return f"~/{path.relative_to(home).as_posix()}" if path.is_relative_to(home) else str(path)
