"""The options of LeRobot's training, as `options.json` of a version lists them. Standard library only.

Each is `[KIND]` or `[KIND, DEFAULT]` by its name with dots. `options` are those of every training, `choices` those that
the option `.type` of a group adds, beside its `usual` ones: `choices["policy"]["act"]`. A kind is that of a
plain value (`int`, `number`, `bool`, `text`, `null`), `any`, or one of `{"one of": [TEXT]}`, `{"any of": [KIND]}`,
`{"each": KIND}` (a list of any length) and `{"items": [KIND]}`. `.ci/export_lerobot.py` writes the file.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from robotrain_workloads.lerobot import versions
from robotrain_workloads.lerobot.option_values import read_known

PLUGINS = "discover_packages_path"
"""Below a group with choices: LeRobot imports this package, which may add choices of its own."""
CHOICE_OPTIONS = ("type", "path", PLUGINS)
Field = Sequence[Any]
"""The kind of an option and, if it is a plain value, its default."""


class OptionList(NamedTuple):
    """The options of a LeRobot version."""

    version: str
    options: Mapping[str, Field]
    choices: Mapping[str, Mapping[str, Mapping[str, Field]]]

    def list_fields(self, name: str, types: Mapping[str, str]) -> list[Field]:
        """Return what LeRobot has by a name: one field, or that of each type that may be meant.

        :param types: the chosen types, as `policy: act`; without it the options of every type count.
        """
        group, _, part = name.partition(".")
        if group not in self.choices:
            return [self.options[name]] if name in self.options else []
        return [fields[part] for fields in self._list_types(group, types) if part in fields]

    def list_names(self, types: Mapping[str, str], group: str = "") -> Iterator[str]:
        """Yield the names of all options, or of those below a group with choices. `types` is as in `list_fields`."""
        yield from () if group in self.choices else self.options
        for name in [group] if group in self.choices else self.choices:
            for fields in self._list_types(name, types):
                yield from (f"{name}.{part}" for part in fields)

    def _list_types(self, group: str, types: Mapping[str, str]) -> list[Mapping[str, Field]]:
        choices = self.choices[group]
        return [choices[types[group]]] if types.get(group) in choices else [*choices.values()]

    def is_choice(self, name: str) -> bool:
        """Return whether an option names a choice: LeRobot reads its text as it is."""
        group, _, part = name.partition(".")
        return group in self.choices and part in CHOICE_OPTIONS

    def is_group(self, name: str, types: Mapping[str, str]) -> bool:
        """Return whether a name has options below it alone."""
        group = name.partition(".")[0]
        names = self.list_names(types, group) if group in self.choices else self.options
        return name in self.choices or any(other.startswith(f"{name}.") for other in names)

    def has_option(self, name: str, types: Mapping[str, str]) -> bool:
        """Return whether there is an option of this name, or a mapping that may have it."""
        if self.is_choice(name) or self.list_fields(name, types):
            return True
        parents = [name.rsplit(".", count)[0] for count in range(1, name.count(".") + 1)]
        return any(
            "any" in list_scalars(self.get_kind(parent, types))
            for parent in parents
            if parent in self.options or self.list_fields(parent, types)
        )

    def get_kind(self, name: str, types: Mapping[str, str]) -> Any:
        """Return the kind of an option, of all types that may be meant; `any` for an unknown one."""
        kinds = [kind for kind, *_ in self.list_fields(name, types)]
        return {"any of": kinds} if kinds else "any"

    def read_option(self, name: str, text: str, types: Mapping[str, str], *, as_json: bool = False) -> Any:
        """Return what LeRobot makes of a text; the text where it refuses it, or where only LeRobot knows."""
        return text if self.is_choice(name) else read_known(text, self.get_kind(name, types), as_json=as_json)


@functools.cache
def load_options(version: object = None) -> OptionList:
    """Return the options of a LeRobot version, by default the newest. Raise KeyError."""
    exported = versions.get_version(version).read_options()
    return OptionList(exported["lerobot"], exported["options"], exported["choices"])


def find_default(name: str, types: Mapping[str, str], version: object = None) -> object:
    """Return LeRobot's default for an option; None where it has none, or no plain value."""
    defaults = [field[1] for field in load_options(version).list_fields(name, types) if len(field) > 1]
    return defaults[0] if len(defaults) == 1 else None


def list_scalars(kind: Any) -> Iterator[str]:
    """Yield the kinds of plain values, as `option_kinds` names them; `list` for a list."""
    if not isinstance(kind, dict):
        yield kind
    elif "any of" in kind:
        for part in kind["any of"]:
            yield from list_scalars(part)
    else:
        yield "|".join(kind["one of"]) if "one of" in kind else "list"
