"""Videos of episodes (H.264 in MP4), and one with the first episodes side by side. Needs PyAV."""

import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

MOST_FILMED = 50
"""So many episodes are filmed, the first ones."""
CODEC, PIXELS = "libx264", "yuv420p"
CODEC_OPTIONS = {"preset": "veryfast", "crf": "23"}
UNFINISHED_SUFFIX = ".part"


def explain_video_limit(episodes: int) -> str:
    """A sentence when not all of so many episodes are filmed."""
    return f"films are made of the first {MOST_FILMED} of {episodes} episodes" if episodes > MOST_FILMED else ""


def open_episode_video(folder: Path | None, episode: int, fps: int) -> "EpisodeVideo | None":
    """A film of an episode, when it is to have one."""
    return EpisodeVideo(folder / f"episode_{episode:03d}.mp4", fps) if folder and episode < MOST_FILMED else None


class EpisodeVideo:
    """A film that is written picture by picture: those of all episodes at once would not fit into memory."""

    def __init__(self, file: Path, fps: int) -> None:
        self._file, self._fps = file, fps
        self._av: Any = importlib.import_module("av")
        file.parent.mkdir(parents=True, exist_ok=True)
        self._container = self._av.open(str(self._unfinished), "w", format="mp4", options={"movflags": "faststart"})
        self._stream: Any = None

    def add(self, picture: Any) -> None:
        """The next picture: an array of height, width and three colours."""
        height, width = picture.shape[0] // 2 * 2, picture.shape[1] // 2 * 2  # the format wants even ones
        if self._stream is None:
            self._stream = self._open_stream(height, width)
        contiguous = importlib.import_module("numpy").ascontiguousarray(picture[:height, :width])
        self._write(self._av.VideoFrame.from_ndarray(contiguous, format="rgb24"))

    def finish(self) -> str:
        """End the film; its name, from the folder above its own."""
        self._write(None)
        self._container.close()
        self._unfinished.rename(self._file)
        return f"{self._file.parent.name}/{self._file.name}"

    @property
    def _unfinished(self) -> Path:
        return self._file.with_name(self._file.name + UNFINISHED_SUFFIX)

    def _open_stream(self, height: int, width: int) -> Any:
        stream = self._container.add_stream(CODEC, rate=self._fps, options=CODEC_OPTIONS)
        stream.width, stream.height, stream.pix_fmt = width, height, PIXELS
        stream.codec_context.thread_count = 1  # other processes have the other cores
        return stream

    def _write(self, frame: Any) -> None:
        for packet in self._stream.encode(frame):
            self._container.mux(packet)


GRID_FILE = "all.mp4"
MOST_IN_GRID, GRID_COLUMNS = 8, 4
GRID_CELL_WIDTH = 240
"""Of each, in pixels."""


def write_video_grid(folder: Path, films: Sequence[str], fps: int) -> None:
    """films: their names, from the folder above. Those that end first stay at their last picture."""
    numpy: Any = importlib.import_module("numpy")
    pictures = [_read_frames(folder.parent / name) for name in films[:MOST_IN_GRID]]
    shown = [next(each) for each in pictures]
    film = EpisodeVideo(folder / GRID_FILE, fps)
    while True:
        film.add(_join_frames(numpy, shown))
        following = [next(each, None) for each in pictures]
        if all(picture is None for picture in following):
            break
        shown = [old if new is None else new for old, new in zip(shown, following, strict=True)]
    film.finish()


def _read_frames(file: Path) -> Iterator[Any]:
    with importlib.import_module("av").open(str(file)) as container:
        for frame in container.decode(video=0):
            height = round(frame.height * GRID_CELL_WIDTH / frame.width / 2) * 2
            yield frame.to_ndarray(format="rgb24", width=GRID_CELL_WIDTH, height=height)


def _join_frames(numpy: Any, pictures: Sequence[Any]) -> Any:
    """In rows; what a last row lacks stays white."""
    columns = min(len(pictures), GRID_COLUMNS)
    lacking = -len(pictures) % columns
    whole = [*pictures, *[numpy.full_like(pictures[0], 255)] * lacking]
    rows = [numpy.hstack(whole[first : first + columns]) for first in range(0, len(whole), columns)]
    return numpy.vstack(rows)
