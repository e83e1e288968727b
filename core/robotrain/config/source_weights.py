"""Weights of sources as they are typed, `a/b=0.7`: they become a parameter (`Role.weights`)."""

import os
import re
from collections.abc import Mapping, Sequence

from robotrain.config.values import Layer, SourceText, Value
from robotrain.errors import Problem
from robotrain.messages import Messages
from robotrain.model.workload import Role
from robotrain.redaction import redact

make_problem = Messages(__file__)

NUMBER = r"[+-]?(?:\d+\.?\d*(?:e[+-]?\d+)?|\.\d+|nan|inf(?:inity)?)"
WEIGHTED = re.compile(rf"(?P<text>.+)=(?P<weight>{NUMBER})", re.IGNORECASE | re.DOTALL)


def split_weight(source: SourceText) -> tuple[SourceText, str]:
    """Return a source without its weight, and the weight; empty for none, and if the whole is a path that exists."""
    match = WEIGHTED.fullmatch(source.text.strip())
    if match is None or os.path.exists(source.base / os.path.expanduser(source.text)):
        return source, ""
    return source._replace(text=match["text"]), match["weight"]


def take_weights(layers: Sequence[Layer], roles: Mapping[str, Role]) -> tuple[list[Layer], list[Problem]]:
    """Return the layers with sources without weights, which the parameters of their roles have, and problems.

    The layer whose sources count gives the weights, in the order of the sources.
    """
    changed_layers = list(layers)
    problems = list[Problem]()
    for role, rule in roles.items():
        is_chosen = False
        for index, layer in enumerate(changed_layers):
            if not rule.weights or all(source.role != role for source in layer.sources):
                continue
            split = [split_weight(source) if source.role == role else (source, "") for source in layer.sources]
            layer = layer._replace(sources=tuple(source for source, _ in split))
            weighted_sources = [(source, weight) for source, weight in split if source.role == role]
            if not is_chosen and any(weight for _, weight in weighted_sources):
                problems += _find_missing_weights(weighted_sources)
                key, origin = f"parameters.{rule.weights}", weighted_sources[0][0].origin
                weights = ",".join(weight or "1" for _, weight in weighted_sources)
                layer = layer._replace(values={key: Value(weights, origin), **layer.values})
            changed_layers[index], is_chosen = layer, True
    return changed_layers, problems


def _find_missing_weights(sources: Sequence[tuple[SourceText, str]]) -> list[Problem]:
    unweighted_sources = [source for source, weight in sources if not weight]
    if not unweighted_sources:
        return []
    source_texts = [redact(source.text) for source in unweighted_sources]
    return [
        make_problem(
            "weights-incomplete",
            where=unweighted_sources[0].origin.where,
            given=unweighted_sources[0].text,
            names=" and ".join(source_texts),
            first=source_texts[0],
            total=len(sources),
        )
    ]
