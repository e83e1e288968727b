"""The versions of the `osmo` command and of the service it speaks to."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from robotrain.problem import Instead, Problem, Stage

from robotrain_osmo.cli import asking
from robotrain_osmo.order import Order
from robotrain_osmo.settings import Server
from robotrain_osmo.spec.brought import WITH_DATASETS

OTHER = "osmo-server-other"


@dataclass(frozen=True, slots=True)
class Versions:
    """Each as `6.4.0`; empty where it is not told. A service that cannot be reached, or asks who one is, tells none."""

    client: str
    service: str


def asked(cli: str, seconds: float) -> Versions:
    """What `osmo version` says. Raises Refused."""
    answer = asking.ask(cli, "version", "-t", "json", seconds=seconds, stage=Stage.PREFLIGHT)
    told = answer if isinstance(answer, dict) else {}
    return Versions(_dotted(told.get("client")), _dotted(told.get("service")))


def problems(order: Order, seconds: float) -> Iterator[Problem]:
    """A workflow written for another version than the service's, and a command of another. Raises Refused."""
    yield from compared(order, asked(order.cli, seconds))


def compared(order: Order, found: Versions) -> Iterator[Problem]:
    """The same, of the versions that were told."""
    service = _short(found.service)
    if service and service != order.server:
        yield _other_server(order.server, service, found.service)
    if service and found.client and _short(found.client) != service:
        yield _other_client(found)


def _other_server(said: str, service: str, whole: str) -> Problem:
    known = service in Server.__args__  # type: ignore[attr-defined]
    ways = [Instead(f"--server {service}", "what the service is")] if known else []
    nearest = Server.__args__[-1]  # type: ignore[attr-defined]
    return Problem(
        code=OTHER,
        stage=Stage.PREFLIGHT,
        title=f"the OSMO service is of version {whole}, and the workflow is written for {said}",
        where="--server",
        given=said,
        why="Versions up to 6.3 and later ones take data in different ways."
        if known
        else f"robotrain knows no OSMO {service}; {nearest} is the newest it knows.",
        instead=tuple(ways),
        severity="error" if known and (said in WITH_DATASETS) != (service in WITH_DATASETS) else "warning",
    )


def _other_client(found: Versions) -> Problem:
    return Problem(
        code="osmo-client-other",
        stage=Stage.PREFLIGHT,
        title=f"the `osmo` command is of version {found.client}, and the service of {found.service}",
        where="--osmo-cli",
        why="They may not understand each other.",
        instead=(Instead("--osmo-cli /path/to/osmo", "one of the service's version"),),
        severity="warning",
    )


def _short(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _dotted(told: Any) -> str:
    if not isinstance(told, dict):
        return ""
    parts = [str(told.get(name, "")) for name in ("major", "minor", "revision")]
    return ".".join(part for part in parts if part)
