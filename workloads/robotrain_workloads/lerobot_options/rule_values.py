"""Values of LeRobot's options, given, of a policy's configuration or by default: what rules are evaluated with."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from robotrain_workloads.lerobot.option_tree import OptionTree, list_choices, list_nested
from robotrain_workloads.lerobot.option_values import RefusedValue, UnreadValue, read_value
from robotrain_workloads.lerobot.options import split_options
from robotrain_workloads.lerobot.trained_model import TrainedModel

SET = "set"
"""Stands for a group of options (`peft`, `policy`) of which some are given."""


class OptionClass(NamedTuple):
    """A configuration class with its place among the options."""

    name: str
    """In the tree."""
    prefix: str
    """What the names of its options begin with: `policy.`; empty for the root."""


def list_classes(tree: OptionTree, option_values: Mapping[str, Any], types: Mapping[str, str]) -> Iterator[OptionClass]:
    """Yield the root class, and each other one of which an option is given.

    :param types: the chosen types, as `policy: act`.
    """
    classes = [OptionClass(tree.root, "")]
    for name in option_values:
        current = classes[0]
        for part in name.split(".")[:-1]:
            kind = tree.classes[current.name].get(part, [None])[0]
            prefix = f"{current.prefix}{part}."
            choices = list_choices(kind)
            nested_classes = [*list_nested(kind)]
            class_name = (
                choices.get(types.get(prefix[:-1], ""))
                if choices
                else nested_classes[0]
                if len(nested_classes) == 1
                else None
            )
            if class_name is None:
                break
            current = OptionClass(class_name, prefix)
            if current not in classes:
                classes.append(current)
    yield from classes


class OptionValues:
    """The values of a training's options.

    :param given: the options after `--`, without the dashes.
    :param own: the options that robotrain gives.
    :param settings: the configuration of what it starts from; None if that is unknown.
    :param loads: whether LeRobot reads the options of the policy beside that configuration.
    """

    def __init__(
        self,
        tree: OptionTree,
        model: TrainedModel,
        option_values: Mapping[str, str | None],
        own_options: Mapping[str, object],
        settings: Mapping[str, Any] | None,
        *,
        starts: bool,
        loads: bool,
    ) -> None:
        self.loads = loads
        self.tree, self.model, self.given, self.own = tree, model, option_values, own_options
        self.settings, self.starts = settings, starts

    def collect(self, option_class: OptionClass, names: list[str], defaults: Mapping[str, Any]) -> dict[str, Any]:
        """Return the known values of options of a class, by their names in it.

        :param defaults: those of options for which the tree has none.
        """
        values_by_name = {}
        for name in names:
            try:
                values_by_name[name] = self._find_value(option_class, name, defaults)
            except (RefusedValue, UnreadValue):
                continue
        return values_by_name

    def _find_value(self, option_class: OptionClass, name: str, defaults: Mapping[str, Any]) -> Any:
        path, kind, default = f"{option_class.prefix}{name}", *self._find_field(option_class, name)
        for option_values in (self.given, self.own):
            if (option_text := option_values.get(path)) is not None:
                as_json = self.loads and path.startswith(f"{self.model.prefix}.")
                return read_value(str(option_text), kind, as_json=as_json) if kind is not None else option_text
        if name in ("policy", "reward_model") and not option_class.prefix:
            return SET if name == self.model.prefix else None
        if any(option.startswith(f"{path}.") for option in (*self.given, *self.own)):
            return SET
        if path == f"{self.model.prefix}.pretrained_path":
            return SET if self.starts else None
        if path.startswith(f"{self.model.prefix}.") and self.starts:
            if self.settings is None:
                raise UnreadValue(path)
            if name.rpartition(".")[2] in self.settings:
                return self.settings[name.rpartition(".")[2]]
        if default:
            return default[0]
        if name in defaults:
            return defaults[name]
        raise UnreadValue(path)

    def _find_field(self, option_class: OptionClass, name: str) -> tuple[Any, list[Any]]:
        """Return the kind of an option and its default in a list; None if the class does not have it."""
        class_name, *parents = option_class.name, *name.split(".")
        for parent in parents[:-1]:
            nested_classes = [*list_nested(self.tree.classes[class_name].get(parent, [None])[0])]
            if len(nested_classes) != 1:
                return None, []
            class_name = nested_classes[0]
        field = self.tree.classes[class_name].get(parents[-1])
        return (field[0], [*field[1:]]) if field else (None, [])


def read_given(arguments: list[str] | tuple[str, ...]) -> dict[str, str | None]:
    """Return options after `--` by name, the last value of each."""
    return {name: value for name, value in split_options(arguments) if name}
