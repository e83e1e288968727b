"""The evaluation of a run: the shape of its results, its plots and videos, read here or downloaded."""

from __future__ import annotations

import contextlib
import importlib
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from robotrain_runtime.contract.event import Evaluated

from robotrain.model.amounts import format_size
from robotrain.model.progress import Progress
from robotrain.model.run import Output, RunRecord
from robotrain.redaction import redact
from robotrain.report.charts import Bar

if TYPE_CHECKING:
    from robotrain.model.platform import Platform
    from robotrain.plugins.manager import Plugins

MAX_FILE_BYTES = 16_000_000
"""Bytes."""
MAX_ROWS = 1000
"""Rows of a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultsTable:
    """A table of the results, perhaps with bars below it. remark: stands above it. bars_title: what the bars show."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    remark: str = ""
    bars_title: str = ""
    bars: tuple[Bar, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeOutcome:
    """An episode that was acted in. success: None where nobody says. remark: what else its caption says."""

    episode: int
    seed: int | None = None
    success: bool | None = None
    remark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationResults:
    """The whole file. facts: name and text, for people. values: of metrics, by their names, beside the scores.

    damaged: parts that are not what they have to be, and are left out.
    """

    facts: tuple[tuple[str, str], ...] = ()
    values: Mapping[str, float] = field(default_factory=dict)
    tables: tuple[ResultsTable, ...] = ()
    outcomes: tuple[EpisodeOutcome, ...] = ()
    damaged: tuple[str, ...] = ()


ResultsReader = Callable[[bytes], EvaluationResults]
"""Reads the file. Raises ValueError for what cannot be read."""


def find_results_reader(workload: str, plugins: Plugins) -> ResultsReader | None:
    """The reader that a workload declares; None where it is not installed, or declares none."""
    from robotrain.plugins.errors import PluginError

    try:
        declared = plugins.workload(workload).results_reader
        reader: ResultsReader | None = importlib.import_module(declared).read_results if declared else None
    except (PluginError, ImportError, AttributeError):
        return None
    return reader


MAX_MEDIA_BYTES = 30_000_000
"""Bytes of all together; in the page they take a third more."""
SUMMARY, GRID = "plots/aggregate_summary.png", "videos/all.mp4"
PLOTS = ("summary_panel", "action_deltas", "cumulative_positions", "error_heatmap")
PLOTS_FOLDER_PATTERN, VIDEO_PATTERN = re.compile(r"episode_([0-9]{1,9})"), re.compile(r"episode_([0-9]{1,9})\.mp4")
TYPES = {".png": "image/png", ".mp4": "video/mp4"}


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A file below the results, by its name there. data: its bytes, whole."""

    name: str
    type: str
    data: bytes

    @property
    def episode(self) -> int | None:
        """The episode it shows; None for all of them."""
        found = PLOTS_FOLDER_PATTERN.search(self.name)
        return int(found[1]) if found else None

    @property
    def title(self) -> str:
        """What a plot shows, in words."""
        return self.name.rpartition("/")[2].rpartition(".")[0].replace("_", " ")


@dataclass(frozen=True, slots=True)
class OmittedFile:
    """A file that the page has no room for. size: in bytes."""

    name: str
    size: int


def load_media(folder: Path) -> tuple[list[MediaFile], list[OmittedFile]]:
    """What there is room for, what tells most first, and the rest; a file that is not what its name says is neither."""
    taken: list[MediaFile] = []
    left: list[OmittedFile] = []
    room = MAX_MEDIA_BYTES
    for name in _list_media_names(folder):
        path = resolve_inside(folder, name)
        if path is None or not is_valid_media(path):
            continue
        size = path.stat().st_size
        if size > room:
            left.append(OmittedFile(name, size))
            continue
        with path.open("rb") as file:
            data = file.read(size)
        room -= len(data)
        taken.append(MediaFile(name, TYPES[path.suffix], data))
    return taken, left


def resolve_inside(folder: Path, name: str) -> Path | None:
    """A file of the folder; None for what is none, or lies outside by its name or a link."""
    try:
        path = (folder / name).resolve()
        return path if path.is_file() and path.is_relative_to(folder.resolve()) else None
    except (OSError, ValueError):  # a name with a NUL, links in a circle
        return None


def is_valid_media(path: Path) -> bool:
    """Whether a file begins as one of its type does."""
    with path.open("rb") as file:
        head = file.read(12)
    return head.startswith(b"\x89PNG\r\n\x1a\n") if path.suffix == ".png" else head[4:8] == b"ftyp"


def _list_media_names(folder: Path) -> Iterator[str]:
    """Those of all episodes, then a panel and a video of each, then every other plot."""
    plotted, videos = (
        _list_matching(folder / "plots", PLOTS_FOLDER_PATTERN),
        _list_matching(folder / "videos", VIDEO_PATTERN),
    )
    yield from (SUMMARY, GRID)
    yield from (f"plots/{name}/{PLOTS[0]}.png" for name in plotted)
    yield from (f"videos/{name}" for name in videos)
    yield from (f"plots/{name}/{plot}.png" for name in plotted for plot in PLOTS[1:])


def _list_matching(folder: Path, pattern: re.Pattern[str]) -> list[str]:
    """The names in a folder that fit, by their episodes."""
    try:
        found = [match for path in folder.iterdir() if (match := pattern.fullmatch(path.name))]
    except OSError:
        return []
    return [match[0] for match in sorted(found, key=lambda match: int(match[1]))]


MAX_DOWNLOAD_BYTES = 1_000_000_000
"""Bytes of results that are brought here for a page."""
LOCAL_KIND = "local_path"


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationFacts:
    """An evaluation. said: what its own file says. left_out: what the page has no room for. folder: where its results
    stay; empty when they were only brought for the page. remarks: why something is missing.
    """

    evaluated: Evaluated
    results: EvaluationResults | None = None
    media: tuple[MediaFile, ...] = ()
    omitted: tuple[OmittedFile, ...] = ()
    folder: str = ""
    remarks: tuple[str, ...] = ()


def collect_evaluation(
    record: RunRecord,
    platform: Platform,
    known: Progress,
    outputs: Sequence[Output],
    reader: ResultsReader | None,
    on_progress: Callable[[str], None],
) -> EvaluationFacts | None:
    """The evaluation of a run; None for a run that told of none. reader: of the file of its results. say: is told what
    takes a while.
    """
    if known.evaluated is None:
        return None
    kept = _find_local_results(platform, known.evaluated, outputs)
    if kept is not None:
        return _read_results(record, known.evaluated, kept, str(kept), reader)
    found = _find_results_output(known, outputs)
    if found is None:
        return _without_results(known.evaluated, "its results are not among what it left")
    if (found.size or 0) > MAX_DOWNLOAD_BYTES:
        return _without_results(
            known.evaluated, f"its results are {format_size(found.size or 0)}, too much to bring for a page"
        )
    on_progress(f"bringing the results of {record.run} …")
    return _download_results(record, platform, known.evaluated, found, reader)


def collect_local_evaluation(
    record: RunRecord, platform: Platform, known: Progress, outputs: Sequence[Output], reader: ResultsReader | None
) -> EvaluationFacts | None:
    """The same without plots and videos, and nothing is brought for it: the results' file, where it is here."""
    kept = _find_local_results(platform, known.evaluated, outputs) if known.evaluated else None
    if known.evaluated is None or kept is None:
        return EvaluationFacts(evaluated=known.evaluated) if known.evaluated else None
    said, remarks = _parse_results_file(record, kept, reader)
    return EvaluationFacts(evaluated=known.evaluated, results=said, folder=str(kept), remarks=remarks)


def _find_local_results(platform: Platform, evaluated: Evaluated, outputs: Sequence[Output]) -> Path | None:
    """The folder of the results, where it is one of this machine."""
    here = [one.uri for one in outputs if one.source == LOCAL_KIND and _is_results_output(one, evaluated)]
    if evaluated.results and platform.capabilities.feature("runs_here"):
        here.append(evaluated.results)
    return next((path for path in map(Path, here) if path.is_absolute() and path.is_dir()), None)


def _find_results_output(known: Progress, outputs: Sequence[Output]) -> Output | None:
    assert known.evaluated is not None
    told, files = known.evaluated, [one for one in outputs if one.kind == "file"]
    named = [one for one in files if _is_results_output(one, told)]
    copies = [one for one in files if one.uri in known.results]
    return next(iter([*named, *copies]), None)


def _is_results_output(output: Output, evaluated: Evaluated) -> bool:
    """Whether an output has the name of the results' folder."""
    name = PurePosixPath(evaluated.results).name
    return bool(name) and output.kind == "file" and PurePosixPath(output.name).name == name


def _download_results(
    record: RunRecord, platform: Platform, evaluated: Evaluated, output: Output, reader: ResultsReader | None
) -> EvaluationFacts:
    with tempfile.TemporaryDirectory(prefix="robotrain-report-") as scratch:
        place = Path(scratch) / "results"
        try:
            platform.download(record.reference, output, place)
        except Exception as error:  # whatever a plugin raises: events tell the scores all the same
            return _without_results(
                evaluated, f"its results could not be brought: {redact(str(error), max_length=300)}"
            )
        return _read_results(record, evaluated, next(_find_results_folders(record, place, output), place), "", reader)


def _find_results_folders(record: RunRecord, place: Path, output: Output) -> Iterator[Path]:
    """The folder that has the results' own file, of the one that was brought and a folder of the same name in it."""
    for folder in (place, place / PurePosixPath(output.name).name):
        if record.outputs.complete_file and (folder / record.outputs.complete_file).is_file():
            yield folder


def _read_results(
    record: RunRecord, evaluated: Evaluated, folder: Path, kept_at: str, reader: ResultsReader | None
) -> EvaluationFacts:
    said, remarks = _parse_results_file(record, folder, reader)
    taken, left = list[MediaFile](), list[OmittedFile]()
    with contextlib.suppress(OSError):
        taken, left = load_media(folder)
    return EvaluationFacts(
        evaluated=evaluated, results=said, media=tuple(taken), omitted=tuple(left), folder=kept_at, remarks=remarks
    )


def _parse_results_file(
    record: RunRecord, folder: Path, reader: ResultsReader | None
) -> tuple[EvaluationResults | None, tuple[str, ...]]:
    """What the results' file says; else why nothing. Nothing of one that no workload here reads."""
    name = record.outputs.complete_file
    if reader is None or not name:
        return None, ()
    try:
        said = reader(_read_results_file(folder, name))
    except (OSError, ValueError) as error:
        why = redact(str(error), max_length=300)
        return None, (f"{name} is damaged and cannot be read: {why}; this is what the log tells",)
    damaged = f"{name} is damaged, and these parts of it are left out: {', '.join(said.damaged)}"
    return said, (damaged,) if said.damaged else ()


def _read_results_file(folder: Path, name: str) -> bytes:
    """The file's bytes. Raises OSError, ValueError."""
    path = resolve_inside(folder, name)
    if path is None:
        raise ValueError("it is not there")
    with path.open("rb") as file:
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"it is larger than {format_size(MAX_FILE_BYTES)}")
    return content


def _without_results(evaluated: Evaluated, why: str) -> EvaluationFacts:
    return EvaluationFacts(evaluated=evaluated, remarks=(f"{why}; this is what its log tells",))
