"""Plots and videos of an evaluation, read so that they can stand in the page itself: as many as it has room for."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOM = 30_000_000
"""Bytes of all together; in the page they take a third more."""
SUMMARY, GRID = "plots/aggregate_summary.png", "videos/all.mp4"
PLOTS = ("summary_panel", "action_deltas", "cumulative_positions", "error_heatmap")
OF_PLOTS, OF_VIDEO = re.compile(r"episode_([0-9]{1,9})"), re.compile(r"episode_([0-9]{1,9})\.mp4")
TYPES = {".png": "image/png", ".mp4": "video/mp4"}


@dataclass(frozen=True, slots=True)
class Medium:
    """A file below the results, by its name there. data: its bytes, whole."""

    name: str
    type: str
    data: bytes

    @property
    def episode(self) -> int | None:
        """The episode it shows; None for all of them."""
        found = OF_PLOTS.search(self.name)
        return int(found[1]) if found else None

    @property
    def title(self) -> str:
        """What a plot shows, in words."""
        return self.name.rpartition("/")[2].rpartition(".")[0].replace("_", " ")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file that the page has no room for. size: in bytes."""

    name: str
    size: int


def load(folder: Path) -> tuple[list[Medium], list[LeftOut]]:
    """What there is room for, what tells most first, and the rest; a file that is not what its name says is neither."""
    taken: list[Medium] = []
    left: list[LeftOut] = []
    room = ROOM
    for name in _names(folder):
        path = inside(folder, name)
        if path is None or not is_real(path):
            continue
        size = path.stat().st_size
        if size > room:
            left.append(LeftOut(name, size))
            continue
        with path.open("rb") as file:
            data = file.read(size)
        room -= len(data)
        taken.append(Medium(name, TYPES[path.suffix], data))
    return taken, left


def inside(folder: Path, name: str) -> Path | None:
    """A file of the folder; None for what is none, or lies outside by its name or a link."""
    try:
        path = (folder / name).resolve()
        return path if path.is_file() and path.is_relative_to(folder.resolve()) else None
    except (OSError, ValueError):  # a name with a NUL, links in a circle
        return None


def is_real(path: Path) -> bool:
    """Whether a file begins as one of its type does."""
    with path.open("rb") as file:
        head = file.read(12)
    return head.startswith(b"\x89PNG\r\n\x1a\n") if path.suffix == ".png" else head[4:8] == b"ftyp"


def _names(folder: Path) -> Iterator[str]:
    """Those of all episodes, then a panel and a video of each, then every other plot."""
    plotted, videos = _there(folder / "plots", OF_PLOTS), _there(folder / "videos", OF_VIDEO)
    yield from (SUMMARY, GRID)
    yield from (f"plots/{name}/{PLOTS[0]}.png" for name in plotted)
    yield from (f"videos/{name}" for name in videos)
    yield from (f"plots/{name}/{plot}.png" for name in plotted for plot in PLOTS[1:])


def _there(folder: Path, pattern: re.Pattern[str]) -> list[str]:
    """The names in a folder that fit, by their episodes."""
    try:
        found = [match for path in folder.iterdir() if (match := pattern.fullmatch(path.name))]
    except OSError:
        return []
    return [match[0] for match in sorted(found, key=lambda match: int(match[1]))]
