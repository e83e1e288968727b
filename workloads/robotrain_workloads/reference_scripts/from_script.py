"""`robotrain from-script`: translate a command line of a reference script to one of robotrain, by `scripts.toml`."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import tomllib
import typer
from robotrain.cli.arguments import JsonOption
from robotrain.cli.command_factory import get_plugins
from robotrain.errors import Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.nearest_name import suggest_name
from robotrain.redaction import redact, value_holds_secret
from robotrain_runtime.contract.parameter import list_flags

from robotrain_workloads.lerobot_options.launchers import LaunchedLine, read_launchers, split_assignment
from robotrain_workloads.translated_line import SECRET_REASON, TranslatedLine, make_line_app, print_line, split_line

make_problem = Messages(__file__)

TABLE_FILE = Path(__file__).with_name("scripts.toml")
JOB_FILE_SUFFIX = ".yaml"
EXAMPLES_FOLDER = Path(__file__).parents[1] / "examples"
Entry = str | Mapping[str, str]
EXAMPLE = "robotrain from-script -- submit-osmo-lerobot-training.sh -d OWNER/NAME --training-steps 1000"
SUBMIT_OPTIONS = ("--save-spec", "--assets-only", "--stream", "--name")
"""Options of `submit` that `explain` does not have; `pipeline` lacks the first two."""
REFUSED = "! "
"""Before the reason of an entry without which the line would not mean the same."""
ON_VALUES = ("true", "1", "yes", "on")


class ScriptOption(NamedTuple):
    """An option of a script, or a variable that it reads."""

    spellings: tuple[str, ...]
    metavar: str
    """What the value is; empty for a switch. At its end, `...`: the option repeats; `+`: it takes several words."""
    variables: tuple[str, ...]
    entry: Entry
    """What stands for it; the file tells the forms."""

    @property
    def name(self) -> str:
        """The first long spelling, or else the variable."""
        return next((one for one in self.spellings if one.startswith("--")), (*self.spellings, *self.variables)[0])


class ReferenceScript(NamedTuple):
    """A reference script."""

    name: str
    title: str
    was: tuple[str, ...] = ()
    """Its earlier names."""
    command: tuple[str, ...] = ()
    platform: str = ""
    options: tuple[ScriptOption, ...] = ()
    defaults: Mapping[str, str] = {}
    forwarded: tuple[ScriptOption, ...] = ()
    """Options of the platform's own command, which stand after `--`."""
    forwards_unknown: bool = False
    """Whether those may stand before `--` too."""
    needed: Mapping[str, str] = {}
    """Options of robotrain that the platform needs and the script does not have, each with the reason."""
    without: str = ""
    """Why robotrain has nothing in its place."""


LAUNCHED_REASON = "the script sends one job, whatever starts it: --num-nodes and --num-gpus are options of that"
Values = dict[str, tuple[ScriptOption, list[str]]]
"""Options with their values, by name; a switch has an empty one."""


def from_script(
    ctx: typer.Context,
    line: Annotated[list[str] | None, typer.Argument(metavar="-- LINE...", show_default=False)] = None,
    json: JsonOption = False,
) -> None:
    """Print the robotrain line that does what a line of a script of physical-ai-toolchain does.

    Environment variables may stand before the script, as NAME=VALUE. An option that changes nothing is left out, named
    with what to do instead; a line that cannot mean the same is an error. Nothing is submitted.

    robotrain from-script -- submit-osmo-lerobot-training.sh -d lerobot/pusht --training-steps 1000
    """
    translated, script = translate_script_line(split_line(line or []))
    print_line(ctx, _drop_foreign_options(translated, script, ctx), json)


def translate_script_line(line: Sequence[str]) -> tuple[TranslatedLine, ReferenceScript]:
    """Return the robotrain line for a line of a script, and the script. Raise Rejected if there is none."""
    at, script = _find_script(line)
    left_out: dict[str, str] = {}
    refused: dict[str, str] = {}
    notes: dict[str, str] = {}
    given = _read_values(line[at + 1 :], script, refused)
    launched = read_launchers(line[:at], LaunchedLine())
    _add_variables(launched.variables, script, given, left_out)
    refused |= launched.refused | {option: LAUNCHED_REASON for option, _ in launched.flags}
    left_out |= launched.left_out
    typed = set(given)
    for option in script.options:
        if option.name in script.defaults:
            given.setdefault(option.name, (option, [script.defaults[option.name]]))
    command, flags, beginnings = ["robotrain", *script.command], list[str](), list[list[str]]()
    for name, (option, texts) in given.items():
        for text in texts if option.metavar.endswith("...") else texts[-1:]:
            words, reason = _translate_option(option, text, given)
            if words and value_holds_secret(text):
                words, reason = [], f"{REFUSED}{SECRET_REASON}"
            if words[:1] == ["$"]:
                beginnings.append(words[1:])
            else:
                flags += words
            if reason.startswith(REFUSED):
                refused[name] = reason.removeprefix(REFUSED)
            elif reason and name in typed:
                left_out[name] = reason
            if words and (found := _find_note(option.entry, text)):
                notes[name] = found
    for begin in sorted(beginnings, key=len, reverse=True):
        command[: len(begin)] = begin
    notes |= {flag: text for flag, text in script.needed.items() if flag not in flags}
    line_words = (*command, "--platform", script.platform, *flags)
    return TranslatedLine(line_words, left_out, notes, refused, stand_ins=_find_stand_ins(command)), script


def _find_stand_ins(command: Sequence[str]) -> dict[str, str]:
    """Return the job file of an example that the command names and this folder does not have, with where it is."""
    files = [word for word in command if word.endswith(JOB_FILE_SUFFIX) and not Path(word).exists()]
    return {word: str(EXAMPLES_FOLDER / word) for word in files}


def _find_script(line: Sequence[str]) -> tuple[int, ReferenceScript]:
    scripts = load_scripts()
    by_name = {name: script for script in scripts.values() for name in (script.name, *script.was)}
    for index, word in enumerate(line):
        if script := by_name.get(_get_stem(word)):
            if script.without:
                raise Rejected([make_problem("script-not-translated", name=script.name, without=script.without)])
            return index, script
    candidates = [_get_stem(word) for word in line if not split_assignment(word)]
    near = [way for word in candidates[:2] for way in suggest_name(word, list(by_name))]
    raise Rejected([make_problem("command-unknown", *near or [Suggestion(EXAMPLE)], scripts=", ".join(scripts))])


def _get_stem(word: str) -> str:
    return re.sub(r"\.(sh|py)$", "", word.rpartition("/")[2])


def _read_values(words: Sequence[str], script: ReferenceScript, refused: dict[str, str]) -> Values:
    """Return the values of the options; those of the platform's own command stand after `--`, or anywhere."""
    known, forwarded = _index(script.options), _index(script.forwarded)
    if script.forwards_unknown:
        known = {**forwarded, **known}
    found: Values = {}
    remaining, is_forwarded = list(words), script.forwards_unknown
    while remaining:
        word, equals, value = remaining.pop(0).partition("=")
        if word == "--":
            known, is_forwarded = forwarded, True
        elif (option := known.get(word)) is None:
            if not is_forwarded:
                raise Rejected(
                    [
                        make_problem(
                            "option-unknown", *suggest_name(word, list(known)), where=redact(word), name=script.name
                        )
                    ]
                )
            refused[redact(word)] = "it went to the platform's own command, which robotrain calls itself"
            _skip_values(remaining)
        elif not option.metavar:
            found[option.name] = (option, [""])
        elif not equals and not remaining:
            raise Rejected([make_problem("flag-without-value", where=word)])
        else:
            found.setdefault(option.name, (option, []))[1].append(value if equals else remaining.pop(0))
            if option.metavar.endswith("+"):
                _skip_values(remaining)
    return found


def _index(options: Iterable[ScriptOption]) -> dict[str, ScriptOption]:
    return {spelling: option for option in options for spelling in option.spellings}


def _skip_values(words: list[str]) -> None:
    while words and not words[0].startswith("-"):
        words.pop(0)


def _add_variables(
    variables: Mapping[str, str | None], script: ReferenceScript, given: Values, left_out: dict[str, str]
) -> None:
    """Add the values of variables that stand before the script; an option wins, and an empty value counts as none."""
    known = {name for option in script.options for name in option.variables}
    left_out |= dict.fromkeys((name for name in variables if name not in known), "the script does not read it")
    for option in script.options:
        value = next((text for name in option.variables if (text := variables.get(name))), "")
        if value and (option.metavar or value.lower() in ON_VALUES):
            given.setdefault(option.name, (option, [value if option.metavar else ""]))


def _translate_option(option: ScriptOption, value: str, given: Values) -> tuple[list[str], str]:
    """Return the words for an option, or else the reason why there are none; neither if nothing is to do."""
    entry = option.entry if isinstance(option.entry, str) else _choose_case(option.entry, value, given)
    if entry.startswith("part of "):
        carrier = entry.removeprefix("part of ")
        return [], "" if carrier in given else f"it has no effect without {carrier}"
    if not entry.startswith(("--", "$ ")):
        return [], entry
    words = [
        re.sub(r"\{(.*?)\}", lambda match: given[match[1]][1][-1] if match[1] else value, word)
        for word in entry.split()
    ]
    return ([*words, value] if option.metavar and entry is option.entry and len(words) == 1 else words), ""


def _choose_case(cases: Mapping[str, str], value: str, given: Values) -> str:
    for case, entry in cases.items():
        if case.startswith("with "):
            other, _, expected = case.removeprefix("with ").partition("=")
            fits = other in given and expected in ("", given[other][1][-1])
        else:
            fits = not case.startswith("note") and bool(re.fullmatch(case, value, re.I | re.S))
        if fits:
            return entry
    return ""


def _find_note(entry: Entry, value: str) -> str:
    """Return what people should know about this value; empty for nothing."""
    notes = entry.items() if isinstance(entry, Mapping) else ()
    given = (text for case, text in notes if case.startswith("note") and re.fullmatch(case[5:] or ".*", value, re.S))
    return next(given, "")


def _drop_foreign_options(line: TranslatedLine, script: ReferenceScript, ctx: typer.Context) -> TranslatedLine:
    """Return the line without options that its command or workload does not have, if they are not the script's own."""
    start = line.words.index("--platform") + 2
    command = line.words[1 : start - 2]
    words = line.words[start:]
    starts = [index for index, word in enumerate(words) if word.startswith("--")]
    flags = [(words[at], words[at + 1 : end]) for at, end in zip(starts, [*starts[1:], len(words)], strict=False)]
    dropped: dict[str, str] = {}
    if command[0] != "submit":
        foreign = SUBMIT_OPTIONS[: None if command[0] == "explain" else 2]
        reason = f"`robotrain {command[0]}` does not take it"
        dropped = {flag: reason for flag, _ in flags if flag in foreign}
    elif command != script.command and not command[1].endswith(JOB_FILE_SUFFIX):
        plugins = get_plugins(ctx)
        workload, platform = plugins.workload(command[1]), plugins.platform(script.platform)
        known = {*list_flags(workload.parameters), *list_flags(platform.settings), *SUBMIT_OPTIONS, "--help"}
        dropped = {flag: f"{command[1]} does not take it" for flag, _ in flags if flag not in known}
    kept = [word for flag, values in flags if flag not in dropped for word in (flag, *values)]
    return line._replace(words=(*line.words[:start], *kept), left_out={**line.left_out, **dropped})


app = make_line_app(from_script)


@functools.cache
def load_scripts() -> Mapping[str, ReferenceScript]:
    """Return the scripts by name."""
    with TABLE_FILE.open("rb") as file:
        table = tomllib.load(file)
    found = {}
    for name, one in table["scripts"].items():
        groups = [table["groups"][group] for group in one.get("uses", ())]
        options = {option.name: option for group in groups for option in _read_options(group)}
        options |= {option.name: option for option in _read_options(one.get("options", {}))}
        found[name] = ReferenceScript(
            name=name,
            title=one["title"],
            was=tuple(one.get("was", ())),
            command=tuple(one.get("command", "").split()),
            platform=one.get("platform", ""),
            options=tuple(options.values()),
            defaults=one.get("defaults", {}),
            forwarded=tuple(_read_options(table["forwarded"].get(one.get("platform"), {}))),
            forwards_unknown=one.get("forwards_unknown", False),
            needed={**table["needed"].get(one.get("platform"), {}), **one.get("needed", {})},
            without=one.get("without", ""),
        )
    return found


def _read_options(entries: Mapping[str, Entry]) -> Iterator[ScriptOption]:
    for key, entry in entries.items():
        words, _, variables = key.partition("[")
        spellings = tuple(word for word in words.split() if word.startswith("-"))
        metavar = next((word for word in words.split() if not word.startswith("-")), "")
        yield ScriptOption(spellings, metavar, tuple(re.findall(r"\w+", variables)), entry)
