"""Values collected from a command line, and every mistake of usage as a problem."""

import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from robotrain.config.request import DEFAULT_ORIGIN, Origin, Value
from robotrain.errors import Problem, Stage, Suggestion, find_nearest_name, suggest_name
from robotrain.plugins.errors import suggest_exclusion
from robotrain.redaction import redact

if TYPE_CHECKING:
    from robotrain.config.request import SourceText
    from robotrain.plugins.errors import PluginError
    from robotrain.plugins.manager import Plugins

GLOBAL_SWITCHES = ("--no-plugins", "--strict-plugins", "--without", "--plugins-from")
"""Those that hold for every command."""


def collect_values(option_values: dict[str, Any], options: ComposedOptions, prefix: str) -> dict[str, Value]:
    """The given values of declared options, as raw text by field name."""
    found = {}
    for name, parameter in options.declared.items():
        if not name.startswith(prefix):
            continue
        if option_values.get(OFF_PREFIX + name):
            found[parameter.name] = Value(parameter.param.off_value, Origin("flag", parameter.param.off))
        value = option_values.get(name)
        if isinstance(value, bool):
            flag = parameter.flag if value else f"--no-{parameter.flag[2:]}"
            found[parameter.name] = Value("true" if value else "false", Origin("flag", flag))
        elif value is not None and not is_flag(value, options):
            found[parameter.name] = Value(value, Origin("flag", parameter.flag))
    return found


def collect_sources(
    option_values: dict[str, Any], order: Sequence[str], options: ComposedOptions
) -> "Iterator[SourceText]":
    """The sources in the order typed, across different flags."""
    from robotrain.config.request import SourceText

    queues = {name: iter(option_values.get(name) or ()) for name in options.sources}
    for name in order:
        if name.startswith(SOURCE_PREFIX):
            option = options.sources[name]
            origin = Origin("flag", option.flag.flag)
            text = next(queues[name])
            yield SourceText(role=option.role, kinds=option.kinds, text=text, origin=origin, base=Path.cwd())


def find_swallowed_flags(option_values: dict[str, Any], options: ComposedOptions) -> Iterator[Problem]:
    """Flags that were taken as the value of the flag before them."""
    for flag, name in options.flags.items():
        if name not in option_values or flag != _canonical_flag(name, options):
            continue
        value = option_values[name]
        for text in value if isinstance(value, list) else [value]:
            if is_flag(text, options):
                taken = redact(text.partition("=")[0])
                yield _usage_problem(
                    "flag-without-value", f"{flag} needs a value, and {taken} stands in its place", flag
                )


def is_flag(text: object, options: ComposedOptions) -> bool:
    """Whether a value is no value but a flag, whose own was forgotten."""
    return isinstance(text, str) and (text in options.flags or text.startswith("--"))


def find_unread_inputs(problems: Iterable[Problem], options: ComposedOptions) -> frozenset[str]:
    """The parameters and roles that mistakes of usage are about, by the flags they stand at or offer."""
    texts = [text for problem in problems for text in (problem.where, *(way.text for way in problem.suggestions))]
    names = {options.flags.get(text.partition(" ")[0], "") for text in texts}
    declared = {options.declared[name].name for name in names if name in options.declared}
    return frozenset(declared | {options.sources[name].role for name in names if name in options.sources})


def find_repeated_options(order: Sequence[str], options: ComposedOptions) -> Iterator[Problem]:
    """Options given more than once that take one value."""
    for name in dict.fromkeys(order):
        if order.count(name) > 1 and name not in ("words", SET_NAME) and not name.startswith(SOURCE_PREFIX):
            flag = _canonical_flag(name, options)
            yield _usage_problem(
                "option-repeated", f"{flag} is given {order.count(name)} times; it takes one value", flag
            )
        if OFF_PREFIX + name in order:
            both = f"{_canonical_flag(name, options)} and {_canonical_flag(OFF_PREFIX + name, options)}"
            yield _usage_problem("options-conflict", f"{both} contradict each other")


def find_unknown_words(
    words: Sequence[str], choice: Choice, options: ComposedOptions, plugins: "Plugins"
) -> Iterator[Problem]:
    """Unknown options, each with its owner or the nearest name, and words that are neither workload nor job file."""
    unknown, plain = _split_words(words)
    strangers = group_by_other_workload(unknown, choice, plugins)
    meant = {near for word in plain if (near := find_nearest_name(word, plugins.list_names("workload")))}
    yield from (
        workload_elsewhere_problem(name, flags, choice) for name, flags in strangers.items() if name not in meant
    )
    told = {flag for flags in strangers.values() for flag in flags}
    for flag in unknown:
        if flag not in told:
            yield _unknown_option_problem(flag, choice, options, plugins)
    workloads = [word for word in plain if word in plugins.list_names("workload")]
    files = [word for word in plain if is_job_file(word)]
    for several in (workloads, files):
        if len(several) > 1:
            title = f"one job at a time: {redact(several[0])} and {redact(several[1])} are both named"
            yield _usage_problem("word-repeated", title)
    for word in plain:
        if word not in workloads and word not in files:
            yield _unknown_word_problem(word, plugins)


def _split_words(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The names of unknown options, and the words; one right after an unknown option is taken for its value."""
    unknown: list[str] = []
    plain: list[str] = []
    value_follows = False
    for word in words:
        if word.startswith("-") and word != "-":
            unknown.append(word.partition("=")[0])
            value_follows = "=" not in word
        else:
            if not value_follows:
                plain.append(word)
            value_follows = False
    return unknown, plain


def find_option_clashes(options: ComposedOptions, plugins: "Plugins") -> Iterator[Problem]:
    """Options of two owners that cannot be told apart: whichever was meant, half of the people meant the other."""
    for spelling, owners in options.clashes:
        both = " and ".join(owners)
        env = not spelling.startswith("-")
        title = f"{both} both read {spelling}" if env else f"{both} both have an option {spelling}"
        strangers = [claim for claim in plugins.claims if not claim.built_in and _is_claim_of_owner(claim, owners)]
        whose = "".join(f" {claim} comes from {claim.distribution}." for claim in strangers)
        why = f"Only one of them can have it here; the other has to be renamed by who declares it.{whose}"
        ways = [suggest_exclusion(claim) for claim in strangers]
        yield _usage_problem("names-clash" if env else "options-clash", title, spelling, why=why, instead=ways)


def _is_claim_of_owner(claim: Any, owners: Sequence[str]) -> bool:
    """Whether one of the owners, in words, is what a plugin claims."""
    return any(owner.split()[0] == claim.family and claim.name in owner.split() for owner in owners)


def find_unknown_tables(choice: Choice, plugins: "Plugins") -> Iterator[Problem]:
    """Tables of the files for platforms that are not installed here, which may be misspelt."""
    if choice.file:
        from robotrain.config import job_file

        yield from job_file.find_unknown_platforms(choice.file, plugins.list_names("platform"))
    if choice.project:
        from robotrain.config import project_file

        yield from project_file.find_unknown_tables(choice.project, plugins)


def check_save_path(save_as: str | None) -> Iterator[Problem]:
    """What keeps a job file from being written under a name, as far as that shows before there is a job."""
    path = Path(save_as or "")
    if save_as and not is_job_file(save_as):
        why = "That is how a job file is known on the command line."
        ways = (Suggestion(f"--save-as {redact(path.stem)}.yaml"),)
        yield _usage_problem("file-unsuitable", "the name of a job file ends in .yaml", "--save-as", why, ways)
    elif save_as and not path.absolute().parent.is_dir():
        yield _usage_problem("file-unsuitable", "the folder for the job file is not there", "--save-as")


def platform_missing_problem(plugins: "Plugins") -> Problem:
    """Nobody said where it runs."""
    installed = plugins.list_names("platform")
    return Problem(
        code="platform-missing",
        stage=Stage.USAGE,
        title="no platform was chosen",
        why=f"Installed: {', '.join(installed) or 'none'}. ROBOTRAIN_PLATFORM can hold one for every command.",
        suggestions=tuple(Suggestion(f"--platform {name}") for name in installed),
    )


def not_loaded_problem(
    family: str,
    name: str,
    error: "PluginError",
    plugins: "Plugins",
    origin: Origin,
    alternatives: tuple[Suggestion, ...] = (),
) -> Problem:
    """A workload or platform that is not installed, or fails to load. meant: what else the name may be, if no other."""
    (problem,) = error.problems
    others = [] if origin == DEFAULT_ORIGIN else [known for known in plugins.list_names(family) if known != name]
    near = suggest_name(name, others, prefix="--platform " if family == "platform" else "")
    return Problem(
        code=f"{family}-not-loaded",
        stage=problem.stage,
        title=problem.title,
        where=origin.where,
        given=redact(name),
        suggestions=near or (*alternatives, *problem.suggestions)
        if getattr(error, "misspelled", False)
        else problem.suggestions,
    )


def suggest_platform_settings(flag: str, value: str, plugins: "Plugins") -> tuple[Suggestion, ...]:
    """The settings of platforms that other tools give with `flag`, each with what was given."""
    from robotrain_runtime.contract.parameter import get_parameters

    text = shlex.quote(redact(value))
    return tuple(
        Suggestion(f"--platform {name} {parameter.flag} {text}", "if you mean the kind of machine")
        for name, platform in plugins.platforms().items()
        for parameter in get_parameters(platform.settings)
        if parameter.param.foreign_flag == flag
    )


def _unknown_option_problem(flag: str, choice: Choice, options: ComposedOptions, plugins: "Plugins") -> Problem:
    """An option nobody here takes. Only its name is ever repeated: a value may be a secret."""
    flag = redact(flag)
    platform = load_or_none(plugins.platform, choice.platform)
    if platform and flag in platform.option_hints:
        return _usage_problem("option-elsewhere", f"{platform.name} takes no {flag}", flag, why=platform.option_hints[flag])
    workload = load_or_none(plugins.workload, choice.workload)
    if workload and flag in workload.option_hints:
        return _usage_problem(
            "option-elsewhere", f"{workload.name} takes no {flag}", flag, why=workload.option_hints[flag]
        )
    owners = list(find_option_owners(flag, choice, plugins))
    if owners:
        here = f"{choice.workload} on {choice.platform}" if choice.platform else choice.workload
        title = f"{flag} is an option of {' and '.join(owners)}, not of {here}"
        ways = tuple(
            Suggestion(owner.replace("platform ", "--platform ", 1).removeprefix("workload ")) for owner in owners
        )
        return _usage_problem("option-elsewhere", title, flag, instead=ways)
    if command := _find_command_with(flag):
        title = f"{flag} is an option of `robotrain {command}` alone"
        return _usage_problem("option-elsewhere", title, flag, instead=(Suggestion(f"robotrain {command} … {flag}"),))
    if flag in GLOBAL_SWITCHES:
        title = f"{flag} is a switch of robotrain itself, and stands before the command"
        return _usage_problem("option-elsewhere", title, flag, instead=(Suggestion(f"robotrain {flag} … submit …"),))
    if workload and flag in workload.managed_options:
        return _usage_problem(
            "option-owned", f"robotrain sets {flag} itself", flag, instead=[Suggestion(workload.managed_options[flag])]
        )
    for name, other in plugins.workloads().items():
        if flag in other.option_hints:
            why = f"With workload {name}: {other.option_hints[flag]}."
            return _usage_problem("option-elsewhere", f"there is no option {flag}", flag, why=why)
    if "." in flag:
        why = f"Options of {workload.program if workload else 'the trainer'} itself stand after `--`."
        return _usage_problem(
            "option-unknown", f"robotrain has no option {flag}", flag, why=why, instead=(Suggestion(f"-- {flag}=…"),)
        )
    why, near = plugins.describe_excluded_kinds(), suggest_name(flag, options.flags)
    return _usage_problem("option-unknown", f"there is no option {flag}", flag, why=why, instead=near)


JOB_COMMANDS = ("submit", "render", "explain")


def _find_command_with(flag: str) -> str | None:
    """The command over a job that has an option of its own, which the one at hand has not."""
    from robotrain.cli.app import load_command

    for command in JOB_COMMANDS:
        options = ComposedOptions()
        load_command(command).add_own_options(options)
        if flag in options.flags:
            return command
    return None


def _unknown_word_problem(word: str, plugins: "Plugins") -> Problem:
    near = suggest_name(word, plugins.list_names("workload"))
    return _usage_problem(
        "workload-misspelt" if near else "word-unknown",
        f"{redact(word)!r} is neither a workload nor a job file",
        why=f"Workloads: {', '.join(plugins.list_names('workload'))}; a job file ends in .yaml.",
        instead=near,
    )


def _canonical_flag(name: str, options: ComposedOptions) -> str:
    return next((flag for flag, owner in options.flags.items() if owner == name), name)


def _usage_problem(
    code: str, title: str, where: str = "", why: str = "", instead: Iterable[Suggestion] = ()
) -> Problem:
    return Problem(code=code, stage=Stage.USAGE, title=title, where=where, why=why, suggestions=tuple(instead))


WORKLOAD_PREFIX = "workload "


def find_option_owners(flag: str, choice: Choice, plugins: "Plugins") -> Iterator[str]:
    """The platforms and workloads, in words, that have an option, without those that were chosen."""
    for name, platform in plugins.platforms().items():
        if name != choice.platform and flag in list_flags(platform.settings):
            yield f"platform {name}"
    for name, workload in plugins.workloads().items():
        if name != choice.workload and flag in list_flags(workload.parameters):
            yield f"workload {name}"


def group_by_other_workload(unknown: Sequence[str], choice: Choice, plugins: "Plugins") -> dict[str, list[str]]:
    """The unknown options that belong to one other workload and to nothing else, by its name."""
    found: dict[str, list[str]] = {}
    platform = load_or_none(plugins.platform, choice.platform)
    for flag in unknown:
        whose = list(find_option_owners(flag, choice, plugins))
        declined = platform is not None and flag in platform.option_hints
        workload = load_or_none(plugins.workload, choice.workload)
        declined = declined or (workload is not None and flag in workload.option_hints)
        if len(whose) == 1 and whose[0].startswith(WORKLOAD_PREFIX) and not declined:
            found.setdefault(whose[0].removeprefix(WORKLOAD_PREFIX), []).append(flag)
    return found


def workload_elsewhere_problem(name: str, flags: Sequence[str], choice: Choice) -> Problem:
    """Options of a workload that was not chosen, told once."""
    named = list(dict.fromkeys(map(redact, flags)))
    are = "is an option" if len(named) == 1 else "are options"
    assumed = choice.origins[0] == DEFAULT_ORIGIN
    says = f"{choice.workload} is what runs when no workload is named" if assumed else f"not of {choice.workload}"
    title = f"{', '.join(named)} {are} of workload {name}{'; ' if assumed else ', '}{says}"
    way = Suggestion(f"robotrain submit {name} …")
    return Problem(code="workload-elsewhere", stage=Stage.USAGE, title=title, where=named[0], suggestions=(way,))


def is_other_workload_meant(problems: Iterable[Problem], choice: Choice) -> bool:
    """Whether nobody named the workload, and what was typed is for another: then nothing more is said of this one."""
    codes = ("workload-elsewhere", "workload-misspelt")
    return choice.origins[0] == DEFAULT_ORIGIN and any(problem.code in codes for problem in problems)
