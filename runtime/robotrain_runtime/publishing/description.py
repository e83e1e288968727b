"""The description of a published checkpoint for people: the workload's facts, and those of the run."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping

from robotrain_runtime.contract.container_plugin import ModelDescription, PublishingSpec
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.event import Evaluated, EventRecord, Metrics


class ReportedFacts:
    """The metrics and scores that a run has reported so far."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        """Remember the metrics of these names."""
        self._names = frozenset(names)
        self._values: dict[str, list[tuple[int, float]]] = {}
        self.evaluated: list[Evaluated] = []

    def add_record(self, record: EventRecord) -> None:
        """Remember what an event reports; return at once."""
        event = record.event
        if isinstance(event, Metrics) and event.step is not None:
            for name in self._names & event.values.keys():
                self._values.setdefault(name, []).append((event.step, event.values[name]))
        elif isinstance(event, Evaluated) and event.scores:
            self.evaluated.append(event)

    def find_value(self, name: str, step: int) -> tuple[int, float] | None:
        """Return the newest value of a metric up to a step, and its own step; None if there is none."""
        reports = [report for report in self._values.get(name, ()) if report[0] <= step]
        return max(reports, key=lambda report: report[0]) if reports else None


def list_metric_names(spec: PublishingSpec) -> list[str]:
    """Return the names of the metrics that the description of a checkpoint shows."""
    metrics = spec.describes.get("metrics")
    return list(metrics) if isinstance(metrics, Mapping) else []


def make_description(document: JobDocument, spec: PublishingSpec, facts: ReportedFacts, step: int) -> ModelDescription:
    """Return the description of the checkpoint of a step."""
    description = ModelDescription(**{"title": document.run, **spec.describes})  # type: ignore[arg-type]
    tags = [*_list_values(description.metadata.get("tags")), "robotrain"]
    sections = [
        *((str(heading), str(section_text)) for heading, section_text in description.sections),
        ("Checkpoint", "\n".join(_describe_run(document, step, is_resumable=description.is_resumable))),
    ]
    if rows := list(_format_metrics(description.metrics, facts, step)):
        sections.append(("Metrics", "\n".join(("| metric | step | value |", "|---|---|---|", *rows))))
    if rows := list(dict.fromkeys(_format_scores(facts.evaluated, step))):  # a pipeline repeats those of its steps
        sections.append(("Evaluation", "\n".join(("| score | value |", "|---|---|", *rows))))
    return dataclasses.replace(
        description, metadata={**description.metadata, "tags": list(dict.fromkeys(tags))}, sections=sections
    )


def _list_values(value: object) -> list[str]:
    return [str(member) for member in value] if isinstance(value, list | tuple) else []


def _describe_run(document: JobDocument, step: int, *, is_resumable: bool) -> Iterator[str]:
    yield f"- step {step} of the run `{document.run}` (workload {document.workload}, platform {document.platform})"
    yield f"- digest of the job: `{document.job}`"
    yield "- `robotrain-checkpoint.json` has the SHA-256 of each file, `robotrain-job.yaml` the job"
    if is_resumable:
        yield "- `--resume-from hf://{repository}@{tag}` continues the training from this very checkpoint"


def _format_metrics(metrics: Mapping[str, str], facts: ReportedFacts, step: int) -> Iterator[str]:
    for name, title in metrics.items():
        if report := facts.find_value(name, step):
            yield f"| {title} | {report[0]} | {report[1]:.6g} |"


def _format_scores(evaluated: Iterable[Evaluated], step: int) -> Iterator[str]:
    for evaluation in evaluated:
        if evaluation.step in (0, step):
            for name, score in evaluation.scores.items():
                yield f"| {name}{f' ({evaluation.conditions})' if evaluation.conditions else ''} | {score:.6g} |"
