"""Usage errors: what is wrong in a line itself, with whose option it is, and the nearest name."""

import importlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from typer.main import get_command

from robotrain.cli.command_factory import load_command
from robotrain.cli.options import OFF_TABLE, ComposedOptions, is_flag, list_flags
from robotrain.command_table import COMMANDS
from robotrain.config.selection import Choice, is_job_file
from robotrain.config.values import DASHES, PARAM_FLAG, SET_FLAG
from robotrain.errors import Problem, Suggestion
from robotrain.messages import Messages
from robotrain.model.workload import Workload
from robotrain.nearest_name import suggest_name, suggest_path
from robotrain.plugins.manager import Plugins
from robotrain.redaction import redact, remember_secrets

make_problem = Messages(__file__)

NEGATIVE_NUMBER = re.compile(r"-[\d.]+(?:e-?\d+)?")
OTHER_MEANT = ("file-command", "option-unknown.elsewhere", "word-unknown")
"""Messages that say that another workload is probably meant than the default."""
PLACEHOLDER = re.compile(r"\{[A-Za-z_]\w*\}")


def explain(error: Any, plugins: Plugins) -> Problem:
    """Return the problem of an error of the parser, which has its context."""
    context: Any = error.ctx
    parameter: Any = getattr(error, "param", None)
    flag = redact(getattr(error, "option_name", None) or "")
    if parameter and parameter.param_type_name == "option":
        flag = max(parameter.opts, key=len)
    path = " ".join(["robotrain", *context.command_path.split()[1:]])
    command = f"`{path}`"
    if type(error).__name__ == "NoSuchOption":
        params = context.command.get_params(context)
        flags = [spelling for param in params for spelling in (*param.opts, *param.secondary_opts)]
        forms = [f"{SET_FLAG} {param.metavar}" for param in params if SET_FLAG in param.opts]
        ways = suggest_name(flag, flags)
        owners = [] if ways else list_flag_owners(plugins).get(flag, [])
        reason = ""
        if owners and context.parent is None:
            reason = "Only robotrain's own options stand before the command."
        elif forms and any(owner.startswith(("platform ", "workload ")) for owner in owners):
            ways = (Suggestion(forms[0], "changes a value of the job"),)
        elif not ways and not owners:
            ways = (Suggestion(f"{path} --help", "explains its options"),)
        return make_unknown_option_problem(flag, command, owners, *ways, reason=reason)
    title = redact(error.format_message().rstrip("."))
    help_text = (getattr(parameter, "help", None) or "").partition("  [")[0]
    pieces = [piece for piece in context.command.collect_usage_pieces(context) if piece != "[OPTIONS]"]
    is_incomplete = type(error).__name__ in ("MissingParameter", "UsageError")
    ways = (Suggestion(" ".join([path, *pieces])),) if is_incomplete else ()
    return make_problem("usage", *ways, where=flag, title=f"{command}: {title[:1].lower()}{title[1:]}", why=help_text)


def list_flag_owners(plugins: Plugins) -> dict[str, list[str]]:
    """Return whose each option is, in words: platforms, workloads, and commands that have it whatever the job is."""
    owners: dict[str, list[str]] = {}

    def add(owner: str, flags: Iterable[str]) -> None:
        for flag in flags:
            owners.setdefault(flag, []).append(owner)

    for name, platform in plugins.platforms().items():
        add(f"platform {name}", list_flags(platform.settings))
    kinds = plugins.source_kinds().values()
    for name, workload in plugins.workloads().items():
        inputs = [kind.roles[role] for kind in kinds for role in workload.roles.keys() & kind.roles.keys()]
        input_flags = {flag for role in inputs for flag in (role.flag, *role.aliases)}
        own_flags = [PARAM_FLAG] if workload.own_command else []
        add(f"workload {name}", [*own_flags, *input_flags, *list_flags(workload.parameters)])
    app = importlib.import_module("robotrain.cli.app").app
    add("`robotrain`, before the command", (flag for param in get_command(app).params for flag in param.opts))
    for name in COMMANDS:
        command = load_command(name)
        members = {f"{name} {key}": member for key, member in getattr(command, "commands", {}).items()}
        for path, member in (members or {name: command}).items():
            if hasattr(member, "compose_own"):  # a job command, whose other options depend on the job
                add(f"`robotrain {path}`", member.compose_own(Choice("", ""), plugins).flags)
            else:
                add(
                    f"`robotrain {path}`",
                    (flag for param in member.params for flag in (*param.opts, *param.secondary_opts)),
                )
    return owners


def make_unknown_option_problem(
    flag: str, command: str, owners: Sequence[str], *ways: Suggestion, reason: str = ""
) -> Problem:
    """Return the problem of an option that a command does not have, and that `owners` have."""
    if not owners or reason:
        return make_problem("option-unknown", *ways, where=flag, command=command, why=reason)
    return make_problem("option-unknown.elsewhere", *ways, where=flag, command=command, owners=", ".join(owners))


def find_unknown_words(
    words: Sequence[str], choice: Choice, options: ComposedOptions, plugins: Plugins
) -> Iterator[Problem]:
    """Find unknown options, each with its owners or the nearest name, and words that are no workload or job file."""
    remember_secrets(words)
    unknown_flags, plain_words = split_words(words)
    workloads = plugins.list_names("workload")
    workload = plugins.workloads().get(choice.workload)
    owners = list_flag_owners(plugins) if unknown_flags else {}
    program = choice.program or (workload.program if workload else "")
    for flag in unknown_flags:
        is_of_program = bool(choice.program or (workload and workload.own_command))
        flag_owners = [] if is_of_program else owners.get(flag, [])
        ways = () if flag_owners else suggest_name(flag, options.flags)
        reason = (
            "" if flag_owners or ways or not program else f"Options of {redact(program)} itself stand after `{DASHES}`."
        )
        yield make_unknown_option_problem(redact(flag), _describe_choice(choice), flag_owners, *ways, reason=reason)
    for same_sort in ([word for word in plain_words if word in workloads], [*filter(is_job_file, plain_words)]):
        if len(same_sort) > 1:
            yield make_problem("word-repeated", first=redact(same_sort[0]), second=redact(same_sort[1]))
    for word in plain_words:
        if word not in workloads and word != choice.program and not is_job_file(word):
            is_platform = word in plugins.list_names("platform")
            ways = (Suggestion(f"--platform {word}"),) if is_platform else suggest_name(word, workloads)
            yield make_problem("word-unknown", *ways, given=word, word=redact(word), workloads=", ".join(workloads))


def find_missing_program(
    choice: Choice, workload: Workload, values: Mapping[str, Any], options: ComposedOptions
) -> Iterator[Problem]:
    """Find a program file that is not there, unless something else says where the code is."""
    path = Path(choice.program).expanduser()
    code_names = [name for name, option in options.sources.items() if workload.roles[option.role].is_program]
    has_code = choice.file or any(map(values.get, code_names))
    if choice.program and not has_code and not path.is_file():
        name, folder = redact(choice.program), redact(str(Path.cwd()))
        yield make_problem("program-missing", *suggest_path(path), given=choice.program, name=name, folder=folder)


def find_program_of_file(choice: Choice, workload: Workload, plugins: Plugins) -> Iterator[Problem]:
    """Find a job file that starts a program and names no workload, where the default one runs none of the user's."""
    arguments = (choice.file.arguments if choice.file else None) or ()
    if arguments and not workload.own_command and not str(arguments[0].value).startswith("-"):
        ways = [Suggestion(f"workload: {name}") for name, other in plugins.workloads().items() if other.own_command]
        program, where = redact(str(arguments[0].value)), arguments[0].origin.where
        yield make_problem("file-command", *ways, where=where, program=program, name=workload.name)


def _describe_choice(choice: Choice) -> str:
    return f"{choice.workload} on {choice.platform}" if choice.platform else choice.workload or "robotrain"


def split_words(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Return unknown options with their values, and words; a word right after an unknown option is its value."""
    unknown_options: dict[str, str] = {}
    plain_words: list[str] = []
    waiting = ""
    for word in words:
        is_number = bool(waiting) and NEGATIVE_NUMBER.fullmatch(word)
        if word.startswith("-") and word != "-" and not is_number:
            name, equals, unknown_options[name] = word.partition("=")
            waiting = "" if equals else name
        elif waiting:
            unknown_options[waiting], waiting = word, ""
        else:
            plain_words.append(word)
    return unknown_options, plain_words


def find_placeholders(values: Mapping[str, Any], workload: Workload, options: ComposedOptions) -> Iterator[Problem]:
    """Find options of robotrain whose value is a placeholder of the user's command: `--seed '{seed}'`."""
    for name, value in values.items() if workload.own_command else ():
        parameter = options.declared.get(name)
        takes_placeholder = parameter and str(value) in parameter.param.help
        if isinstance(value, str) and PLACEHOLDER.fullmatch(value) and not takes_placeholder:
            yield make_problem("placeholder-misplaced", where=_get_canonical_flag(name, options), given=value)


def find_swallowed_flags(option_values: Mapping[str, Any], options: ComposedOptions) -> Iterator[Problem]:
    """Find flags that were parsed as the value of the flag before them."""
    for flag, name in options.flags.items():
        option_value = option_values.get(name)
        if not option_value or flag != _get_canonical_flag(name, options):
            continue
        metavar = next((option.metavar for option in options.options if option.name == name), None)
        for value_text in option_value if isinstance(option_value, (list, tuple)) else [option_value]:
            if is_flag(value_text, options):
                ways = [Suggestion(f"{flag} {metavar}")] if metavar else []
                yield make_problem("flag-without-value", *ways, where=flag, word=redact(value_text.partition("=")[0]))


def find_unread_inputs(problems: Sequence[Problem], options: ComposedOptions, workload: Workload) -> frozenset[str]:
    """Return the parameters and roles that usage problems are about, by the flags that these name or suggest."""
    suggested_flags = (way.text.partition(" ")[0] for problem in problems for way in problem.suggestions)
    flags = [*(problem.where for problem in problems), *suggested_flags]
    option_names = {options.flags.get(flag, "") for flag in flags}
    parameter_names = {options.declared[name].name for name in option_names if name in options.declared}
    roles = {options.sources[name].role for name in option_names if name in options.sources}
    if any(problem.code == "program-missing" for problem in problems):
        roles |= {role for role, rule in workload.roles.items() if rule.is_program}
    return frozenset(parameter_names | roles)


def find_repeated_options(order: Sequence[str], options: ComposedOptions) -> Iterator[Problem]:
    """Find options that take one value and are given several times."""
    repeatable = {"words", *(option.name for option in options.options if option.repeatable)}
    for name in dict.fromkeys(order):
        flag = _get_canonical_flag(name, options)
        if order.count(name) > 1 and name not in repeatable:
            spellings = ", ".join(spelling for spelling, owner in options.flags.items() if owner == name)
            yield make_problem("option-repeated", where=flag, spellings=spellings, count=order.count(name))
        if (off_name := f"{OFF_TABLE}.{name}") in order:
            yield make_problem(
                "options-conflict.contradiction", both=f"{flag} and {_get_canonical_flag(off_name, options)}"
            )


def find_option_clashes(options: ComposedOptions) -> Iterator[Problem]:
    """Find flags and environment names that two owners claim."""
    for spelling, owners in options.clashes:
        yield make_problem("names-clash", where=spelling, both=" and ".join(owners))


def check_save_path(save_as: str | None) -> Iterator[Problem]:
    """Check the path of a new job file, as far as possible before there is a job."""
    path = Path(save_as or "")
    if save_as and not is_job_file(save_as):
        yield make_problem("file-unsuitable.ending", stem=redact(path.stem))
    elif save_as and not path.absolute().parent.is_dir():
        yield make_problem("file-unsuitable.folder")


def _get_canonical_flag(name: str, options: ComposedOptions) -> str:
    return next((flag for flag, owner in options.flags.items() if owner == name), name)
