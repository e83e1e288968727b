"""Videos of episodes (H.264 in MP4), and one with the first episodes side by side. Needs PyAV."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np

MOST_FILMED = 50
"""Only the first episodes are recorded."""
CODEC, PIXELS = "libx264", "yuv420p"
CODEC_OPTIONS = {"preset": "veryfast", "crf": "23"}
UNFINISHED_SUFFIX = ".part"
GRID_FILE = "all.mp4"
MOST_IN_GRID, GRID_COLUMNS = 8, 4
GRID_CELL_WIDTH = 240
"""Of each, in pixels."""


class EpisodeVideo:
    """A video that is written frame by frame: those of all episodes would not fit into memory."""

    def __init__(self, file: Path, fps: int) -> None:
        self._file, self._fps = file, fps
        file.parent.mkdir(parents=True, exist_ok=True)
        self._unfinished = file.with_name(file.name + UNFINISHED_SUFFIX)
        self._container = av.open(str(self._unfinished), "w", format="mp4", options={"movflags": "faststart"})
        self._stream: Any = None

    def add(self, image: Any) -> None:
        """Add an image: an array of height, width and three colors."""
        height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2  # the format requires even sizes
        if self._stream is None:
            self._stream = self._container.add_stream(CODEC, rate=self._fps, options=CODEC_OPTIONS)
            self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, PIXELS
            self._stream.codec_context.thread_count = 1  # other processes have the other cores
        self._write(av.VideoFrame.from_ndarray(np.ascontiguousarray(image[:height, :width]), format="rgb24"))

    def finish(self) -> Path:
        """Complete the video; return its file."""
        self._write(None)
        self._container.close()
        self._unfinished.rename(self._file)
        return self._file

    def _write(self, frame: Any) -> None:
        for packet in self._stream.encode(frame):
            self._container.mux(packet)


def name_folder(task: str) -> str:
    """Return the folder of a task's videos below that of all; empty for an environment that is one task."""
    return task.replace("/", "_")


def write_video_grid(folder: Path, videos: Sequence[Path], fps: int) -> None:
    """Write the videos side by side; ended ones keep their last frame."""
    readers = [_read_frames(file) for file in videos[:MOST_IN_GRID]]
    frames = [next(reader) for reader in readers]
    grid = EpisodeVideo(folder / GRID_FILE, fps)
    while True:
        columns = min(len(frames), GRID_COLUMNS)  # what is missing in the last row stays white
        empty_cells = -len(frames) % columns
        cell_frames = [*frames, *[np.full_like(frames[0], 255)] * empty_cells]
        rows = [
            np.hstack(cell_frames[first_cell : first_cell + columns])
            for first_cell in range(0, len(cell_frames), columns)
        ]
        grid.add(np.vstack(rows))
        next_frames = [next(reader, None) for reader in readers]
        if all(frame is None for frame in next_frames):
            break
        frames = [
            last_frame if next_frame is None else next_frame
            for last_frame, next_frame in zip(frames, next_frames, strict=True)
        ]
    grid.finish()


def _read_frames(file: Path) -> Iterator[Any]:
    with av.open(str(file)) as container:
        for frame in container.decode(video=0):
            height = round(frame.height * GRID_CELL_WIDTH / frame.width / 2) * 2
            yield frame.to_ndarray(format="rgb24", width=GRID_CELL_WIDTH, height=height)
