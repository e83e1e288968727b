"""What draws the pictures of MuJoCo's environments: OpenGL without a screen, which a machine may lack."""

import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DRAWS = "MUJOCO_GL"
DRAWN = ("aloha",)
"""The environments that MuJoCo draws."""
DRAWING = {"OpenGL", "_render"}
"""The folders of the packages that speak to OpenGL."""


def prepare(env: str) -> None:
    """Before the environment is imported: draw without a screen, unless the person says otherwise."""
    if env in DRAWN:
        os.environ.setdefault(DRAWS, "egl")


@contextmanager
def told(env: str) -> Iterator[None]:
    """A library that is missing becomes a sentence with the way out."""
    try:
        yield
    except Exception as error:
        if env not in DRAWN or not _in_drawing(error):
            raise
        raise SystemExit(f"error: the pictures of {env} cannot be drawn with {_way_out(error)}") from error


def _in_drawing(error: Exception) -> bool:
    """They say it in many words; where it was raised is always the same."""
    return any(DRAWING & set(Path(frame.filename).parts) for frame in traceback.extract_tb(error.__traceback__))


def _way_out(error: Exception) -> str:
    return (
        f"{DRAWS}={os.environ.get(DRAWS, '')}: {type(error).__name__}: {error}. Use an image that has OpenGL without a"
        " screen (on Debian and Ubuntu: apt-get install libegl1 libgl1; or libosmesa6, and the variable"
        f" {DRAWS}=osmesa)"
    )
