"""A quick look at the world before a run: what would make it fail. Changes nothing."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from robotrain_runtime import environment_check, halves
from robotrain_runtime.document import JobDocument, Source
from robotrain_runtime.failure import Failed
from robotrain_runtime.finding import Finding
from robotrain_runtime.half import Place


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
        found += environment_check.findings(work.ENVIRONMENT, document.placement)
        told = {(finding.code, finding.title) for finding in found}
        return [*found, *(one for one in _data_environments(document) if (one.code, one.title) not in told)]
    except Failed as failed:
        return [_finding("half-missing", failed.reason)]


def _source(document: JobDocument, source: Source) -> Iterator[Finding]:
    for sentence in halves.source(document, source).preflight(source, _place(document)):
        yield _finding("source-unreachable", sentence, source.uri)


def _data_environments(document: JobDocument) -> Iterator[Finding]:
    """What stands in the way of the environments that sources are fetched in, which no `--environment` replaces."""
    halves_used = [halves.source(document, source) for source in document.sources]
    wanted = {found.lock: found for half in halves_used if (found := halves.environment(half))}
    placement = dataclasses.replace(document.placement, environment=None, torch_backend=None)
    for found in wanted.values():
        for finding in environment_check.findings(found, placement):
            ways = tuple(way for way in finding.ways if not way.startswith(environment_check.GIVE_ONE))
            yield dataclasses.replace(finding, ways=ways)


def _place(document: JobDocument) -> Place:
    return Place(cache=Path(document.placement.cache), tracking_uri=document.placement.tracking_uri)


def _finding(code: str, sentence: str, given: str = "") -> Finding:
    title, _, way = sentence.partition("\n")
    return Finding(code=code, title=title.rstrip("."), given=given, ways=(way,) if way else ())
