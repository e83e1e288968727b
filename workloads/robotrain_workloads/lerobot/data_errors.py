"""Why LeRobot cannot read a dataset: what its libraries raise, put into a sentence with episode, frame and file.

They say neither. A process that loads data passes its exception on as a text, so each frame is read under guard there.
"""

import importlib
import io
import re
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from robotrain_runtime.contract.failure_causes import find_cause

from robotrain_workloads.lerobot import dataset, file_formats
from robotrain_workloads.lerobot.episode_numbers import EXCLUDE_FLAG, format_ranges
from robotrain_workloads.lerobot.ffmpeg_libraries import TORCHCODEC

REFUSED = "the dataset cannot be used: "
"""How the reasons begin; `failure_causes` knows by it that the data is to blame."""
TOLERANCE = "-- --tolerance_s="
USE_PYAV = "-- --dataset.video_backend=pyav"
TABLES = ("meta/tasks.parquet", "meta/episodes/*/*.parquet", "data/*/*.parquet")
READERS = re.compile(r'File "[^"]*(?:lerobot/datasets/|torch/utils/data/_utils/collate|/datasets/builder\.py)')
"""Where an exception about data comes from."""
LEFT_OUT = re.compile(rf" \({EXCLUDE_FLAG} (\d+)\)$")
FOUND_FRAME = re.compile(r"UnreadableFrame: (.+)")
LONGEST_REASON = 300
MOST_CAUSES = 9
NEAR = 100
"""Frames that are read with one, before it and after it."""
ROWS = 1000
"""Of a table, at a time."""
NUMBER = r"([\d.e+-]+)"
NEAREST = "the nearest is {0} s away"
REASONS = (
    (
        rf"\(tensor\(\[{NUMBER}.*> tolerance_s={NUMBER}\).*queried timestamps: tensor\(\[{NUMBER}",
        f"{{file}} has no picture within {{1}} s of {{2}} s: {NEAREST}",
    ),
    (rf"No frames could be decoded from .* range \[{NUMBER}", "{file} has no picture at {0} s"),
    (
        r"InvalidDataError|moov atom|Invalid data found|EOFError|Could not push|no more frames|Invalid frame index",
        "{file} cannot be decoded there",
    ),
    (r"UnidentifiedImage|image file is truncated|broken (?:data|PNG)", "the picture of {picture} cannot be decoded"),
    (r"NoneType|both are None in \{'bytes'", "there is no value of {empty}"),
    (r"equal size, but got (\[.*?\]) at .*? and (\[.*?\])", "values have the shapes {0} and {1}, which must be one"),
)
"""What the text of an exception about one frame means; the words in braces are what is found where it was raised."""
WHOLE_REASONS = (
    (r"positional indexer is out-of-bounds", "the task_index {task_index} is not in meta/tasks.parquet"),
    (r"Episode index (\d+) out of range\. Episodes: (\d+)", "meta/episodes has {1} episodes, and not episode {0}"),
    (r"Invalid key: \d+ is out of bounds for size (\d+)", "meta/info.json counts more frames than the {0} of data/"),
    (r"KeyError: '(videos/[^']+)'", "meta/episodes lacks the column {0}"),
    (r"KeyError: (\d+)$", "meta/episodes puts frame {0} of data/ into another episode"),
    (r"KeyError: '(observation\.[^']+)'", f"meta/stats.json lacks {{0}}: `{dataset.RECOMPUTING}` makes it"),
    (r"Couldn't cast array of type (.*?) to (.*)", "data/ has a column of {0}, and meta/info.json says {1}"),
    (r"column names don't match", "data/ has other columns than meta/info.json"),
    (r"\[Errno 2\].*'([^']+)'$", "{0} does not exist"),
    (r"OfflineModeIsEnabled", "files that meta/info.json names are missing"),  # LeRobot looks for them on the Hub
)
"""The same of exceptions about more than one episode."""


class UnreadableEpisodes(NamedTuple):
    """The episodes with a picture that cannot be decoded."""

    episodes: list[int]
    total: int
    """How many were looked for."""
    are_all: bool
    """Whether every video and table was looked at."""


class UnreadableFrame(Exception):
    """A frame cannot be read; the message is a sentence in one line, with what helps in brackets at its end."""


def guard_frames() -> None:
    """Let LeRobot raise UnreadableFrame in this process."""
    with suppress(ImportError):  # of another LeRobot: its exceptions say what they say
        kind: Any = importlib.import_module("lerobot.datasets.lerobot_dataset").LeRobotDataset
        original = kind.__getitem__
        if original.__name__ == "read_guarded":
            return

        def read_guarded(open_dataset: Any, row: Any) -> Any:
            try:
                return original(open_dataset, row)
            except Exception as error:
                if isinstance(error, UnreadableFrame) or not is_from_data(error):
                    raise
                raise UnreadableFrame(describe_frame(open_dataset, row, error)) from error

        kind.__getitem__ = read_guarded


def is_from_data(error: Exception) -> bool:
    """Return whether an exception comes from where data is read, and from no lack of memory, space or libraries."""
    return (
        READERS.search("".join(traceback.format_exception(error))) is not None
        and not isinstance(error, MemoryError)
        and find_cause([_describe(error)]).cause in ("", "dataset", "file-missing", "assertion")
    )


def describe_frame(open_dataset: Any, row: int, error: Exception) -> str:
    """Return which frame of an open dataset cannot be read, why, and what helps."""
    root = Path(open_dataset.root)
    row_values = dict[str, Any]()
    with suppress(Exception):  # whatever is damaged: the reason is told nevertheless
        table = open_dataset.hf_dataset.data
        row_values = _read_row(table, row)
        nearby_rows = range(max(0, row - NEAR), min(len(table), row + NEAR))
        near_rows = (_read_row(table, index) for index in nearby_rows)  # it is read with what is before and after it
        episode_rows = (neighbor for neighbor in near_rows if neighbor["episode_index"] == row_values["episode_index"])
        row_values = next(
            (neighbor for neighbor in episode_rows if _name_empty(neighbor) or _name_damaged(neighbor)), row_values
        )
    reason, is_way_helpful = explain_error(error, root, row_values)
    if (number := row_values.get("episode_index")) is None:
        return reason
    nearest_match = re.search(NEAREST.format(NUMBER), reason)
    margin = dataset.compute_frame_tolerance(root)
    is_near = nearest_match is not None and float(nearest_match[1]) < 2 * (
        margin or 0.0
    )  # half the time between two frames
    if (
        nearest_match and getattr(open_dataset, "_video_backend", "") == TORCHCODEC
    ):  # which counts pictures: PyAV compares their times
        return f"episode {number}, frame {row_values.get('frame_index')}: {reason} ({USE_PYAV})"
    way = (
        f"{TOLERANCE}{float(nearest_match[1]) + 0.001:.3f}" if nearest_match and is_near else f"{EXCLUDE_FLAG} {number}"
    )
    return f"episode {number}, frame {row_values.get('frame_index')}: {reason}{f' ({way})' * is_way_helpful}"


def _read_row(table: Any, row: int) -> dict[str, Any]:
    return {name: table.column(name)[row].as_py() for name in table.column_names}


def explain_error(error: Exception, root: Path, values: Mapping[str, Any]) -> tuple[str, bool]:
    """Return what an exception, or one that caused it, means, and whether it is about one episode.

    :param values: those of the frame that was read, by column.
    """
    causes = list(_list_causes(error))
    file = next((path for cause in causes for path in _list_video_paths(cause)), root)
    name = file.relative_to(root) if root in file.parents else file
    if damage := file_formats.explain_damage(file) if file != root else "":
        return f"{name} {damage}", False
    fields = {"task_index": "", **values, "file": name, "empty": _name_empty(values), "picture": _name_damaged(values)}
    messages = [_describe(cause) for cause in causes]
    for pattern, sentence in (*REASONS, *WHOLE_REASONS):
        for match in filter(None, (re.search(pattern, message) for message in messages)):
            matched_parts = (_shorten(part) for part in match.groups())
            return sentence.format(*matched_parts, **fields), (pattern, sentence) in REASONS
    return f"LeRobot says {messages[-1][:LONGEST_REASON]}", False


def explain_reading_error(
    error: Exception,
    root: Path,
    find_problems: Callable[[], Sequence[object]] = list,
    find_unreadable: Callable[[], UnreadableEpisodes | None] = lambda: None,
) -> str:
    """Return a sentence if the dataset is to blame for an exception; else empty.

    :param find_problems: returns what is wrong with the tables; they may not have been compared before.
    :param find_unreadable: looks for the other episodes that the same exception would come from.
    """
    if not is_from_data(error):
        return ""
    traceback_text = "".join(traceback.format_exception(error))
    problems = [_name_all(str(match), find_unreadable) for match in FOUND_FRAME.findall(traceback_text)[-1:]]
    with suppress(Exception):
        problems += map(str, find_problems())
    if not problems:
        search = _find_odd_pictures if "equal size" in traceback_text else _find_damaged_table
        problems = [search(root) or explain_error(error, root, {})[0]]
    return REFUSED + "; ".join(problems)


def _name_all(sentence: str, find_unreadable: Callable[[], UnreadableEpisodes | None]) -> str:
    """Return a sentence about a frame with all episodes to leave out; without them, if that leaves none."""
    way = LEFT_OUT.search(sentence)
    unreadable_episodes = None
    with suppress(Exception):  # whatever else is damaged: the frame is told nevertheless
        unreadable_episodes = find_unreadable() if way else None
    if way is None or unreadable_episodes is None:
        return sentence
    episodes = sorted({int(way[1]), *unreadable_episodes.episodes})
    sentence = sentence[: way.start()]
    if not unreadable_episodes.are_all:
        sentence += "; not every video was looked at"
    if len(episodes) == unreadable_episodes.total:
        return f"{sentence}; each of the {len(episodes)} episodes has such a picture"
    if len(episodes) > 1:
        sentence += f"; {len(episodes)} of {unreadable_episodes.total} episodes have such a picture"
    return f"{sentence} ({EXCLUDE_FLAG} {format_ranges(episodes)})"


def _find_damaged_table(root: Path) -> str:
    """Return which file of tables cannot be read to its end, and why; empty if each can."""
    parquet: Any = importlib.import_module("pyarrow.parquet")
    for path in (path for pattern in TABLES for path in sorted(root.glob(pattern))):
        name = path.relative_to(root)
        if damage := file_formats.explain_damage(path):
            return f"{name} {damage}"
        try:
            for _ in parquet.ParquetFile(path).iter_batches(ROWS):
                pass
        except Exception as error:  # of which there are many
            return f"{name} is damaged: {_describe(error)[:LONGEST_REASON]}"
    return ""


def _find_odd_pictures(root: Path) -> str:
    """Return the first picture of another size than the first one of its camera, and all episodes; empty if none is."""
    parquet: Any = importlib.import_module("pyarrow.parquet")
    info = dataset.load_dataset_info(root)
    first_sizes = dict[str, Any]()
    episodes = set[int]()
    sentence = ""
    cameras = [name for name, feature in dataset.get_features(info).items() if feature.get("dtype") == "image"]
    for path in sorted(root.glob(TABLES[-1])):
        for batch in parquet.ParquetFile(path).iter_batches(ROWS, columns=["episode_index", "frame_index", *cameras]):
            for row in batch.to_pylist():
                for name in cameras:
                    size = _measure_picture(row[name]["bytes"])
                    if size == first_sizes.setdefault(name, size):
                        continue
                    episodes.add(row["episode_index"])
                    location = f"episode {row['episode_index']}, frame {row['frame_index']}"
                    pixels = " × ".join(map(str, size)), " × ".join(map(str, first_sizes[name]))
                    size_problem = (
                        f"{location}: the picture of {name} has {pixels[0]} pixels, the first one {pixels[1]}"
                    )
                    sentence = sentence or size_problem
    return f"{sentence} ({EXCLUDE_FLAG} {format_ranges(episodes)})" if episodes else ""


def _measure_picture(picture_bytes: bytes | None) -> tuple[int, ...]:
    """Return width and height of a picture; an empty tuple if it cannot be decoded."""
    image: Any = importlib.import_module("PIL.Image")
    try:
        with image.open(io.BytesIO(picture_bytes or b"")) as picture:
            picture.load()
            return tuple(picture.size)
    except Exception:  # of which decoders have many
        return ()


def _name_empty(row_values: Mapping[str, Any]) -> str:
    """Return the columns without a value, in which a picture may be."""
    contents = {
        name: column_value["bytes"] if isinstance(column_value, dict) else column_value
        for name, column_value in row_values.items()
    }
    return " and ".join(name for name, content in contents.items() if content is None)


def _name_damaged(row_values: Mapping[str, Any]) -> str:
    """Return the cameras whose pictures cannot be decoded."""
    pictures = {
        name: column_value["bytes"] for name, column_value in row_values.items() if isinstance(column_value, dict)
    }
    return " and ".join(name for name, picture_bytes in pictures.items() if not _measure_picture(picture_bytes))


def _shorten(part: str) -> str:
    """Return a number without zeros at its end; another text as it is."""
    return f"{float(part):g}" if re.fullmatch(NUMBER, part) else part


def _list_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the exception, and those that caused it."""
    cause: BaseException | None = error
    for _ in range(MOST_CAUSES):
        if cause is None:
            return
        yield cause
        cause = cause.__cause__ or cause.__context__


def _list_video_paths(error: BaseException) -> Iterator[Path]:
    """Yield the files that LeRobot decoded where the exception was raised."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if path := frame.f_locals.get("video_path"):
            yield Path(str(path))


def _describe(error: BaseException) -> str:
    """Return an exception in one line, as Python prints it."""
    return " ".join(f"{type(error).__name__}: {error}".split())
