"""Declaration of a workload's parameters and a platform's settings: annotated fields of a frozen dataclass.

Only the submit side validates with pydantic, which finds the bounds through `__get_pydantic_core_schema__`.
"""

import dataclasses
import functools
import json
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, get_args, get_origin

MODEL_NAME_PATTERN = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}"
"""The name of a registered model, as Azure ML and MLflow take it; Azure ML's data assets have such names too."""
PAIR_FORM = "NAME=VALUE"
OPEN_WORD = r"[A-Za-z_][A-Za-z0-9_.-]{0,99}"
"""A value of a parameter with choices that is none of them (`Param.open_with`)."""
UNSET = "none"
"""The value with which a parameter has none, whatever a project's file or a variable says."""


class TerraformOutput(NamedTuple):
    """Where Terraform's outputs hold a value, and whether they are read for it."""

    path: str
    """In `terraform output -json`: `storage_account.value.name`."""
    is_optional: bool = False
    """Whether Terraform is not read for this value alone."""
    optional_with: str = ""
    """The field of the same class that makes it so, once it is set."""
    needed_with: tuple[str, ...] = ()
    """The fields of the same class without which the value is ignored, also one of the lookup."""


class Param(NamedTuple):
    """What the command line, the job file and the docs need to know of one field, beside its type and default."""

    help: str = ""
    """What `--help` says of it."""
    common: bool = False
    """`--help` shows it; what is not common is in `--help-all` alone, unless it is required."""
    flag: str = ""
    """The option, if it is not the field's name with dashes."""
    aliases: tuple[str, ...] = ()
    """More long options."""
    short: str = ""
    """A short one: `-p`."""
    off: str = ""
    """A switch that stands for `off_value`: `--no-val-split`."""
    off_value: str = ""
    """The value that it gives."""
    opposite_of: str = ""
    """Of a switch: the field that has no value where it is on. The stronger layer says which of the two counts."""
    env: tuple[str, ...] = ()
    """Variables that are read after `ROBOTRAIN_<NAME>`."""
    terraform: TerraformOutput | None = None
    """Where Terraform's outputs hold the value."""
    metavar: str = ""
    """What help shows in the value's place."""
    gt: float | None = None
    """A number is greater; `ge`, `lt` and `le` likewise."""
    ge: float | None = None
    lt: float | None = None
    le: float | None = None
    pattern: str | None = None
    """A regular expression for the whole text."""
    pattern_help: str = ""
    """That in words, as in `--queue takes …`: `the name of a queue`, or the forms, `4h, 90m or 4:00:00`."""
    path: bool = False
    """A file or folder of this machine; a relative one in a job file starts from that file's folder."""
    requires: str = ""
    """The feature that a platform must have for any other value than the default."""
    lookup: str = ""
    """`package.module:function`, called if no layer gives a value; it returns a value and its origin, or None."""
    form: Literal["", "table", "json", "pairs", "texts", "list", "patch"] = ""
    """What a text holds, if it is more than one value. `table`: several `NAME=VALUE,NAME=VALUE`, in files a table.
    `json`: the text may be JSON, in files a list or mapping. `pairs`: the option is given once for each `NAME=VALUE`,
    in files a table; see `load_pairs`. Its lookup is the weakest layer, which the others add names to. `texts`: the
    option is given once for each text, in files a list; the value is JSON of all: see `load_texts`. `list`: several
    values with `,` between them, in files a list. `patch`: the option names a YAML or JSON file, whose content is the
    value, as JSON; it is given on the command line only, never by a file or a variable.
    """
    bare_value: str = ""
    """The value of the flag without a value."""
    names: Literal["", "program", "file", "secret", "account"] = ""
    """What of the user's it names. A run of another machine, perhaps a colleague's, brings none of them. `program`: one
    to run, or a folder with one: files of a project may not set it either. `file`: one of this machine that is read.
    `secret`: one, or what holds it. `account`: an identity or a storage that the user may use.
    """
    allow_empty: bool = False
    """An empty text is a value; for other parameters it is none, so that a weaker layer counts."""
    destination: bool = False
    """It says where data, results or metrics go, or who pays: a submit names it if a file of a project set it."""
    own_folder: bool = False
    """It names the folder of one run: the trials of a sweep cannot share an absolute one."""
    is_joint: bool = False
    """It counts only with the other joint fields of its class, from one place; the line may replace it alone."""
    default_note: str = ""
    """A sentence about the default, which is noted with each job that nobody gave another value."""
    trainer_default: str = ""
    """What the trainer does by itself where the default is not its own, such as `LeRobot's is 8`: `explain` and
    `submit --dry-run` show it with a default that counts.
    """
    instead_of_secret: str = ""
    """What to type in place of a value that is a secret: `--secret NAME=REFERENCE`."""
    bare_names: bool = False
    """Of pairs: a name without `=` is one with an empty value."""
    path_texts: str = ""
    """Of texts: a regular expression for those that are paths. They become absolute, as with `path`."""
    program_texts: str = ""
    """Of texts: a regular expression for those that name code to run: files of a project may not give them."""
    takes_none: bool = False
    """`none` is a value of its own. Of any other parameter whose default is None it unsets what weaker layers say."""
    open_with: str = ""
    """Of a parameter with choices: the one with which any other word is a value too, since it may bring it."""

    @property
    def whole_pattern(self) -> str | None:
        """`pattern`, for engines that search."""
        return None if self.pattern is None else f"^(?:{self.pattern})$"

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        schema = handler(source)
        inner = schema
        while inner["type"] in ("nullable", "default"):  # in `int | None` the bound belongs to the int, or it is lost
            inner = inner["schema"]
        if inner["type"] == "float":
            inner["allow_inf_nan"] = False
        bounds = {name: getattr(self, name) for name in ("gt", "ge", "lt", "le")} | {"pattern": self.whole_pattern}
        inner.update({name: bound for name, bound in bounds.items() if bound is not None})
        if self.open_with:
            _replace_schema(inner, "union", choices=[dict(inner), {"type": "str", "pattern": f"^({OPEN_WORD})$"}])
        if self.form in FORM_READERS:
            check = functools.partial(_check_form, FORM_READERS[self.form])
            function = {"type": "no-info", "function": check}
            _replace_schema(inner, "function-after", function=function, schema=dict(inner))
        return schema


def _replace_schema(schema: dict[str, Any], kind: str, /, **fields: Any) -> None:
    """Put another schema of pydantic's in the place of one that others contain."""
    schema.clear()
    schema.update(type=kind, **fields)


def _check_form(read: Callable[[str], object], text: str) -> str:
    """Return a text that has the form of several values. Raise ValueError."""
    read(text)
    return text


class Parameter(NamedTuple):
    """A declared field. A required one has no default; its `default` is None."""

    name: str
    type: Any
    annotation: Any
    """The type with all that is declared of it, for pydantic."""
    bare_type: Any
    """The type without `None`."""
    default: Any
    param: Param
    flag: str
    """The long option, `--training-steps`."""
    flags: tuple[str, ...]
    """All options that set this field, the canonical one first."""
    env: tuple[str, ...]
    """The environment variables, in the order that they are read."""
    is_switch: bool
    """Whether the option takes no value (`--system-metrics/--no-system-metrics`)."""
    choices: tuple[str, ...]
    """The values of a Literal; empty for every other type."""
    metavar: str
    """The placeholder of the value in help."""
    required: bool = False

    def is_unset_by(self, value: object) -> bool:
        """Return whether a raw value says that there is to be none."""
        return value == UNSET and self.can_be_unset

    @property
    def can_be_unset(self) -> bool:
        """Whether `none` unsets it."""
        has_own = self.param.takes_none or UNSET in self.choices
        return self.default is None and not self.required and not has_own


@functools.cache  # called some twenty times by a command
def get_parameters(declared: type) -> tuple[Parameter, ...]:
    """Return each field of the dataclass `declared` that has a `Param`, in order."""
    parameters = []
    hints = typing.get_type_hints(declared, include_extras=True)
    for field in dataclasses.fields(declared):
        annotated = hints[field.name]
        param = next((part for part in getattr(annotated, "__metadata__", ()) if isinstance(part, Param)), None)
        if param is None:
            continue
        is_required = field.default is dataclasses.MISSING
        kind = bare_type = get_args(annotated)[0]
        if get_origin(kind) in (typing.Union, types.UnionType):
            bare_type = next(part for part in get_args(kind) if part is not type(None))
        choices = tuple(map(str, get_args(bare_type))) if get_origin(bare_type) is Literal else ()
        flag = param.flag or "--" + field.name.replace("_", "-")
        parameter = Parameter(
            name=field.name,
            type=kind,
            annotation=annotated,
            bare_type=bare_type,
            default=None if is_required else field.default,
            param=param,
            flag=flag,
            flags=(flag, *param.aliases, *((param.short,) if param.short else ())),
            env=(f"ROBOTRAIN_{field.name.upper()}", *param.env),
            is_switch=bare_type is bool,
            choices=choices,
            metavar=param.metavar or "|".join(choices) or _get_metavar(param, bare_type),
            required=is_required,
        )
        parameters.append(parameter)
    return tuple(parameters)


def _get_metavar(param: Param, kind: Any) -> str:
    return PAIR_FORM if param.form == "pairs" else {int: "INT", float: "FLOAT"}.get(kind, "TEXT")


def load_pairs(json_text: str | None) -> dict[str, str]:
    """Return the names with values that a parameter with `pairs` holds as JSON, in their order. Raise ValueError.

    A name is not empty and has no `=`; a value is any text.
    """
    try:
        values_by_name = json.loads(json_text, object_pairs_hook=_check_pairs) if json_text else {}
    except RecursionError:
        values_by_name = None
    if isinstance(values_by_name, dict):
        return values_by_name
    raise ValueError("it is no JSON object")


def _check_pairs(pairs: list[tuple[str, Any]]) -> dict[str, str]:
    """Return the object. Raise ValueError, which does not repeat the text."""
    if not all(isinstance(pair_value, str) for _, pair_value in pairs):
        raise ValueError("its values are not all texts")
    if len(dict(pairs)) < len(pairs) or not all(name.strip() and "=" not in name for name, _ in pairs):
        raise ValueError("a name is repeated, is empty or contains `=`")
    return dict(pairs)


def load_texts(parameter_value: object) -> list[str]:
    """Return the texts that a parameter with `texts` holds as JSON; a text that is none is one of them.

    Raise ValueError for JSON of something else.
    """
    json_text = str(parameter_value or "")
    if not json_text.lstrip().startswith("["):
        return [json_text] if json_text else []
    try:
        parsed_texts = json.loads(json_text)
    except (json.JSONDecodeError, RecursionError):
        parsed_texts = None
    if not isinstance(parsed_texts, list) or not all(isinstance(member, str) for member in parsed_texts):
        raise ValueError("it is no JSON list of texts")
    return parsed_texts


def parse_pairs(pairs_text: str | None) -> dict[str, str]:
    """Return names with values, in the order of the text. Raise ValueError, which does not repeat the text."""
    pairs: dict[str, str] = {}
    for part in pairs_text.split(",") if pairs_text else ():
        name, equals, value = part.partition("=")
        if not equals or not name.strip() or name.strip() in pairs:
            raise ValueError("it is not NAME=VALUE,NAME=VALUE, each name once")
        pairs[name.strip()] = value.strip()
    return pairs


FORM_READERS: Mapping[str, Callable[[str], object]] = {"table": parse_pairs, "pairs": load_pairs, "texts": load_texts}
"""What reads a text with several values. Raises ValueError."""


@functools.cache
def list_flags(declared: type) -> tuple[str, ...]:
    """Return all options that set the fields of the dataclass `declared`."""
    return tuple(flag for parameter in get_parameters(declared) for flag in parameter.flags)
