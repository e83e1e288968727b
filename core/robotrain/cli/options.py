"""The options of a workload, a platform and the source kinds, derived from their declarations."""

import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from robotrain_runtime.parameter import Parameter, parameters_of

from robotrain.cli.compose import list_option, switch, text_option
from robotrain.source import RoleFlag, SourceKind

if TYPE_CHECKING:
    from robotrain.platforms import Platform
    from robotrain.workload import Workload

PARAMETER, SETTING, OFF, SOURCE = "parameter__", "setting__", "off__", "source__"


class SourceOption(NamedTuple):
    """One source flag: the role it fills and the kinds that share it."""

    role: str
    flag: RoleFlag
    kinds: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What one choice of workload and platform composes to, by the name of the function's argument."""

    signature: list[inspect.Parameter] = field(default_factory=list)
    declared: dict[str, Parameter] = field(default_factory=dict)
    sources: dict[str, SourceOption] = field(default_factory=dict)
    flags: dict[str, str] = field(default_factory=dict)

    def add(self, option: inspect.Parameter, flags: Iterable[str]) -> None:
        """One more option and its spellings."""
        self.signature.append(option)
        self.flags.update({flag: option.name for flag in flags})


def add_sources(options: Options, workload: "Workload", kinds: Mapping[str, SourceKind]) -> None:
    """The flags of each role the workload takes; kinds that share a flag share the option."""
    for role in workload.roles:
        shared: dict[RoleFlag, list[SourceKind]] = {}
        for kind in kinds.values():
            if role in kind.roles:
                shared.setdefault(kind.roles[role], []).append(kind)
        for flag, owners in shared.items():
            name = SOURCE + role + "__" + flag.flag.strip("-").replace("-", "_")
            spellings = (flag.flag, *flag.aliases)
            help = owners[0].help + ("  [repeatable]" if flag.repeatable else "")
            options.add(list_option(name, spellings, help, "Data", metavar=owners[0].form), spellings)
            options.sources[name] = SourceOption(role, flag, tuple(owner.name for owner in owners))


def add_parameters(options: Options, workload: "Workload") -> None:
    """The workload's parameters."""
    _add_declared(options, workload.parameters, PARAMETER, f"Parameters of {workload.name}")


def add_settings(options: Options, platform: "Platform") -> None:
    """The platform's settings."""
    _add_declared(options, platform.settings, SETTING, f"Settings of platform {platform.name}")


def _add_declared(options: Options, declared: type, prefix: str, panel: str) -> None:
    for parameter in parameters_of(declared):
        name = prefix + parameter.name
        options.declared[name] = parameter
        if parameter.switch:
            both = f"{parameter.flag}/--no-{parameter.flag[2:]}"
            options.add(switch(name, (both, *parameter.flags[1:]), help_of(parameter), panel), both.split("/"))
        else:
            option = text_option(name, parameter.flags, help_of(parameter), panel, parameter.metavar, parameter.choices)
            options.add(option, parameter.flags)
        if parameter.param.off:
            off = switch(
                OFF + name, (parameter.param.off,), f"the same as {parameter.flag} {parameter.param.off_value}", panel
            )
            options.add(off, (parameter.param.off,))


def help_of(parameter: Parameter) -> str:
    """The help text, with the default and the environment names it is read from."""
    default = parameter.default
    notes = []
    if parameter.required:
        notes.append("required")
    elif parameter.switch:
        notes.append(f"default: {'on' if default else 'off'}")
    elif default is not None:
        notes.append(f"default: {default:g}" if isinstance(default, float) else f"default: {default}")
    if parameter.param.env:
        notes.append(f"env: {', '.join(parameter.param.env)}")
    return parameter.param.help + (f"  [{'; '.join(notes)}]" if notes else "")


def every_flag(declared: type) -> Iterator[str]:
    """Every spelling that a declaration's options have."""
    for parameter in parameters_of(declared):
        yield from parameter.flags
        if parameter.switch:
            yield f"--no-{parameter.flag[2:]}"
        if parameter.param.off:
            yield parameter.param.off
