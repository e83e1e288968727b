"""Progress of a run: what its events add up to, on every platform."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from robotrain_runtime.contract import event

from robotrain.model import scores
from robotrain.model.amounts import format_duration, format_size
from robotrain.model.workload import Metric

MAX_UNDECLARED_METRICS = 2
"""Of metrics that nobody declared, on a line."""


@dataclass(slots=True)
class Progress:
    """The state that events add up to. declared: the metrics that the workload declares. curve: (step, value) of the
    metric that matters most while the run goes on; metrics: the newest value of each name.

    machine: the newest values of the machine, which belong to no step. checkpoint: where the newest complete one lies;
    published: every copy, in the order made. warnings: what a person should know, errors among them. stage: the one
    begun last of those that go on, else of all. download: how far the data is. unit: what `step` and `total` count.
    tags: what its tracking run is told of its origin.
    episodes: what is summed up over them, by its name; evaluated: what came of all of them; delivered: the places that
    its results were copied to.
    """

    declared_metrics: Sequence[Metric] = ()
    stage: str = ""
    download: event.Download | None = None
    step: int | None = None
    total: int | None = None
    unit: str = "step"
    curve: list[tuple[int, float]] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)
    validation_step: int | None = None
    machine: dict[str, float] = field(default_factory=dict)
    checkpoint: str = ""
    checkpoint_step: int | None = None
    published: list[event.Published] = field(default_factory=list)
    registered: list[event.Registered] = field(default_factory=list)
    episodes: dict[str, float] = field(default_factory=dict)
    evaluated: event.Evaluated | None = None
    delivered: list[event.Delivered] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    tracking: dict[str, Any] | None = None
    tags: dict[str, str] = field(default_factory=dict)
    outcome: event.Outcome | None = None
    _running_stages: list[str] = field(default_factory=list)
    _first_measurement: tuple[float, int] | None = None
    _newest_time: float = 0.0

    @property
    def main_metric(self) -> Metric | None:
        """The metric that matters most while the run goes on: the loss, else the headline score."""
        scores_of = (one for one in self.declared_metrics if one.kind == "score" and one.headline and not one.share)
        return next((one for one in self.declared_metrics if one.kind == "loss"), None) or next(scores_of, None)

    @property
    def validation_metric(self) -> Metric | None:
        """The loss on data that is not trained on."""
        return next((one for one in self.declared_metrics if one.kind == "validation"), None)

    @property
    def losses(self) -> list[tuple[int, float]]:
        """The loss by step."""
        return self.curve if self.main_metric and self.main_metric.kind == "loss" else []

    def is_episode_metric(self, name: str) -> bool:
        """Whether a metric is of one episode alone."""
        return any(one.kind == "episode" and re.fullmatch(one.name, name) for one in self.declared_metrics)

    def is_score(self, name: str) -> bool:
        """Whether a metric says what a score of the evaluation does."""
        found = self.evaluated.scores if self.evaluated else {}
        copies = (one for one in self.declared_metrics if one.kind == "copy" and found)
        return name in found or any(re.fullmatch(one.name, name) for one in copies)

    def has_validation(self, values: Mapping[str, float]) -> bool:
        """Whether values were measured on data that is not trained on."""
        return self.validation_metric is not None and self.validation_metric.name in values

    def add_event(self, record: event.EventRecord) -> None:
        """One more event."""
        happened = record.event
        match happened:
            case event.Metrics(step=int()):
                self._add_metrics(record.time, happened)
            case event.Metrics():
                self.machine.update(happened.values)
            case event.StageEvent():
                self._add_stage(happened)
            case event.Download():
                self.download = happened
            case event.Checkpoint():
                self.checkpoint, self.checkpoint_step = happened.path, happened.step
            case event.Published():
                self.published.append(happened)
            case event.Withdrawn():
                self.published = [one for one in self.published if one.to != happened.to]
            case event.Registered():
                self.registered.append(happened)
            case event.Evaluated():
                self.evaluated = happened
            case event.Delivered():
                self.delivered.append(happened)
            case event.Note(level="warning" | "error"):
                self.warnings.append(happened.text)
            case event.Track():
                self.tags.update(happened.tags)
            case event.Tracking():
                self.tracking = {
                    "uri": happened.uri,
                    "experiment_id": happened.experiment_id,
                    "run_id": happened.run_id,
                    "ui": happened.ui,
                }
            case event.Outcome():
                self.outcome = happened
                if happened.state == "succeeded":
                    self.step = self.total or self.step  # the last window may have ended before the last step

    def _add_stage(self, happened: event.StageEvent) -> None:
        """Stages may overlap. Work that begins again goes on from a checkpoint: its steps are counted from there."""
        self._running_stages = [name for name in self._running_stages if name != happened.name]
        if happened.state != "started":
            self.stage = self._running_stages[-1] if self._running_stages else self.stage
            return
        self._running_stages.append(happened.name)
        self.stage = happened.name
        if happened.name == "work":
            self._first_measurement, self.step, self.outcome, self.evaluated = None, None, None, None
            self.episodes.clear()

    def _add_metrics(self, at: float, metrics: event.Metrics) -> None:
        assert metrics.step is not None
        self.metrics.update(metrics.values)
        if self.has_validation(metrics.values):
            self.validation_step = metrics.step
        if (main := self.main_metric) and main.name in metrics.values:
            self._add_curve_point(metrics.step, metrics.values[main.name])
        if metrics.unit == "episode":
            self._add_episode(metrics.values)
        self.total, self.unit = metrics.total or self.total, metrics.unit
        if metrics.step > (self.step or 0):
            self.step, self._newest_time = metrics.step, at
            self._first_measurement = self._first_measurement or (at, metrics.step)

    def _add_episode(self, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            if self._find_summed_metric(name):
                self.episodes[name] = value

    def _find_summed_metric(self, name: str) -> Metric | None:
        """The metric that sums up a value over all episodes."""
        summed = (one for one in self.declared_metrics if one.kind == "episode" and one.brief)
        return next((one for one in summed if re.fullmatch(one.name, name)), None)

    def _add_curve_point(self, step: int, value: float) -> None:
        while self.curve and self.curve[-1][0] > step:  # steps that are done once more
            self.curve.pop()
        self.curve.append((step, value))

    def list_copies(self, step: int | None) -> list[str]:
        """Where copies of a step's checkpoint can be found, each place once."""
        return list(dict.fromkeys(one.to for one in self.published if one.step == step))

    @property
    def results(self) -> list[str]:
        """Where copies of an evaluation's results can be found, each place once."""
        kept = self.policies
        return [place for place in dict.fromkeys(one.to for one in self.delivered) if place not in kept]

    @property
    def policies(self) -> list[str]:
        """Where copies of the evaluated policy can be found: they keep the name of its folder, and its step."""
        kept = "/".join(PurePosixPath(self.evaluated.policy).parts[-2:]) if self.evaluated else ""
        places = dict.fromkeys(one.to for one in self.delivered)
        return [place for place in places if kept and place.endswith(f"/{kept}")]

    @property
    def tracking_ui(self) -> str:
        """The line that shows the tracking run."""
        return str((self.tracking or {}).get("ui") or "")

    @property
    def rate(self) -> float | None:
        """Steps a second since the first measured window; None before there are two, or of episodes in one moment."""
        if self._first_measurement is None or self.step is None or self.step == self._first_measurement[1]:
            return None
        took = self._newest_time - self._first_measurement[0]
        if self.unit == "episode" and took < 1:  # several that were acted in at once
            return None
        return (self.step - self._first_measurement[1]) / max(1e-9, took)

    @property
    def seconds_left(self) -> float | None:
        """Until the last step, at that rate; None when there is none, or no step is left."""
        if not self.rate or not self.total or self.step is None or self.step >= self.total:
            return None
        return (self.total - self.step) / self.rate

    def format_line(self, ended: bool = False) -> str:
        """Where the work is, on one line; ended: where it came to."""
        if self.step is None:
            return self._format_download(ended) if self.stage == "data" else self._format_start()
        share = f"/{self.total} ({self.step / self.total:.0%})" if self.total else ""
        parts = [
            f"{self.unit} {self.step}{share}",
            *filter(None, (self.newest_value_text, self.score_text, self.validation_text)),
        ]
        if not self.declared_metrics:
            parts += [f"{name} {value:.4g}" for name, value in list(self.metrics.items())[:MAX_UNDECLARED_METRICS]]
        if self.rate:
            parts.append(f"{self.rate_text} {self.unit}s/s")
        if self.seconds_left is not None and not ended:
            parts.append(f"{format_duration(self.seconds_left)} left")
        return "  ".join(parts)

    @property
    def score_text(self) -> str:
        """What an evaluation found, or has found by now: `success 3/4`; empty where there is nothing."""
        if self.evaluated:
            return scores.format_scores(self.evaluated, self.declared_metrics)
        for metric in self.declared_metrics:
            if values := [value for name, value in self.episodes.items() if self._find_summed_metric(name) == metric]:
                if metric.share:
                    return f"{metric.brief} {sum(value >= 0.5 for value in values)}/{len(values)}"
                return f"{metric.brief} {scores.format_number(sum(values) / len(values))}{scores.format_unit(metric)}"
        return ""

    @property
    def newest_value_text(self) -> str:
        """`loss 0.25`: the newest value of what matters most; empty where there is none."""
        if not (main := self.main_metric) or not self.curve or (self.evaluated and main.kind == "score"):
            return ""
        return f"{main.brief or main.title} {self.curve[-1][1]:.4g}{scores.format_unit(main)}"

    @property
    def validation_text(self) -> str:
        """`val 0.41 at 200`: the newest loss on data that is not trained on; empty where there is none."""
        if (metric := self.validation_metric) is None or metric.name not in self.metrics:
            return ""
        return f"{metric.brief or metric.title} {self.metrics[metric.name]:.4g} at {self.validation_step}"

    @property
    def rate_text(self) -> str:
        """The rate in few digits; episodes may take long."""
        return (
            "" if not self.rate else f"{self.rate:.1f}" if self.rate >= 1 or self.unit == "step" else f"{self.rate:.2g}"
        )

    def _format_start(self) -> str:
        """The stage; of work that is about to do its first step, how much it is."""
        return f"{self.unit} 0/{self.total}" if self.stage == "work" and self.total else self.stage

    def _format_download(self, ended: bool) -> str:
        """How far the data is; the stage alone before it is known."""
        if self.download is None:
            return self.stage
        done, total = self.download.done, self.download.total
        share = f" ({done / total:.0%})" if total else ""
        parts = [f"{self.stage}  {format_size(done)} of {format_size(total)}{share}"]
        if self.download.seconds_left and not ended:
            parts += [f"{format_size(self.download.rate)}/s", f"{format_duration(self.download.seconds_left)} left"]
        return "  ".join(parts)

    @staticmethod
    def describe_event(happened: event.Event, declared: Sequence[Metric] = ()) -> str:
        """An event as a line for people; empty for those that say nothing by themselves."""
        match happened:
            case event.StageEvent():
                took = f" in {format_duration(happened.seconds)}" if happened.seconds is not None else ""
                return f"{happened.name}: {happened.state}{took}" + (f" ({happened.detail})" if happened.detail else "")
            case event.Metrics(step=int(), values=measured) if measured:
                values = "  ".join(f"{name} {value:.4g}" for name, value in happened.values.items())
                return f"{happened.unit} {happened.step}: {values}"
            case event.Checkpoint():
                return f"checkpoint of step {happened.step}: {happened.path}"
            case event.Published():
                took = f" in {format_duration(happened.seconds)}" if happened.seconds is not None else ""
                return f"checkpoint of step {happened.step} published to {happened.to}{took}"
            case event.Withdrawn():
                return f"{happened.to} is removed: newer ones are there"
            case event.Registered():
                what = f"the policy{f' of step {happened.step}' if happened.step else ''} is"
                uri = f": {happened.uri}" if happened.uri else ""
                already = (
                    f"; {scores.format_registration_note(happened)}"
                    if scores.format_registration_note(happened)
                    else ""
                )
                return f"{what} registered as {happened.name}, version {happened.version}{uri}{already}"
            case event.Evaluated():
                return _describe_evaluation(happened, declared)
            case event.Delivered():
                took = f" in {format_duration(happened.seconds)}" if happened.seconds is not None else ""
                return f"copied to {happened.to}{took}"
            case event.Note():
                return f"{happened.level}: {happened.text}"
            case event.Outcome():
                return f"{happened.state}, exit code {happened.exit_code}" + (
                    f": {happened.reason}" if happened.reason else ""
                )
        return ""


def _describe_evaluation(happened: event.Evaluated, declared: Sequence[Metric]) -> str:
    """`20 episodes evaluated: success …`."""
    count = "1 episode" if happened.episodes == 1 else f"{happened.episodes} episodes"
    found = scores.format_scores_with_conditions(happened, declared)
    said = f": {found}" if found else ""
    return f"{count} evaluated{said}" + ("; less than was demanded" if happened.passed is False else "")


def read_progress(lines: Iterable[str], declared: Sequence[Metric] = ()) -> Progress:
    """The progress that a log tells. declared: the metrics of its workload."""
    progress = Progress(declared)
    for line in lines:
        if line.startswith(event.PREFIX) and (record := event.parse_event(line)):
            progress.add_event(record)
    return progress


def read_newest_progress(lines: Iterable[str], declared: Sequence[Metric] = ()) -> Progress:
    """The newest step and loss alone: of a log, or its end, no more is taken apart than they need."""
    progress = Progress(declared)
    main = progress.main_metric.name if progress.main_metric else ""
    records: list[event.EventRecord] = []
    for line in reversed(list(lines)):
        if line.startswith(event.PREFIX) and (record := event.parse_event(line)):
            records.append(record)
            if isinstance(record.event, event.Metrics) and main in record.event.values:
                break
    for record in reversed(records):
        progress.add_event(record)
    return progress
