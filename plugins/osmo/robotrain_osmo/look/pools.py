"""The pools that the service tells of: what is in them, what they allow, what is free."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from robotrain.problem import Stage

from robotrain_osmo.cli import asking


@dataclass(frozen=True, slots=True)
class Machines:
    """A platform of a pool: the mounts of the machine that a task may ask for, and those it is given anyhow."""

    allowed: tuple[str, ...] = ()
    given: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A pool. longest: what a run may take at most, as `7d`; empty for OSMO's own limit. capacity, free, quota: GPUs
    of its machines, those that nobody uses, and those left of what is guaranteed; None where that is not told.
    """

    name: str
    status: str = ""
    longest: str = ""
    platforms: Mapping[str, Machines] = field(default_factory=dict)
    capacity: int | None = None
    free: int | None = None
    quota: int | None = None


def listed(cli: str, seconds: float, stage: Stage = Stage.PREFLIGHT) -> list[Pool]:
    """Those that the service tells of, in its order. Raises Refused."""
    answer = asking.ask(cli, "pool", "list", "-t", "json", seconds=seconds, stage=stage)
    return [_pool(one) for one in _told(answer)]


def _told(answer: Any) -> Iterator[Mapping[str, Any]]:
    """The pools of an answer, in whichever form: by node sets, or by name."""
    answer = answer if isinstance(answer, dict) else {}
    sets = answer.get("node_sets")
    for one in sets if isinstance(sets, list) else []:
        yield from (pool for pool in one.get("pools") or () if isinstance(pool, dict))
    named = answer.get("pools")
    if isinstance(named, dict):
        yield from ({"name": name, **pool} for name, pool in named.items() if isinstance(pool, dict))


def _pool(told: Mapping[str, Any]) -> Pool:
    platforms = told.get("platforms")
    usage = told.get("resource_usage")
    usage = usage if isinstance(usage, dict) else {}
    return Pool(
        name=str(told.get("name") or ""),
        status=str(told.get("status") or ""),
        longest=str(told.get("max_exec_timeout") or ""),
        platforms={str(name): _machines(one) for name, one in (platforms or {}).items()},
        capacity=_number(usage.get("total_capacity")),
        free=_number(usage.get("total_free")),
        quota=_number(usage.get("quota_free")),
    )


def _machines(told: Any) -> Machines:
    told = told if isinstance(told, dict) else {}
    allowed, given = (told.get(name) or () for name in ("allowed_mounts", "default_mounts"))
    return Machines(tuple(map(str, allowed)), tuple(map(str, given)))


def _number(told: Any) -> int | None:
    try:
        return int(told)
    except (TypeError, ValueError):
        return None
