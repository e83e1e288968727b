"""Problems of repeated, swallowed or clashing options."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from robotrain.cli.line_values import is_flag
from robotrain.cli.options import OFF_TABLE, ComposedOptions
from robotrain.config.selection import is_job_file
from robotrain.errors import Problem, Suggestion
from robotrain.line_edits import read_edit
from robotrain.messages import Messages
from robotrain.model.platform import Platform
from robotrain.plugins.failures import suggest_exclusion
from robotrain.plugins.manager import Plugins
from robotrain.redaction import redact

make_problem = Messages(__file__)


def find_swallowed_flags(option_values: dict[str, Any], options: ComposedOptions) -> Iterator[Problem]:
    """Find flags that were parsed as the value of the flag before them."""
    for flag, name in options.flags.items():
        option_value = option_values.get(name)
        if not option_value or flag != _get_canonical_flag(name, options):
            continue
        for value_text in option_value if isinstance(option_value, (list, tuple)) else [option_value]:
            if is_flag(value_text, options):
                metavar = next((option.metavar for option in options.options if option.name == name), None)
                word = value_text.partition("=")[0]
                is_name = (metavar or "").startswith("NAME[=") and word not in options.flags  # an option of a program
                way = (
                    Suggestion(f"{flag} {value_text.lstrip('-')}", "", word)
                    if is_name
                    else Suggestion(f"{flag} {metavar}")
                )
                ways = [way] if metavar else []
                yield make_problem("flag-without-value", *ways, where=flag, word=redact(word))


def find_engine_values(
    option_values: dict[str, Any], options: ComposedOptions, platform: Platform | None
) -> dict[str, Problem]:
    """Return the problems of values that are written as the own command of the platform's engine has them, by the
    names of their options.
    """
    problems = dict[str, Problem]()
    for name, option_value in option_values.items() if platform else ():
        flag = _get_canonical_flag(name, options)
        if platform and isinstance(option_value, str) and (text := platform.translate_option(flag, option_value)):
            way = Suggestion(text, replaces=flag)
            problems[name] = make_problem("value-foreign", way, where=flag, given=option_value, name=platform.name)
    return problems


def find_unread_inputs(problems: Sequence[Problem], options: ComposedOptions) -> frozenset[str]:
    """Return the parameters and roles that usage problems are about, by the flags that these name or suggest."""
    ways = [way for problem in problems for way in problem.suggestions]
    flags = [*(problem.where for problem in problems), *(flag for way in ways for flag in read_edit(way).flags)]
    option_names = {options.flags.get(flag, "") for flag in flags}
    parameter_names = {options.declared[name].name for name in option_names if name in options.declared}
    return frozenset(parameter_names | {options.sources[name].role for name in option_names if name in options.sources})


def find_repeated_options(order: Sequence[str], options: ComposedOptions) -> Iterator[Problem]:
    """Find options that take one value and are given several times."""
    repeatable = {"words", *(option.name for option in options.options if option.repeatable)}
    for name in dict.fromkeys(order):
        if order.count(name) > 1 and name not in repeatable:
            flag = _get_canonical_flag(name, options)
            other_spellings = [
                spelling for spelling, option_name in options.flags.items() if option_name == name and spelling != flag
            ]
            spellings = f"{flag} (also {', '.join(other_spellings)})" if other_spellings else flag
            yield make_problem("option-repeated", where=flag, spellings=spellings, count=order.count(name))
        if (off_name := f"{OFF_TABLE}.{name}") in order:
            both_flags = f"{_get_canonical_flag(name, options)} and {_get_canonical_flag(off_name, options)}"
            yield make_problem("options-conflict.contradiction", both=both_flags)


def find_option_clashes(options: ComposedOptions, plugins: Plugins) -> Iterator[Problem]:
    """Find flags and environment names that two owners claim."""
    for spelling, owners in options.clashes:
        both_owners = " and ".join(owners)
        env = not spelling.startswith("-")
        message = "names-clash.variable" if env else "names-clash.option"
        words = [owner.split() for owner in owners]
        plugin_claims = [
            claim
            for claim in plugins.claims
            if not claim.built_in
            and any(claim.family == family and claim.name in owner_names for family, *owner_names in words)
        ]
        origins = "".join(f" {claim} comes from {claim.distribution}." for claim in plugin_claims)
        suggestions = [suggest_exclusion(claim) for claim in plugin_claims]
        yield make_problem(message, *suggestions, where=spelling, both=both_owners, origins=origins)


def check_save_path(save_as: str | None) -> Iterator[Problem]:
    """Check the path of a new job file, as far as possible before there is a job."""
    path = Path(save_as or "")
    if save_as and not is_job_file(save_as):
        yield make_problem("file-unsuitable.ending", stem=redact(path.stem))
    elif save_as and not path.absolute().parent.is_dir():
        yield make_problem("file-unsuitable.folder")


def _get_canonical_flag(name: str, options: ComposedOptions) -> str:
    return next((flag for flag, owner in options.flags.items() if owner == name), name)
