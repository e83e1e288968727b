"""Parameters that are given as `NAME=VALUE`, once for each name, and whose value is JSON of all of them."""

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence

from robotrain_runtime.contract.parameter import load_pairs
from robotrain_runtime.contract.secret_rules import looks_like_secret

from robotrain.config.validate import ValueTable
from robotrain.config.values import Origin, Value
from robotrain.messages import Messages
from robotrain.redaction import redact

make_problem = Messages(__file__)


def make_table(flag: str, form: str, texts: Iterable[str], origin: Origin, *, bare_names: bool = False) -> ValueTable:
    """Return the table that texts `NAME=VALUE` give, with the problems of those that are malformed or repeated.

    :param form: what help shows for such a text.
    :param bare_names: whether a name alone has an empty value.
    """
    values_by_name: dict[str, Value] = {}
    problems = []
    for pair_text in texts:
        name, equals, value = pair_text.partition("=")
        if (equals or bare_names) and name.strip() and name not in values_by_name:
            values_by_name[name] = Value(value, origin)
            continue
        message = "value-invalid.no-pair"
        shown_text = "" if looks_like_secret(pair_text) else pair_text
        if name in values_by_name:
            message, shown_text = "value-invalid.repeated-name", name
        value_place, shown_name = origin.where, redact(name)
        problems.append(
            make_problem(message, where=value_place, given=shown_text, flag=flag, form=form, name=shown_name)
        )
    refusal = make_problem("value-invalid.one-value", where=origin.where, flag=flag)
    return ValueTable(tuple(values_by_name.items()), refusal, problems=tuple(problems))


def merge_values(values: Sequence[Value]) -> list[Value]:
    """Return the values of all layers, the strongest first, as JSON; the first has the names of those below it too.

    A table adds names to the layer below, and replaces the values of names that are there. A text is the whole: the
    layers below it do not count. A malformed one that counts is the first value, so that it is reported.
    """
    text_values = [value._replace(value=_format_table(value.value)) for value in values]
    tables = list(itertools.takewhile(lambda value: isinstance(value.value, ValueTable), values))
    if not tables:
        return text_values
    whole_value = text_values[len(tables)] if len(tables) < len(text_values) else None
    try:
        merged = load_pairs(whole_value.value) if whole_value else {}
    except ValueError:
        return [*([whole_value] if whole_value else ()), *text_values]
    for text_value in reversed(text_values[: len(tables)]):
        merged |= load_pairs(text_value.value)
    return [text_values[0]._replace(value=format_pairs(merged)), *text_values[1:]]


def format_pairs(pairs: Mapping[str, str]) -> str:
    """Return names with values as the text of a parameter, in their order."""
    return json.dumps(pairs, ensure_ascii=False)


def hide_secret_values(text: str) -> str:
    """Return the text of a parameter with pairs as it is shown: redacted name by name, because the names of variables
    that hold secrets are none. A malformed text is redacted as a whole.
    """
    try:
        return format_pairs({name: redact(value) for name, value in load_pairs(text).items()})
    except ValueError:
        return redact(text)


def _format_table(value: object) -> str:
    """Return a raw value as JSON; a text is that already."""
    if not isinstance(value, ValueTable):
        return str(value)
    return format_pairs({name: str(cell.value) for name, cell in value.entries})
