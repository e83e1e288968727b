"""The command-line options that a workload, a platform and source kinds declare."""

import copy
import functools
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import typer
from robotrain_runtime.contract.parameter import Parameter, get_parameters

from robotrain.cli.command_factory import CompletionItem, format_sentence, make_plain_app
from robotrain.config.values import make_variable_name
from robotrain.model.source import RoleFlag, SourceKind

Completer = Callable[[str], Sequence[str]]
"""Returns the completions of a beginning."""


class Option(NamedTuple):
    """An option as help and completion show it; every value stays text until it is resolved."""

    name: str
    """Of its value."""
    flags: tuple[str, ...]
    """All spellings; of a switch that can be switched off, the first is `--x/--no-x`."""
    help: str
    metavar: str | None = None
    """None for a switch."""
    panel: str = "Options"
    repeatable: bool = False
    bare_value: str = ""
    """The value of the flag without a value; empty where it needs one."""
    choices: tuple[str, ...] = ()
    complete: Completer | None = None
    """Returns completions that are not `choices`."""
    common: bool = False
    """Whether `--help` shows it, and TAB before its first letter."""

    def make_parameter(self) -> Any:
        """Return Typer's parameter, which is None when the option is not given, or empty if it is repeatable."""
        kind = "switch" if not self.metavar else "texts" if self.repeatable else "text"
        parameter = copy.copy(_make_prototypes()[kind])
        parameter.name, parameter.help, parameter.metavar = self.name, format_sentence(self.help), self.metavar
        parameter.rich_help_panel = self.panel
        parameter.opts = [flag.partition("/")[0] for flag in self.flags]
        parameter.secondary_opts = [off_flag for flag in self.flags if (off_flag := flag.partition("/")[2])]
        if complete := self.complete or (make_completer(lambda: self.choices) if self.choices else None):
            _set_completer(parameter, complete)
        return parameter


def make_words_argument(metavar: str, complete: Completer) -> Any:
    """Return the argument that takes all words, unknown options among them."""
    argument = copy.copy(_make_prototypes()["words"])
    argument.metavar = metavar
    _set_completer(argument, complete)
    return argument


def _set_completer(parameter: Any, complete: Completer) -> None:
    parameter.shell_complete = lambda ctx, incomplete: [
        CompletionItem(word) for word in complete(incomplete) if word.startswith(incomplete)
    ]


@functools.cache
def _make_prototypes() -> dict[str, Any]:
    """Return a parameter of each kind, by name, to be copied: Typer takes five times as long to make one."""
    argument, option = typer.Argument(None, show_default=False), typer.Option(None, show_default=False)

    def run(words: Any = argument, switch: Any = option, text: Any = option, texts: Any = option) -> None: ...

    text_list_type = list[str] | None
    run.__annotations__ = {"words": text_list_type, "switch": bool | None, "text": str | None, "texts": text_list_type}
    app = make_plain_app()
    app.command()(run)
    return {str(parameter.name): parameter for parameter in typer.main.get_command(app).params}


def make_completer(list_words: Callable[[], Iterable[str]]) -> Completer:
    """Return a completer of these words."""

    def complete(incomplete: str) -> list[str]:
        return [word for word in list_words() if word.startswith(incomplete)]

    return complete


OFF_TABLE = "off"
"""What stands before the name of a value, in the name of the option that stands for its `off_value`."""
SET_NAME = "set"
ORDER_KEY = "robotrain.order"
"""Where the context of a command keeps the names of the options in the order in which they were typed."""
ROBOTRAIN_OWNER = "robotrain"
RESERVED_VARIABLES = tuple(
    make_variable_name(name)
    for name in (
        *("PLATFORM", "PROFILE", "PLUGINS", "STATE", "CACHE", "TERRAFORM", "PLAN"),
        *("PLUGINS_FROM", "WITHOUT", "TRACEBACK", "NETWORK_SECONDS"),
        *("PYTHON", "EVENTS_FD", "GRACE_SECONDS", "BAKED", "IMAGE_TORCH", "SUBMISSION", "TRACKING_HALVES"),
    )
)
"""Environment names that are robotrain's own."""
NUMBERED_ENV_PATTERN = r"ROBOTRAIN_INPUT_\d+"
"""Environment names that a platform sets for a run, one for each input."""


class SourceOption(NamedTuple):
    """A source flag: the role it fills and the kinds that share it."""

    role: str
    flag: RoleFlag
    kinds: tuple[str, ...]


class OptionClash(NamedTuple):
    """A flag or environment name that two owners claim."""

    spelling: str
    owners: tuple[str, str]


class ComposedOptions:
    """The options of one choice of workload and platform, by the names of the function's arguments."""

    def __init__(self) -> None:
        self.options: list[Option] = []
        self.declared: dict[str, Parameter] = {}
        self.given: dict[str, str] = {}
        """The parameters that the command line gives, by name."""
        self.sources: dict[str, SourceOption] = {}
        self.flags: dict[str, str] = {}
        self.owners = dict.fromkeys(RESERVED_VARIABLES, ROBOTRAIN_OWNER)
        """The owner of each flag and environment name, in words."""
        self.clashes: list[OptionClash] = []
        """Options that were left out because another has their flag or environment name."""
        self._valued: set[str] = set()

    def add(self, option: Option, owner: str = ROBOTRAIN_OWNER, env: str = "") -> bool:
        """Add an option and return True, or record a clash where its flags or environment name are taken."""
        own_flags = [flag for flags in option.flags for flag in flags.split("/")]
        spellings = [*own_flags, env] if env else own_flags
        new_clashes = [
            OptionClash(spelling, (other_owner, owner))
            for spelling in spellings
            if (other_owner := self.find_owner(spelling))
        ]
        if new_clashes:
            self.clashes.extend(new_clashes)
            return False
        self.options.append(option)
        self.flags.update(dict.fromkeys(own_flags, option.name))
        self._valued.update(own_flags if option.metavar and not option.bare_value else ())
        self.owners.update(dict.fromkeys(spellings, owner))
        return True

    def add_own(
        self,
        *flags: str,
        help: str,
        metavar: str | None = None,
        complete: Completer | None = None,
        repeatable: bool = False,
        common: bool = False,
    ) -> None:
        """Add an option of the command itself, named by its first flag; without a metavar it is a switch."""
        name = flags[0].strip("-").replace("-", "_")
        self.add(Option(name, flags, help, metavar, repeatable=repeatable, complete=complete, common=common))

    def make_parameters(self) -> list[Any]:
        """Return Typer's parameter of each option."""
        return [option.make_parameter() for option in self.options]

    def takes_value(self, flag: str) -> bool | None:
        """Return whether a flag needs the next word as its value; None for one that is not here."""
        return flag in self._valued if flag in self.flags else None

    def find_owner(self, spelling: str) -> str:
        """Return the owner of a spelling, empty where it is free."""
        return ROBOTRAIN_OWNER if re.fullmatch(NUMBERED_ENV_PATTERN, spelling) else self.owners.get(spelling, "")


def add_sources(options: ComposedOptions, roles: Sequence[str], kinds: Mapping[str, SourceKind]) -> None:
    """Add the flags of each role; kinds that share a flag share the option.

    A flag of one role may be another spelling of that of a role which is not among them.
    """
    main_flags = {kind.roles[role].flag for kind in kinds.values() for role in roles if role in kind.roles}
    for role in roles:
        kinds_by_flag: dict[RoleFlag, list[SourceKind]] = {}
        for kind in kinds.values():
            if role in kind.roles:
                kinds_by_flag.setdefault(kind.roles[role], []).append(kind)
        for flag, owners in kinds_by_flag.items():
            name = f"sources.{role}.{flag.flag}"
            spellings = (flag.flag, *(alias for alias in flag.aliases if alias not in main_flags))
            help = (flag.help or owners[0].help) + ("  [repeatable]" if flag.repeatable else "")
            form = flag.form or owners[0].form
            option = Option(
                name, spellings, help, form, "Data", repeatable=True, complete=flag.complete, common=flag.common
            )
            owner_text = "source " + " and ".join(owner.name for owner in owners)
            if options.add(option, f"{owner_text} as {role}", make_variable_name(flag.flag)):
                options.sources[name] = SourceOption(role, flag, tuple(owner.name for owner in owners))


def add_declared(
    options: ComposedOptions, declared_type: type, table: str, panel: str, owner: str, free_only: bool = False
) -> None:
    """Add the parameters of a workload or the settings of a platform.

    :param table: where their values stand in a job file.
    :param free_only: leave out those whose flag another option has, and spellings that are taken.
    """
    for parameter in get_parameters(declared_type):
        name = f"{table}.{parameter.name}"
        flags = parameter.flags
        help = format_option_help(parameter)
        if free_only:
            flags = tuple(flag for flag in flags if not options.find_owner(flag))
            if parameter.flag not in flags or options.find_owner(parameter.env[0]):
                continue
        common = parameter.param.common or parameter.required
        if parameter.is_switch:
            spellings = (f"{parameter.flag}/--no-{parameter.flag[2:]}", *flags[1:])
            option = Option(name, spellings, help, panel=panel, common=common)
        else:
            bare, choices = parameter.param.bare_value, parameter.choices
            repeatable = parameter.param.form in ("pairs", "texts")
            metavar = format_metavar(parameter)
            option = Option(name, flags, help, metavar, panel, repeatable, bare, choices, common=common)
        if not options.add(option, owner, parameter.env[0]):
            continue
        options.declared[name] = parameter
        if off_flag := parameter.param.off:
            off_help = f"the same as {parameter.flag} {parameter.param.off_value}"
            options.add(Option(f"{OFF_TABLE}.{name}", (off_flag,), off_help, panel=panel), owner)


def format_metavar(parameter: Parameter) -> str:
    """Return what help shows after the flag, in brackets where the value may be omitted."""
    return f"[{parameter.metavar}]" if parameter.param.bare_value else parameter.metavar


def format_option_help(parameter: Parameter) -> str:
    """Return the help text with the default and the environment names."""
    default = parameter.default
    notes = []
    if parameter.required:
        notes.append("required")
    elif parameter.is_switch:
        notes.append(f"default: {'on' if default else 'off'}")
    elif default is not None:
        notes.append(f"default: {default:g}" if isinstance(default, float) else f"default: {default}")
    if parameter.param.bare_value:
        notes.append(f"without a value: {parameter.param.bare_value}")
    if parameter.param.form in ("pairs", "texts"):
        notes.append("repeatable")
    if parameter.param.env:
        notes.append(f"env: {', '.join(parameter.param.env)}")
    return parameter.param.help + (f"  [{'; '.join(notes)}]" if notes else "")


def list_flags(declared: type) -> Iterator[str]:
    """Yield every flag of a declaration's options."""
    for parameter in get_parameters(declared):
        yield from parameter.flags
        if parameter.is_switch:
            yield f"--no-{parameter.flag[2:]}"
        if parameter.param.off:
            yield parameter.param.off


def fill_optional_values(args: Sequence[str], options: ComposedOptions, is_word: Callable[[str], bool]) -> list[str]:
    """Return `args` with a value after each option that stands alone: at the end, before a flag or before a word."""
    bare_values = {flag: option.bare_value for option in options.options for flag in option.flags}
    filled_args: list[str] = []
    for argument, following in itertools.zip_longest(args, args[1:], fillvalue="-"):
        filled_args.append(argument)
        if bare_values.get(argument) and (following.startswith("-") or is_word(following)):
            filled_args.append(bare_values[argument])
    return filled_args


def is_flag(text: object, options: ComposedOptions) -> bool:
    """Whether a value is in fact a flag, because the value was forgotten. A quoted text of several words is none."""
    if not isinstance(text, str):
        return False
    name = text.partition("=")[0]
    return text in options.flags or (name.startswith("--") and len(name.split()) == 1)
