"""Settings with several names and a value each: `NAME=VALUE,NAME=VALUE` as text, or a table in a file."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from robotrain_runtime.parameter import Parameter, parameters_of

from robotrain.problem import Problem
from robotrain.provenance import Value
from robotrain.redaction import redact

FORM = "NAME=VALUE,NAME=VALUE"


class Table(NamedTuple):
    """What a file says as a table, or a list. refusal: what to say where the setting is no such one. written: all of
    it as JSON. wrong: what is wrong with its entries, for a setting that has single values.
    """

    entries: tuple[tuple[str, Value], ...]
    refusal: Problem
    written: str = ""
    wrong: tuple[Problem, ...] = ()


def pairs(text: str | None) -> dict[str, str]:
    """Each name with its value, in the order written. Raises ValueError, which repeats nothing of the text."""
    found: dict[str, str] = {}
    for part in text.split(",") if text else ():
        name, equals, value = part.partition("=")
        if not equals or not name.strip() or name.strip() in found:
            raise ValueError(f"it is not {FORM}, each name once")
        found[name.strip()] = value.strip()
    return found


def well_formed(text: str) -> bool:
    """Whether `text` is names with values."""
    try:
        pairs(text)
    except ValueError:
        return False
    return True


def as_texts(values: Mapping[str, Value], declared: type, problems: list[Problem]) -> dict[str, Value]:
    """`values` with the text of each table in its place; what is wrong with one is added to `problems`."""
    known = {parameter.name: parameter for parameter in parameters_of(declared)}
    found = {}
    for name, value in values.items():
        if not isinstance(value.value, Table):
            found[name] = value
        elif name in known and known[name].param.json and value.value.written:
            found[name] = value._replace(value=value.value.written)
        elif name in known:  # else there is no such setting, which is said elsewhere
            if wrong := list(_wrong(value.value, known[name])):
                problems += wrong
            else:
                found[name] = value._replace(value=_text(value.value))
    return found


def _text(table: Table) -> str:
    return ",".join(f"{name}={value.value}" for name, value in table.entries if value.value)


def _wrong(table: Table, parameter: Parameter) -> Iterator[Problem]:
    if not parameter.param.table:
        yield table.refusal
        return
    yield from table.wrong
    for name, value in table.entries:
        if not name.strip() or "," in name or "=" in name:
            yield _unfit(table, f"a name of {parameter.flag} is empty, or holds `,` or `=`", value, name)
        elif "," in str(value.value):
            yield _unfit(table, f"a value of {parameter.flag} holds `,`", value, str(value.value))


def _unfit(table: Table, title: str, value: Value, given: str) -> Problem:
    return Problem(
        code=table.refusal.code,
        stage=table.refusal.stage,
        title=title,
        where=value.origin.where,
        given=redact(given),
        why=f"As text it is {FORM}.",
    )
