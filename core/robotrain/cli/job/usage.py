"""What was typed, taken apart: values with their flags, and every mistake of usage."""

import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from robotrain.cli.job import astray
from robotrain.cli.job.choice import Choice, is_job_file, loaded
from robotrain.cli.job.options import OFF, SET, SOURCE, Options
from robotrain.loading.ways import without
from robotrain.nearest import nearest, offer
from robotrain.problem import Instead, Problem, Stage
from robotrain.provenance import DEFAULT, Origin, Value
from robotrain.redaction import redact

if TYPE_CHECKING:
    from robotrain.plugins import PluginError
    from robotrain.request import SourceText

SWITCHES = ("--no-plugins", "--strict-plugins", "--without", "--plugins-from")
"""Those that hold for every command."""


def values(given: dict[str, Any], options: Options, prefix: str) -> dict[str, Value]:
    """The given values of declared options, as raw text by field name."""
    found = {}
    for name, parameter in options.declared.items():
        if not name.startswith(prefix):
            continue
        if given.get(OFF + name):
            found[parameter.name] = Value(parameter.param.off_value, Origin("flag", parameter.param.off))
        value = given.get(name)
        if isinstance(value, bool):
            flag = parameter.flag if value else f"--no-{parameter.flag[2:]}"
            found[parameter.name] = Value("true" if value else "false", Origin("flag", flag))
        elif value is not None and not is_flag(value, options):
            found[parameter.name] = Value(value, Origin("flag", parameter.flag))
    return found


def sources(given: dict[str, Any], order: Sequence[str], options: Options) -> "Iterator[SourceText]":
    """The sources in the order typed, across different flags."""
    from robotrain.request import SourceText

    queues = {name: iter(given.get(name) or ()) for name in options.sources}
    for name in order:
        if name.startswith(SOURCE):
            option = options.sources[name]
            origin = Origin("flag", option.flag.flag)
            text = next(queues[name])
            yield SourceText(role=option.role, kinds=option.kinds, text=text, origin=origin, base=Path.cwd())


def swallowed(given: dict[str, Any], options: Options) -> Iterator[Problem]:
    """Flags that were taken as the value of the flag before them."""
    for flag, name in options.flags.items():
        if name not in given or flag != _canonical(name, options):
            continue
        value = given[name]
        for text in value if isinstance(value, list) else [value]:
            if is_flag(text, options):
                taken = redact(text.partition("=")[0])
                yield _problem("flag-without-value", f"{flag} needs a value, and {taken} stands in its place", flag)


def is_flag(text: object, options: Options) -> bool:
    """Whether a value is no value but a flag, whose own was forgotten."""
    return isinstance(text, str) and (text in options.flags or text.startswith("--"))


def unread(found: Iterable[Problem], options: Options) -> frozenset[str]:
    """The parameters and roles that mistakes of usage are about, by the flags they stand at or offer."""
    texts = [text for problem in found for text in (problem.where, *(way.text for way in problem.instead))]
    names = {options.flags.get(text.partition(" ")[0], "") for text in texts}
    declared = {options.declared[name].name for name in names if name in options.declared}
    return frozenset(declared | {options.sources[name].role for name in names if name in options.sources})


def repeated(order: Sequence[str], options: Options) -> Iterator[Problem]:
    """Options given more than once that take one value."""
    for name in dict.fromkeys(order):
        if order.count(name) > 1 and name not in ("words", SET) and not name.startswith(SOURCE):
            flag = _canonical(name, options)
            yield _problem("option-repeated", f"{flag} is given {order.count(name)} times; it takes one value", flag)
        if OFF + name in order:
            both = f"{_canonical(name, options)} and {_canonical(OFF + name, options)}"
            yield _problem("options-conflict", f"{both} contradict each other")


def strange_words(words: Sequence[str], chosen: Choice, options: Options, plugins: Any) -> Iterator[Problem]:
    """Unknown options, each with its owner or the nearest name, and words that are neither workload nor job file."""
    unknown, plain = _sorted_out(words)
    strangers = astray.of_others(unknown, chosen, plugins)
    meant = {near for word in plain if (near := nearest(word, plugins.names("workload")))}
    yield from (astray.told(name, flags, chosen) for name, flags in strangers.items() if name not in meant)
    told = {flag for flags in strangers.values() for flag in flags}
    for flag in unknown:
        if flag not in told:
            yield _unknown_option(flag, chosen, options, plugins)
    workloads = [word for word in plain if word in plugins.names("workload")]
    files = [word for word in plain if is_job_file(word)]
    for several in (workloads, files):
        if len(several) > 1:
            title = f"one job at a time: {redact(several[0])} and {redact(several[1])} are both named"
            yield _problem("word-repeated", title)
    for word in plain:
        if word not in workloads and word not in files:
            yield _unknown_word(word, plugins)


def _sorted_out(words: Sequence[str]) -> tuple[list[str], list[str]]:
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


def clashes(options: Options, plugins: Any) -> Iterator[Problem]:
    """Options of two owners that cannot be told apart: whichever was meant, half of the people meant the other."""
    for spelling, owners in options.clashes:
        both = " and ".join(owners)
        env = not spelling.startswith("-")
        title = f"{both} both read {spelling}" if env else f"{both} both have an option {spelling}"
        strangers = [claim for claim in plugins.claims if not claim.own and _owns(claim, owners)]
        whose = "".join(f" {claim} comes from {claim.distribution}." for claim in strangers)
        why = f"Only one of them can have it here; the other has to be renamed by who declares it.{whose}"
        ways = [without(claim) for claim in strangers]
        yield _problem("names-clash" if env else "options-clash", title, spelling, why=why, instead=ways)


def _owns(claim: Any, owners: Sequence[str]) -> bool:
    """Whether one of the owners, in words, is what a plugin claims."""
    return any(owner.split()[0] == claim.family and claim.name in owner.split() for owner in owners)


def strange_tables(chosen: Choice, plugins: Any) -> Iterator[Problem]:
    """Tables of the files for platforms that are not installed here, which may be misspelt."""
    if chosen.file:
        from robotrain import job_file

        yield from job_file.strange(chosen.file, plugins.names("platform"))
    if chosen.project:
        from robotrain import project

        yield from project.strange(chosen.project, plugins)


def unsuitable(save_as: str | None) -> Iterator[Problem]:
    """What keeps a job file from being written under a name, as far as that shows before there is a job."""
    path = Path(save_as or "")
    if save_as and not is_job_file(save_as):
        why = "That is how a job file is known on the command line."
        ways = (Instead(f"--save-as {redact(path.stem)}.yaml"),)
        yield _problem("file-unsuitable", "the name of a job file ends in .yaml", "--save-as", why, ways)
    elif save_as and not path.absolute().parent.is_dir():
        yield _problem("file-unsuitable", "the folder for the job file is not there", "--save-as")


def no_platform(plugins: Any) -> Problem:
    """Nobody said where it runs."""
    installed = plugins.names("platform")
    return Problem(
        code="platform-missing",
        stage=Stage.USAGE,
        title="no platform was chosen",
        why=f"Installed: {', '.join(installed) or 'none'}. ROBOTRAIN_PLATFORM can hold one for every command.",
        instead=tuple(Instead(f"--platform {name}") for name in installed),
    )


def not_loaded(
    family: str, name: str, error: "PluginError", plugins: Any, origin: Origin, meant: tuple[Instead, ...] = ()
) -> Problem:
    """A workload or platform that is not installed, or fails to load. meant: what else the name may be, if no other."""
    (problem,) = error.problems
    others = [] if origin == DEFAULT else [known for known in plugins.names(family) if known != name]
    near = offer(name, others, before="--platform " if family == "platform" else "")
    return Problem(
        code=f"{family}-not-loaded",
        stage=problem.stage,
        title=problem.title,
        where=origin.where,
        given=redact(name),
        instead=near or (*meant, *problem.instead) if getattr(error, "near", False) else problem.instead,
    )


def elsewhere(flag: str, value: str, plugins: Any) -> tuple[Instead, ...]:
    """The settings of platforms that other tools give with `flag`, each with what was given."""
    from robotrain_runtime.parameter import parameters_of

    text = shlex.quote(redact(value))
    return tuple(
        Instead(f"--platform {name} {parameter.flag} {text}", "if you mean the kind of machine")
        for name, platform in plugins.platforms().items()
        for parameter in parameters_of(platform.settings)
        if parameter.param.elsewhere == flag
    )


def _unknown_option(flag: str, chosen: Choice, options: Options, plugins: Any) -> Problem:
    """An option nobody here takes. Only its name is ever repeated: a value may be a secret."""
    flag = redact(flag)
    platform = loaded(plugins.platform, chosen.platform)
    if platform and flag in platform.declined:
        return _problem("option-elsewhere", f"{platform.name} takes no {flag}", flag, why=platform.declined[flag])
    workload = loaded(plugins.workload, chosen.workload)
    if workload and flag in workload.option_hints:
        return _problem("option-elsewhere", f"{workload.name} takes no {flag}", flag, why=workload.option_hints[flag])
    owners = list(astray.owners(flag, chosen, plugins))
    if owners:
        here = f"{chosen.workload} on {chosen.platform}" if chosen.platform else chosen.workload
        title = f"{flag} is an option of {' and '.join(owners)}, not of {here}"
        ways = tuple(
            Instead(owner.replace("platform ", "--platform ", 1).removeprefix("workload ")) for owner in owners
        )
        return _problem("option-elsewhere", title, flag, instead=ways)
    if command := _command_with(flag):
        title = f"{flag} is an option of `robotrain {command}` alone"
        return _problem("option-elsewhere", title, flag, instead=(Instead(f"robotrain {command} … {flag}"),))
    if flag in SWITCHES:
        title = f"{flag} is a switch of robotrain itself, and stands before the command"
        return _problem("option-elsewhere", title, flag, instead=(Instead(f"robotrain {flag} … submit …"),))
    if workload and flag in workload.owned:
        return _problem("option-owned", f"robotrain sets {flag} itself", flag, instead=[Instead(workload.owned[flag])])
    for name, other in plugins.workloads().items():
        if flag in other.option_hints:
            why = f"With workload {name}: {other.option_hints[flag]}."
            return _problem("option-elsewhere", f"there is no option {flag}", flag, why=why)
    if "." in flag:
        why = f"Options of {workload.program if workload else 'the trainer'} itself stand after `--`."
        return _problem(
            "option-unknown", f"robotrain has no option {flag}", flag, why=why, instead=(Instead(f"-- {flag}=…"),)
        )
    why, near = plugins.kinds_left_out(), offer(flag, options.flags)
    return _problem("option-unknown", f"there is no option {flag}", flag, why=why, instead=near)


def _command_with(flag: str) -> str | None:
    """The command over a job that has an option of its own, which the one at hand has not."""
    from robotrain.cli import explain, render, submit

    for command, module in (("submit", submit), ("render", render), ("explain", explain)):
        options = Options()
        typer.main.get_command(module.app).own_options(options)  # type: ignore[attr-defined]
        if flag in options.flags:
            return command
    return None


def _unknown_word(word: str, plugins: Any) -> Problem:
    near = offer(word, plugins.names("workload"))
    return _problem(
        "workload-misspelt" if near else "word-unknown",
        f"{redact(word)!r} is neither a workload nor a job file",
        why=f"Workloads: {', '.join(plugins.names('workload'))}; a job file ends in .yaml.",
        instead=near,
    )


def _canonical(name: str, options: Options) -> str:
    return next((flag for flag, owner in options.flags.items() if owner == name), name)


def _problem(code: str, title: str, where: str = "", why: str = "", instead: Iterable[Instead] = ()) -> Problem:
    return Problem(code=code, stage=Stage.USAGE, title=title, where=where, why=why, instead=tuple(instead))
