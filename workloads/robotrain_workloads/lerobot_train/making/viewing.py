"""A dataset as the trainer reads it, in a folder of ours: links to the files of another, and what had to change."""

import importlib
import shutil
from pathlib import Path
from typing import Any

from robotrain_workloads.lerobot_train import dataset, extents
from robotrain_workloads.lerobot_train.making import booleans
from robotrain_workloads.lerobot_train.making.given import Given

DATA, META = "data", "meta"
READABLE = 0o644
NEEDED_V21 = {"total_chunks": 0, "total_videos": 0, "video_path": None}
"""What the converter takes out of a description, and fails without."""


def view(given: Given, folder: Path) -> Path:
    """Make it in `folder`. Its description is still to be written. Raises OSError, ValueError."""
    (folder / META).mkdir(parents=True)
    for path in sorted(given.folder.iterdir()):
        if path.name != META and not path.name.startswith("."):
            (folder / path.name).symlink_to(path)
    for path in sorted((given.folder / META).iterdir()):
        if path.name not in (dataset.INFO.name, extents.FILE.name):
            (folder / META / path.name).symlink_to(path)
    if given.old:
        _convert(given, folder)
    if given.booleans:
        print(f"{given.name}: truth values become numbers: {', '.join(given.booleans)}", flush=True)
        original = (folder / DATA).rename(folder.with_name(f"{folder.name}-{DATA}"))
        booleans.cast(original, folder / DATA, given.booleans)
    return folder


def _convert(given: Given, folder: Path) -> None:
    """LeRobot writes the new one beside, and puts it in the place of the old one, which is only links."""
    print(f"{given.name}: converting {given.info['codebase_version']} to {dataset.VERSION}", flush=True)
    given = Given(folder=given.folder, name=given.name, info=NEEDED_V21 | {**given.info, "codebase_version": "v2.1"})
    given.describe(folder, given.info["features"])
    converter: Any = importlib.import_module("lerobot.scripts.convert_dataset_v21_to_v30")
    try:
        converter.convert_dataset(f"local/{folder.name}", root=folder, push_to_hub=False)
    except (OSError, ValueError) as error:
        raise ValueError(f"{given.name} could not be converted: {error}") from error
    shutil.rmtree(folder.with_name(f"{folder.name}_old"))
    for path in (folder / "videos").rglob("*.mp4"):
        path.chmod(READABLE)  # LeRobot leaves what it put together to its owner alone
