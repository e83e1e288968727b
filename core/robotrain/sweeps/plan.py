"""The plan of a sweep: what its trials differ in, and the metric that compares them; a part of `pipeline.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from robotrain_runtime.contract.document import Dimension

SamplerName = Literal["grid", "random", "tpe"]
SAMPLERS: tuple[SamplerName, ...] = ("grid", "random", "tpe")


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPlan:
    """What the trials of a sweep differ in."""

    over: tuple[str, ...]
    """The names of the values that vary."""
    metrics: tuple[tuple[str, str], ...]
    """Names of metrics, each with `lower` or `higher`: the first one that a trial reports compares them."""
    sampler: SamplerName = "grid"
    sampler_seed: int = 0
    points: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """The values of each trial, as given or drawn; none if a sampler chooses them when the trial begins."""
    space: Mapping[str, Dimension] = field(default_factory=dict)
    """What such a sampler, or the engine of a platform, chooses from."""
    native: bool = False
    """Whether the engine of the platform runs it: it chooses the values of each trial."""
    model: str = ""
    """The model that the job names for its policy."""


def dump_sweep(plan: SweepPlan) -> dict[str, Any]:
    """Return a plan as data for `pipeline.json`."""
    body = asdict(plan)
    return {name: value for name, value in body.items() if value}


def parse_sweep(data: Mapping[str, Any]) -> SweepPlan:
    """Return the plan in the data of `pipeline.json`. Raise TypeError, ValueError, KeyError."""
    known: dict[str, Any] = {
        name: data[name] for name in ("sampler", "sampler_seed", "points", "model", "native") if data.get(name)
    }
    space = {
        name: Dimension(**{**one, "choices": tuple(one["choices"])}) for name, one in data.get("space", {}).items()
    }
    metrics = tuple((str(name), str(better)) for name, better in data.get("metrics", ()))
    return SweepPlan(over=_list_texts(data["over"]), metrics=metrics, space=space, **known)


def _list_texts(values: Sequence[Any]) -> tuple[str, ...]:
    return tuple(map(str, values))
