"""A published checkpoint, or published results, brought to this machine: whole to the byte, or not at all."""

from pathlib import Path

from robotrain.problem import Instead
from robotrain.run import Output, Reference
from robotrain_azure import blobs_brought, brought
from robotrain_runtime.checkpoint import MANIFEST

from robotrain_osmo.cli import asking
from robotrain_osmo.kinds.blobs import as_storage
from robotrain_osmo.watch import status_asked
from robotrain_osmo.watch.outputs import BLOBS, is_storage

DOWNLOAD_SECONDS = 6 * 3600.0


def bring(reference: Reference, output: Output, to: Path) -> None:
    """Copy it to the new folder `to`, which is whole as soon as it is there. Raises Rejected."""

    def fetch(scratch: Path) -> None:
        if _by_osmo(reference, output):
            _storage(reference, output, scratch)
        else:
            blobs_brought.bring(output.source, output.uri, scratch)
        _judge(reference, output, scratch)

    brought.whole(output, to, fetch)


def _by_osmo(reference: Reference, output: Output) -> bool:
    """Whether it lies where the `osmo` command may read: what it listed it also brings."""
    return output.source != BLOBS or is_storage(reference.get("publishes", ""))


def _judge(reference: Reference, output: Output, folder: Path) -> None:
    """Raise Rejected when what came is not what was saved."""
    shows = Instead(f"osmo data list {as_storage(output.uri)} --no-pager", "shows what lies there")
    brought.something(output, folder, shows)
    run = reference.get("run", "")
    sealed = output.step is not None or (folder / MANIFEST).exists()  # results that OSMO copied have no seal
    brought.as_saved(output, folder, reference.get("workflow", ""), run, complete=sealed)


def _storage(reference: Reference, output: Output, to: Path) -> None:
    """With the command that knows that storage and its credentials."""
    asking.said(
        status_asked.cli(reference), "data", "download", as_storage(output.uri), str(to), seconds=DOWNLOAD_SECONDS
    )
