"""Progress of a run, computed from the events in its log."""

import dataclasses
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from robotrain_runtime.contract import event
from robotrain_runtime.contract.document import Scalar

from robotrain.model import scores
from robotrain.model.amounts import format_duration, format_size
from robotrain.model.series import Point, Series
from robotrain.model.workload_profile import Metric

SHORTEST_SECONDS = 0.02
"""Steps that were reported closer together were reported late, and tell no rate."""
MAX_UNDECLARED_METRICS = 2
"""How many metrics a line shows if the workload declares none."""
TRACKED_PREFIXES = ("runs:/", "models:/")
"""How the addresses of what a tracking server has begin."""


@dataclass
class Progress:
    """The progress of a run after the events so far."""

    declared_metrics: Sequence[Metric] = ()
    """The metrics that the workload declares."""
    stage: str = ""
    """The running stage that began last; if none runs, the last one."""
    download: event.Download | None = None
    step: int | None = None
    total: int | None = None
    unit: str = "step"
    """What `step` and `total` count."""
    metrics: dict[str, float] = field(default_factory=dict)
    """The newest value of each metric."""
    axis: str = "step"
    """What the values of `series` stand at; not `unit` where values are counted and epochs are told."""
    series: defaultdict[str, Series] = field(default_factory=lambda: defaultdict(Series))
    """(step, value) by metric."""
    validation_step: int | None = None
    machine: dict[str, float] = field(default_factory=dict)
    """The newest values of the machine's metrics."""
    machine_series: defaultdict[str, Series] = field(default_factory=lambda: defaultdict(Series))
    """(seconds since the first event, value) by metric of the machine."""
    began: float | None = None
    """When the first event was sent."""
    last_event: float | None = None
    """When the last event was sent."""
    stages: list[event.StageEvent] = field(default_factory=list)
    """The stages that have ended."""
    notes: list[event.Note] = field(default_factory=list)
    checkpoint: str = ""
    """The path of the newest complete checkpoint."""
    checkpoint_step: int | None = None
    published: list[event.Published] = field(default_factory=list)
    """Copies of checkpoints, oldest first."""
    registered: list[event.Registered] = field(default_factory=list)
    episodes: dict[str, float] = field(default_factory=dict)
    """The values of single episodes, by metric."""
    evaluated: event.Evaluated | None = None
    scored: list[event.Scored] = field(default_factory=list)
    """The newest evaluation of each checkpoint, where several are evaluated."""
    delivered: list[event.Delivered] = field(default_factory=list)
    """Copies of the results."""
    tracking: dict[str, Any] | None = None
    params: dict[str, Scalar] = field(default_factory=dict)
    """The parameters of the tracking run, with what the run found out itself."""
    tags: dict[str, str] = field(default_factory=dict)
    """The tags of the tracking run."""
    processes: event.Processes | None = None
    """Those that work together; None for one alone."""
    outcome: event.Outcome | None = None
    _later_copies: dict[str, set[int]] = field(default_factory=dict)
    """The steps that were published after the run, by place."""
    _running_stages: list[str] = field(default_factory=list)
    _first_measurement: tuple[float, int] | None = None
    _newest_time: float = 0.0
    _main_name: str | None = None
    _validation_name: str | None = None

    def __post_init__(self) -> None:
        self._update_names()

    def _update_names(self) -> None:
        """Find the names of the main and the validation metric again, for metrics that are declared by a pattern."""
        self._main_name = self.main_metric.name if self.main_metric else None
        self._validation_name = self.validation_metric.name if self.validation_metric else None

    @property
    def warnings(self) -> list[str]:
        """The texts of warnings and errors, and of what the events together warn of."""
        note_texts = [note.text for note in self.notes if note.level != "info"]
        return [*note_texts, *filter(None, (self.registration_warning,))]

    @property
    def guesses(self) -> list[str]:
        """The texts of notes with something to type instead: what was assumed because nobody said it."""
        return [note.text for note in self.notes if note.level == "info" and note.ways]

    @property
    def registration_warning(self) -> str:
        """A sentence if a policy was registered although no episode succeeded; empty otherwise."""
        if not (self.evaluated and self.registered):
            return ""
        success_count = scores.count_successes(self.evaluated, scores.find_share_metric(self.declared_metrics))
        model = self.registered[-1]
        failure_count = scores.format_failure_count(success_count)
        return f"{model.name} version {model.version} is registered, though {failure_count}" if failure_count else ""

    @property
    def has_measured(self) -> bool:
        """Whether there is a value of the work itself."""
        return bool(self.metrics or self.evaluated)

    @property
    def is_told(self) -> bool:
        """Whether the work told its step, or values without one."""
        return self.step is not None or (self.axis == "value" and bool(self.metrics))

    @property
    def curve(self) -> list[Point]:
        """(step, value) of the main metric."""
        return self.get_points(self._main_name) if self._main_name is not None else []

    def get_points(self, name: str) -> list[Point]:
        """Return (step, value) of a metric."""
        return self.series[name].points if name in self.series else []

    @property
    def main_metric(self) -> Metric | None:
        """The metric that shows the progress: the loss or another curve, or else the headline score."""
        losses = [metric for metric in self.declared_metrics if metric.kind in ("loss", "curve")]
        headlines = [
            score_metric
            for score_metric in self.declared_metrics
            if score_metric.kind == "score" and score_metric.headline and not score_metric.share
        ]
        return self._find_metric(losses) or self._find_metric(headlines, only_with_values=self._names_are_open)

    @property
    def _names_are_open(self) -> bool:
        """Whether the program names its metrics as it likes."""
        return any(metric.pattern and metric.kind in ("loss", "curve") for metric in self.declared_metrics)

    @property
    def validation_metric(self) -> Metric | None:
        """The metric of the validation loss."""
        return self._find_metric(metric for metric in self.declared_metrics if metric.kind == "validation")

    def _find_metric(self, metrics: Iterable[Metric], only_with_values: bool = False) -> Metric | None:
        """Return the first metric; one that is declared by a pattern, under its name, as soon as the run has it."""
        for metric in metrics:
            if metric.pattern:
                if name := next(filter(metric.matches, self.series), None):
                    return dataclasses.replace(metric, name=name)
            elif not only_with_values or metric.name in self.series:
                return metric
        return None

    @property
    def losses(self) -> list[Point]:
        """(step, loss); empty if the main metric is not a loss."""
        return self.curve if self.main_metric and self.main_metric.kind == "loss" else []

    def is_episode_metric(self, name: str) -> bool:
        """Return whether a metric belongs to a single episode."""
        return any(metric.kind == "episode" and re.fullmatch(metric.name, name) for metric in self.declared_metrics)

    def is_score(self, name: str) -> bool:
        """Return whether a metric is a score of the evaluation or a copy of one."""
        scores = self.evaluated.scores if self.evaluated else {}
        copies = (metric for metric in self.declared_metrics if metric.kind == "copy" and scores)
        return name in scores or any(re.fullmatch(metric.name, name) for metric in copies)

    def add_event(self, record: event.EventRecord) -> None:
        """Update the progress with the next event."""
        log_event = record.event
        self.began, self.last_event = record.time if self.began is None else self.began, record.time
        match log_event:
            case event.Metrics(step=int() as step):
                self.add_metrics(record.time, log_event.values, step, log_event.total, log_event.unit)
            case event.Metrics():
                self.machine.update(log_event.values)
                for name, value in log_event.values.items():
                    self.machine_series[name].add(record.time - self.began, value)
            case event.StageEvent():
                self._add_stage(log_event)
            case event.Download():
                self.download = log_event
            case event.Checkpoint():
                self.checkpoint, self.checkpoint_step = log_event.path, log_event.step
            case event.Published():
                self.published.append(log_event)
            case event.Withdrawn():
                self.published = [copy for copy in self.published if copy.to != log_event.to]
            case event.Registered():
                self.registered.append(log_event)
            case event.Evaluated():
                self.evaluated = log_event
            case event.Scored():
                self.scored = [
                    *(evaluation for evaluation in self.scored if evaluation.step != log_event.step),
                    log_event,
                ]
            case event.Delivered():
                self.delivered.append(log_event)
            case event.Processes():
                self.processes = log_event
            case event.Note():
                self.notes.append(log_event)
            case event.Track():
                self.params.update(log_event.params)
                self.tags.update(log_event.tags)
            case event.Tracking():
                self.tracking = {
                    "uri": log_event.uri,
                    "experiment_id": log_event.experiment_id,
                    "run_id": log_event.run_id,
                    "ui": log_event.ui,
                }
            case event.Outcome():
                self.outcome = log_event
                if log_event.state == "succeeded" and self.unit == "episode":
                    self.total = self.step or self.total  # a comparison ends as soon as it has an answer
                elif log_event.state == "succeeded":
                    self.step = self.total or self.step  # the last window may have ended before the last step

    def _add_stage(self, stage_event: event.StageEvent) -> None:
        """Update the running stages, which may overlap; restarted work continues from a checkpoint."""
        self._running_stages = [name for name in self._running_stages if name != stage_event.name]
        if stage_event.state != "started":
            self.stages.append(stage_event)
            self.stage = self._running_stages[-1] if self._running_stages else self.stage
            return
        self._running_stages.append(stage_event.name)
        self.stage = stage_event.name
        if stage_event.name == "work":
            self._first_measurement, self.step, self.outcome, self.evaluated = None, None, None, None
            self.episodes.clear()

    def add_metrics(
        self, timestamp: float, values: Mapping[str, float], step: int, total: int | None, unit: str
    ) -> None:
        """Update the progress with the values of metrics at a step."""
        self.metrics.update(values)
        count = len(self.series)
        for name, value in values.items():
            self.series[name].add(step, value)
        if values:
            self.axis = unit
        if len(self.series) != count:
            self._update_names()
        if self._validation_name in values:
            self.validation_step = step
        if unit == "episode":
            self.episodes.update((name, value) for name, value in values.items() if self._find_summed_metric(name))
        if unit not in (self.unit, "value") or (unit == "value" and not values):
            self.step = self.total = self._first_measurement = None
        if unit == "value":
            return
        self.unit = unit
        self.total = total or self.total
        if step > (self.step or 0):
            self.step, self._newest_time = step, timestamp
            self._first_measurement = self._first_measurement or (timestamp, step)

    def _find_summed_metric(self, name: str) -> Metric | None:
        """Return the metric that summarizes a value over all episodes."""
        summed_metrics = (metric for metric in self.declared_metrics if metric.kind == "episode" and metric.brief)
        return next((metric for metric in summed_metrics if re.fullmatch(metric.name, name)), None)

    def add_later_copy(self, step: int, to: str, target: str) -> None:
        """Add a copy that was made after the run; warnings that it is missing at the place no longer hold."""
        if all((copy.step, copy.to) != (step, to) for copy in self.published):
            self.published.append(event.Published(step=step, to=to))
        steps = self._later_copies.setdefault(target, set())
        steps.add(step)
        self.notes = [note for note in self.notes if not _is_settled(note.text, target, steps)]

    def list_copies(self, step: int | None) -> list[str]:
        """Return the places of the copies of a step's checkpoint, without repetition."""
        return list(dict.fromkeys(copy.to for copy in self.published if copy.step == step))

    def list_addresses(self, step: int | None) -> tuple[str, ...]:
        """Return the addresses of a step's checkpoint that sources can name: of copies, artifacts and models."""
        files = [copy.file for copy in self.published if copy.step == step]
        places = [*files, *self.list_copies(step)]
        copies = [address for address in places if "://" in address or address.startswith("runs:/")]
        models = [model.uri for model in self.registered if model.step == step and model.uri]
        return tuple(dict.fromkeys([*copies, *models]))

    @property
    def may_have_policy(self) -> bool:
        """Whether its log tells of a checkpoint or an evaluated policy, or lacks the end of the run: it may be cut."""
        return bool(self.outcome is None or self.checkpoint or (self.evaluated and self.evaluated.policy))

    @property
    def has_output(self) -> bool:
        """Whether its log tells of a checkpoint or of results, wherever they are."""
        return bool(self.checkpoint or self.has_kept_output or (self.evaluated and self.evaluated.results))

    @property
    def has_kept_output(self) -> bool:
        """Whether its log tells of a copy that outlives its machine, as an output: the tracking server lists none."""
        places = [*(copy.to for copy in self.published), *(copy.to for copy in self.delivered)]
        return any(not address.startswith(TRACKED_PREFIXES) for address in places)

    @property
    def results(self) -> list[str]:
        """The places of the copies of an evaluation's results, without repetition."""
        policies = self.policies
        return [address for address in dict.fromkeys(copy.to for copy in self.delivered) if address not in policies]

    @property
    def policies(self) -> list[str]:
        """The places of the copies of the evaluated policy, which end in the name of its folder and its step."""
        name = "/".join(PurePosixPath(self.evaluated.policy).parts[-2:]) if self.evaluated else ""
        places = dict.fromkeys(copy.to for copy in self.delivered)
        return [address for address in places if name and address.endswith(f"/{name}")]

    @property
    def tracking_ui(self) -> str:
        """The command or address that shows the tracking run."""
        return str((self.tracking or {}).get("ui") or "")

    @property
    def rate(self) -> float | None:
        """Steps per second since the first measurement; None before the second one."""
        if self._first_measurement is None or self.step is None or self.step == self._first_measurement[1]:
            return None
        elapsed_seconds = self._newest_time - self._first_measurement[0]
        if elapsed_seconds < (
            1 if self.unit == "episode" else SHORTEST_SECONDS
        ):  # parallel episodes that ended together
            return None
        return (self.step - self._first_measurement[1]) / elapsed_seconds

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the last step at the current rate; None if unknown or finished."""
        if not self.rate or not self.total or self.step is None or self.step >= self.total:
            return None
        return (self.total - self.step) / self.rate

    def format_line(self, has_ended: bool = False) -> str:
        """Return the progress as one line; without the time left if the run has ended, or waits."""
        if not self.is_told:
            if self.stage == "data":
                return self._format_download(has_ended)
            if self.stage == "work" and self.total:  # a start continues from a checkpoint
                return f"{self.unit} {self.checkpoint_step or 0}/{self.total}"
            return self.stage
        share = f"/{self.total} ({self.step / self.total:.0%})" if self.step and self.total else ""
        parts = [
            *([] if self.step is None else [f"{self.unit} {self.step}{share}"]),
            *filter(None, (self.newest_value_text, self.score_text, self.validation_text)),
            *self._list_other_texts(),
        ]
        if not self.declared_metrics or (self._names_are_open and not self.main_metric and not self.evaluated):
            parts += [f"{name} {value:.4g}" for name, value in list(self.metrics.items())[:MAX_UNDECLARED_METRICS]]
        if self.rate:
            parts.append(f"{self.rate_text} {self.unit}s/s")
        if self.seconds_left is not None and not has_ended:
            parts.append(f"{format_duration(self.seconds_left)} left")
        return "  ".join(parts)

    def _list_other_texts(self) -> Iterator[str]:
        """Yield the values that are neither curves nor scores, but have a brief name: `data wait 26%`."""
        for metric in self.declared_metrics:
            if metric.brief and not metric.kind and metric.name in self.metrics:
                value = self.metrics[metric.name]
                yield f"{metric.brief} {value:.0%}" if metric.share else f"{metric.brief} {value:.4g}"

    @property
    def score_text(self) -> str:
        """The scores, or the count so far: `success 3/4`; empty if there is nothing."""
        if self.evaluated:
            return scores.format_answer(self.evaluated) or scores.format_scores(self.evaluated, self.declared_metrics)
        for metric in self.declared_metrics:
            if episodes := [value for name, value in self.episodes.items() if self._find_summed_metric(name) == metric]:
                if metric.share:
                    return f"{metric.brief} {sum(value >= 0.5 for value in episodes)}/{len(episodes)}"
                return (
                    f"{metric.brief} {scores.format_number(sum(episodes) / len(episodes))}{scores.format_unit(metric)}"
                )
        return ""

    @property
    def newest_value_text(self) -> str:
        """The newest value of the main metric: `loss 0.25`; empty if there is none, or the score is shown instead."""
        if not (main_metric := self.main_metric) or not self.curve:
            return ""
        if (main_metric.kind == "score" and self.score_text) or self.is_score(main_metric.name):
            return ""
        return f"{main_metric.brief or main_metric.title} {self.curve[-1][1]:.4g}{scores.format_unit(main_metric)}"

    @property
    def validation_text(self) -> str:
        """The newest validation loss: `val 0.41 at 200`; empty if there is none."""
        if (metric := self.validation_metric) is None or metric.name not in self.metrics:
            return ""
        return f"{metric.brief or metric.title} {self.metrics[metric.name]:.4g} at {self.validation_step}"

    @property
    def rate_text(self) -> str:
        """The rate with few digits; empty if unknown."""
        if not self.rate:
            return ""
        return f"{self.rate:.1f}" if self.rate >= 1 else f"{self.rate:.2g}"

    def _format_download(self, has_ended: bool) -> str:
        """Return the progress of the download; the stage alone before it is known."""
        if self.download is None:
            return self.stage
        downloaded_bytes, total_bytes = self.download.done, self.download.total
        share = f" ({downloaded_bytes / total_bytes:.0%})" if total_bytes else ""
        parts = [f"{self.stage}  {format_size(downloaded_bytes)} of {format_size(total_bytes)}{share}"]
        if self.download.seconds_left and not has_ended:
            parts += [f"{format_size(self.download.rate)}/s", f"{format_duration(self.download.seconds_left)} left"]
        return "  ".join(parts)


def _is_settled(warning_text: str, target: str, steps: Iterable[int]) -> bool:
    """Return whether a warning is about checkpoints that are not at a place, where they are by now."""
    match = re.match(
        rf"checkpoints? ([\d, and]+) (?:is not|could not be) published to {re.escape(target)}[:;]", warning_text
    )
    return bool(match) and {int(name) for name in re.findall(r"\d+", match[1] if match else "")} <= {*steps}


def read_newest_progress(lines: Iterable[str], declared_metrics: Sequence[Metric]) -> Progress:
    """Return only the newest step and main metric, parsing no more of a log, or of its end, than they need."""
    progress = Progress(declared_metrics)
    main_metric = progress.main_metric
    shown_metrics = (
        [main_metric] if main_metric else [metric for metric in declared_metrics if metric.kind in ("loss", "curve")]
    )

    def is_shown(name: str) -> bool:
        return any(metric.matches(name) for metric in shown_metrics)

    records: list[event.EventRecord] = []
    for line in reversed(list(lines)):
        if line.startswith(event.PREFIX) and (record := event.parse_event(line)):
            records.append(record)
            if isinstance(record.event, event.Metrics) and any(map(is_shown, record.event.values)):
                break
    for record in reversed(records):
        progress.add_event(record)
    return progress
