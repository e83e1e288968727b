"""Why LeRobot cannot read a dataset: what its libraries raise, quoted with the episode, frame and file that they lack.

A process that loads data passes its exception on as a text, so each frame is read under guard there.
"""

import re
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from robotrain_runtime.contract.failure_causes import find_cause

from robotrain_workloads.lerobot import file_formats
from robotrain_workloads.lerobot.episode_numbers import EXCLUDE_FLAG, format_ranges

REFUSED = "the dataset cannot be used: "
"""How the reasons begin; `failure_causes` knows by it that the data is to blame."""
TABLES = ("meta/tasks.parquet", "meta/episodes/*/*.parquet", "data/*/*.parquet")
READERS = re.compile(r'File "[^"]*(?:lerobot/datasets/|torch/utils/data/_utils/collate|/datasets/builder\.py)')
"""Where an exception about data comes from."""
FOUND_FRAME = re.compile(r"UnreadableFrame: (episode (\d+), .+)")
LONGEST_REASON = 300
MOST_CAUSES = 9
ROWS = 1000
"""Of a table, at a time."""


class UnreadableEpisodes(NamedTuple):
    """The episodes with a picture that cannot be decoded."""

    episodes: list[int]
    total: int
    """How many were looked for."""


class UnreadableFrame(Exception):
    """A frame cannot be read; the message is a sentence in one line."""


def guard_frames() -> None:
    """Let LeRobot raise UnreadableFrame in this process."""
    with suppress(ImportError):  # of another LeRobot: its exceptions say what they say
        from lerobot.datasets.lerobot_dataset import LeRobotDataset as kind

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
    """Return which frame of an open dataset cannot be read, in which file, and what LeRobot says of it."""
    sentence = describe_error(error, Path(open_dataset.root))
    with suppress(Exception):  # whatever is damaged: the reason is told nevertheless
        table = open_dataset.hf_dataset.data
        episode, frame = (table.column(name)[row].as_py() for name in ("episode_index", "frame_index"))
        sentence = f"episode {episode}, frame {frame}: {sentence}"
    return sentence


def describe_error(error: Exception, root: Path) -> str:
    """Return the file that was decoded where an exception was raised, and what the exception says."""
    causes = list(_list_causes(error))
    file = next(
        (
            Path(str(path))
            for cause in causes
            for frame, _ in traceback.walk_tb(cause.__traceback__)
            if (path := frame.f_locals.get("video_path"))  # which LeRobot decoded there
        ),
        root,
    )
    name = file.relative_to(root) if root in file.parents else file
    if damage := file_formats.explain_damage(file) if file != root else "":
        return f"{name} {damage}"
    return f"{name} cannot be read: {_describe(causes[-1])[:LONGEST_REASON]}"


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
    frames = FOUND_FRAME.findall("".join(traceback.format_exception(error)))[-1:]
    problems = [_name_all(sentence, int(episode), find_unreadable) for sentence, episode in frames]
    with suppress(Exception):
        problems += map(str, find_problems())
    if not problems:
        problems = [_find_damaged_table(root) or describe_error(error, root)]
    return REFUSED + "; ".join(problems)


def _name_all(sentence: str, episode: int, find_unreadable: Callable[[], UnreadableEpisodes | None]) -> str:
    """Return a sentence about a frame, with all episodes to leave out if its own is one that cannot be decoded."""
    unreadable_episodes = None
    with suppress(Exception):  # whatever else is damaged: the frame is told nevertheless
        unreadable_episodes = find_unreadable()
    if unreadable_episodes is None or episode not in unreadable_episodes.episodes:
        return sentence
    episodes = sorted(unreadable_episodes.episodes)
    if len(episodes) == unreadable_episodes.total:
        return f"{sentence}; each of the {len(episodes)} episodes has such a picture"
    if len(episodes) > 1:
        sentence += f"; {len(episodes)} of {unreadable_episodes.total} episodes have such a picture"
    return f"{sentence} ({EXCLUDE_FLAG} {format_ranges(episodes)})"


def _find_damaged_table(root: Path) -> str:
    """Return which file of tables cannot be read to its end, and why; empty if each can."""
    from pyarrow import parquet

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


def _list_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the exception, and those that caused it."""
    cause: BaseException | None = error
    for _ in range(MOST_CAUSES):
        if cause is None:
            return
        yield cause
        cause = cause.__cause__ or cause.__context__


def _describe(error: BaseException) -> str:
    """Return an exception in one line, as Python prints it; of a process that loads data, the last line of its own."""
    text = f"{type(error).__name__}: {error}"
    return text.strip().splitlines()[-1] if "Traceback (most recent" in text else " ".join(text.split())
