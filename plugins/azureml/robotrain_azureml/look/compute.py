"""A compute as the workspace tells it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from robotrain.problem import SENTENCE
from robotrain.redaction import redact

KINDS: Mapping[str, str] = {"Kubernetes": "kubernetes", "AmlCompute": "managed", "ComputeInstance": "managed"}
"""What the settings call those that run command jobs."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A managed identity of a compute, with the two ids that people mistake for each other; empty where not told."""

    name: str
    client: str
    principal: str


@dataclass(frozen=True, slots=True)
class Compute:
    """type, kind: as Azure calls it, and as the settings do; kind is empty for one that runs no command jobs.

    state: of its making. why: what went wrong with that; empty for nothing. details: of its type. identities: given by
    somebody, in their order. own: whether it has one of its own; principal: of that one, empty where not told.
    """

    name: str
    type: str
    state: str
    why: str
    details: Mapping[str, Any]
    identities: tuple[Identity, ...]
    own: bool
    principal: str = ""

    @property
    def kind(self) -> str:
        """As the settings call it."""
        return KINDS.get(self.type, "")


def read(body: Mapping[str, Any]) -> Compute:
    """Of an answer of the resource manager."""
    properties = _table(body.get("properties"))
    identity = _table(body.get("identity"))
    given = _table(identity.get("userAssignedIdentities"))
    return Compute(
        name=str(body.get("name") or ""),
        type=str(properties.get("computeType") or ""),
        state=str(properties.get("provisioningState") or ""),
        why=first(properties.get("provisioningErrors")),
        details=_table(properties.get("properties")),
        identities=tuple(_identity(name, _table(one)) for name, one in given.items()),
        own="systemassigned" in str(identity.get("type") or "").lower(),
        principal=str(identity.get("principalId") or ""),
    )


def first(errors: object) -> str:
    """The message of the first of Azure's errors, as it may be shown; empty for none."""
    for one in errors if isinstance(errors, list) else ():
        told = _table(_table(one).get("error")) or _table(one)
        if message := str(told.get("message") or ""):
            return redact(message, longest=SENTENCE)
    return ""


def count(value: object) -> int | None:
    """A number, also one that is told as a text; None for anything else."""
    text = str(value)
    return int(text) if text.lstrip("-").isdecimal() else None


def _identity(resource: str, told: Mapping[str, Any]) -> Identity:
    return Identity(resource.rpartition("/")[2], str(told.get("clientId") or ""), str(told.get("principalId") or ""))


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
