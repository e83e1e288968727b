"""Names of the environment that say again what the document says, as users of a platform expect them."""

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from robotrain_runtime.failure import REFUSED, Failed


def check(promised: Mapping[str, str], environ: Mapping[str, str] = os.environ) -> None:
    """Raises Failed with a sentence for each name that is not as it was promised."""
    if wrong := list(broken(promised, environ)):
        raise Failed("; ".join(wrong), REFUSED, "configuration")


def broken(promised: Mapping[str, str], environ: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each name that is missing or says something else; values are not repeated, they may be long."""
    for name, said in sorted(promised.items()):
        there = environ.get(name)
        if there is None:
            yield (
                f"{name} is not set in the environment, and the job document promises it with {len(said)} characters"
            )
        elif not _same(there, said):
            yield (
                f"{name} says something else in the environment than in the job document:"
                f" {len(there)} characters there, {len(said)} here, alike up to character {_alike(there, said)}"
            )


def _same(one: str, other: str) -> bool:
    """Texts that are both JSON are the same when they mean the same."""
    if one == other:
        return True
    try:
        return _normal(json.loads(one)) == _normal(json.loads(other))
    except (ValueError, RecursionError):
        return False


def _normal(value: Any) -> str:
    return json.dumps(value, sort_keys=True)  # as a text, for Python takes 1, 1.0 and true for the same


def _alike(one: str, other: str) -> int:
    """How many characters both begin with."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
