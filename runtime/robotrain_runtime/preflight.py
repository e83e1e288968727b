"""A quick look at the world before a run: what would make it fail. Changes nothing."""

from collections.abc import Iterator
from pathlib import Path

from robotrain_runtime import environment_check, halves
from robotrain_runtime.document import JobDocument, Source
from robotrain_runtime.failure import Failed
from robotrain_runtime.finding import Finding


def preflight(document: JobDocument) -> list[Finding]:
    """Every reason found, data first; an empty list when the run may start."""
    try:
        work = halves.workload(document)
        present, found = {}, []
        for source in document.sources:
            wrong = list(_source(document, source))
            found += wrong
            if not wrong and Path(source.uri).is_absolute() and Path(source.uri).is_dir():
                present[source] = Path(source.uri)  # it lies where its printed form says: nothing to fetch
        found += [_finding("data-unusable", sentence) for sentence in work.inspect(document, present)]
        return [*found, *environment_check.findings(work.ENVIRONMENT, document.placement)]
    except Failed as failed:
        return [_finding("half-missing", failed.reason)]


def _source(document: JobDocument, source: Source) -> Iterator[Finding]:
    for sentence in halves.source(document, source).preflight(source):
        yield _finding("source-unreachable", sentence, source.uri)


def _finding(code: str, sentence: str, given: str = "") -> Finding:
    title, _, way = sentence.partition("\n")
    return Finding(code=code, title=title.rstrip("."), given=given, ways=(way,) if way else ())
