"""Problems of unknown words and options of a job command, with suggestions."""

import os
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain.cli.choice import Choice, is_job_file, load_or_none
from robotrain.cli.command_factory import load_command
from robotrain.cli.options import ComposedOptions, list_flags
from robotrain.config.provenance import DEFAULT_ORIGIN
from robotrain.errors import Problem, Suggestion, find_nearest_name, make_usage_problem, suggest_name
from robotrain.plugins.claims import read_claims
from robotrain.redaction import holds_secret, redact

if TYPE_CHECKING:
    from robotrain.plugins.manager import Plugins

GLOBAL_SWITCHES = ("--no-plugins", "--strict-plugins", "--without", "--plugins-from")
"""Options of `robotrain` itself, which stand before the command."""
JOB_COMMANDS = ("submit", "render", "explain")


def find_unknown_words(
    words: Sequence[str], choice: Choice, options: ComposedOptions, plugins: "Plugins"
) -> Iterator[Problem]:
    """Find unknown options, each with its owner or the nearest name, and words that are no workload or job file."""
    unknown, plain = _split_words(words)
    without_file = [flag for flag, value in unknown.items() if not is_job_file(value)]
    by_workload = group_by_other_workload(without_file, choice, plugins)
    misspelled = {near for word in plain if (near := find_nearest_name(word, plugins.list_names("workload")))}
    yield from (
        make_other_workload_problem(name, flags, choice)
        for name, flags in by_workload.items()
        if name not in misspelled
    )
    reported = {flag for flags in by_workload.values() for flag in flags}
    for flag, value in unknown.items():
        if flag not in reported:
            yield _make_unknown_option_problem(flag, value, choice, options, plugins)
    workloads = [word for word in plain if word in plugins.list_names("workload")]
    files = [word for word in plain if is_job_file(word)]
    for names in (workloads, files):
        if len(names) > 1:
            title = f"only one job at a time: you named {redact(names[0])} and {redact(names[1])}"
            yield make_usage_problem("word-repeated", title)
    for word in plain:
        if word not in workloads and word not in files:
            yield explain_unknown_word(word, choice, plugins)


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


def _make_unknown_option_problem(
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
        return explain_file_option(flag, value)
    elif owners := list(find_option_owners(flag, choice, plugins)):
        here = f"{choice.workload} on {choice.platform}" if choice.platform else choice.workload
        title = f"{flag} is an option of {' and '.join(map(' '.join, owners))}, not of {here}"
        ways = [f"--platform {name}" if family == "platform" else name for family, name in owners]
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
    return make_usage_problem(code, title, flag, why, suggestions=map(Suggestion, ways))


def _describe_excluded_kinds(without: Sequence[str]) -> str:
    """Return a sentence about excluded source kinds, whose options are missing; empty without any."""
    kinds = [claim for claim in read_claims() if claim.family == "source"] if without else []
    off = {claim.dotted: name for claim in kinds for name in without if claim.matches(name)}
    words = " ".join(f"--without {name}" for name in dict.fromkeys(off.values()))
    return f"The options of {', '.join(off)} are switched off by {words}." if off else ""


def _find_command_with(flag: str) -> str | None:
    """Return the command over a job that has this option as its own."""
    for command in JOB_COMMANDS:
        options = ComposedOptions()
        load_command(command).add_own_options(options)
        if flag in options.flags:
            return command
    return None


def find_option_owners(flag: str, choice: Choice, plugins: "Plugins") -> Iterator[tuple[str, str]]:
    """Yield family and name of the platforms and workloads that have an option; the chosen ones are left out."""
    for name, platform in plugins.platforms().items():
        if name != choice.platform and flag in list_flags(platform.settings):
            yield "platform", name
    for name, workload in plugins.workloads().items():
        if name != choice.workload and flag in list_flags(workload.parameters):
            yield "workload", name


def find_flag_owner(flag: str, plugins: "Plugins") -> str:
    """Return whose option a flag is, in words, among all that stand beside a source's; empty for nobody's."""
    nothing, train_eval = Choice("", ""), "train-eval"
    commands = {name: load_command(name) for name in (*JOB_COMMANDS, "sweep")}
    commands[f"pipeline {train_eval}"] = load_command("pipeline").commands[train_eval]
    for name, command in commands.items():
        if flag in command.compose_own(nothing, plugins).flags:
            return f"`robotrain {name}`"
    for kind in plugins.source_kinds().values():
        if any(flag in (one.flag, *one.aliases) for one in kind.roles.values()):
            return f"source kind {kind.name}"
    return " ".join(next(find_option_owners(flag, nothing, plugins), ()))


def group_by_other_workload(unknown: Sequence[str], choice: Choice, plugins: "Plugins") -> dict[str, list[str]]:
    """Return the unknown options that belong to exactly one other workload, by its name.

    One that several have belongs to the one that another option already names.
    """
    groups: dict[str, list[str]] = {}
    chosen = (load_or_none(plugins.platform, choice.platform), load_or_none(plugins.workload, choice.workload))
    hints = {flag for plugin in chosen if plugin for flag in plugin.option_hints}
    owners = {flag: list(find_option_owners(flag, choice, plugins)) for flag in unknown if flag not in hints}
    names = {
        flag: [name for _, name in found]
        for flag, found in owners.items()
        if all(family == "workload" for family, _ in found)
    }
    for flag, found in names.items():
        if len(found) == 1:
            groups.setdefault(found[0], []).append(flag)
    for flag, found in names.items():
        meant = [name for name in found if name in groups]
        if len(found) > 1 and len(meant) == 1:
            groups[meant[0]].append(flag)
    return groups


def make_other_workload_problem(name: str, flags: Sequence[str], choice: Choice) -> Problem:
    """Return the problem of options that belong to a workload that was not chosen."""
    names = list(dict.fromkeys(map(redact, flags)))
    verb = "is an option" if len(names) == 1 else "are options"
    is_default = choice.origins[0] == DEFAULT_ORIGIN
    rest = f"; the default workload is {choice.workload}" if is_default else f", not of {choice.workload}"
    title = f"{', '.join(names)} {verb} of workload {name}{rest}"
    ways = [Suggestion(f"robotrain submit {name} …")]
    return make_usage_problem("workload-elsewhere", title, names[0], suggestions=ways)


def is_other_workload_meant(problems: Iterable[Problem], choice: Choice) -> bool:
    """Whether the user seems to mean another workload than the default, or a job on stdin: only that is reported."""
    codes = {problem.code for problem in problems}
    is_other = choice.origins[0] == DEFAULT_ORIGIN and not codes.isdisjoint(("workload-elsewhere", "workload-misspelt"))
    return is_other or "standard-input" in codes


def explain_unknown_word(word: str, choice: Choice, plugins: "Plugins") -> Problem:
    """Return the problem of a word that is neither a workload nor a job file."""
    if word == "-" or word.startswith(("/dev/stdin", "/dev/fd/")):
        title = "a job is read from a file, not from standard input"
        return make_usage_problem("standard-input", title, suggestions=[Suggestion("robotrain submit job.yaml")])
    workloads = plugins.list_names("workload")
    of_kind = [name for name in workloads if name.endswith(f"-{word}")]
    meanings = tuple(_suggest_meanings(word, choice, plugins))
    near = () if meanings and "/" in word else tuple(map(Suggestion, of_kind)) or suggest_name(word, workloads)
    title = f"{redact(word)!r} is neither a workload nor a job file"
    why = f"Workloads: {', '.join(workloads)}; a job file ends in .yaml."
    return make_usage_problem(
        "workload-misspelt" if near else "word-unknown", title, why=why, suggestions=near or meanings
    )


def _suggest_meanings(word: str, choice: Choice, plugins: "Plugins") -> Iterator[Suggestion]:
    """Yield what a word may stand for: a platform, a folder, an address, or a value; secrets are not repeated."""
    from robotrain.config.starter_files import JOB_FILE

    folder = Path(word)
    if word in plugins.list_names("platform"):
        yield Suggestion(f"--platform {word}")
    elif holds_secret(word):
        return
    elif "=" in word and (values := list(_suggest_value(word, choice, plugins))):
        yield from values
    elif (folder / JOB_FILE).is_file():
        yield Suggestion(shlex.quote(str(folder / JOB_FILE)), "the job file in this folder")
    elif folder.is_dir() or "/" in word:
        yield from _suggest_source(word, choice, plugins)


def _suggest_source(word: str, choice: Choice, plugins: "Plugins") -> Iterator[Suggestion]:
    """Yield the flags of the workload that take a folder or an address."""
    workload = load_or_none(plugins.workload, choice.workload)
    address = os.path.abspath(word) if Path(word).is_dir() else word
    for role in workload.roles if workload else ():
        for kind in plugins.source_kinds().values():
            if role in kind.roles and kind.recognizes(address):
                yield Suggestion(f"{kind.roles[role].flag} {shlex.quote(word)}")


def _suggest_value(word: str, choice: Choice, plugins: "Plugins") -> Iterator[Suggestion]:
    """Yield how a `NAME=VALUE` is given: by its name in a job file, or as an option of the program."""
    from robotrain.config import overrides
    from robotrain.config.trainer_args import find_option_of_program

    workload = load_or_none(plugins.workload, choice.workload)
    platform = load_or_none(plugins.platform, choice.platform)
    name, _, value = word.partition("=")
    if name in overrides.list_override_keys(workload, platform, plugins.source_kinds()):
        yield Suggestion(f"--set {shlex.quote(word)}")
    elif workload and workload.get_option_name(word):
        yield Suggestion(f"-- {shlex.quote(word)}")
    elif workload and (option := find_option_of_program(workload.option_finder, f"--{name}", value)):
        yield Suggestion(f"-- {shlex.quote(option)}")


def explain_file_option(flag: str, file: str) -> Problem:
    """Return the problem of a job file that was given for an option that does not exist."""
    way = Suggestion(f"robotrain submit {shlex.quote(file)} …")
    return make_usage_problem(
        "option-unknown", f"the job file is a word, not the value of {flag}", flag, suggestions=[way]
    )
