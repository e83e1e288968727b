"""A folder of blobs in the container: fetched once for each state of its listing, into the cache."""

from collections.abc import Iterable
from pathlib import Path

from robotrain_runtime.document import Source
from robotrain_runtime.half import Place

from robotrain_sources.blob_url import prefix
from robotrain_sources.data_environment import ENVIRONMENT
from robotrain_sources.fetching import program

__all__ = ["ENVIRONMENT", "fetch", "preflight"]

FETCH = "robotrain_sources.blob_url.fetch"


def preflight(source: Source, place: Place) -> Iterable[str]:
    """What is wrong with the address; the account is asked when the run has its data environment."""
    try:
        prefix.parse(source.uri)
    except prefix.BlobUrlError as refused:
        yield f"The job names no folder of blobs: {refused.why}"


def fetch(source: Source, place: Place) -> Path:
    """The folder that holds every blob below the prefix. Raises OSError with a sentence."""
    for wrong in preflight(source, place):
        raise OSError(wrong)
    named = prefix.parse(source.uri)
    folder = place.cache / "sources" / "blob_url" / named.account / named.container
    return program.run(place, FETCH, str(named), "--to", str(folder))
