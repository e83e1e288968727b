"""The facts of a report: a run's record, plan, log and outputs, and related runs."""

import functools
import itertools
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from robotrain_runtime.contract import event
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.event import Evaluated

from robotrain.errors import Problem, Rejected
from robotrain.model import progress
from robotrain.model.progress import Progress
from robotrain.model.run import Output, RunRecord, Status
from robotrain.model.workload import Metric
from robotrain.redaction import redact
from robotrain.report import evaluation
from robotrain.report.evaluation import EvaluationFacts
from robotrain.store import plans, records
from robotrain.submission import reconcile

if TYPE_CHECKING:
    from robotrain.plugins.manager import Plugins

MAX_EXAMINED, MAX_RELATED = 500, 20
"""Of the newest runs; and of those that are asked what they found."""
URI_SEPARATORS = re.compile(r"[/:@]+")


@dataclass(frozen=True, slots=True)
class RelatedRun:
    """Another run. state: empty where its platform does not say; told: what it found, None where nobody says; metrics:
    those that its workload declares.

    trained, content: the run that trained the policy, and the policy's digest, as far as its log tells.
    """

    run: str
    state: str = ""
    evaluated: Evaluated | None = None
    metrics: Sequence[Metric] = ()
    training_run: str = ""
    policy_digest: str = ""


TRAINING_RUN_TAG, POLICY_DIGEST_TAG = "policy_run", "model_sha256"
"""The tags of an evaluation that name the run that trained the policy, and the policy's content."""


def find_evaluations(
    record: RunRecord, known: Progress, outputs: Sequence[Output], plugins: "Plugins"
) -> tuple[RelatedRun, ...]:
    """The runs recorded here that were given a policy of this run and evaluated it, newest first."""
    places, names = _checkpoint_places(known, outputs), _run_names(record, known)
    if known.evaluated or not (places or known.checkpoint):
        return ()
    given = {run: _policy_sources(run) for run in _list_other_runs(record.run)}
    own = [run for run, policies in given.items() if any(_is_policy_of(one, places, names) for one in policies)][
        :MAX_RELATED
    ]
    others = [run for run, policies in given.items() if policies and run not in own][:MAX_RELATED]
    found = [_ask_run(run, plugins) for run in own]
    contents = {one.policy_digest for one in found} - {""}
    found += [
        one
        for one in map(functools.partial(_ask_run, plugins=plugins), others)
        if _is_same_policy(one, names, contents)
    ]
    order = {run: at for at, run in enumerate(given)}
    return tuple(sorted((one for one in found if one.evaluated), key=lambda one: order[one.run]))


def find_training_run(sources: Sequence[JobSource], tags: Mapping[str, str]) -> str:
    """The run recorded here whose policy it was given; empty for none. tags: what the run found of its origin."""
    given = {part for one in sources if one.role == "policy" for part in URI_SEPARATORS.split(one.uri)}
    given.add(tags.get(TRAINING_RUN_TAG, ""))
    return next((run for run in records.iterate_runs() if run in given), "")


def _checkpoint_places(known: Progress, outputs: Sequence[Output]) -> tuple[str, ...]:
    """Where the checkpoints of a run can be found."""
    own = (one.uri for one in outputs if one.kind == "checkpoint")
    return tuple({*own, *(one.to for one in known.published), *(one.uri for one in known.registered if one.uri)})


def _run_names(record: RunRecord, known: Progress) -> set[str]:
    """What no address of something else has as a part."""
    tracked = str((known.tracking or {}).get("run_id") or "")
    return {record.run, tracked} - {""}


def _is_policy_of(source: JobSource, places: Sequence[str], names: set[str]) -> bool:
    below = any(source.uri == place or source.uri.startswith(place.rstrip("/") + "/") for place in places)
    return below or not names.isdisjoint(URI_SEPARATORS.split(source.uri))


def _is_same_policy(related: RelatedRun, names: set[str], contents: set[str]) -> bool:
    """Whether a policy from elsewhere, as a registry, is one of the run after all."""
    return related.training_run in names or related.policy_digest in contents


def _list_other_runs(run: str) -> Iterator[str]:
    return (name for name in itertools.islice(records.iterate_runs(), MAX_EXAMINED) if name != run)


def _policy_sources(run: str) -> list[JobSource]:
    return [one for one in plans.read_stored_sources(run) if one.role == "policy"]


def _ask_run(run: str, plugins: "Plugins") -> RelatedRun:
    """What a run found; a platform that cannot be asked takes nothing else away."""
    try:
        record = records.read_record(run)
        platform = plugins.platform(record.platform)
        state = platform.status(record.reference).state
        known = progress.read_progress(platform.logs(record.reference, False), record.metrics)
        return RelatedRun(
            run,
            state,
            known.evaluated,
            record.metrics,
            known.tags.get(TRAINING_RUN_TAG, ""),
            known.tags.get(POLICY_DIGEST_TAG, ""),
        )
    except (Rejected, OSError):
        return RelatedRun(run)


LAST_LINES = 40
MAX_LINE = 400
MAX_STEPS = 2**53
"""That an axis can tell apart."""


@dataclass(slots=True)
class LogFacts:
    """What the log tells. series: (step, value) pairs by the metric's name; machine: (seconds since the start, value).

    stages: name, state and seconds. last_lines: the end of the ordinary lines.
    """

    progress: Progress = field(default_factory=Progress)
    series: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    machine: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    stages: list[event.StageEvent] = field(default_factory=list)
    notes: list[event.Note] = field(default_factory=list)
    last_lines: tuple[str, ...] = ()
    began: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """Everything on the page. values: name, value, origin, overrode; none when the plan was not kept.

    evaluations: of what this run trained, by other runs. trained: the run whose policy this one was given.
    """

    record: RunRecord
    status: Status
    log: LogFacts
    outputs: tuple[Output, ...]
    sources: tuple[JobSource, ...]
    values: tuple[Mapping[str, Any], ...]
    payload: str
    written: float
    evaluation: EvaluationFacts | None = None
    evaluations: tuple[RelatedRun, ...] = ()
    training_run: str = ""


def collect_facts(
    run: str, plugins: "Plugins", on_progress: Callable[[str], None] = lambda text: None, complete: bool = True
) -> RunFacts:
    """The facts of a run, as of now; whole: with all files of an evaluation and with related runs. Raises Rejected.

    say: is told what takes a while.
    """
    record = records.read_record(records.find_run(run))
    platform = plugins.platform(record.platform)
    if record.phase == "sending":
        record = reconcile.adopt_run(record, platform)
    kept = plans.find_stored_plan(record.run)
    sources = kept.plan.job.sources if kept else ()
    heard = read_log_facts(platform.logs(record.reference, False), record.metrics)
    left = tuple(platform.outputs(record.reference))
    known = heard.progress
    reader = evaluation.find_results_reader(record.workload, plugins) if known.evaluated else None
    return RunFacts(
        record=record,
        status=platform.status(record.reference),
        log=heard,
        outputs=left,
        sources=sources,
        values=kept.values if kept else (),
        payload=kept.payload.digest if kept else "",
        written=time.time(),
        evaluation=(
            evaluation.collect_evaluation(record, platform, known, left, reader, on_progress)
            if complete
            else evaluation.collect_local_evaluation(record, platform, known, left, reader)
        ),
        evaluations=find_evaluations(record, known, left, plugins) if complete else (),
        training_run=find_training_run(sources, known.tags),
    )


def read_log_facts(lines: Iterable[str], metrics: Sequence[Metric] = ()) -> LogFacts:
    """What a log tells. declared: the metrics of its workload."""
    found, ordinary = LogFacts(Progress(metrics)), deque[str](maxlen=LAST_LINES)
    for line in lines:
        if record := event.parse_event(line):
            found.progress.add_event(record)
            _add_event(found, record)
        else:
            ordinary.append(line)
    found.last_lines = tuple(redact(line, max_length=MAX_LINE) for line in ordinary)
    return found


def _add_event(log_facts: LogFacts, record: event.EventRecord) -> None:
    log_facts.began = log_facts.began or record.time
    match record.event:
        case event.Metrics(step=int() as step, values=values):
            for name, value in values.items():
                _add_point(log_facts.series, name, float(min(step, MAX_STEPS)), value)
        case event.Metrics(values=values):
            for name, value in values.items():
                _add_point(log_facts.machine, name, record.time - log_facts.began, value)
        case event.StageEvent(state="done" | "failed") as stage:
            log_facts.stages.append(stage)
        case event.Note() as note:
            log_facts.notes.append(note)


def _add_point(series: dict[str, list[tuple[float, float]]], name: str, at: float, value: float) -> None:
    """One more point; a step that was done again after a restart counts as it went the last time."""
    points = series.setdefault(name, [])
    while points and points[-1][0] >= at:
        points.pop()
    points.append((at, value))


def collect_all_facts(runs: Sequence[str], plugins: "Plugins", on_progress: Callable[[str], None]) -> list[RunFacts]:
    """The facts of runs, each once, in the order given; of one alone everything. Raises Rejected with all problems."""
    from robotrain.store import records

    names: dict[str, None] = {}
    problems: list[Problem] = []
    for run in runs:
        try:
            names[records.find_run(run)] = None
        except Rejected as rejected:
            problems += rejected.problems
    if problems:
        raise Rejected(problems)
    found: list[RunFacts] = []
    for name in names:
        try:
            found.append(collect_facts(name, plugins, on_progress, complete=len(names) == 1))
        except Rejected as rejected:
            problems += rejected.problems
    if problems:
        raise Rejected(problems)
    return found
