"""What a run asks to be done with what it leaves, kept in its folder for whoever registers some of it later."""

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path

from robotrain_runtime import halves
from robotrain_runtime.document import JobDocument, Source
from robotrain_runtime.failure import PREFLIGHT, Failed
from robotrain_runtime.half import Publishing, WorkloadHalf
from robotrain_runtime.publish import targets
from robotrain_runtime.target import Target

FILE = "publishing.json"


def asked(half: WorkloadHalf, document: JobDocument, data: Mapping[Source, Path]) -> Publishing:
    """What the half of the workload says. Raises Failed when it cannot come true, however well the work goes."""
    say = getattr(half, "publishing", None)
    found: Publishing = say(document, data) if say else Publishing()
    for target in places(half, document, data, found):
        if not Path(target.to).is_absolute() and not targets.half_of(document, target.to):
            why = "it is no absolute path, and no address that this job can write to"
            raise Failed(f"{halves.left(document)} cannot be published to {target.to}: {why}", PREFLIGHT)
    if found.register and not document.placement.tracking_uri:
        raise Failed(f"no model {found.register} can be registered: the run has no tracking, so no registry", PREFLIGHT)
    return found


def places(
    half: WorkloadHalf, document: JobDocument, data: Mapping[Source, Path], asked: Publishing
) -> tuple[Target, ...]:
    """Where each complete checkpoint is copied to."""
    plain = (Target(to=asked.to),) if asked.to else ()
    return (*plain, *targets.of(half, document, data))


def keep(work: Path, publishing: Publishing) -> None:
    """Write it down. Raises OSError."""
    scratch = work / f"{FILE}.part"
    scratch.write_text(json.dumps(dataclasses.asdict(publishing), indent=1, sort_keys=True) + "\n", encoding="utf-8")
    os.replace(scratch, work / FILE)


def kept(work: Path) -> Publishing:
    """What was written down; nothing asked when that is gone."""
    try:
        return Publishing(**json.loads((work / FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return Publishing()
