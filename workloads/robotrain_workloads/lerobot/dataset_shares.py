"""The weights of a mixture, as text and as shares. Standard library only."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from robotrain_runtime.contract.document import JobSource

MIXTURE = "mixture"
"""The parameter with the weights."""
MIXTURE_FLAG = "--mixture"
EXAMPLE = "0.7,0.3"


class Share(NamedTuple):
    """A dataset of a mixture."""

    name: str
    """Its address."""
    part: float
    """Its part of the samples, between 0 and 1."""


def parse_weights(text: str) -> list[float]:
    """Return the weights; the text may be a list in brackets. Raise ValueError with a sentence."""
    weights = []
    for part in (part.strip(" '\"") for part in text.strip(" []").split(",")):
        try:
            weight = float(part)
        except ValueError:
            raise ValueError(f"{part!r} is not a number" if part else "a weight is missing") from None
        if not math.isfinite(weight) or weight <= 0:
            raise ValueError(f"a weight is a finite number greater than 0, not {part}")
        weights.append(weight)
    return weights


def list_shares(parameters: Mapping[str, Any], sources: Iterable[JobSource]) -> list[Share]:
    """Return the shares of a job's datasets; empty for one dataset, or without weights. Raise ValueError."""
    dataset_names = [source.uri for source in sources if source.role == "dataset"]
    weights_text = parameters.get(MIXTURE)
    if not weights_text:
        return []
    weights = parse_weights(str(weights_text))
    if len(weights) != len(dataset_names):
        raise ValueError(f"it has {len(weights)} weight(s) for {len(dataset_names)} dataset(s)")
    if len(dataset_names) == 1:
        return []
    scaled_weights = [weight / max(weights) for weight in weights]
    return [
        Share(name, weight / math.fsum(scaled_weights))
        for name, weight in zip(dataset_names, scaled_weights, strict=True)
    ]


def describe_shares(parameters: Mapping[str, Any], sources: Sequence[JobSource]) -> str:
    """Return the weights as one text, in the order of the datasets; empty for a training that has no mixture."""
    return ",".join(f"{share.part:.6g}" for share in list_shares(parameters, sources))
