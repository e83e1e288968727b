"""The metrics of a program: in its output, in what it reports, and in the files that it writes."""

import fnmatch
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path

from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import EventRecord, Note
from robotrain_runtime.contract.failure import describe_error

from robotrain_workloads.command.metric_patterns import LineReader
from robotrain_workloads.command.usual_output import UsualOutput
from robotrain_workloads.supervision.event_files import EVENT_FILES, EventFile
from robotrain_workloads.supervision.json_lines import METRICS_FILE, JsonLines, MetricsFile, get_time, list_numbers
from robotrain_workloads.supervision.metric_row import MetricRow, clean_name, parse_step
from robotrain_workloads.supervision.metric_sender import MetricSender

WALK_SECONDS = 2.0
WALK_SHARE = 50
"""How many times as long as a look for new files took, the next one waits: outputs may have very many files."""
MAX_ROWS = 20_000
"""Of a file, between two looks at the others."""
EVALUATION = re.compile(r"(?i)(?:.*[_. -])?(?:val|valid|validation|eval|evaluation|test)(?:[_. -].*)?")
"""The name of a folder with metrics of an evaluation."""
LOG, REPORT = "log", "report"


def emit_record(record: EventRecord) -> None:
    """Send an event of an earlier time."""
    event.emit_line(event.format_event(record.event, record.time))


class MetricFollower:
    """Sends the metrics of a program as events. What is wrong with them is said, and never fails a run."""

    def __init__(
        self,
        *,
        outputs: Path,
        report: Path,
        reader: LineReader | UsualOutput | None = None,
        take_lines: Callable[[], list[bytes]] = list,
        emit: Callable[[EventRecord], object] = emit_record,
        clock: Callable[[], float] = time.monotonic,
        resumed_step: int = 0,
    ) -> None:
        self._outputs, self._report = outputs, JsonLines(report)
        self.reader, self._take_lines, self._emit, self._clock = reader, take_lines, emit, clock
        self._sender = MetricSender(emit, clock)
        for name in reader.names if reader else ():
            self._sender.claim(name, LOG)
        self._files: dict[Path, EventFile | MetricsFile] = {}
        self._rows: dict[Path, Iterator[MetricRow]] = {}
        self._damaged: set[Path] = set()
        self._walk_at = 0.0
        self._has_own, self._is_named = False, False
        self._resumed_step = resumed_step
        """The step that the program was to continue from; 0 if it begins, and once something was said."""
        self._find_files(is_start=True)

    @property
    def last_step(self) -> int | None:
        """The last step that has metrics; None before the first."""
        return self._sender.last_step

    def read_new(self) -> None:
        """Send what is new."""
        self._read_lines()
        self._read_report()
        if self._clock() >= self._walk_at:
            self._find_files()
            for path in self._files:
                self._read_file(path)
        self._sender.flush()
        self._say_restart()

    def finish(self, exit_code: int, is_stopped: bool) -> Iterator[str]:
        """Send the rest, and say which expressions found nothing."""
        self._read_lines()
        self._read_report()
        self._find_files()
        for path in self._files:
            while self._read_file(path) and not is_stopped:  # a stop leaves little time, which checkpoints need
                self._sender.flush(is_last=True)
        self._sender.flush(is_last=True)
        self._say_restart()
        if self.reader and exit_code == 0:
            for name in self.reader.unmatched:
                self._warn(f"no line of the program's output has a number for {_format_option(name)}")
        yield from ()

    def _say_restart(self) -> None:
        """Say once that a program that was to continue begins with step 0; what that means it alone knows."""
        if self._resumed_step and self._sender.first_step == 0:
            text = f"the program was to continue from step {self._resumed_step}, and the first step that it tells is 0"
            self._resumed_step = 0
            self._emit(event.make_record(Note(level="info", text=text)))

    def _read_lines(self) -> None:
        if self.reader is None:
            return
        rows = self.reader.read_lines(self._take_lines())
        if isinstance(self.reader, UsualOutput):
            rows = [] if self._has_own else rows
            self._name_usual(rows)
        for row in rows:
            self._sender.add(LOG, row)
        while self.reader.slow:
            warning_text = "takes too long with a line of the program's output, and is not read any more"
            self._warn(f"{_format_option(self.reader.slow.pop())} {warning_text}")

    def _name_usual(self, rows: list[MetricRow]) -> None:
        """Say once what was read of the output although nobody named it."""
        if not rows or self._is_named:
            return
        self._is_named = True
        metric_names = list(dict.fromkeys(name for row in rows for name in row.values))
        steps = sorted({f"the {row.unit}" for row in rows if row.unit != "value"})
        note_text = (
            f"read from what the program prints: {', '.join([*metric_names, *steps])} (--metric NAME=REGEX "
            "says another)"
        )
        self._emit(
            event.make_record(Note(level="info", text=note_text, ways=(("--metric NAME=REGEX",), ("--step REGEX",))))
        )

    def _prefer_own(self, row: MetricRow) -> None:
        """Read the output no more if nobody named its metrics, and the program says some itself."""
        if row.values and isinstance(self.reader, UsualOutput) and not self._has_own:
            self._has_own = True
            self._sender.release(LOG)

    def _read_report(self) -> None:
        with suppress(OSError):
            for report in self._report.read_new():
                if row := _parse_report(report):
                    self._prefer_own(row)
                    self._sender.add(REPORT, row)

    def _find_files(self, *, is_start: bool = False) -> None:
        """Look for files of metrics. What is there at the start is of an earlier attempt, and not sent again."""
        start_time = time.monotonic()
        readers_by_path: dict[Path, type[EventFile | MetricsFile]] = {}
        for folder, _, file_names in os.walk(self._outputs):
            for file_name in file_names:
                if fnmatch.fnmatchcase(file_name, EVENT_FILES):
                    readers_by_path[Path(folder, file_name)] = EventFile
                elif file_name == METRICS_FILE:
                    readers_by_path[Path(folder, file_name)] = MetricsFile
        for path in sorted(readers_by_path.keys() - self._files.keys(), key=_rank_file):
            if path.is_file():  # a pipe of that name would be waited for
                with suppress(OSError):
                    self._files[path] = readers_by_path[path](path, path.stat().st_size if is_start else 0)
        seconds_taken = time.monotonic() - start_time
        self._walk_at = self._clock() + max(WALK_SECONDS, WALK_SHARE * seconds_taken)

    def _read_file(self, path: Path) -> bool:
        """Take rows of a file, not too many at once; return whether there may be more."""
        if path in self._damaged:
            return False
        row_count, pending_rows = 0, self._rows.pop(path, None)
        try:
            rows = pending_rows or self._files[path].read_new()
            for row in islice(rows, MAX_ROWS):
                row_count += 1
                source = type(self._files[path]), path.parent
                self._prefer_own(row)
                self._sender.add(source, row._replace(values=self._name_values(source, row.values)))
        except OSError:  # removed, or for a while not there
            return False
        except Exception as error:  # whatever is in a file of the program is not worth its run
            self._damaged.add(path)
            self._warn(f"the metrics in {path} are not read any more: {describe_error(error)}")
            return False
        if row_count == MAX_ROWS:
            self._rows[path] = rows
        return row_count == MAX_ROWS or pending_rows is not None

    def _name_values(self, source: tuple[type, Path], metric_values: Mapping[str, float]) -> dict[str, float]:
        """Return the values by name; the name of the folder tells apart what a file in another one has too."""
        values_by_name: dict[str, float] = {}
        for name, value in zip(map(clean_name, metric_values), metric_values.values(), strict=True):
            owner = self._sender.claim(name, source)
            is_alike = isinstance(owner, tuple) and owner != source and owner[0] is source[0]
            values_by_name[clean_name(f"{source[1].name}/{name}") if is_alike else name] = value
        return values_by_name

    def _warn(self, text: str) -> None:
        self._emit(event.make_record(Note(level="warning", text=text)))


def _rank_file(path: Path) -> tuple[bool, Path]:
    """Return the order of files that are found together: the first has the plain names, so training comes first."""
    return EVALUATION.fullmatch(path.parent.name) is not None, path


def _format_option(name: str) -> str:
    return f"--metric {name}" if name else "--step"


def _parse_report(report: dict[str, object]) -> MetricRow | None:
    """Return the row of a report; None for one about something else."""
    step = parse_step(report.get("step"))
    reported_values = report.get("values")
    total = parse_step(report.get("total"))
    if step is None or report.get("event") not in ("metrics", "progress"):
        return None
    numbers_by_name = dict(list_numbers(reported_values)) if isinstance(reported_values, dict) else {}
    return MetricRow(step, numbers_by_name, total, get_time(report))
