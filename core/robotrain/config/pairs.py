"""Parameters that are given as `NAME=VALUE`, once for each name, and whose value is JSON of all of them."""

import itertools
import json
from collections.abc import Sequence

from robotrain_runtime.contract.parameter import load_pairs

from robotrain.config.values import Value
from robotrain.redaction import redact


def merge_values(values: Sequence[Value]) -> list[Value]:
    """Return the values of all layers, the strongest first, as JSON; the first has the names of those below it too.

    Names add to those of the layer below, and replace the values of names that are there. A text is the whole: the
    layers below it do not count. A malformed one that counts is the first value, so that it is reported.
    """
    texts = [value._replace(value=format_pairs(value.value)) for value in values]
    tables = list(itertools.takewhile(lambda value: isinstance(value.value, dict), values))
    if not tables:
        return texts
    merged: dict[str, str] = {}
    for whole in texts[len(tables) : len(tables) + 1]:
        try:
            merged = load_pairs(whole.value)
        except ValueError:
            return [whole, *texts]
    for table in reversed(tables):
        merged = merged | table.value
    return [texts[0]._replace(value=format_pairs(merged)), *texts[1:]]


def format_pairs(pairs: dict[str, str] | str) -> str:
    """Return names with values as the text of a parameter, in their order; a text is that already."""
    return json.dumps(pairs, ensure_ascii=False) if isinstance(pairs, dict) else pairs


def hide_secret_values(text: str) -> str:
    """Return the text of a parameter with pairs as it is shown: redacted name by name, because the names of variables
    that hold secrets are none. A malformed text is redacted as a whole.
    """
    try:
        return format_pairs({name: redact(value) for name, value in load_pairs(text).items()})
    except ValueError:
        return redact(text)
