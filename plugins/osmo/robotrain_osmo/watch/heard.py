"""What a workflow's log tells of what it left. Of a long log OSMO keeps the end alone."""

import re
from dataclasses import dataclass

from robotrain.run import Reference
from robotrain_azure import heard as shared
from robotrain_azure.heard import Heard

from robotrain_osmo.watch import logs
from robotrain_osmo.watch.lines import KEPT, TRIMMED

GONE = f"OSMO keeps the last {KEPT:,} lines of a log, and this one was longer"


@dataclass(frozen=True, slots=True)
class Log:
    """said: all that it says by now. trimmed: what was said at its beginning is not there any more."""

    said: Heard
    trimmed: bool


def heard(reference: Reference) -> Log:
    """The log of a workflow. Raises RunGone, Rejected."""
    lines = list(logs.lines(reference, follow=False))
    said = shared.of(lines)
    if not said.run_id and (found := _tracked_as(said)):
        said.known.tracking = {"run_id": found}
    return Log(said, lines[:1] == [TRIMMED])


def _tracked_as(said: Heard) -> str:
    """The id of the tracking run that checkpoints were put into; empty for none."""
    found = (re.fullmatch(r"runs:/([^/]+)/.+", one.to) for one in said.known.published)
    return next((match[1] for match in found if match), "")
