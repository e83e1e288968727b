"""Values collected from the command line, and problems for every mistake in it."""

import dataclasses
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robotrain.cli import unknown_words
from robotrain.cli.options import (
    OFF_PREFIX,
    SET_NAME,
    SOURCE_PREFIX,
    Choice,
    ComposedOptions,
    is_job_file,
    list_flags,
    load_or_none,
)
from robotrain.config.provenance import DEFAULT_ORIGIN, Origin, Value
from robotrain.errors import Problem, Suggestion, find_nearest_name, suggest_name, usage_problem
from robotrain.plugins.claims import read_claims
from robotrain.plugins.failures import suggest_exclusion
from robotrain.redaction import redact

if TYPE_CHECKING:
    from robotrain.config.request import SourceText
    from robotrain.plugins.failures import PluginError
    from robotrain.plugins.manager import Plugins

GLOBAL_SWITCHES = ("--no-plugins", "--strict-plugins", "--without", "--plugins-from")
"""Options of `robotrain` itself, which stand before the command."""


PLACEHOLDERS = ("PLATFORM", "NAME")
"""What stands for the name of a platform in help and documents."""


def collect_values(option_values: dict[str, Any], options: ComposedOptions, prefix: str) -> dict[str, Value]:
    """Return the values of declared options, as raw text by field name."""
    collected = {}
    for name, parameter in options.declared.items():
        if not name.startswith(prefix):
            continue
        if option_values.get(OFF_PREFIX + name):
            collected[parameter.name] = Value(parameter.param.off_value, Origin("flag", parameter.param.off))
        value = option_values.get(name)
        if isinstance(value, bool):
            flag = parameter.flag if value else f"--no-{parameter.flag[2:]}"
            collected[parameter.name] = Value("true" if value else "false", Origin("flag", flag))
        elif value is not None and not is_flag(value, options):
            collected[parameter.name] = Value(value, Origin("flag", parameter.flag))
    return collected


def collect_sources(
    option_values: dict[str, Any], order: Sequence[str], options: ComposedOptions
) -> "Iterator[SourceText]":
    """Yield the sources in the order typed, across different flags."""
    from robotrain.config.request import SourceText

    queues = {name: iter(option_values.get(name) or ()) for name in options.sources}
    for name in order:
        if name.startswith(SOURCE_PREFIX):
            option = options.sources[name]
            origin = Origin("flag", option.flag.flag)
            text = next(queues[name])
            yield SourceText(role=option.role, kinds=option.kinds, text=text, origin=origin, base=Path.cwd())


def find_swallowed_flags(option_values: dict[str, Any], options: ComposedOptions) -> Iterator[Problem]:
    """Find flags that were parsed as the value of the flag before them."""
    for flag, name in options.flags.items():
        if name not in option_values or flag != _canonical_flag(name, options):
            continue
        value = option_values[name]
        for text in value if isinstance(value, (list, tuple)) else [value]:
            if is_flag(text, options):
                title = f"{flag} needs a value, but the next word is {redact(text.partition('=')[0])}"
                yield usage_problem("flag-without-value", title, flag)


def is_flag(text: object, options: ComposedOptions) -> bool:
    """Whether a value is in fact a flag, because the value was forgotten."""
    return isinstance(text, str) and (text in options.flags or text.startswith("--"))


def find_unread_inputs(problems: Iterable[Problem], options: ComposedOptions) -> frozenset[str]:
    """Return the parameters and roles that usage problems are about, by the flags that these name or suggest."""
    texts = [text for problem in problems for text in (problem.where, *(way.text for way in problem.suggestions))]
    names = {options.flags.get(text.partition(" ")[0], "") for text in texts}
    declared = {options.declared[name].name for name in names if name in options.declared}
    return frozenset(declared | {options.sources[name].role for name in names if name in options.sources})


def find_repeated_options(order: Sequence[str], options: ComposedOptions) -> Iterator[Problem]:
    """Find options that take one value and are given several times."""
    for name in dict.fromkeys(order):
        if order.count(name) > 1 and name not in ("words", SET_NAME, "over") and not name.startswith(SOURCE_PREFIX):
            flag = _canonical_flag(name, options)
            title = f"{flag} is given {order.count(name)} times; it takes one value"
            yield usage_problem("option-repeated", title, flag)
        if OFF_PREFIX + name in order:
            both = f"{_canonical_flag(name, options)} and {_canonical_flag(OFF_PREFIX + name, options)}"
            yield usage_problem("options-conflict", f"{both} contradict each other")


def find_unknown_words(
    words: Sequence[str], choice: Choice, options: ComposedOptions, plugins: "Plugins"
) -> Iterator[Problem]:
    """Find unknown options, each with its owner or the nearest name, and words that are no workload or job file."""
    unknown, plain = _split_words(words)
    without_file = [flag for flag, value in unknown.items() if not is_job_file(value)]
    by_workload = group_by_other_workload(without_file, choice, plugins)
    misspelled = {near for word in plain if (near := find_nearest_name(word, plugins.list_names("workload")))}
    yield from (
        workload_elsewhere_problem(name, flags, choice) for name, flags in by_workload.items() if name not in misspelled
    )
    reported = {flag for flags in by_workload.values() for flag in flags}
    for flag, value in unknown.items():
        if flag not in reported:
            yield _unknown_option_problem(flag, value, choice, options, plugins)
    workloads = [word for word in plain if word in plugins.list_names("workload")]
    files = [word for word in plain if is_job_file(word)]
    for names in (workloads, files):
        if len(names) > 1:
            title = f"only one job at a time: you named {redact(names[0])} and {redact(names[1])}"
            yield usage_problem("word-repeated", title)
    for word in plain:
        if word not in workloads and word not in files:
            yield unknown_words.explain_unknown_word(word, choice, plugins)


def _split_words(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Return unknown options with their values, and words; a word right after an unknown option is its value."""
    unknown: dict[str, str] = {}
    plain: list[str] = []
    waiting = ""
    for word in words:
        if word.startswith("-") and word != "-":
            name, equals, unknown[name] = word.partition("=")
            waiting = "" if equals else name
        elif waiting:
            unknown[waiting], waiting = word, ""
        else:
            plain.append(word)
    return unknown, plain


def find_option_clashes(options: ComposedOptions, plugins: "Plugins") -> Iterator[Problem]:
    """Find flags and environment names that two owners claim."""
    for spelling, owners in options.clashes:
        both = " and ".join(owners)
        env = not spelling.startswith("-")
        title = f"{both} both read {spelling}" if env else f"{both} both have an option {spelling}"
        words = [owner.split() for owner in owners]
        plugin_claims = [
            claim
            for claim in plugins.claims
            if not claim.built_in and any(claim.family == family and claim.name in rest for family, *rest in words)
        ]
        origins = "".join(f" {claim} comes from {claim.distribution}." for claim in plugin_claims)
        why = f"Only one can use it; the author of the other has to rename it.{origins}"
        suggestions = [suggest_exclusion(claim) for claim in plugin_claims]
        code = "names-clash" if env else "options-clash"
        yield usage_problem(code, title, spelling, why, suggestions=suggestions)


def find_unknown_tables(choice: Choice, plugins: "Plugins") -> Iterator[Problem]:
    """Find tables of the job file and robotrain.toml for platforms that are not installed."""
    if choice.file:
        from robotrain.config import job_file

        yield from job_file.find_unknown_platforms(choice.file, plugins.list_names("platform"))
    if choice.project:
        from robotrain.config import project_file

        yield from project_file.find_unknown_tables(choice.project, plugins)


def check_save_path(save_as: str | None) -> Iterator[Problem]:
    """Check the path of a new job file, as far as possible before there is a job."""
    path = Path(save_as or "")
    if save_as and not is_job_file(save_as):
        why = "The command line recognizes a job file by this ending."
        title, ways = "the name of a job file ends in .yaml", [Suggestion(f"--save-as {redact(path.stem)}.yaml")]
        yield usage_problem("file-unsuitable", title, "--save-as", why, suggestions=ways)
    elif save_as and not path.absolute().parent.is_dir():
        yield usage_problem("file-unsuitable", "the folder for the job file does not exist", "--save-as")


def platform_missing_problem(plugins: "Plugins") -> Problem:
    """Return the problem of a job without a platform."""
    installed = plugins.list_names("platform")
    why = f"Installed: {', '.join(installed) or 'none'}. ROBOTRAIN_PLATFORM sets one for every command."
    ways = [Suggestion(f"--platform {name}") for name in installed]
    return usage_problem("platform-missing", "no platform was chosen", why=why, suggestions=ways)


def not_loaded_problem(
    family: str,
    name: str,
    error: "PluginError",
    plugins: "Plugins",
    origin: Origin,
    alternatives: tuple[Suggestion, ...] = (),
) -> Problem:
    """Return the problem of a workload or platform that is not installed or fails to load.

    :param alternatives: what else the name may stand for, unless another name is near.
    """
    (problem,) = error.problems
    if family == "platform" and name in PLACEHOLDERS:
        missing = platform_missing_problem(plugins)
        title = f"{name} stands for the name of a platform"
        return dataclasses.replace(missing, code="platform-not-loaded", title=title, where=origin.where, given=name)
    others = [] if origin == DEFAULT_ORIGIN else [known for known in plugins.list_names(family) if known != name]
    near = suggest_name(name, others, prefix="--platform " if family == "platform" else "")
    ways = problem.suggestions
    if error.misspelled:
        ways = near or (*alternatives, *problem.suggestions)
    code = f"{family}-not-loaded"
    return dataclasses.replace(problem, code=code, where=origin.where, given=redact(name), why="", suggestions=ways)


def suggest_platform_settings(flag: str, value: str, plugins: "Plugins") -> tuple[Suggestion, ...]:
    """Suggest the platform settings that other tools call `flag`, with the given value."""
    from robotrain_runtime.contract.parameter import get_parameters

    text = shlex.quote(redact(value))
    return tuple(
        Suggestion(f"--platform {name} {parameter.flag} {text}", "if you mean the kind of machine")
        for name, platform in plugins.platforms().items()
        for parameter in get_parameters(platform.settings)
        if parameter.param.foreign_flag == flag
    )


def _unknown_option_problem(
    flag: str, value: str, choice: Choice, options: ComposedOptions, plugins: "Plugins"
) -> Problem:
    """Return the problem of an unknown option. A suggestion repeats its value only if that is no secret."""
    from robotrain.config.resolve import fill_in_value, replace_managed_option
    from robotrain.config.trainer_args import find_option_of_program

    flag = redact(flag)
    dashed = flag.replace("_", "-")
    platform = load_or_none(plugins.platform, choice.platform)
    workload = load_or_none(plugins.workload, choice.workload)
    code, why, ways = "option-elsewhere", "", list[str]()
    if hints := [(one, hint) for one in (workload, platform) if one and (hint := one.option_hints.get(dashed))]:
        title, why = f"{hints[0][0].name} takes no {flag}", fill_in_value(hints[0][1], value)
        if value and (equal := re.fullmatch(r"use (--[a-z][a-z0-9-]*) [A-Z]+", hints[0][1])):
            why, ways = "", [fill_in_value(equal[1], value)]
    elif is_job_file(value) and not _find_command_with(flag):
        return unknown_words.explain_file_option(flag, value)
    elif owners := list(find_option_owners(flag, choice, plugins)):
        here = f"{choice.workload} on {choice.platform}" if choice.platform else choice.workload
        title = f"{flag} is an option of {' and '.join(owners)}, not of {here}"
        ways = [owner.replace("platform ", "--platform ", 1).removeprefix("workload ") for owner in owners]
    elif command := _find_command_with(flag):
        title, ways = f"{flag} is an option of `robotrain {command}` only", [f"robotrain {command} … {flag}"]
    elif flag in GLOBAL_SWITCHES:
        title, ways = f"{flag} is a global option: put it before the command", [f"robotrain {flag} … submit …"]
    elif workload and flag in workload.managed_options:
        code, title = "option-owned", f"robotrain sets {flag} itself"
        why, ways = replace_managed_option(flag, value, workload)
    elif flag == "--workload":
        known = plugins.list_names("workload")
        title, why = "the workload is a word after the command, not an option", f"Workloads: {', '.join(known)}."
        name = value if value in known else find_nearest_name(value, known) or "WORKLOAD"
        code, ways = "option-unknown", [f"robotrain submit {name} …"]
    elif name := next((name for name, one in plugins.workloads().items() if flag in one.option_hints), ""):
        title = f"there is no option {flag}"
        why = f"With workload {name}: {plugins.workloads()[name].option_hints[flag]}."
    elif dashed != flag and dashed in options.flags:
        code, title, ways = "option-unknown", f"there is no option {flag}", [fill_in_value(dashed, value)]
    elif own := find_option_of_program(workload.option_finder if workload else "", flag, value):
        code, title, ways = "option-unknown", f"robotrain has no option {flag}", [f"-- {own}"]
        why = f"Put options of {workload.program if workload else 'the trainer'} itself after `--`."
    elif "." in flag:
        code, title, ways = "option-unknown", f"robotrain has no option {flag}", [f"-- {flag}=…"]
        why = f"Put options of {workload.program if workload else 'the trainer'} itself after `--`."
    else:
        code, title, why = "option-unknown", f"there is no option {flag}", _describe_excluded_kinds(plugins.without)
        ways = [fill_in_value(way.text, value) for way in suggest_name(flag, options.flags)]
    return usage_problem(code, title, flag, why, suggestions=map(Suggestion, ways))


def _describe_excluded_kinds(without: Sequence[str]) -> str:
    """Return a sentence about excluded source kinds, whose options are missing; empty without any."""
    kinds = [claim for claim in read_claims() if claim.family == "source"] if without else []
    off = {claim.dotted: name for claim in kinds for name in without if claim.matches(name)}
    words = " ".join(f"--without {name}" for name in dict.fromkeys(off.values()))
    return f"The options of {', '.join(off)} are switched off by {words}." if off else ""


JOB_COMMANDS = ("submit", "render", "explain")


def _find_command_with(flag: str) -> str | None:
    """Return the command over a job that has this option as its own."""
    from robotrain.cli.app import load_command

    for command in JOB_COMMANDS:
        options = ComposedOptions()
        load_command(command).add_own_options(options)
        if flag in options.flags:
            return command
    return None


def _canonical_flag(name: str, options: ComposedOptions) -> str:
    return next((flag for flag, owner in options.flags.items() if owner == name), name)


WORKLOAD_PREFIX = "workload "


def find_option_owners(flag: str, choice: Choice, plugins: "Plugins") -> Iterator[str]:
    """Yield the platforms and workloads, in words, that have an option; the chosen ones are left out."""
    declared = {f"platform {name}": one.settings for name, one in plugins.platforms().items()}
    declared |= {f"workload {name}": one.parameters for name, one in plugins.workloads().items()}
    chosen = (f"platform {choice.platform}", f"workload {choice.workload}")
    yield from (owner for owner, one in declared.items() if owner not in chosen and flag in list_flags(one))


def find_flag_owner(flag: str, plugins: "Plugins") -> str:
    """Return whose option a flag is, in words, among all that stand beside a source's; empty for nobody's."""
    from robotrain.cli.app import load_command

    nothing, train_eval = Choice("", ""), "train-eval"
    commands = {name: load_command(name) for name in (*JOB_COMMANDS, "sweep")}
    commands[f"pipeline {train_eval}"] = load_command("pipeline").commands[train_eval]
    for name, command in commands.items():
        if flag in command.compose_own(nothing, plugins).flags:
            return f"`robotrain {name}`"
    for kind in plugins.source_kinds().values():
        if any(flag in (one.flag, *one.aliases) for one in kind.roles.values()):
            return f"source kind {kind.name}"
    return next(find_option_owners(flag, nothing, plugins), "")


def group_by_other_workload(unknown: Sequence[str], choice: Choice, plugins: "Plugins") -> dict[str, list[str]]:
    """Return the unknown options that belong to exactly one other workload, by its name.

    One that several have belongs to the one that another option already names.
    """
    groups: dict[str, list[str]] = {}
    chosen = (load_or_none(plugins.platform, choice.platform), load_or_none(plugins.workload, choice.workload))
    hints = {flag for plugin in chosen if plugin for flag in plugin.option_hints}
    owners = {flag: list(find_option_owners(flag, choice, plugins)) for flag in unknown if flag not in hints}
    names = {
        flag: [name.removeprefix(WORKLOAD_PREFIX) for name in found]
        for flag, found in owners.items()
        if all(name.startswith(WORKLOAD_PREFIX) for name in found)
    }
    for flag, found in names.items():
        if len(found) == 1:
            groups.setdefault(found[0], []).append(flag)
    for flag, found in names.items():
        meant = [name for name in found if name in groups]
        if len(found) > 1 and len(meant) == 1:
            groups[meant[0]].append(flag)
    return groups


def workload_elsewhere_problem(name: str, flags: Sequence[str], choice: Choice) -> Problem:
    """Return the problem of options that belong to a workload that was not chosen."""
    names = list(dict.fromkeys(map(redact, flags)))
    verb = "is an option" if len(names) == 1 else "are options"
    is_default = choice.origins[0] == DEFAULT_ORIGIN
    rest = f"; the default workload is {choice.workload}" if is_default else f", not of {choice.workload}"
    title = f"{', '.join(names)} {verb} of workload {name}{rest}"
    ways = [Suggestion(f"robotrain submit {name} …")]
    return usage_problem("workload-elsewhere", title, names[0], suggestions=ways)


def is_other_workload_meant(problems: Iterable[Problem], choice: Choice) -> bool:
    """Whether the workload is the default and the user seems to mean another; then only that is reported."""
    codes = ("workload-elsewhere", "workload-misspelt")
    return choice.origins[0] == DEFAULT_ORIGIN and any(problem.code in codes for problem in problems)
