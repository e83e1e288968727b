"""Values of LeRobot's options, given, of a policy's configuration or by default: what rules are evaluated with."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from robotrain_workloads.lerobot.options import split_options
from robotrain_workloads.lerobot.trained_model import TrainedModel
from robotrain_workloads.lerobot_options.option_tree import OptionTree, list_choices, list_nested, list_scalars

SET = "set"
"""Stands for a group of options (`peft`, `policy`) of which some are given."""
BOOLEANS = {**dict.fromkeys(("true", "yes", "on"), True), **dict.fromkeys(("false", "no", "off"), False)}
NULLS = ("", "null", "~")
BARE_WORDS = re.compile(r"\[\s*[A-Za-z_][\w.-]*(?:\s*,\s*[A-Za-z_][\w.-]*)*\s*\]")
"""A list of words without quotes."""


class Unknown(Exception):
    """A value that is not known."""


class OptionClass(NamedTuple):
    """A configuration class with its place among the options."""

    name: str
    """In the tree."""
    prefix: str
    """What the names of its options begin with: `policy.`; empty for the root."""


def read_value(text: str, kind: Any) -> Any:
    """Return the value of an option of a kind, as LeRobot reads the text: as YAML. Raise Unknown."""
    scalars, text = [*list_scalars(kind)], text.strip()
    if "null" in scalars and text.lower() in NULLS:
        return None
    for scalar in scalars:
        if scalar == "bool" and text.lower() in BOOLEANS:
            return BOOLEANS[text.lower()]
        if scalar in ("int", "number"):
            try:
                return int(text.replace("_", "")) if scalar == "int" else float(text.replace("_", ""))
            except ValueError:
                continue
        if scalar == "text" or "|" in scalar:
            return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text
    try:
        return json.loads(text)
    except ValueError:
        if not BARE_WORDS.fullmatch(text):
            raise Unknown(text) from None
        return [word.strip() for word in text[1:-1].split(",")]


def list_classes(tree: OptionTree, given: Mapping[str, Any], types: Mapping[str, str]) -> Iterator[OptionClass]:
    """Yield the root class, and each other one of which an option is given.

    :param types: the chosen types, as `policy: act`.
    """
    found = [OptionClass(tree.root, "")]
    for name in given:
        current = found[0]
        for part in name.split(".")[:-1]:
            kind = tree.classes[current.name].get(part, [None])[0]
            prefix = f"{current.prefix}{part}."
            choices, nested = list_choices(kind), [*list_nested(kind)]
            class_name = choices.get(types.get(prefix[:-1], "")) if choices else nested[0] if len(nested) == 1 else None
            if class_name is None:
                break
            current = OptionClass(class_name, prefix)
            if current not in found:
                found.append(current)
    yield from found


class OptionValues:
    """The values of a training's options.

    :param given: the options after `--`, without the dashes.
    :param own: the options that robotrain gives.
    :param settings: the configuration of what it starts from; None if that is unknown.
    """

    def __init__(
        self,
        tree: OptionTree,
        model: TrainedModel,
        given: Mapping[str, str | None],
        own: Mapping[str, object],
        settings: Mapping[str, Any] | None,
        *,
        starts: bool,
    ) -> None:
        self.tree, self.model, self.given, self.own = tree, model, given, own
        self.settings, self.starts = settings, starts

    def collect(self, place: OptionClass, names: list[str], defaults: Mapping[str, Any]) -> dict[str, Any]:
        """Return the known values of options of a class, by their names in it.

        :param defaults: those of options for which the tree has none.
        """
        found = {}
        for name in names:
            try:
                found[name] = self._find_value(place, name, defaults)
            except Unknown:
                continue
        return found

    def _find_value(self, place: OptionClass, name: str, defaults: Mapping[str, Any]) -> Any:
        path, kind, default = f"{place.prefix}{name}", *self._find_field(place, name)
        for values in (self.given, self.own):
            if (text := values.get(path)) is not None:
                return read_value(str(text), kind) if kind is not None else text
        if name in ("policy", "reward_model") and not place.prefix:
            return SET if name == self.model.prefix else None
        if any(one.startswith(f"{path}.") for one in (*self.given, *self.own)):
            return SET
        if path == f"{self.model.prefix}.pretrained_path":
            return SET if self.starts else None
        if path.startswith(f"{self.model.prefix}.") and self.starts:
            if self.settings is None:
                raise Unknown(path)
            if name.rpartition(".")[2] in self.settings:
                return self.settings[name.rpartition(".")[2]]
        if default:
            return default[0]
        if name in defaults:
            return defaults[name]
        raise Unknown(path)

    def _find_field(self, place: OptionClass, name: str) -> tuple[Any, list[Any]]:
        """Return the kind of an option and its default in a list; None if the class does not have it."""
        class_name, *parents = place.name, *name.split(".")
        for parent in parents[:-1]:
            nested = [*list_nested(self.tree.classes[class_name].get(parent, [None])[0])]
            if len(nested) != 1:
                return None, []
            class_name = nested[0]
        field = self.tree.classes[class_name].get(parents[-1])
        return (field[0], [*field[1:]]) if field else (None, [])


def read_given(arguments: list[str] | tuple[str, ...]) -> dict[str, str | None]:
    """Return options after `--` by name, the last value of each."""
    return {name: value for name, value in split_options(arguments) if name}
