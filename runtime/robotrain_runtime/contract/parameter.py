"""How a workload's parameters and a platform's settings are declared: annotated fields of a frozen dataclass.

Standard library only. Pydantic finds the bounds through `__get_pydantic_core_schema__`, and only when a submit side
validates; the container reads the same classes without it.
"""

import dataclasses
import functools
import types
import typing
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, get_args, get_origin


class Param(NamedTuple):
    """What the command line, the job file and the docs need to know of one field, beside its type and default.

    flag: `--name` when it is not the field's name with dashes. aliases: further long names. short: `-p`.
    off: a switch that means the value `off_value` (`--no-val-split`). env: names read after `ROBOTRAIN_<NAME>`.
    gt, ge, lt, le: bounds of a number. pattern: a regular expression the whole text must match; form: the
    same in words.
    path: a file or folder here; a relative one in a job file starts from that file's folder.
    requires: the feature that a platform must have for any value but the default.
    terraform: where a value stands in the output of `terraform output -json`, as `storage_account.value.name`.
    lookup: `package.module:function`, which looks a value up on this machine, offline: it is called without arguments
    when nothing else said one, and answers with the value and where it stood, or None.
    beside: taken from Terraform when it is read anyway, and never the reason to read it. unless: the field of the same
    class that, once said, makes it such a one. together: the fields of the same class without which what was read or
    looked up for this one counts for nothing.
    table: several names with a value each: `NAME=VALUE,NAME=VALUE`; files may say them as a table.
    json: the text may be JSON: a job file or a call may say it as a list or a mapping of its own.
    elsewhere: the flag that other tools give this with, and that means something else here. alone: the value that the
    flag stands for when none follows it.
    """

    help: str = ""
    flag: str = ""
    aliases: tuple[str, ...] = ()
    short: str = ""
    off: str = ""
    off_value: str = ""
    env: tuple[str, ...] = ()
    terraform: str = ""
    metavar: str = ""
    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None
    pattern: str | None = None
    pattern_help: str = ""
    path: bool = False
    requires: str = ""
    lookup: str = ""
    terraform_optional: bool = False
    optional_with: str = ""
    needed_with: tuple[str, ...] = ()
    table: bool = False
    json: bool = False
    foreign_flag: str = ""
    bare_value: str = ""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        schema = handler(source)
        inner = schema
        while inner["type"] in ("nullable", "default"):  # in `int | None` the bound belongs to the int, or it is lost
            inner = inner["schema"]
        if inner["type"] == "float":
            inner["allow_inf_nan"] = False
        bounds = ("gt", "ge", "lt", "le", "pattern")
        inner.update({name: value for name in bounds if (value := getattr(self, name)) is not None})
        return schema

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Any:
        return handler(schema) | ({"description": self.help} if self.help else {})


class Parameter(NamedTuple):
    """One declared field, read from the class that declares it. required: it has no default, and None stands for it."""

    name: str
    type: Any
    default: Any
    param: Param
    required: bool = False

    @property
    def flag(self) -> str:
        """The long option, `--training-steps`."""
        return self.param.flag or "--" + self.name.replace("_", "-")

    @property
    def flags(self) -> tuple[str, ...]:
        """Every spelling that gives this field a value, the canonical one first."""
        return (self.flag, *self.param.aliases, *((self.param.short,) if self.param.short else ()))

    @property
    def bare_type(self) -> Any:
        """The type without `None`: `int` of `int | None`."""
        if get_origin(self.type) in (typing.Union, types.UnionType):
            return next(part for part in get_args(self.type) if part is not type(None))
        return self.type

    @property
    def is_switch(self) -> bool:
        """Whether the option takes no value (`--system-metrics/--no-system-metrics`)."""
        return self.bare_type is bool

    @property
    def choices(self) -> tuple[str, ...]:
        """The values of a Literal; empty for every other type."""
        return tuple(map(str, get_args(self.bare_type))) if get_origin(self.bare_type) is Literal else ()

    @property
    def metavar(self) -> str:
        """What help shows in the value's place."""
        words = {str: "TEXT", int: "INT", float: "FLOAT"}
        return self.param.metavar or "|".join(self.choices) or words.get(self.bare_type, "TEXT")

    @property
    def env(self) -> tuple[str, ...]:
        """Environment names in the order they are read."""
        return (f"ROBOTRAIN_{self.name.upper()}", *self.param.env)


@functools.cache  # a command asks some twenty times
def get_parameters(declared: type) -> tuple[Parameter, ...]:
    """Each field of the dataclass `declared` that carries a `Param`, in the order declared."""
    return tuple(_find_parameters(declared))


def _find_parameters(declared: type) -> Iterator[Parameter]:
    hints = typing.get_type_hints(declared, include_extras=True)
    for field in dataclasses.fields(declared):
        annotated = hints[field.name]
        param = next((part for part in getattr(annotated, "__metadata__", ()) if isinstance(part, Param)), None)
        if param is not None:
            required = field.default is dataclasses.MISSING
            default = None if required else field.default
            yield Parameter(field.name, get_args(annotated)[0], default, param, required)
