"""Convert bags to a LeRobot dataset: decoded here, written by LeRobot in its locked environment.

Bag by bag, so that the disk holds the pictures of two bags at most: while LeRobot writes one, the next is decoded.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
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
ENCODER_LINES = "Svt["
"""What lines of the video encoder begin with: they say what it does, not why LeRobot ends."""
WRITTEN = "bag written"
"""The line with which LeRobot's side says that it needs the files of a bag no more."""


class ConversionFailed(Exception):
    """The dataset could not be written; nothing is left of it."""


def convert_bags(
    survey: BagSurvey,
    to: Path,
    *,
    task: str,
    robot: str,
    video: bool,
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
        find_python: Returns the interpreter of LeRobot's environment.
        say: Takes lines of progress.

    Raises:
        ConversionFailed: a picture is damaged, or LeRobot failed.
    """
    settings = survey.settings
    if settings.fps != round(settings.fps):
        raise ConversionFailed(f"LeRobot takes whole frames per second, not {settings.fps:g}: give --fps")
    action = settings.action_joint_names or (settings.joint_names if settings.action_topic is None else None)
    joints = {"observation.state": settings.joint_names, "action": action}
    to.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=to.parent, prefix=f".{to.name}.") as scratch:
        work = Path(scratch).absolute()  # LeRobot's side starts elsewhere
        dataset = {
            "to": str(work / "dataset"),
            "fps": settings.fps,
            "task": task,
            "robot": robot,
            "video": video,
            "names": {feature: list(joint_names) for feature, joint_names in joints.items() if joint_names},
            "episodes": sum(len(reading.episodes) for reading in survey.usable),
        }
        with _start_writer(find_python(), say) as writer:
            writer.send(dataset)
            _send_bags(survey, work, writer, say)
        shutil.move(work / "dataset", to)
    steps = [episode.steps for reading in survey.usable for episode in reading.episodes]
    return {"episodes": len(steps), "frames": sum(steps), "fps": settings.fps, "path": str(to)}


def _send_bags(survey: BagSurvey, work: Path, writer: _Writer, say: Callable[[str], None]) -> None:
    """Decode the bags one after another, and have each written. Raise ConversionFailed."""
    first_shapes: Mapping[str, Any] | None = None
    writing: Path | None = None
    readings = [reading for reading in survey.usable if reading.episodes]  # pieces of others are all too short
    for number, reading in enumerate(readings):
        say(f"decoding {reading.bag.name}")
        folder = work / str(number)
        try:
            episodes = _decode(reading, survey, folder)
        except BagError as error:
            raise ConversionFailed(str(error)) from error
        for episode in episodes:
            first_shapes = first_shapes or episode["shapes"]
            if episode["shapes"] != first_shapes:
                raise ConversionFailed(
                    "the bags have values or pictures of different sizes; --image-size scales pictures"
                )
        if writing:
            writer.wait()
            shutil.rmtree(writing)
        writer.send(episodes)
        writing = folder
    writer.wait()


def _decode(reading: BagReading, survey: BagSurvey, work: Path) -> list[dict[str, Any]]:
    """Write the values and pictures of a bag's episodes as arrays; return what LeRobot's side needs of each."""
    work.mkdir()
    episode_pictures = read_episode_pictures(reading, work, size=survey.settings.image_size)
    written_episodes = []
    for number, (episode, pictures) in enumerate(zip(reading.episodes, episode_pictures, strict=True)):
        arrays: dict[str, str] = {}
        shapes: dict[str, tuple[int, ...]] = {}
        for name, feature_values in episode.values.items():
            np.save(work / f"{number}.{name}.npy", feature_values)
            arrays[name], shapes[name] = str(work / f"{number}.{name}.npy"), feature_values.shape[1:]
        cameras = {}
        for feature, camera in pictures.items():
            places_file = work / f"{number}.{feature}.places.npy"
            np.save(places_file, camera.places)
            mapped_file = str(camera.pictures.filename)  # type: ignore[attr-defined]
            cameras[feature] = {"pictures": mapped_file, "places": str(places_file)}
            shapes[feature] = camera.pictures.shape[1:]
        written_episodes.append({"steps": episode.steps, "arrays": arrays, "cameras": cameras, "shapes": shapes})
    return written_episodes


class _Writer:
    """LeRobot's side: it reads the dataset's description and then the episodes of each bag, one JSON a line."""

    def __init__(self, process: subprocess.Popen[str], say: Callable[[str], None]) -> None:
        self._process, self._say = process, say
        self._lines: list[str] = []

    def send(self, content: Any) -> None:
        """Send a line; if the program has ended, `wait` says why."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(content) + "\n")
            self._process.stdin.flush()

    def wait(self) -> None:
        """Wait until the last bag is written. Raise ConversionFailed."""
        if not self._read_to(WRITTEN):
            self._process.wait()
            raise self.make_failure()

    def finish(self) -> None:
        """Wait until the dataset is whole. Raise ConversionFailed."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._read_to("")
        if self._process.wait():
            raise self.make_failure()

    def make_failure(self) -> ConversionFailed:
        """Return the error, with the last lines of the program."""
        reasons = self._lines[-LAST_LINES:] or [f"it ended with status {self._process.returncode}"]
        return ConversionFailed("LeRobot could not write the dataset: " + " / ".join(reasons))

    def _read_to(self, last_line: str) -> bool:
        """Read lines up to one, and say those of progress; return whether it came before the end."""
        for line in self._process.stdout or ():
            stripped_line = line.rstrip()
            if stripped_line and stripped_line == last_line:
                return True
            if stripped_line.startswith("episode "):
                self._say(stripped_line)
            elif stripped_line and not stripped_line.startswith(ENCODER_LINES):
                self._lines.append(stripped_line)
        return False


@contextmanager
def _start_writer(python: Path, say: Callable[[str], None]) -> Iterator[_Writer]:
    """Start LeRobot's side, and end it at the end of the block. Raise ConversionFailed."""
    with subprocess.Popen(
        child_python.make_isolated_command(python, PROGRAM),
        cwd=child_python.NEUTRAL_FOLDER,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        try:
            writer = _Writer(process, say)
            yield writer
            writer.finish()
        finally:
            process.kill()
