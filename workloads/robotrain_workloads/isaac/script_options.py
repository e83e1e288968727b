"""Options of Isaac Lab's scripts after `--`, by version: `version_data` has their names and the kinds of their values.

What overrides mean is Hydra's, and the task's: `isaac_check` asks Isaac Lab itself where robotrain builds it. Standard
library only: the submit side and the container check with it.
"""

import difflib
import functools
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, get_args

from robotrain_runtime.contract.problem import Problem

from robotrain_workloads.isaac.parameters import Backend
from robotrain_workloads.isaac.version_data import VERSIONS, load_options
from robotrain_workloads.option_kinds import describe_kinds, find_near_option, is_of_kind, make_option_problem

Action = Literal["train", "play"]
SWITCH = ""
"""An option without a value; others have the kind of their value, or its choices separated by `|`."""
ROOTS = ("env", "agent")
PASS_UNKNOWN = "--pass-unknown"
"""robotrain's option to hand on what is not known here."""
OVERRIDE = re.compile(r"(?:\+\+|\+|~)?(?P<root>[A-Za-z_]\w*)[\w.$\[\]-]*=.*|~(?P<removed>[A-Za-z_]\w*)\S*", re.DOTALL)


class Script(NamedTuple):
    """A script of Isaac Lab."""

    action: Action
    owned: Mapping[str, str]
    """Those that robotrain sets itself, each with robotrain's own: every workload's are refused in one place."""
    backend: str = ""
    """The library whose script it is; empty for any."""
    pass_unknown: bool = False
    """Whether options that are not known here are handed on."""

    def list_options(self, version: str) -> Mapping[str, str]:
        """Return its options, each with the kind of its value; robotrain's own are left out."""
        tables = load_options(version)[self.action]
        names = [name for name in get_args(Backend) if self.backend in ("", name) and name in tables]
        return {option: kind for name in names for option, kind in tables[name].items() if option not in self.owned}


@functools.cache
def list_switches() -> frozenset[str]:
    """Return the options without a value, of all scripts and versions."""
    actions = (load_options(version)[action] for version in VERSIONS for action in get_args(Action))
    tables = (table for libraries in actions for table in libraries.values())
    return frozenset(name for table in tables for name, kind in table.items() if kind == SWITCH)


def find_option_problems(arguments: Sequence[str], script: Script, version: str) -> Iterator[Problem]:
    """Yield the problems of options that a script would reject. `version` is one of VERSIONS."""
    options, lab = script.list_options(version), f"Isaac Lab {version}"
    remaining = list(arguments)
    while remaining:
        argument = remaining.pop(0)
        if not argument.startswith("-"):
            yield from _check_override(argument, script, version)
            continue
        name, equals, value = argument.partition("=")
        kind = options.get(name)
        has_next = bool(remaining) and (kind or not (remaining[0].startswith("-") or "=" in remaining[0]))
        if kind != SWITCH and name not in list_switches() and not equals and has_next:
            value = remaining.pop(0)
        if kind is None:
            if name not in script.owned:
                yield _explain_unknown(name, value, script, version)
        elif kind == SWITCH and equals:
            yield make_option_problem(argument, f"{name} takes no value in {lab}", "It is a switch.", f"-- {name}")
        elif kind != SWITCH and not equals and not has_next:
            reason = describe_kinds([kind])
            yield make_option_problem(argument, f"{name} needs a value in {lab}", reason, f"-- {name} VALUE")
        elif kind != SWITCH and not is_of_kind(value, kind):
            title = f"{name} does not take {value!r} in {lab}"
            yield make_option_problem(f"{name} {value}", title, describe_kinds([kind]))


def _explain_unknown(name: str, value: str, script: Script, version: str) -> Problem:
    """Return why a script has no such option, with what to type."""
    options, value_text = script.list_options(version), f" {shlex.quote(value)}" if value else ""
    title = f"Isaac Lab {version} has no option {name}"
    longer = sorted(option for option in {*options, *script.owned} if name != "--" and option.startswith(name))
    if longer:
        reason = f"The script would silently take it for {longer[0]}: write options in full."
        way = script.owned.get(longer[0]) or f"-- {longer[0]}{value_text}"
        return make_option_problem(name, f"{name} is an abbreviation", reason, way)
    for backend in get_args(Backend):
        if name in script._replace(backend=backend).list_options(version):
            reason = f"It belongs to --backend {backend}."
            return make_option_problem(name, f"{script.backend} has no option {name}", reason, f"leave out {name}")
    for other_version in VERSIONS:
        if name in script.list_options(other_version):
            return make_option_problem(name, title, f"It is one of {other_version}.", f"leave out {name}")
    if script.pass_unknown:
        return _warn_of_unknown(name, name)
    nearest = find_near_option(name, options)
    reason = f"The script would fail, but only once the simulator has started; {PASS_UNKNOWN} hands the option on."
    return make_option_problem(name, title, reason, f"-- {nearest}{value_text}" if nearest else "")


def _check_override(override: str, script: Script, version: str) -> Iterator[Problem]:
    """Check the form of an override, and where it begins."""
    form = "An override is KEY=VALUE below env. or agent.; +KEY=VALUE adds a key, ~KEY removes one."
    match = OVERRIDE.fullmatch(override)
    if match is None:
        title = f"{override!r} is neither an option nor an override"
        yield make_option_problem(override, title, form, "agent.NAME=VALUE")
        return
    root = match["root"] or match["removed"]
    roots = (*ROOTS, *load_options(version)["selectors"])
    if root in roots or override.lstrip("+~").partition("=")[0] in script.owned:
        return
    if script.pass_unknown:
        yield _warn_of_unknown(override, root)
        return
    way = "".join(override.replace(root, near, 1) for near in difflib.get_close_matches(root, roots, 1))
    title = f"there is no {root!r} to override in Isaac Lab {version}"
    yield make_option_problem(override, title, f"{form} {PASS_UNKNOWN} hands on what is none of them.", way)


def _warn_of_unknown(argument: str, name: str) -> Problem:
    reason = "If the script does not have it, it fails once the simulator has started."
    return make_option_problem(argument, f"{name} is not known here and handed on", reason, severity="warning")
