"""Convert bags to a LeRobot dataset: decoded here, written by LeRobot in its locked environment."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from robotrain_runtime.contract import child_python

from robotrain_workloads.rosbag.bag_files import BagError
from robotrain_workloads.rosbag.pictures import read_episode_pictures

if TYPE_CHECKING:
    from robotrain_workloads.rosbag.episodes import BagReading
    from robotrain_workloads.rosbag.survey import BagSurvey

PROGRAM = Path(__file__).with_name("write_dataset.py")
LAST_LINES = 5


class ConversionFailed(Exception):
    """The dataset could not be written; nothing is left of it."""


def convert_bags(
    survey: BagSurvey,
    to: Path,
    *,
    task: str,
    robot: str,
    video: bool,
    salvage: bool,
    cache: Path,
    find_python: Callable[[], Path],
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Write a dataset of all episodes and return what was written: `episodes`, `frames`, `fps` and `path`.

    Args:
        survey: The bags and the settings.
        to: The folder of the dataset, which appears when it is whole.
        task: The text that every episode has as its task.
        robot: The kind of robot; may be empty.
        video: Store pictures as video, else as images.
        salvage: Read the whole chunks of MCAP files that end too early.
        cache: The folder of decoded pictures.
        find_python: Returns the interpreter of LeRobot's environment.
        say: Takes lines of progress.

    Raises:
        ConversionFailed: a picture is damaged, or LeRobot failed.
    """
    to.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=to.parent, prefix=f".{to.name}.") as scratch:
        work = Path(scratch).absolute()  # LeRobot's side starts elsewhere
        try:
            episodes = [
                episode
                for number, reading in enumerate(survey.usable)
                for episode in _decode(reading, survey, work / str(number), cache, salvage, say)
            ]
        except BagError as error:
            raise ConversionFailed(str(error)) from error
        shapes = {tuple(sorted(episode["shapes"].items())) for episode in episodes}
        if len(shapes) > 1:
            raise ConversionFailed("the bags have values or pictures of different sizes; --image-size scales pictures")
        settings = survey.settings
        action = settings.action_joint_names or (settings.joint_names if settings.action_topic is None else None)
        joints = {"observation.state": settings.joint_names, "action": action}
        job = {
            "to": str(work / "dataset"),
            "fps": settings.fps,
            "task": task,
            "robot": robot,
            "video": video,
            "names": {feature: list(names) for feature, names in joints.items() if names},
            "episodes": episodes,
        }
        if settings.fps != round(settings.fps):
            raise ConversionFailed(f"LeRobot takes whole frames per second, not {settings.fps:g}: give --fps")
        (work / "job.json").write_text(json.dumps(job), encoding="utf-8")
        _run_program(find_python(), work / "job.json", say)
        shutil.move(work / "dataset", to)
    frames = sum(episode["steps"] for episode in episodes)
    return {"episodes": len(episodes), "frames": frames, "fps": survey.settings.fps, "path": str(to)}


def _decode(
    reading: BagReading, survey: BagSurvey, work: Path, cache: Path, salvage: bool, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Write the values and pictures of a bag's episodes as arrays; return what LeRobot's side needs of each."""
    say(f"decoding {reading.bag.name}")
    work.mkdir()
    taken = read_episode_pictures(reading, cache, size=survey.settings.image_size, salvage=salvage)
    written = []
    for number, (episode, pictures) in enumerate(zip(reading.episodes, taken, strict=True)):
        arrays: dict[str, str] = {}
        shapes: dict[str, tuple[int, ...]] = {}
        for name, values in episode.values.items():
            np.save(work / f"{number}.{name}.npy", values)
            arrays[name], shapes[name] = str(work / f"{number}.{name}.npy"), values.shape[1:]
        cameras = {}
        for feature, camera in pictures.items():
            places = work / f"{number}.{feature}.places.npy"
            np.save(places, camera.places)
            mapped = str(camera.pictures.filename)  # type: ignore[attr-defined]
            cameras[feature] = {"pictures": mapped, "places": str(places)}
            shapes[feature] = camera.pictures.shape[1:]
        written.append({"steps": episode.steps, "arrays": arrays, "cameras": cameras, "shapes": shapes})
    return written


def _run_program(python: Path, job: Path, say: Callable[[str], None]) -> None:
    with subprocess.Popen(
        child_python.make_isolated_command(python, PROGRAM, job),
        cwd=child_python.NEUTRAL_FOLDER,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        lines: list[str] = []
        for line in process.stdout or ():
            if line.startswith("episode "):
                say(line.rstrip())
            elif line.strip():
                lines.append(line.rstrip())
    if process.returncode:
        raise ConversionFailed("LeRobot could not write the dataset: " + " / ".join(lines[-LAST_LINES:]))
