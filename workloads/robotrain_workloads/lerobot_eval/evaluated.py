"""The policy that is evaluated: where it comes from, and at which step of its training it was saved."""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from robotrain_runtime import parentage
from robotrain_runtime.document import JobDocument, Scalar, Source

from robotrain_workloads.lerobot_train import json_object, lineage, policy
from robotrain_workloads.lerobot_train.tracked import SOURCE_NAMES

ROLE = "policy"
BUILTIN = "builtin"
USUAL = "act"
"""The type of an untrained policy, when nobody says which."""
NAMED = re.compile(r"(?:/(?:checkpoints|policy)/([0-9]{1,12})|/(0[0-9]{5}))(?:/pretrained_model)?/?$")


def source(sources: Iterable[Source]) -> Source | None:
    """Where it comes from; None for one that is made here."""
    return next((one for one in sources if one.role == ROLE), None)


def model(data: Mapping[Source, Path]) -> Path | None:
    """The folder of its files, that of the model alone; None for one that is made here."""
    found = source(data)
    return policy.model(data[found]) if found else None


def name(document: JobDocument) -> str:
    """What it is called: the printed form of its source, or its type."""
    found = source(document.sources)
    return found.uri if found else made(document.parameters)


def origin(document: JobDocument) -> str:
    """The kind of its source, in a word."""
    found = source(document.sources)
    return SOURCE_NAMES.get(found.kind, found.kind) if found else BUILTIN


def pin(document: JobDocument) -> str:
    """What its name meant when the job was sent; empty for nobody knows."""
    found = source(document.sources)
    return found.pin if found else ""


def made(given: Mapping[str, Scalar]) -> str:
    """The type that an untrained one has."""
    return str(given["policy_type"] or USUAL)


def step(document: JobDocument, data: Mapping[Source, Path]) -> int:
    """At which it was saved; 0 when nobody knows."""
    found, folder = source(data), model(data)
    if found is None or folder is None:
        return 0
    if sealed := lineage.manifest(folder):
        return sealed.step
    with suppress(OSError, ValueError, TypeError):
        return int(json_object.read(folder.parent / policy.STEP).get("step") or 0)
    if told := parentage.of(Path(document.placement.cache), data[found]).get(parentage.STEP, ""):
        return int(told) if told.isdecimal() else 0
    said = NAMED.search(found.uri)
    return int(said[1] or said[2]) if said else 0
