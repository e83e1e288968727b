"""One film of several: the first episodes beside one another."""

import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from robotrain_workloads.lerobot_eval.rollout.filming import Film

NAME = "all.mp4"
MOST, IN_A_ROW = 8, 4
WIDTH = 240
"""Of each, in pixels."""


def write(folder: Path, films: Sequence[str], fps: int) -> None:
    """films: their names, from the folder above. Those that end first stay at their last picture."""
    numpy: Any = importlib.import_module("numpy")
    pictures = [_pictures(folder.parent / name) for name in films[:MOST]]
    shown = [next(each) for each in pictures]
    film = Film(folder / NAME, fps)
    while True:
        film.add(_joined(numpy, shown))
        following = [next(each, None) for each in pictures]
        if all(picture is None for picture in following):
            break
        shown = [old if new is None else new for old, new in zip(shown, following, strict=True)]
    film.close()


def _pictures(file: Path) -> Iterator[Any]:
    with importlib.import_module("av").open(str(file)) as container:
        for frame in container.decode(video=0):
            height = round(frame.height * WIDTH / frame.width / 2) * 2
            yield frame.to_ndarray(format="rgb24", width=WIDTH, height=height)


def _joined(numpy: Any, pictures: Sequence[Any]) -> Any:
    """In rows; what a last row lacks stays white."""
    columns = min(len(pictures), IN_A_ROW)
    lacking = -len(pictures) % columns
    whole = [*pictures, *[numpy.full_like(pictures[0], 255)] * lacking]
    rows = [numpy.hstack(whole[first : first + columns]) for first in range(0, len(whole), columns)]
    return numpy.vstack(rows)
