"""Options of Isaac Lab's scripts after `--`, by version, and Hydra's overrides.

The scripts check both only after the simulator has started, and some mistakes not at all. What each version has is
data (`version_data`). Standard library only: the submit side and the container check with it.
"""

import ast
import difflib
import functools
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, get_args

from robotrain_runtime.contract.problem import Problem, Severity

from robotrain_workloads.isaac import tasks
from robotrain_workloads.isaac.parameters import Backend
from robotrain_workloads.isaac.version_data import VERSIONS, load_options
from robotrain_workloads.option_kinds import describe_kinds, find_near_option, is_of_kind, make_option_problem

Action = Literal["train", "play"]
SWITCH = ""
"""An option without a value; others have the kind of their value, or its choices separated by `|`."""
NEEDED_SWITCHES = {
    **dict.fromkeys(("--video_length", "--video_interval"), "--video"),
    **dict.fromkeys(("--anim_recording_start_time", "--anim_recording_stop_time"), "--anim_recording_enabled"),
    **{f"--capture_env_sensors_{name}": "--capture_env_sensors" for name in ("length", "interval", "format")},
}
"""Options with the one without which the scripts ignore them."""
REPLACED_OPTIONS = {"--enable_cameras": "Isaac Lab 3.0 turns cameras on where the task or --video needs them."}
"""What a version does in place of an option of the one before."""
ROOTS = ("env", "agent")
PASS_UNKNOWN = "--pass-unknown"
"""robotrain's option to hand on what is not known here."""
PASSED_ON = "If the script does not have it, it fails once the simulator has started."
UNTYPED = {
    "2.3": re.compile(r"null|true|false|[+-]?(?:inf|nan)|\$\{.*", re.DOTALL | re.IGNORECASE),
    "3.0": re.compile(r"null|none|true|false", re.IGNORECASE),
}
"""Values that pass for a number, or that only Hydra can read; 3.0 reads most by itself, as Python does."""
OVERRIDE = re.compile(
    r"(?P<mark>\+\+|\+|~)?(?P<root>[A-Za-z_]\w*)(?P<path>(?:\.[A-Za-z0-9_$-]+|\[\d+\])*)(?P<value>=.*)?", re.DOTALL
)
PAIRS = {")": "(", "]": "[", "}": "{"}


class Script(NamedTuple):
    """A script of Isaac Lab."""

    action: Action
    owned: Mapping[str, str]
    """Those that robotrain sets itself, each with robotrain's own."""
    backend: str = ""
    """The library whose script it is; empty for any."""
    task: str = ""
    """The task, if it is known."""
    pass_unknown: bool = False
    """Whether options and presets that are not known here are handed on."""

    def list_options(self, version: str) -> Mapping[str, str]:
        """Return its options, each with the kind of its value; robotrain's own are left out."""
        tables = map(load_options(version)[self.action].__getitem__, self.list_backends(version))
        return {name: kind for table in tables for name, kind in table.items() if name not in self.owned}

    def list_backends(self, version: str) -> list[str]:
        """Return the library whose script it is, or all of a version."""
        names = load_options(version)[self.action]
        return [name for name in get_args(Backend) if self.backend in ("", name) and name in names]

    def list_agent_fields(self, version: str) -> Mapping[str, str]:
        """Return the usual fields of an agent, each with the kind of its value; empty for any."""
        agents = load_options(version)["agents"]
        return {name: kind for backend in self.list_backends(version) for name, kind in agents[backend].items()}


@functools.cache
def list_switches() -> frozenset[str]:
    """Return the options without a value, of all scripts and versions."""
    actions = (load_options(version)[action] for version in VERSIONS for action in get_args(Action))
    tables = (table for libraries in actions for table in libraries.values())
    return frozenset(name for table in tables for name, kind in table.items() if kind == SWITCH)


def find_option_problems(arguments: Sequence[str], script: Script, version: str) -> Iterator[Problem]:
    """Yield the problems of options that a script would reject. `version` is one of VERSIONS."""
    options, lab = script.list_options(version), f"Isaac Lab {version}"
    option_names = {argument.partition("=")[0] for argument in arguments}
    for name, needed_switch in NEEDED_SWITCHES.items():
        if (
            name in option_names
            and name in options
            and needed_switch not in option_names
            and needed_switch not in script.owned
        ):
            way = _format_option(needed_switch, "" if needed_switch in list_switches() else "N")
            yield make_option_problem(
                name, f"{name} has no effect without {needed_switch}", "The script ignores it.", way
            )
    remaining = list(arguments)
    while remaining:
        argument = remaining.pop(0)
        if not argument.startswith("-"):
            yield from _check_override(argument, script, version)
            continue
        name, equals, value = argument.partition("=")
        if name not in options:
            has_following_value = bool(remaining) and not remaining[0].startswith("-") and "=" not in remaining[0]
            if name not in script.owned:  # every workload's owned options are refused in one place
                yield _explain_unknown(
                    name, script, version, value or (remaining[0] if has_following_value and not equals else "")
                )
            if not equals and has_following_value and name not in list_switches():
                remaining.pop(0)  # most likely its value
            continue
        kind = options[name]
        if kind == SWITCH:
            if equals:
                yield make_option_problem(argument, f"{name} takes no value in {lab}", "It is a switch.", f"-- {name}")
        elif not equals and not remaining:
            yield make_option_problem(
                argument, f"{name} needs a value in {lab}", describe_kinds([kind]), f"-- {name} VALUE"
            )
        else:
            value = value if equals else remaining.pop(0)
            if not is_of_kind(value, kind):
                title = f"{name} does not take {value!r} in {lab}"
                yield make_option_problem(f"{name} {value}", title, describe_kinds([kind]))


def _explain_unknown(name: str, script: Script, version: str, value: str = "") -> Problem:
    options, lab = script.list_options(version), f"Isaac Lab {version}"
    title = f"{lab} has no option {name}"
    if longer_options := sorted(
        option for option in (*options, *script.owned) if name != "--" and option.startswith(name)
    ):
        reason = f"The script would silently take it for {longer_options[0]}: write options in full."
        suggestion = _fill_in(script.owned.get(longer_options[0], ""), value) or _format_option(
            longer_options[0], value
        )
        return make_option_problem(name, f"{name} is an abbreviation", reason, suggestion)
    for backend in get_args(Backend):
        if script.backend not in ("", backend) and name in script._replace(backend=backend).list_options(version):
            title, reason = f"{script.backend} has no option {name}", f"It belongs to --backend {backend}."
            return make_option_problem(name, title, reason, f"leave out {name}")
    if (key := name.lstrip("-")).partition(".")[0] in ROOTS and "." in key:
        way = _fill_in(script.owned[key], value) if key in script.owned else f"{key}={value or 'VALUE'}"
        reason = f"Hydra's overrides have no dashes: {key}=VALUE."
        return make_option_problem(name, title, reason, way)
    for other_version in VERSIONS:
        if other_version != version and name in script.list_options(other_version):
            way = f"leave out {name}" if name in REPLACED_OPTIONS else f"--isaac-version {other_version}"
            reason = REPLACED_OPTIONS.get(name, f"It is one of {other_version}.")
            return make_option_problem(name, title, reason, way)
    if script.pass_unknown:
        return make_option_problem(name, f"{name} is not known here and handed on", PASSED_ON, severity="warning")
    reason = f"The script would fail, but only once the simulator has started; {PASS_UNKNOWN} hands the option on."
    nearest_option = find_near_option(name, options)
    suggestion = _format_option(nearest_option, value) if nearest_option else ""
    return make_option_problem(name, title, reason, suggestion)


def _fill_in(hint: str, value: str) -> str:
    """Return robotrain's own option with the value that the script's would have had."""
    return f"{hint} {shlex.quote(value)}" if value and re.fullmatch(r"--[a-z][a-z0-9-]*", hint) else hint


def _format_option(name: str, value: str) -> str:
    """Return an option of a script with its value as it stands after `--`."""
    return f"-- {name} {shlex.quote(value)}" if value else f"-- {name}"


def _check_override(override: str, script: Script, version: str) -> Iterator[Problem]:
    """Check the grammar of an override, its root and its value; warn of what is probably a misspelled field."""
    form = "An override is KEY=VALUE below env. or agent.; +KEY=VALUE adds a key, ~KEY removes one."
    match = OVERRIDE.fullmatch(override)
    if match is None or (match["value"] is None and match["mark"] != "~"):
        yield make_option_problem(
            override, f"{override!r} is neither an option nor an override", form, "agent.NAME=VALUE"
        )
        return
    root = match["root"]
    path = match["path"]
    value = (match["value"] or "=")[1:]
    if root + path in script.owned:
        return  # every workload's owned options are refused in one place
    selectors = load_options(version)["selectors"]
    if root in selectors and not path and match["mark"] is None:
        yield from _check_presets(override, root, value, script, version)
    elif root not in ROOTS and script.pass_unknown:
        yield make_option_problem(override, f"{root} is not known here and handed on", PASSED_ON, severity="warning")
    elif root not in ROOTS:
        nearest_roots = difflib.get_close_matches(root, (*ROOTS, *selectors), 1)
        suggestion = _correct_key(override, root, nearest_roots[0], script) if nearest_roots else ""
        title = f"there is no {root!r} to override in Isaac Lab {version}"
        reason = f"{form} {PASS_UNKNOWN} hands on what is none of them."
        yield make_option_problem(override, title, reason, suggestion)
    elif fault := _find_value_fault(value):
        yield make_option_problem(override, f"the value of {root}{path} cannot be read", fault)
    elif match["mark"] is None and (type_problem := _find_type_problem(override, match, script, version)):
        yield type_problem
    elif root == "agent" and match["mark"] in (None, "~"):
        yield from _check_field(override, path, script, version)


def _check_presets(override: str, selector: str, value: str, script: Script, version: str) -> Iterator[Problem]:
    """Refuse presets that the task has not, if it is one of Isaac Lab's own."""
    task = tasks.list_tasks(version).get(script.task)
    if task is None:
        return
    earlier_presets = load_options(version)["old_presets"]
    preset_names = task.presets.get(selector, ())
    if selector not in ("physics", "renderer"):  # applies to all that have one of the name
        preset_names = sorted({name for preset_group in task.presets.values() for name in preset_group})
    for name in filter(None, map(str.strip, value.split(","))):
        if earlier_presets.get(name, name) in preset_names or name in preset_names:
            continue
        title = f"{script.task} has no preset {name!r} for {selector}="
        severity: Severity = "warning" if script.pass_unknown else "error"
        reason = f"It has {', '.join(preset_names)}." if preset_names else "It has none."
        nearest_presets = difflib.get_close_matches(name, preset_names, 1)
        suggestion = override.replace(name, nearest_presets[0]) if nearest_presets else ""
        yield make_option_problem(override, title, reason, suggestion, severity)


def _check_field(override: str, path: str, script: Script, version: str) -> Iterator[Problem]:
    """Warn of a field that agents of the library have not: 2.3 refuses it late, 3.0 sets it without effect."""
    fields = script.list_agent_fields(version)
    backend = script.backend or "Isaac Lab"
    for name in re.findall(r"[A-Za-z_]\w*", path):
        nearest_field = "" if name in fields else "".join(difflib.get_close_matches(name, sorted(fields), 1, 0.75))
        if name in fields or not (nearest_field or version == "3.0"):
            continue
        suggestion = _correct_key(override, name, nearest_field, script) if nearest_field else ""
        suggestion_text = f"{backend} has {nearest_field}; " if nearest_field else ""
        effect_text = (
            "Isaac Lab 3.0 would take it, without any effect." if version == "3.0" else "Hydra refuses other keys."
        )
        title = f"agents of {backend} usually have no {name}"
        yield make_option_problem(override, title, suggestion_text + effect_text, suggestion, "warning")
        return


def _correct_key(override: str, part: str, correct_part: str, script: Script) -> str:
    """Return an override with a part of its key corrected; robotrain's own option, if that is what sets it."""
    corrected_override = override.replace(part, correct_part, 1)
    key, _, value = corrected_override.lstrip("+~").partition("=")
    return _fill_in(script.owned[key], value) if key in script.owned else corrected_override


def _find_type_problem(override: str, match: re.Match[str], script: Script, version: str) -> Problem | None:
    """Return why the type of a value is wrong: that of the task's own one counts."""
    path = match["path"].lstrip(".")
    value = (match["value"] or "=")[1:].strip()
    if match["root"] == "env":
        kind = load_options(version)["environment"].get(path, "")
    else:
        kind = script.list_agent_fields(version).get(path.rpartition(".")[2], "") if script.backend else ""
    lab, name = f"Isaac Lab {version}", f"{match['root']}.{path}"
    severity: Severity = "warning" if script.pass_unknown else "error"
    if version == "3.0" and value[:1] in ("[", "{", "(") and not _is_python_value(value):
        quoted_value = re.sub(r"(?<![\w'\".])[A-Za-z_][\w./-]*", r'"\g<0>"', value)
        suggestion = shlex.quote(f"{name}={quoted_value}") if _is_python_value(quoted_value) else ""
        reason = "It would be one text: Isaac Lab 3.0 reads values as Python does, with quotes around texts."
        return make_option_problem(override, f"{lab} cannot read the value of {name}", reason, suggestion, severity)
    if not kind or not value or UNTYPED[version].fullmatch(value):
        return None
    if not is_of_kind(value.replace("_", ""), kind):
        effect_text = (
            "It would be noticed late, if at all." if version == "3.0" else "The simulator would have started before."
        )
        reason = f"{describe_kinds([kind])} {effect_text} {PASS_UNKNOWN} hands it on."
        return make_option_problem(override, f"{name} does not take {value!r} in {lab}", reason, severity=severity)
    if kind == "number" and is_of_kind(value, "int") and version == "2.3":
        reason = "It refuses a whole number for a field whose value has decimals."
        return make_option_problem(override, f"{lab} may not take {name}={value}", reason, f"{override}.0", "warning")
    return None


def _is_python_value(value_text: str) -> bool:
    try:
        ast.literal_eval(value_text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def _find_value_fault(value_text: str) -> str:
    """Return why Hydra cannot read a value, as far as brackets and quotes show; empty if they are complete."""
    open_brackets: list[str] = []
    quote = ""
    skip = False
    for character in value_text:
        if skip:
            skip = False
        elif character == "\\":
            skip = True
        elif quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in PAIRS.values():
            open_brackets.append(character)
        elif character in PAIRS and (not open_brackets or open_brackets.pop() != PAIRS[character]):
            return f"{character!r} closes nothing."
    if quote:
        return f"The quote {quote} is not closed."
    return f"{open_brackets[-1]!r} is not closed." if open_brackets else ""
