"""What a run left that outlives its machine: checkpoints or results that it published, and those that OSMO copied."""

import re
import sys
from collections.abc import Iterator

from robotrain import store
from robotrain.problem import Instead, Problem, Rejected, Stage
from robotrain.run import Output, Reference
from robotrain_azure.heard import Heard
from robotrain_runtime.checkpoint import MANIFEST

from robotrain_osmo.cli import asking
from robotrain_osmo.kinds import blobs, storage
from robotrain_osmo.watch import outputs_seals, status_asked
from robotrain_osmo.watch.heard import GONE, heard

BLOBS, STORAGE = "blob_url", "osmo_storage"
"""The source kinds that read them: what OSMO copied to Azure is blobs too."""
_SEALED = rf"(?:.*/)?(?P<step>\d+)/{re.escape(MANIFEST)}"


def outputs(reference: Reference) -> list[Output]:
    """The checkpoints, oldest first, or the results. Raises RunGone, and Rejected: also when it made some and published
    none.
    """
    log, place = heard(reference), reference.get("publishes", "")
    said = log.said
    found = {one.name: one for one in _published(said)}
    if is_storage(place):
        found |= {one.name: one for one in _copied(reference, place, said)}
    elif place and log.trimmed:
        print(f"warning: {GONE}: earlier checkpoints may lie at {place}", file=sys.stderr)
    if not found and not place and (said.known.checkpoint or said.evaluated):
        raise Rejected([_unpublished(reference, said)])
    return sorted(found.values(), key=lambda one: one.step or 0)


def is_storage(place: str) -> bool:
    """Whether OSMO itself copies checkpoints there."""
    return storage.recognises(place)


def _published(said: Heard) -> Iterator[Output]:
    """Those at an address; a folder of the machine is gone with it, and tracking shows its own."""
    for one in said.published:
        yield _output(one.step, BLOBS, one.to, said)
    if said.results:
        yield Output(name=said.results_name, kind="file", source=BLOBS, uri=said.results)


def _copied(reference: Reference, place: str, said: Heard) -> Iterator[Output]:
    """Those of this run that OSMO copied to its storage; all of it as one where it cannot be listed from here."""
    try:
        there = asking.said(status_asked.cli(reference), "data", "list", place, "--no-pager", "-r")
        others = outputs_seals.others(reference, place) if MANIFEST in there else frozenset()
    except Rejected as rejected:
        print(f"warning: {place} cannot be listed from here: {rejected}", file=sys.stderr)
        yield _whole(place, said)
        return
    lines = there.splitlines()  # each a name of the whole container
    left = store.outputs_of(reference.get("run", ""))
    complete = f"{left.folder}/{left.complete_file}" if left.complete_file else ""
    if said.evaluated and complete and any(line.strip().endswith(complete) for line in lines):
        yield _whole(place, said)
    for line in lines:
        if (sealed := re.fullmatch(_SEALED, line.strip())) and int(sealed["step"]) not in others:
            name = line.strip().rpartition("/")[0].rpartition("/")[2]
            yield _output(int(sealed["step"]), *_readable(f"{place.rstrip('/')}/{name}"), said)


def _whole(place: str, said: Heard) -> Output:
    """All that lies there, as one."""
    source, uri = _readable(place)
    name = place.rstrip("/").rpartition("/")[2]
    if said.evaluated and name == said.results_name:
        return Output(name=name, kind="file", source=source, uri=uri)
    return Output(name="checkpoints", kind="checkpoint", source=source, uri=uri)


def _readable(place: str) -> tuple[str, str]:
    """The source kind that reads an address of OSMO's storage, and the address as it takes it."""
    read = blobs.as_blobs(place)
    return (BLOBS, read) if read else (STORAGE, place)


def _output(step: int, source: str, uri: str, said: Heard) -> Output:
    name = f"checkpoints/{step:06}"
    return Output(name=name, kind="checkpoint", source=source, uri=uri, step=step, model=said.models.get(step, ""))


def _unpublished(reference: Reference, said: Heard) -> Problem:
    run, known = reference.get("run") or reference["workflow"], said.known
    made, shown = ("results", "them") if said.evaluated else ("checkpoints", "its models")
    kept = [f"Its tracking run shows {shown}: {known.tracking_ui}."] if known.tracking_ui else []
    kept += [f"Its model is registered: {one.name}, version {one.version}." for one in known.registered]
    return Problem(
        code="outputs-unpublished",
        stage=Stage.SUBMIT,
        title=f"the {made} of {run} were published nowhere: they end with the machine they lie on",
        why=" ".join(kept),
        instead=(
            Instead(
                f"robotrain resubmit {run} --set publish_url=https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX",
                f"the same once more, its {made} copied there",
            ),
        ),
    )
