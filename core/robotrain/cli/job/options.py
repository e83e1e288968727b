"""The options of a workload, a platform and the source kinds, derived from their declarations."""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer
from robotrain_runtime.parameter import Parameter, parameters_of

from robotrain.cli.job.compose import list_option, switch, text_option
from robotrain.provenance import own_name
from robotrain.source import RoleFlag, SourceKind

if TYPE_CHECKING:
    from robotrain.platforms import Platform
    from robotrain.workload import Workload

PARAMETER, SETTING, OFF, SOURCE = "parameter__", "setting__", "off__", "source__"
SET = "set"
OURS = "robotrain"
TAKEN = (
    *("PLATFORM", "PROFILE", "PLUGINS", "STATE", "CACHE", "TERRAFORM", "PLAN"),
    *("PLUGINS_FROM", "WITHOUT", "TRACEBACK", "HOOK_SECONDS", "PLUGIN_SECONDS"),
    *("PYTHON", "EVENTS_FD", "GRACE_SECONDS", "BAKED", "IMAGE_TORCH", "SUBMISSION", "TRACKING_HALVES"),
)
"""Environment names after `ROBOTRAIN_` that are robotrain's own."""
NUMBERED = r"ROBOTRAIN_INPUT_\d+"
"""Those that a platform puts into a run's environment, as many as there are inputs."""


class SourceOption(NamedTuple):
    """One source flag: the role it fills and the kinds that share it."""

    role: str
    flag: RoleFlag
    kinds: tuple[str, ...]


class Clash(NamedTuple):
    """A spelling, of a flag or of an environment name, that two owners claim."""

    spelling: str
    owners: tuple[str, str]


class Options:
    """What one choice of workload and platform composes to, by the name of the function's argument.

    owners: of each flag and each environment name, in words. clashes: options that were left out, as another has their
    flag or their environment name.
    """

    def __init__(self) -> None:
        self.signature: list[inspect.Parameter] = []
        self.declared: dict[str, Parameter] = {}
        self.sources: dict[str, SourceOption] = {}
        self.flags: dict[str, str] = {}
        self.owners = dict.fromkeys(map(own_name, TAKEN), OURS)
        self.clashes: list[Clash] = []

    def add(self, option: inspect.Parameter, flags: Iterable[str], owner: str = OURS, env: str = "") -> bool:
        """One more option and its spellings; whether they were free."""
        named = list(flags)
        spellings = [*named, env] if env else named
        taken = [Clash(one, (found, owner)) for one in spellings if (found := self._owner(one))]
        if taken:
            self.clashes.extend(taken)
            return False
        self.signature.append(option)
        self.flags.update(dict.fromkeys(named, option.name))
        self.owners.update(dict.fromkeys(spellings, owner))
        return True

    def _owner(self, spelling: str) -> str:
        """Who has it already; empty where it is free."""
        return OURS if re.fullmatch(NUMBERED, spelling) else self.owners.get(spelling, "")


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
            help = (flag.help or owners[0].help) + ("  [repeatable]" if flag.repeatable else "")
            option = list_option(name, spellings, help, "Data", flag.form or owners[0].form, flag.known)
            who = "source " + " and ".join(owner.name for owner in owners)
            if options.add(option, spellings, f"{who} as {role}", own_name(flag.flag)):
                options.sources[name] = SourceOption(role, flag, tuple(owner.name for owner in owners))


def add_parameters(options: Options, workload: "Workload") -> None:
    """The workload's parameters."""
    owner = f"workload {workload.name}"
    _add_declared(options, workload.parameters, PARAMETER, f"Parameters of {workload.name}", owner)


def add_settings(options: Options, platform: "Platform") -> None:
    """The platform's settings."""
    owner = f"platform {platform.name}"
    _add_declared(options, platform.settings, SETTING, f"Settings of {owner}", owner)


def add_set(options: Options, complete: Callable[[str], list[str]]) -> None:
    """`--set KEY=VALUE`; complete: what a beginning may go on to."""
    option = typer.Option(
        "--set",
        help="a value by its name in a job file (batch_size, platforms.NAME.KEY, sources.ROLE.KIND)  [repeatable]",
        rich_help_panel="Options",
        metavar="KEY=VALUE",
        show_default=False,
        autocompletion=complete,
    )
    kind = inspect.Parameter.KEYWORD_ONLY
    parameter = inspect.Parameter(SET, kind, default=None, annotation=Annotated[list[str] | None, option])
    options.add(parameter, ("--set",))


def _add_declared(options: Options, declared: type, prefix: str, panel: str, owner: str) -> None:
    for parameter in parameters_of(declared):
        name = prefix + parameter.name
        if parameter.switch:
            both = f"{parameter.flag}/--no-{parameter.flag[2:]}"
            option = switch(name, (both, *parameter.flags[1:]), help_of(parameter), panel)
            flags = (*both.split("/"), *parameter.flags[1:])
        else:
            metavar = metavar_of(parameter)
            option = text_option(name, parameter.flags, help_of(parameter), panel, metavar, parameter.choices)
            flags = parameter.flags
        if not options.add(option, flags, owner, parameter.env[0]):
            continue
        options.declared[name] = parameter
        if parameter.param.off:
            same = f"the same as {parameter.flag} {parameter.param.off_value}"
            options.add(switch(OFF + name, (parameter.param.off,), same, panel), (parameter.param.off,), owner)


def metavar_of(parameter: Parameter) -> str:
    """What help shows after the flag: in brackets where it may be left out."""
    return f"[{parameter.metavar}]" if parameter.param.alone else parameter.metavar


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
    if parameter.param.alone:
        notes.append(f"without a value: {parameter.param.alone}")
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


def filled(args: Sequence[str], options: Options, is_word: Callable[[str], bool]) -> list[str]:
    """`args` with a value after each option that stands alone and may: at the end, before a flag or before a word."""
    alone = {flag: one.param.alone for one in options.declared.values() if one.param.alone for flag in one.flags}
    found: list[str] = []
    for index, argument in enumerate(args):
        found.append(argument)
        if argument in alone:
            after = args[index + 1] if index + 1 < len(args) else "-"
            if after.startswith("-") or is_word(after):
                found.append(alone[argument])
    return found
