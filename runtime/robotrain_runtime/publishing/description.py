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
        happened = record.event
        if isinstance(happened, Metrics) and happened.step is not None:
            for name in self._names & happened.values.keys():
                self._values.setdefault(name, []).append((happened.step, happened.values[name]))
        elif isinstance(happened, Evaluated) and happened.scores:
            self.evaluated.append(happened)

    def find_value(self, name: str, step: int) -> tuple[int, float] | None:
        """Return the newest value of a metric up to a step, and its own step; None if there is none."""
        found = [one for one in self._values.get(name, ()) if one[0] <= step]
        return max(found, key=lambda one: one[0]) if found else None


def list_metric_names(spec: PublishingSpec) -> list[str]:
    """Return the names of the metrics that the description of a checkpoint shows."""
    metrics = spec.describes.get("metrics")
    return list(metrics) if isinstance(metrics, Mapping) else []


def make_description(document: JobDocument, spec: PublishingSpec, facts: ReportedFacts, step: int) -> ModelDescription:
    """Return the description of the checkpoint of a step."""
    given = ModelDescription(**{"title": document.run, **spec.describes})  # type: ignore[arg-type]
    tags = [*_list_values(given.metadata.get("tags")), "robotrain"]
    sections = [
        *((str(heading), str(text)) for heading, text in given.sections),
        ("Checkpoint", "\n".join(_describe_run(document, step, is_resumable=given.is_resumable))),
    ]
    if rows := list(_format_metrics(given.metrics, facts, step)):
        sections.append(("Metrics", "\n".join(("| metric | step | value |", "|---|---|---|", *rows))))
    if rows := list(dict.fromkeys(_format_scores(facts.evaluated, step))):  # a pipeline repeats those of its steps
        sections.append(("Evaluation", "\n".join(("| score | value |", "|---|---|", *rows))))
    return dataclasses.replace(given, metadata={**given.metadata, "tags": list(dict.fromkeys(tags))}, sections=sections)


def _list_values(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list | tuple) else []


def _describe_run(document: JobDocument, step: int, *, is_resumable: bool) -> Iterator[str]:
    yield f"- step {step} of the run `{document.run}` (workload {document.workload}, platform {document.platform})"
    yield f"- digest of the job: `{document.job}`"
    yield "- `robotrain-checkpoint.json` has the SHA-256 of each file"
    if is_resumable:
        yield "- `--resume-from hf://{repository}@{tag}` continues the training from this very checkpoint"


def _format_metrics(metrics: Mapping[str, str], facts: ReportedFacts, step: int) -> Iterator[str]:
    for name, title in metrics.items():
        if found := facts.find_value(name, step):
            yield f"| {title} | {found[0]} | {found[1]:.6g} |"


def _format_scores(evaluated: Iterable[Evaluated], step: int) -> Iterator[str]:
    for one in evaluated:
        if one.step in (0, step):
            for name, value in one.scores.items():
                yield f"| {name}{f' ({one.conditions})' if one.conditions else ''} | {value:.6g} |"
