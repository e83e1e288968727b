"""Whose checkpoints lie at a place: their seals say it."""

import contextlib
import re
import tempfile
from pathlib import Path

from robotrain.problem import Rejected
from robotrain.run import Reference
from robotrain_azure import brought
from robotrain_runtime import checkpoint
from robotrain_runtime.checkpoint import Manifest

from robotrain_osmo.cli import asking
from robotrain_osmo.watch import status_asked

_SEALS = rf"(?:.*/)?\d+/{re.escape(checkpoint.MANIFEST)}$"


def others(reference: Reference, place: str) -> frozenset[int]:
    """The steps whose seal names another run, or another submission of this one.

    What does not come counts as the run's own: whoever brings it is told then.
    """
    with tempfile.TemporaryDirectory(prefix="robotrain-") as folder:
        with contextlib.suppress(Rejected):
            asking.said(status_asked.cli(reference), "data", "download", place, folder, "--regex", _SEALS)
        found = [(step, checkpoint.read(path)) for step, path in checkpoint.steps(Path(folder))]
    return frozenset(step for step, made in found if made and is_anothers(reference, made))


def is_anothers(reference: Reference, made: Manifest) -> bool:
    """Whether a checkpoint says that it is not of this run, in this very submission."""
    return brought.is_anothers(made, reference.get("workflow", ""), reference.get("run", ""))
