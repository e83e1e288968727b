"""A look at a job's data from here, as who is signed in: what cannot be read, and datasets that do not go together, are
dear to find out on a GPU.
"""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from types import MappingProxyType

from robotrain.findings import problem_of
from robotrain.problem import Problem, Stage
from robotrain_runtime.document import JobDocument, Source

SECONDS = 30.0
CERTAIN = ("data-unusable",)
"""What is true wherever one looks from. The others: this machine may not be let in where the job is."""
ELSEWHERE = "The job looks again, with its own identity."
BLOB = "blob_url"
MOST = 3
"""Warnings that are told one by one."""
UNSEEN = "source-unreachable"
WAYS = MappingProxyType({BLOB: "`az login` lets this machine look"})


def problems(told: JobDocument) -> Iterator[Problem]:
    """What this machine cannot read or write, and what datasets that are merged have against each other; nothing when
    there is nothing to look at from here.
    """
    seen = worth_a_look(told)
    if not seen and not publishes(told):
        return
    from robotrain.folders import cache
    from robotrain_runtime.preflight import afar

    found = afar(told, cache(), _narrate, SECONDS, WAYS, seen)
    yield from _few(_from_afar(problem_of(finding)) for finding in found)


def worth_a_look(told: JobDocument) -> tuple[Source, ...]:
    """What can be looked at from here and is not known by now: all data, where datasets must go together; else the
    blobs that were not seen when they were pinned a moment ago.
    """
    brought = {(mount.role, mount.uri) for mount in told.placement.mounts if mount.origin}
    there = [one for one in told.sources if (one.role, one.uri) not in brought or one.kind == "local_path"]
    there = [one for one in there if one.kind not in told.placement.credentials]
    several = sum(one.role == "dataset" for one in there) > 1
    gone = {one for one in there if several and (one.role, one.uri) in brought and not _is_here(one)}
    return tuple(one for one in there if one not in gone and (several or (one.kind == BLOB and not one.pin)))


def _is_here(folder: Source) -> bool:
    """Whether a folder that is uploaded lies on this machine, as it was pinned; where it is uploaded already, it need
    not any more.
    """
    from robotrain.folders import cache
    from robotrain_runtime.half import Place
    from robotrain_sources.local_path import container

    return not any(container.preflight(folder, Place(cache=cache())))


def publishes(told: JobDocument) -> bool:
    """Whether the run itself writes to blobs, as who it is there."""
    address = str(told.parameters.get("publish_url") or "")
    return ".blob." in address and BLOB not in told.placement.credentials


def _from_afar(problem: Problem) -> Problem:
    """What need not be so where the job is stops nobody."""
    if problem.code in CERTAIN:
        return problem
    return replace(problem, why=f"{problem.why} {ELSEWHERE}".strip(), severity="warning")


def _few(found: Iterable[Problem]) -> Iterator[Problem]:
    """Every error; of warnings the first, and how many more: one sign-in that fails is one for each source."""
    warned = 0
    for problem in found:
        warned += problem.severity == "warning"
        if problem.severity != "warning" or warned <= MOST:
            yield problem
    if warned > MOST:
        title = f"{warned - MOST} more sources cannot be looked at from here"
        yield Problem(code=UNSEEN, stage=Stage.PREFLIGHT, severity="warning", title=title, why=ELSEWHERE)


def _narrate(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
