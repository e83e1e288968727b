"""A repository of the Hub in the container: fetched once for each commit, into the cache."""

import re
from collections.abc import Iterable
from pathlib import Path

from robotrain_runtime.document import Source
from robotrain_runtime.half import Place

from robotrain_sources.data_environment import ENVIRONMENT
from robotrain_sources.fetching import landing, program
from robotrain_sources.huggingface import repository

__all__ = ["ENVIRONMENT", "fetch", "preflight"]

FETCH = "robotrain_sources.huggingface.fetch"
COMMIT = r"[0-9a-f]{40}"


def preflight(source: Source, place: Place) -> Iterable[str]:
    """What is wrong with how the repository is named; the Hub is asked when the run has its data environment."""
    try:
        repository.parse(source.uri)
    except repository.RepositoryError as refused:
        yield f"{source.uri} names no repository of the Hub: {refused.why}"
    if source.pin and not re.fullmatch(COMMIT, source.pin):
        yield f"{source.uri} is pinned to {source.pin}, and a repository of the Hub is pinned to a commit of 40 digits."


def fetch(source: Source, place: Place) -> Path:
    """The folder that holds the repository's files at its commit. Raises OSError with a sentence."""
    for wrong in preflight(source, place):
        raise OSError(wrong)
    named = repository.parse(source.uri)
    revision, kind = source.pin or named.revision, "dataset" if source.role == "dataset" else "model"
    folder = place.cache / "sources" / "huggingface" / f"{kind}s" / named.id.replace("/", "--")
    if re.fullmatch(COMMIT, revision) and (found := landing.find(folder / revision)):
        return found
    options = ("--revision", revision) if revision else ()
    return program.run(place, FETCH, named.id, *options, "--repo-type", kind, "--to", str(folder))
