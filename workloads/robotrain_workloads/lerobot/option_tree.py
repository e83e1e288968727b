"""The options of LeRobot's training, as a version of it exports them. Standard library only.

`options.json` of a version is generated from its configuration classes (`.ci/export_lerobot.py`): of each class the
fields, each as `[KIND]` or `[KIND, DEFAULT]`. A kind is a kind of value (`option_kinds`), `any`, or one of

- `{"fields": CLASS}`: the class's fields are options below this one;
- `{"choices": {NAME: CLASS}}`: so are those of the class that the option `.type` names;
- `{"one of": [TEXT]}` and `{"any of": [KIND]}`;
- `{"each": KIND}` and `{"items": [KIND]}`: a list of any length, and one with these items.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from robotrain_workloads.lerobot import versions
from robotrain_workloads.lerobot.option_values import read_known, read_value

PLUGINS_OPTION = "discover_packages_path"
"""Below an option with choices: LeRobot imports this package, which may add choices of its own."""
CHOICE_OPTIONS = ("type", "path", PLUGINS_OPTION)
Fields = Mapping[str, Sequence[Any]]


class OptionTree(NamedTuple):
    """LeRobot's options."""

    version: str
    root: str
    classes: Mapping[str, Fields]
    """Fields of each class."""


@functools.cache
def load_option_tree(version: object = None) -> OptionTree:
    """Return the options of a LeRobot version, by default the newest. Raise KeyError."""
    lerobot = versions.get_version(version)
    tree = lerobot.read_tree()
    return OptionTree(lerobot.name, tree["root"], tree["classes"])


class OptionPlace(NamedTuple):
    """Where the name of an option leads."""

    prefix: str
    """The parents of `part`."""
    part: str
    """What the classes of `level` may have."""
    level: Sequence[Fields] = ()
    choices: Mapping[str, str] = {}
    """The classes of the parent's choices."""
    kinds: Sequence[Sequence[Any]] = ()
    """Its kinds, with defaults; empty if there is no such option."""
    is_open: bool = False
    """Whether LeRobot reads a mapping or a plugin's class there."""

    @property
    def is_known(self) -> bool:
        """Whether there is such an option, or may be."""
        return self.is_open or bool(self.kinds) or self.is_choice

    @property
    def kind(self) -> Any:
        """The kinds as one; `any` of an unknown option."""
        return {"any of": [kind for kind, *_ in self.kinds]} if self.kinds else "any"

    @property
    def is_choice(self) -> bool:
        """Whether it names a choice: LeRobot reads its text before it parses the others, and not as YAML."""
        return bool(self.choices) and self.part in CHOICE_OPTIONS

    def read_value(self, text: str, *, as_json: bool = False) -> Any:
        """Return what LeRobot makes of a text here. Raise as `option_values.read_value` does."""
        return text if self.is_choice else read_value(text, self.kind, as_json=as_json)

    def read_known(self, text: str, *, as_json: bool = False) -> Any:
        """Return what LeRobot makes of a text here, as `option_values.read_known` does."""
        return text if self.is_choice else read_known(text, self.kind, as_json=as_json)


def find_place(tree: OptionTree, name: str, types: Mapping[str, str]) -> OptionPlace:
    """Return where the name of an option leads.

    :param types: the chosen types, as `policy: act`; without it the options of every type count.
    """
    prefix, choices = "", dict[str, str]()
    level = [tree.classes[tree.root]]
    *parents, field_name = name.split(".")
    for parent in parents:
        class_names = [fields[parent][0] for fields in level if parent in fields]
        if not class_names:
            return OptionPlace(prefix, parent, level)
        prefix += f"{parent}."
        choices = {key: class_name for kind in class_names for key, class_name in list_choices(kind).items()}
        chosen_type = types.get(prefix[:-1], "")
        level = [tree.classes[choices[key]] for key in choices if chosen_type not in choices or key == chosen_type]
        level += [tree.classes[class_name] for kind in class_names for class_name in list_nested(kind)]
        if not level:
            return OptionPlace(prefix, field_name, is_open=True)
    return OptionPlace(
        prefix, field_name, level, choices, [fields[field_name] for fields in level if field_name in fields]
    )


def has_option(name: str, types: Mapping[str, str], version: object = None) -> bool:
    """Return whether a LeRobot version has an option, for the chosen types (`policy: act`) or for any."""
    return find_place(load_option_tree(version), name, types).is_known


def is_switch(name: str, version: object = None) -> bool:
    """Return whether an option of a LeRobot version takes true or false alone, for every type that has it."""
    kinds = [kind for kind, *_ in find_place(load_option_tree(version), name, {}).kinds]
    return bool(kinds) and all({*map(str, list_kinds(kind))} - {"null"} == {"bool"} for kind in kinds)


def find_default(name: str, kind: str, version: object = None) -> object:
    """Return LeRobot's default for an option of training; None where it has none, or no plain value.

    :param kind: the type of the policy or reward model.
    """
    tree = load_option_tree(version)
    fields = tree.classes[tree.root]
    parents, _, field_name = name.rpartition(".")
    if choices := list_choices(fields.get(parents, [None])[0]):
        fields = tree.classes.get(choices.get(kind, ""), {})
    elif parents:
        nested_classes = [*list_nested(fields[parents][0])] if parents in fields else []
        fields = tree.classes[nested_classes[0]] if len(nested_classes) == 1 else {}
    field = fields.get(field_name, ())
    return field[1] if len(field) > 1 else None


def list_kinds(kind: Any) -> Iterator[Any]:
    """Yield the kinds that a kind has for choice."""
    if isinstance(kind, dict) and "any of" in kind:
        for alternative in kind["any of"]:
            yield from list_kinds(alternative)
    else:
        yield kind


def list_choices(kind: Any) -> dict[str, str]:
    """Return the class of each choice."""
    kinds = [part for part in list_kinds(kind) if isinstance(part, dict)]
    return {key: class_name for part in kinds for key, class_name in part.get("choices", {}).items()}


def list_nested(kind: Any) -> Iterator[str]:
    """Yield the classes whose fields are options below one of this kind."""
    yield from (part["fields"] for part in list_kinds(kind) if isinstance(part, dict) and "fields" in part)


def list_scalars(kind: Any) -> Iterator[str]:
    """Yield the kinds of plain values, as `option_kinds` names them."""
    for part in list_kinds(kind):
        if not isinstance(part, dict):
            yield part
        elif "one of" in part:
            yield "|".join(part["one of"])
        elif is_list(part):
            yield "any"


def is_list(kind: Any) -> bool:
    """Return whether a kind is a list."""
    return isinstance(kind, dict) and ("each" in kind or "items" in kind)


def read_options(
    tree: OptionTree, options: Mapping[str, str | None], types: Mapping[str, str], *, json_prefix: str = ""
) -> dict[str, Any]:
    """Return the values of options as LeRobot reads them; of one that only it can read, or that it refuses, the text.

    :param options: texts by the names of options; those without a text are left out.
    :param json_prefix: what LeRobot reads beside a saved configuration, as JSON: `policy.`.
    """
    values: dict[str, Any] = {}
    for name, text in options.items():
        if text is not None:
            as_json = bool(json_prefix) and name.startswith(json_prefix)
            values[name] = find_place(tree, name, types).read_known(text, as_json=as_json)
    return values
