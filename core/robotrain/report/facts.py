"""What a report tells, gathered from a run's record, its kept plan, its log and its outputs."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from robotrain_runtime import event
from robotrain_runtime.document import Source

from robotrain import cut_off, sent_plans, store
from robotrain.progress import Progress
from robotrain.redaction import redact
from robotrain.report import evaluation, related, results_file
from robotrain.report.evaluation import Evaluation
from robotrain.report.related import Known
from robotrain.run import Output, RunRecord, Status
from robotrain.workload import Metric

if TYPE_CHECKING:
    from robotrain.plugins import Plugins

LAST_LINES = 40
LONGEST_LINE = 400
MOST_STEPS = 2**53
"""That an axis can tell apart."""


@dataclass(slots=True)
class Told:
    """What the log tells. series: (step, value) pairs by the metric's name; machine: (seconds since the start, value).

    stages: name, state and seconds. last_lines: the end of the ordinary lines.
    """

    progress: Progress = field(default_factory=Progress)
    series: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    machine: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    stages: list[event.Stage] = field(default_factory=list)
    notes: list[event.Note] = field(default_factory=list)
    last_lines: tuple[str, ...] = ()
    began: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything on the page. values: name, value, origin, overrode; none when the plan was not kept.

    evaluations: of what this run trained, by other runs. trained: the run whose policy this one was given.
    """

    record: RunRecord
    status: Status
    told: Told
    outputs: tuple[Output, ...]
    sources: tuple[Source, ...]
    values: tuple[Mapping[str, Any], ...]
    payload: str
    written: float
    evaluation: Evaluation | None = None
    evaluations: tuple[Known, ...] = ()
    trained: str = ""


def gather(run: str, plugins: "Plugins", say: Callable[[str], None] = lambda text: None, whole: bool = True) -> Facts:
    """The facts of a run, as of now; whole: with all files of an evaluation and with related runs. Raises Rejected.

    say: is told what takes a while.
    """
    record = store.read(store.find(run))
    platform = plugins.platform(record.platform)
    if record.phase == "sending":
        record = cut_off.adopted(record, platform)
    kept = sent_plans.read_if_kept(record.run)
    sources = kept.plan.job.sources if kept else ()
    heard = told(platform.logs(record.reference, False), record.metrics)
    left = tuple(platform.outputs(record.reference))
    known = heard.progress
    reader = results_file.reader_of(record.workload, plugins) if known.evaluated else None
    return Facts(
        record=record,
        status=platform.status(record.reference),
        told=heard,
        outputs=left,
        sources=sources,
        values=kept.values if kept else (),
        payload=kept.payload.digest if kept else "",
        written=time.time(),
        evaluation=(
            evaluation.gather(record, platform, known, left, reader, say)
            if whole
            else evaluation.glanced(record, platform, known, left, reader)
        ),
        evaluations=related.evaluations(record, known, left, plugins) if whole else (),
        trained=related.trained(sources, known.tags),
    )


def told(lines: Iterable[str], declared: Sequence[Metric] = ()) -> Told:
    """What a log tells. declared: the metrics of its workload."""
    found, ordinary = Told(Progress(declared)), deque[str](maxlen=LAST_LINES)
    for line in lines:
        if record := event.read(line):
            found.progress.add(record)
            _take(found, record)
        else:
            ordinary.append(line)
    found.last_lines = tuple(redact(line, longest=LONGEST_LINE) for line in ordinary)
    return found


def _take(found: Told, record: event.Record) -> None:
    found.began = found.began or record.time
    match record.event:
        case event.Metrics(step=int() as step, values=values):
            for name, value in values.items():
                _add(found.series, name, float(min(step, MOST_STEPS)), value)
        case event.Metrics(values=values):
            for name, value in values.items():
                _add(found.machine, name, record.time - found.began, value)
        case event.Stage(state="done" | "failed") as stage:
            found.stages.append(stage)
        case event.Note() as note:
            found.notes.append(note)


def _add(series: dict[str, list[tuple[float, float]]], name: str, at: float, value: float) -> None:
    """One more point; a step that was done again after a restart counts as it went the last time."""
    points = series.setdefault(name, [])
    while points and points[-1][0] >= at:
        points.pop()
    points.append((at, value))
