"""Whether the disk has room for what the run will put there before it works."""

from collections.abc import Collection, Iterator
from pathlib import Path

from robotrain_runtime import halves
from robotrain_runtime.disk_use import GIB
from robotrain_runtime.document import JobDocument
from robotrain_runtime.environments import environment
from robotrain_runtime.finding import Finding
from robotrain_runtime.supply import eviction

SPARE = 64 * 1024**2


def findings(document: JobDocument, free: int, missing: int, wanted: Collection[str] = ()) -> Iterator[Finding]:
    """Data and environment together. free: before anything was begun; missing: what is to be fetched, in bytes.

    wanted: the digests of the data that the run uses, so that the cache's limit does not make room of that.
    """
    environment_takes = _to_build(document)
    needed = missing + environment_takes + SPARE
    if not missing or free >= needed:
        return
    if (limit := document.placement.cache_gib) is not None:
        free += eviction.would_free(Path(document.placement.cache), limit, missing, wanted)
    if free >= needed:
        return
    also = f" and {environment_takes / GIB:.1f} GiB for the environment" if environment_takes else ""
    yield Finding(
        code="disk-full",
        title=f"there is too little disk space for the data: {free / GIB:.1f} GiB free, {needed / GIB:.1f} GiB needed",
        where="ROBOTRAIN_CACHE",
        given=document.placement.cache,
        why=f"{missing / GIB:.1f} GiB are to be fetched{also}, all below the cache folder.",
        ways=("free some space there", "robotrain cache   what may go", "ROBOTRAIN_CACHE=FOLDER   on a larger disk"),
        fault="disk_full",
    )


def _to_build(document: JobDocument) -> int:
    """The bytes of the run's environment while it is not there."""
    wanted, placement = halves.environment_of(document), document.placement
    if placement.environment is not None:
        return 0
    there = environment.found(wanted.lock, wanted.python, Path(placement.cache), placement.torch_backend)
    return 0 if there else round(wanted.gib * GIB)
