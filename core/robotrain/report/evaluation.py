"""The evaluation of a run: its results as a workload reads them, its plots and videos, local or downloaded."""

import base64
import contextlib
import json
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from robotrain_runtime.contract.document_limits import MAX_RUN_FILE_BYTES
from robotrain_runtime.contract.event import Evaluated
from robotrain_runtime.contract.files import read_limited_file

from robotrain.errors import Rejected
from robotrain.model import scores
from robotrain.model.amounts import format_size
from robotrain.model.platform import Platform
from robotrain.model.progress import Progress
from robotrain.model.run import Output, RunRecord
from robotrain.model.source import LOCAL_KIND
from robotrain.plugins.failures import PluginError
from robotrain.plugins.manager import Plugins
from robotrain.redaction import redact
from robotrain.report.charts import Bar

MAX_ROWS = 1000
"""The maximal number of rows in a table."""


def format_number(value: float | None, digits: int = 4) -> str:
    """Return a value with so many digits; empty for None."""
    return "" if value is None else scores.format_number(value, digits)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultsTable:
    """A table of the results, perhaps with bars below it."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    remark: str = ""
    """A text above the table."""
    bars_title: str = ""
    bars: tuple[Bar, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeOutcome:
    """The outcome of an episode."""

    episode: int
    seed: int | None = None
    trial: int | None = None
    """What episodes have in common that only repeat each other; None if it is not known which do."""
    task: str = ""
    """The task of an environment with several, which begin with the same seeds."""
    success: bool | None = None
    """None if unknown."""
    score: float | None = None
    """A score without bounds, of which the higher is better; None if there is none."""
    remark: str = ""
    """A text for the caption of its video."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationResults:
    """The content of a results file."""

    facts: tuple[tuple[str, str], ...] = ()
    """Pairs of name and text."""
    values: Mapping[str, float] = field(default_factory=dict)
    """Metrics that the log does not contain, by name."""
    tables: tuple[ResultsTable, ...] = ()
    outcomes: tuple[EpisodeOutcome, ...] = ()
    video_note: str = ""
    """What an environment draws into the videos, in a sentence below them."""
    policy: Mapping[str, Any] = field(default_factory=dict)
    """What is known of the policy, by `comparison.record.POLICY_KEYS`."""
    conditions: Mapping[str, Any] = field(default_factory=dict)
    """What is known of the conditions, by `comparison.record.CONDITION_KEYS`."""


ResultsReader = Callable[[bytes], EvaluationResults]
"""Return the content of a results file. Raise ValueError."""


def find_results_file(workload: str, plugins: Plugins) -> tuple[str, ResultsReader] | None:
    """Return the name and reader of the results file of a workload; None without one, or if it is not installed."""
    try:
        declared_workload = plugins.workload(workload)
    except PluginError:
        return None
    return (
        (declared_workload.profile.outputs.complete_file, declared_workload.read_results)
        if declared_workload.read_results
        else None
    )


MAX_MEDIA_BYTES = 30_000_000
"""The maximal size of all files together; encoded in the page, they are a third larger."""
SUMMARY, GRID = "plots/aggregate_summary.png", "videos/all.mp4"
PLOTS = ("summary_panel", "action_deltas")
PLOTS_FOLDER_PATTERN, VIDEO_PATTERN = re.compile(r"episode_([0-9]{1,9})"), re.compile(r"episode_([0-9]{1,9})\.mp4")
TYPES = {".png": "image/png", ".mp4": "video/mp4"}


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A plot or video, by its path below the results."""

    name: str
    type: str
    data: bytes

    @property
    def episode(self) -> int | None:
        """The episode that it shows; None for all of them."""
        match = PLOTS_FOLDER_PATTERN.search(self.name)
        return int(match[1]) if match else None

    @property
    def title(self) -> str:
        """What a plot shows."""
        return PurePosixPath(self.name).stem.replace("_", " ")

    @property
    def caption(self) -> str:
        """What a video of several episodes shows."""
        folder = PurePosixPath(self.name).parent.name
        return "the first episodes side by side" if self.name == GRID else folder.replace("_", " ")

    @property
    def is_panel(self) -> bool:
        """Whether it is the plot that sums up an episode."""
        return PurePosixPath(self.name).stem == PLOTS[0]

    @property
    def data_uri(self) -> str:
        """The content as an address."""
        return f"data:{self.type};base64,{base64.b64encode(self.data).decode('ascii')}"


@dataclass(frozen=True, slots=True)
class OmittedFile:
    """A file that is too large for the page; its size is in bytes."""

    name: str
    size: int


def load_media(folder: Path) -> tuple[list[MediaFile], list[OmittedFile]]:
    """Return the valid files that fit into the page, the most informative first, and those that do not."""
    media_files: list[MediaFile] = []
    omitted_files: list[OmittedFile] = []
    free_bytes = MAX_MEDIA_BYTES
    for name in _list_media_names(folder):
        path = resolve_inside(folder, name)
        if path is None or not is_valid_media(path):
            continue
        size = path.stat().st_size
        if size > free_bytes:
            omitted_files.append(OmittedFile(name, size))
            continue
        with path.open("rb") as file:
            file_bytes = file.read(size)
        free_bytes -= len(file_bytes)
        media_files.append(MediaFile(name, TYPES[path.suffix], file_bytes))
    return media_files, omitted_files


def resolve_inside(folder: Path, name: str) -> Path | None:
    """Return a file of the folder; None if there is none, or its name or a link leads outside."""
    try:
        path = (folder / name).resolve()
        return path if path.is_file() and path.is_relative_to(folder.resolve()) else None
    except (OSError, ValueError):  # circular links, a name with a NUL
        return None


def is_valid_media(path: Path) -> bool:
    """Return whether a file begins as its type requires."""
    with path.open("rb") as file:
        head = file.read(12)
    return head.startswith(b"\x89PNG\r\n\x1a\n") if path.suffix == ".png" else head[4:8] == b"ftyp"


def _list_media_names(folder: Path) -> Iterator[str]:
    """Yield the files about all episodes, then a panel and a video of each, then the other plots."""
    plotted_names = _list_matching(folder / "plots", PLOTS_FOLDER_PATTERN)
    videos = _list_matching(folder / "videos", VIDEO_PATTERN)
    yield from (SUMMARY, GRID)
    yield from sorted(path.relative_to(folder).as_posix() for path in folder.glob("videos/*/*.mp4"))
    yield from (f"plots/{name}/{PLOTS[0]}.png" for name in plotted_names)
    yield from (f"videos/{name}" for name in videos)
    yield from (f"plots/{name}/{plot}.png" for name in plotted_names for plot in PLOTS[1:])


def _list_matching(folder: Path, pattern: re.Pattern[str]) -> list[str]:
    """Return the names in a folder that match, in the order of their episodes."""
    try:
        matches = [match for path in folder.iterdir() if (match := pattern.fullmatch(path.name))]
    except OSError:
        return []
    return [match[0] for match in sorted(matches, key=lambda match: int(match[1]))]


MAX_DOWNLOAD_BYTES = 1_000_000_000
"""The maximal size of results that are downloaded for a page."""
COMPARISON_FILE = "comparison.json"
"""The file beside the results of a run that compared policies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationFacts:
    """What a page shows about an evaluation."""

    evaluated: Evaluated
    results: EvaluationResults | None = None
    comparison: Mapping[str, Any] | None = None
    """The content of `comparison.json`, if the run compared policies."""
    media: tuple[MediaFile, ...] = ()
    omitted: tuple[OmittedFile, ...] = ()
    folder: str = ""
    """The local folder of the results; empty if they were downloaded for the page."""
    remarks: tuple[str, ...] = ()
    """Why something is missing."""


def collect_evaluation(
    record: RunRecord,
    platform: Platform,
    progress: Progress,
    outputs: Sequence[Output],
    results_file: tuple[str, ResultsReader] | None,
    on_progress: Callable[[str], None],
    complete: bool = True,
) -> EvaluationFacts | None:
    """Return the evaluation of a run; None if its log has none.

    :param results_file: its name and reader; of a pipeline, which has no such file itself, those of its evaluation.
    :param complete: include plots and videos, and download results that are not on this machine.
    """
    evaluated = progress.evaluated
    if evaluated is None:
        return None
    name, reader = results_file or ("", None)
    name = record.outputs.complete_file or name
    remarks = tuple[str, ...]()
    with tempfile.TemporaryDirectory(prefix="robotrain-report-") as scratch:
        folder = _find_local_results(platform, evaluated, outputs)
        reason = ""
        folder_text = str(folder or "")
        if folder is None and complete:
            named_outputs = (output for output in outputs if _is_results_output(output, evaluated))
            copies = (output for output in outputs if output.kind == "file" and output.uri in progress.results)
            output = next(iter([*named_outputs, *copies]), None)
            folder, reason = _download_results(record, platform, output, Path(scratch) / "results", on_progress, name)
        if folder is None:
            remarks = (f"{reason}; the page shows what the log contains",) if reason else ()
            return EvaluationFacts(evaluated=evaluated, remarks=remarks)
        results, remarks = _parse_results_file(folder, name, reader)
        comparison = _read_comparison(folder)
        media = list[MediaFile]()
        omitted_files = list[OmittedFile]()
        if complete:
            with contextlib.suppress(OSError):
                media, omitted_files = load_media(folder)
    return EvaluationFacts(
        evaluated=evaluated,
        results=results,
        comparison=comparison,
        media=tuple(media),
        omitted=tuple(omitted_files),
        folder=folder_text,
        remarks=remarks,
    )


def _read_comparison(folder: Path) -> Mapping[str, Any] | None:
    """Return what the run found about its policies; None if it compared none, or the file is damaged."""
    path = resolve_inside(folder, COMPARISON_FILE)
    with contextlib.suppress(OSError, ValueError, RecursionError):
        comparison = json.loads(read_limited_file(path, MAX_RUN_FILE_BYTES)) if path else None
        if isinstance(comparison, dict) and comparison.keys() >= {"policies", "verdicts"}:
            return comparison
    return None


def _find_local_results(platform: Platform, evaluated: Evaluated, outputs: Sequence[Output]) -> Path | None:
    """Return the folder of the results if it is on this machine."""
    result_paths = [
        output.uri for output in outputs if output.source == LOCAL_KIND and _is_results_output(output, evaluated)
    ]
    if evaluated.results and platform.capabilities.feature("runs_here"):
        result_paths.append(evaluated.results)
    return next((path for path in map(Path, result_paths) if path.is_absolute() and path.is_dir()), None)


def _is_results_output(output: Output, evaluated: Evaluated) -> bool:
    name = PurePosixPath(evaluated.results).name
    return bool(name) and output.kind == "file" and PurePosixPath(output.name).name == name


def _download_results(
    record: RunRecord,
    platform: Platform,
    output: Output | None,
    to: Path,
    on_progress: Callable[[str], None],
    file: str,
) -> tuple[Path | None, str]:
    """Return the folder of the downloaded results, or why there is none."""
    if output is None:
        return None, "the run has no output with its results"
    if (output.size or 0) > MAX_DOWNLOAD_BYTES:
        return None, f"the results are too large to download ({format_size(output.size or 0)})"
    on_progress(f"downloading the results of {record.run} …")
    try:
        platform.engine.download(record.reference, output, to)
    except (Rejected, OSError) as error:  # the log has the scores all the same
        return None, f"the results could not be downloaded: {redact(str(error), max_length=300)}"
    folder = to / PurePosixPath(output.name).name
    return (folder if file and not (to / file).is_file() and (folder / file).is_file() else to), ""


def _parse_results_file(
    folder: Path, name: str, reader: ResultsReader | None
) -> tuple[EvaluationResults | None, tuple[str, ...]]:
    """Return the content of the results file, and why it is missing; None without a reader."""
    if reader is None or not name:
        return None, ()
    try:
        path = resolve_inside(folder, name)
        if path is None:
            raise ValueError("it does not exist")
        return reader(read_limited_file(path, MAX_RUN_FILE_BYTES)), ()
    except (OSError, ValueError) as error:
        reason = redact(str(error), max_length=300)
        return None, (f"{name} cannot be read: {reason}; the page shows what the log contains",)
