"""What the arguments choose (workload, platform, job file), and the options that these declare.

Only public seams of Typer are used, so that its versions with and without a vendored click work alike:
`make_context`, `make_parser`, `parse_args`, `format_options`, and functions with a made signature.
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from robotrain_runtime.contract.parameter import Parameter, get_parameters

from robotrain.cli.app import get_plugins
from robotrain.config.request import DEFAULT_ORIGIN, Origin, Value, make_variable_name
from robotrain.model.source import RoleFlag, SourceKind
from robotrain.store.files import DOTENV_FILES, find_project_file

if TYPE_CHECKING:
    from robotrain.config.job_file import JobFile
    from robotrain.config.layers import VariableLayer
    from robotrain.config.project_file import Project
    from robotrain.model.platform import Platform
    from robotrain.model.workload import Workload

Completer = Callable[[str], Sequence[str]]
"""What the beginning of a text may go on to."""


def make_text_option(
    name: str, flags: tuple[str, ...], help: str, panel: str, metavar: str = "TEXT", choices: tuple[str, ...] = ()
) -> inspect.Parameter:
    """An option that takes text; every value stays text until it is resolved."""

    def known(incomplete: str) -> list[str]:
        return [choice for choice in choices if choice.startswith(incomplete)]

    return _make_option(name, str | None, flags, help, panel, metavar, known if choices else None)


def make_list_option(
    name: str, flags: tuple[str, ...], help: str, panel: str, metavar: str = "TEXT", known: Completer | None = None
) -> inspect.Parameter:
    """An option that may be repeated. known: what the TAB key offers."""
    return _make_option(name, list[str] | None, flags, help, panel, metavar, known)


def make_switch(name: str, flags: tuple[str, ...], help: str, panel: str) -> inspect.Parameter:
    """An option without a value; None when it is not given."""
    return _make_option(name, bool | None, flags, help, panel, None, None)


def make_words_argument(metavar: str, known: Callable[[], Iterable[str]] = tuple) -> inspect.Parameter:
    """The arguments that are no options, and the unknown options among them. known: what the TAB key offers."""

    def complete(incomplete: str) -> list[str]:
        return [word for word in known() if word.startswith(incomplete)]

    return inspect.Parameter(
        "words",
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        default=None,
        annotation=Annotated[
            list[str] | None, typer.Argument(metavar=metavar, show_default=False, autocompletion=complete)
        ],
    )


def _make_option(
    name: str,
    kind: Any,
    flags: tuple[str, ...],
    help: str,
    panel: str,
    metavar: str | None,
    known: Completer | None,
) -> inspect.Parameter:
    def complete(incomplete: str) -> list[str]:
        return list(known(incomplete)) if known else []

    option = typer.Option(
        *flags,
        help=help,
        rich_help_panel=panel,
        metavar=metavar,
        show_default=False,
        autocompletion=complete if known else None,
    )
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind, option])


PLATFORM_ENV, PROFILE_ENV = make_variable_name("platform"), make_variable_name("profile")
NAMES_KEY, FILES_KEY, PROJECTS_KEY = "robotrain.names", "robotrain.files", "robotrain.projects"


class Choice(NamedTuple):
    """platform: empty when nobody chose one. file: what the job file says, project: robotrain.toml; None without one.

    origins: who chose the workload and the platform.
    """

    workload: str
    platform: str
    file: JobFile | None = None
    project: Project | None = None
    origins: tuple[Origin, Origin] = (DEFAULT_ORIGIN, DEFAULT_ORIGIN)


def resolve_choice(values: Mapping[str, Any], words: Sequence[str], parent: Any) -> Choice:
    """The workload: named, of the job file, of robotrain.toml or the default; the platform, in the order of layers."""
    path = next((word for word in words if is_job_file(word)), "")
    file = _read_job_file(path, parent) if path else None
    project = _read_project(values.get("profile"), parent)
    plugins = get_plugins(parent)
    known = plugins.list_names("workload")
    named = next((Value(word, Origin("argument")) for word in words if word in known), None)
    if not named and file and file.workload:
        named = Value(file.workload, Origin("job file", Path(path).name))
    workload = named or (project.workload if project else None) or Value(plugins.default_workload(), DEFAULT_ORIGIN)
    platform = _find_option_value(values.get("platform"), "--platform", PLATFORM_ENV, parent) or (
        project.platform if project else None
    )
    platform = platform or Value("", DEFAULT_ORIGIN)
    return Choice(str(workload.value), str(platform.value), file, project, (workload.origin, platform.origin))


def load_or_none(load: Callable[[str], Any], name: str) -> Any:
    """What a name loads to; None without a name, and for a plugin that fails: the command says so when it acts."""
    from robotrain.plugins.errors import PluginError

    try:
        return load(name) if name else None
    except PluginError:
        return None


def read_name_layers(parent: Any) -> tuple[VariableLayer, ...]:
    """The environment and the `.env` files of the working folder, read once."""
    from robotrain.config.layers import read_dotenv_files, read_environment

    meta = parent.find_root().meta
    if NAMES_KEY not in meta:
        meta[NAMES_KEY] = (read_environment(), *read_dotenv_files(Path.cwd()))
    return tuple(meta[NAMES_KEY])


def is_job_file(word: str) -> bool:
    """Whether a word names a job file."""
    return word.endswith((".yaml", ".yml")) and not word.startswith("-")


def _read_job_file(path: str, parent: Any) -> JobFile:
    from robotrain.config import job_file

    read: dict[str, JobFile] = parent.find_root().meta.setdefault(FILES_KEY, {})
    if path not in read:
        read[path] = job_file.read_job_file(Path(path))
    return read[path]


def _read_project(profile: object, parent: Any) -> Project | None:
    """robotrain.toml with the profile that was chosen, read once."""
    said = _find_option_value(profile, "--profile", PROFILE_ENV, parent)
    if said is None and find_project_file(Path.cwd()) is None:
        return None
    from robotrain.config import project_file

    read: dict[Value | None, Project | None] = parent.find_root().meta.setdefault(PROJECTS_KEY, {})
    if said not in read:
        read[said] = project_file.load_project(Path.cwd(), said)
    return read[said]


def _find_option_value(flag_value: object, flag: str, name: str, parent: Any) -> Value | None:
    """The option's value, else that of the environment or of a `.env` file."""
    if isinstance(flag_value, str) and flag_value:
        return Value(flag_value, Origin("flag", flag))
    if said := os.environ.get(name):
        return Value(said, Origin("environment", name))
    if not any(Path(file).is_file() for file in DOTENV_FILES):  # as a rule; then help need not load what reads them
        return None
    return next((value for layer in read_name_layers(parent) if (value := layer.find_first((name,)))), None)


PARAMETER_PREFIX, SETTING_PREFIX, OFF_PREFIX, SOURCE_PREFIX = "parameter__", "setting__", "off__", "source__"
SET_NAME = "set"
ROBOTRAIN_OWNER = "robotrain"
RESERVED_ENV_NAMES = (
    *("PLATFORM", "PROFILE", "PLUGINS", "STATE", "CACHE", "TERRAFORM", "PLAN"),
    *("PLUGINS_FROM", "WITHOUT", "TRACEBACK", "HOOK_SECONDS", "PLUGIN_SECONDS"),
    *("PYTHON", "EVENTS_FD", "GRACE_SECONDS", "BAKED", "IMAGE_TORCH", "SUBMISSION", "TRACKING_HALVES"),
)
"""Environment names after `ROBOTRAIN_` that are robotrain's own."""
NUMBERED_ENV_PATTERN = r"ROBOTRAIN_INPUT_\d+"
"""Those that a platform puts into a run's environment, as many as there are inputs."""


class SourceOption(NamedTuple):
    """One source flag: the role it fills and the kinds that share it."""

    role: str
    flag: RoleFlag
    kinds: tuple[str, ...]


class OptionClash(NamedTuple):
    """A spelling, of a flag or of an environment name, that two owners claim."""

    spelling: str
    owners: tuple[str, str]


class ComposedOptions:
    """What one choice of workload and platform composes to, by the name of the function's argument.

    owners: of each flag and each environment name, in words. clashes: options that were left out, as another has their
    flag or their environment name.
    """

    def __init__(self) -> None:
        self.signature: list[inspect.Parameter] = []
        self.declared: dict[str, Parameter] = {}
        self.sources: dict[str, SourceOption] = {}
        self.flags: dict[str, str] = {}
        self.owners = dict.fromkeys(map(make_variable_name, RESERVED_ENV_NAMES), ROBOTRAIN_OWNER)
        self.clashes: list[OptionClash] = []

    def add(self, option: inspect.Parameter, flags: Iterable[str], owner: str = ROBOTRAIN_OWNER, env: str = "") -> bool:
        """One more option and its spellings; whether they were free."""
        named = list(flags)
        spellings = [*named, env] if env else named
        taken = [OptionClash(one, (found, owner)) for one in spellings if (found := self._find_owner(one))]
        if taken:
            self.clashes.extend(taken)
            return False
        self.signature.append(option)
        self.flags.update(dict.fromkeys(named, option.name))
        self.owners.update(dict.fromkeys(spellings, owner))
        return True

    def _find_owner(self, spelling: str) -> str:
        """Who has it already; empty where it is free."""
        return ROBOTRAIN_OWNER if re.fullmatch(NUMBERED_ENV_PATTERN, spelling) else self.owners.get(spelling, "")


def add_sources(options: ComposedOptions, workload: Workload, kinds: Mapping[str, SourceKind]) -> None:
    """The flags of each role the workload takes; kinds that share a flag share the option."""
    for role in workload.roles:
        shared: dict[RoleFlag, list[SourceKind]] = {}
        for kind in kinds.values():
            if role in kind.roles:
                shared.setdefault(kind.roles[role], []).append(kind)
        for flag, owners in shared.items():
            name = SOURCE_PREFIX + role + "__" + flag.flag.strip("-").replace("-", "_")
            spellings = (flag.flag, *flag.aliases)
            help = (flag.help or owners[0].help) + ("  [repeatable]" if flag.repeatable else "")
            option = make_list_option(name, spellings, help, "Data", flag.form or owners[0].form, flag.complete)
            who = "source " + " and ".join(owner.name for owner in owners)
            if options.add(option, spellings, f"{who} as {role}", make_variable_name(flag.flag)):
                options.sources[name] = SourceOption(role, flag, tuple(owner.name for owner in owners))


def add_parameters(options: ComposedOptions, workload: Workload) -> None:
    """The workload's parameters."""
    owner = f"workload {workload.name}"
    _add_declared(options, workload.parameters, PARAMETER_PREFIX, f"Parameters of {workload.name}", owner)


def add_settings(options: ComposedOptions, platform: Platform) -> None:
    """The platform's settings."""
    owner = f"platform {platform.name}"
    _add_declared(options, platform.settings, SETTING_PREFIX, f"Settings of {owner}", owner)


def add_set(options: ComposedOptions, complete: Callable[[str], list[str]]) -> None:
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
    parameter = inspect.Parameter(SET_NAME, kind, default=None, annotation=Annotated[list[str] | None, option])
    options.add(parameter, ("--set",))


def _add_declared(options: ComposedOptions, declared: type, prefix: str, panel: str, owner: str) -> None:
    for parameter in get_parameters(declared):
        name = prefix + parameter.name
        if parameter.is_switch:
            both = f"{parameter.flag}/--no-{parameter.flag[2:]}"
            option = make_switch(name, (both, *parameter.flags[1:]), format_option_help(parameter), panel)
            flags = (*both.split("/"), *parameter.flags[1:])
        else:
            metavar = format_metavar(parameter)
            option = make_text_option(
                name, parameter.flags, format_option_help(parameter), panel, metavar, parameter.choices
            )
            flags = parameter.flags
        if not options.add(option, flags, owner, parameter.env[0]):
            continue
        options.declared[name] = parameter
        if parameter.param.off:
            same = f"the same as {parameter.flag} {parameter.param.off_value}"
            options.add(
                make_switch(OFF_PREFIX + name, (parameter.param.off,), same, panel), (parameter.param.off,), owner
            )


def format_metavar(parameter: Parameter) -> str:
    """What help shows after the flag: in brackets where it may be left out."""
    return f"[{parameter.metavar}]" if parameter.param.bare_value else parameter.metavar


def format_option_help(parameter: Parameter) -> str:
    """The help text, with the default and the environment names it is read from."""
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
    if parameter.param.env:
        notes.append(f"env: {', '.join(parameter.param.env)}")
    return parameter.param.help + (f"  [{'; '.join(notes)}]" if notes else "")


def list_flags(declared: type) -> Iterator[str]:
    """Every spelling that a declaration's options have."""
    for parameter in get_parameters(declared):
        yield from parameter.flags
        if parameter.is_switch:
            yield f"--no-{parameter.flag[2:]}"
        if parameter.param.off:
            yield parameter.param.off


def fill_optional_values(args: Sequence[str], options: ComposedOptions, is_word: Callable[[str], bool]) -> list[str]:
    """`args` with a value after each option that stands alone and may: at the end, before a flag or before a word."""
    alone = {
        flag: one.param.bare_value for one in options.declared.values() if one.param.bare_value for flag in one.flags
    }
    found: list[str] = []
    for index, argument in enumerate(args):
        found.append(argument)
        if argument in alone:
            after = args[index + 1] if index + 1 < len(args) else "-"
            if after.startswith("-") or is_word(after):
                found.append(alone[argument])
    return found
