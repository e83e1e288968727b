"""Films of episodes, as every browser plays them: H.264 in an MP4. PyAV is imported only when something is filmed."""

import importlib
from pathlib import Path
from typing import Any

MOST = 50
"""So many episodes are filmed, the first ones."""
CODEC, PIXELS = "libx264", "yuv420p"
OPTIONS = {"preset": "veryfast", "crf": "23"}
UNFINISHED = ".part"


def limit(episodes: int) -> str:
    """A sentence when not all of so many episodes are filmed."""
    return f"films are made of the first {MOST} of {episodes} episodes" if episodes > MOST else ""


def of_episode(folder: Path | None, episode: int, fps: int) -> "Film | None":
    """A film of an episode, when it is to have one."""
    return Film(folder / f"episode_{episode:03d}.mp4", fps) if folder and episode < MOST else None


class Film:
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
            self._stream = self._begin(height, width)
        contiguous = importlib.import_module("numpy").ascontiguousarray(picture[:height, :width])
        self._write(self._av.VideoFrame.from_ndarray(contiguous, format="rgb24"))

    def close(self) -> str:
        """End the film; its name, from the folder above its own."""
        self._write(None)
        self._container.close()
        self._unfinished.rename(self._file)
        return f"{self._file.parent.name}/{self._file.name}"

    @property
    def _unfinished(self) -> Path:
        return self._file.with_name(self._file.name + UNFINISHED)

    def _begin(self, height: int, width: int) -> Any:
        stream = self._container.add_stream(CODEC, rate=self._fps, options=OPTIONS)
        stream.width, stream.height, stream.pix_fmt = width, height, PIXELS
        stream.codec_context.thread_count = 1  # other processes have the other cores
        return stream

    def _write(self, frame: Any) -> None:
        for packet in self._stream.encode(frame):
            self._container.mux(packet)
