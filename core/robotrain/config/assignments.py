"""`--set KEY=VALUE`: values of a job by their names in a job file, as strong as flags."""

import dataclasses
import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from robotrain_runtime.contract.secret_rules import find_secret_arguments

from robotrain.config import pairs
from robotrain.config.command_options import find_named_option, format_option
from robotrain.config.managed_options import replace_managed_option
from robotrain.config.names import Names
from robotrain.config.own_parameters import NAME_PATTERN, extend_for_request, list_own_names
from robotrain.config.request import Request
from robotrain.config.selection import split_assignment
from robotrain.config.trainer_args import find_option_of_program, list_option_names
from robotrain.config.validate import ValueTable
from robotrain.config.values import SET_FLAG, Origin, SourceText, Value
from robotrain.errors import Problem, Suggestion
from robotrain.messages import Messages
from robotrain.model.job import ARGUMENT_KEYS
from robotrain.model.platform import Platform
from robotrain.model.source import SourceKind
from robotrain.model.workload import Workload
from robotrain.nearest_name import suggest_name
from robotrain.redaction import can_repeat, redact

make_problem = Messages(__file__)

KEY_PATTERN = r"[a-z][a-z0-9_.-]*"
SET_FORM = f"{SET_FLAG} KEY=VALUE"


def apply_assignments(
    request: Request,
    assignment_texts: Sequence[str],
    workload: Workload,
    platform: Platform,
    kinds: Mapping[str, SourceKind] | None = None,
    prefix: str = "",
    flag: str = SET_FLAG,
) -> tuple[Request, list[Problem]]:
    """Return the request with every `KEY=VALUE` of `assignment_texts`, and the problems.

    KEY is `batch_size` or `parameters.batch_size`, `runs_dir` or `platforms.NAME.runs_dir`, `sources.ROLE.KIND`
    (repeated for several sources, which replace all sources of the role), `set_env.NAME` for one name of a parameter
    with pairs, `params.NAME` for a parameter of the user's own, or `trainer_args` with a JSON list, which replaces that
    of the job file. VALUE is the text that a flag would have; an empty one counts as unset. A value that `request` has
    by flag is a problem.

    :param kinds: needed only for sources.
    :param prefix: what stood before each KEY: the name of a pipeline's step with a dot.
    :param flag: the option that the texts were given by.
    """
    workload = extend_for_request(workload, request, platform)
    key_names = Names(workload, platform, kinds)
    parser = _AssignmentParser(request, workload, platform, key_names, prefix, f"{flag} {prefix}")
    for assignment_text in assignment_texts:
        parser.add_assignment(assignment_text)
    return parser.make_request(), parser.problems


@dataclasses.dataclass
class _AssignmentParser:
    """Parser of `KEY=VALUE` texts, which collects values and problems."""

    request: Request
    workload: Workload
    platform: Platform
    names: Names
    prefix: str
    flag: str
    """The option that the texts were given by, with the prefix."""
    values: dict[str, Value] = dataclasses.field(default_factory=dict)
    sources: list[SourceText] = dataclasses.field(default_factory=list)
    arguments: tuple[Value, ...] | None = None
    problems: list[Problem] = dataclasses.field(default_factory=list)

    def make_origin(self, key: str) -> Origin:
        """Return the origin of a key's value."""
        return Origin("flag", f"{self.flag}{key}")

    def make_request(self) -> Request:
        """Return the request with all parsed values."""
        line_layer = self.request.line
        changed_line = line_layer._replace(
            values={**line_layer.values, **self.values},
            sources=(*line_layer.sources, *self.sources),
            arguments=line_layer.arguments if self.arguments is None else self.arguments,
        )
        return dataclasses.replace(self.request, line=changed_line)

    def add_assignment(self, assignment_text: str) -> None:
        """Parse one `KEY=VALUE`."""
        key, value = split_assignment(assignment_text)
        table, _, name = key.rpartition(".")
        if value is None or not key:
            form = f"{SET_FLAG} {key}=VALUE" if re.fullmatch(KEY_PATTERN, key) else SET_FORM
            if pair := re.fullmatch(rf"({KEY_PATTERN})\s*:\s*(\S.*)", key):  # `seed: 5`
                form = f"{SET_FLAG} {shlex.quote(f'{pair[1]}={pair[2]}')}"
            ways = self.replace(key, (Suggestion(form),))
            self.problems.append(make_problem("value-invalid.assignment", *ways, where=self.format_place(key)))
        elif key in ARGUMENT_KEYS:
            self.add_arguments(key, value)
        elif table.startswith("sources."):
            self.add_source(key, table.partition(".")[2], name, value)
        elif full_names := self.names.find(key):
            self.add_field(key, full_names, value)
        elif table == "params" and self.workload.own_command:
            self.add_param(key, name, value)
        elif name_pair := self.names.find_pair(key):
            self.add_pair(key, *name_pair, value)
        else:
            self.add_unknown_key(key, value)

    def add_field(self, key: str, full_names: Sequence[str], value_text: str) -> None:
        """Add a value.

        :param full_names: the full names that the key stands for.
        """
        full_name, name = full_names[0], key.rpartition(".")[2]
        if len(full_names) > 1:
            ways = self.replace(key, (Suggestion(f"{self.flag}{name}=…") for name in full_names))
            self.problems.append(make_problem("set-ambiguous", *ways, where=self.format_place(key), name=name))
            return
        if full_name.startswith("parameters.") and name in list_own_names(self.workload.parameters):
            self.add_param(key, name, value_text)
            return
        line_value = self.request.line.values.get(full_name)
        if earlier_value := (line_value if line_value and line_value.value != "" else self.values.get(full_name)):
            self.add_conflict(earlier_value.origin.where, key)
        else:
            self.values[full_name] = Value(value_text, self.make_origin(key))

    def add_param(self, key: str, name: str, value_text: str) -> None:
        """Add a parameter of the user's own, which may be a new one."""
        full_name = f"params.{name}"
        if earlier_value := self.request.line.values.get(full_name) or self.values.get(full_name):
            self.add_conflict(earlier_value.origin.where, key)
        else:
            self.values[full_name] = Value(value_text, self.make_origin(key))

    def add_pair(self, key: str, full_name: str, name: str, value_text: str) -> None:
        """Add one name to a parameter with pairs; that the name, or the whole, is given already is a problem."""
        origin = self.make_origin(key)
        entries = list[tuple[str, Value]]()
        for earlier_value in filter(None, (self.request.line.values.get(full_name), self.values.get(full_name))):
            if not isinstance(earlier_value.value, ValueTable) or name in dict(earlier_value.value.entries):
                self.add_conflict(earlier_value.origin.where, key)
                return
            entries += earlier_value.value.entries
        parameter = self.names.parameters[full_name]
        table = pairs.make_table(parameter.flag, parameter.metavar, (), origin)
        self.values[full_name] = Value(table._replace(entries=(*entries, (name, Value(value_text, origin)))), origin)

    def add_source(self, key: str, role: str, kind: str, text: str) -> None:
        if key not in self.names.sources:
            self.add_unknown_key(key, text)
        elif by_flag := next((source for source in self.request.line.sources if source.role == role), None):
            self.add_conflict(by_flag.origin.where, key)
        else:
            self.sources.append(SourceText(role, (kind,), text, self.make_origin(key), Path.cwd()))

    def add_arguments(self, key: str, json_text: str) -> None:
        try:
            arguments = json.loads(json_text)
        except ValueError:
            arguments = None
        later_arguments = [str(argument.value) for argument in self.request.after_dashes]
        if not isinstance(arguments, list) or not all(isinstance(argument, str) for argument in arguments):
            suggested_texts = ("-- --NAME=VALUE …", f"{SET_FLAG} '{self.prefix}{key}=[\"--NAME=VALUE\"]'")
            ways = self.replace(key, map(Suggestion, suggested_texts))
            self.problems.append(make_problem("value-invalid.arguments", *ways, where=self.format_place(key)))
        elif repeated_names := list_option_names(later_arguments, self.workload) & list_option_names(
            arguments, self.workload
        ):
            self.add_conflict(f"{', '.join(map(redact, sorted(repeated_names)))} after --", key)
        elif self.arguments is not None:
            self.add_conflict(f"{self.flag}{key}", key)
        else:
            self.arguments = tuple(Value(argument, self.make_origin(key)) for argument in arguments)

    def add_conflict(self, other_place: str, key: str) -> None:
        self.problems.append(make_problem("options-conflict", where=self.format_place(key), other=other_place))

    def add_unknown_key(self, key: str, value: str = "") -> None:
        """Report an unknown key, with the option of the program that it names, or the nearest key."""
        keys = list(self.names.list_keys())
        table, _, key_in_table = key.partition(".")
        is_shown = self.flag.startswith(SET_FLAG) and can_repeat(value) and value.isprintable()
        shown_value = shlex.quote(value) if is_shown and value else "VALUE"
        key_suggestions = suggest_name(self._find_spelling(key) or key, keys, prefix=self.flag)
        reason = ""
        ways = tuple(Suggestion(f"{way.text}={shown_value}") for way in key_suggestions)
        if key in ("workload", "platform", "profile"):
            reason = "It has an argument or option of its own."
            ways = (Suggestion("robotrain … WORKLOAD" if key == "workload" else f"--{key} NAME"),)
        elif table == "platforms" and key_in_table.partition(".")[0] != self.platform.name:
            reason = f"The job is for {self.platform.name}: only its settings can be changed."
        elif table == "sources":
            source_keys = [name for name in keys if name.startswith(f"sources.{key_in_table.partition('.')[0]}.")]
            if key_in_table.count(".") == 0 and source_keys:
                ways = tuple(Suggestion(f"{self.flag}{name}=…") for name in source_keys)
        elif options := self._find_options(key, value):
            ways = options
        elif self.workload.own_command and not ways and re.fullmatch(NAME_PATTERN, key):
            reason, ways = self._find_command_options(key, shown_value)
        ways = self.replace(key, ways)
        key_place = self.format_place(key)
        self.problems.append(make_problem("value-unknown", *ways, where=key_place, key=redact(key), why=reason))

    def _find_options(self, key: str, value: str) -> tuple[Suggestion, ...]:
        """Return what to type instead of a key that is an option of the trainer; empty for any other key."""
        if self.flag != f"{SET_FLAG} " or self._find_spelling(key) or not re.fullmatch(r"[\w.-]+", key):
            return ()
        option = f"--{key}"
        if find_secret_arguments([option, value]):
            value = ""
        if option in self.workload.managed_options:
            _, option_texts = replace_managed_option(option, value, self.workload)
            option_parts = [option_text.partition(" ") for option_text in option_texts if " or --" not in option_text]
            return tuple(
                Suggestion(f"{self.flag}{field}={filled_value}")
                for flag, _, filled_value in option_parts
                if filled_value and flag.startswith("--") and (field := self.names.find_short(flag, "parameters"))
            )
        program_option = find_option_of_program(self.workload, option, value)
        return (Suggestion(f"-- {shlex.quote(program_option)}"),) if program_option else ()

    def _find_command_options(self, key: str, shown_value: str) -> tuple[str, tuple[Suggestion, ...]]:
        """Return what to type instead of a key that may be an option of the user's own program, and what it has."""
        command = next((layer.arguments for layer in self.request.layers if layer.arguments), self.request.after_dashes)
        words = [str(word.value) for word in command]
        if any(f"{{{key}}}" in word for word in words):
            return "", (Suggestion(f"{self.flag}params.{key}={shown_value}", f"what {{{key}}} stands for"),)
        if self.prefix or self.flag != f"{SET_FLAG} ":
            return "", ()
        program_options = self._list_program_options(words)
        if option := find_named_option(key, command, program_options or ()):
            return "", (Suggestion(format_option(option, shown_value), "an option of the program"),)
        if program_options is None:
            return "", (Suggestion(f"-- --{key} {shown_value}", "if the program has that option"),)
        return f"The options of the program: {', '.join(program_options) or 'none'}.", ()

    def _list_program_options(self, words: Sequence[str]) -> Sequence[str] | None:
        """Return the options of the user's own program; None if they are not known."""
        own_command = self.workload.own_command
        sources = [source for layer in self.request.layers for source in layer.sources]
        code = next((source for source in sources if self.workload.roles[source.role].is_program), None)
        folder = code and Path(code.base, code.text)
        return own_command.list_options(folder, words) if own_command and folder and folder.is_dir() else None

    def _find_spelling(self, key: str) -> str:
        """Return the key that a misspelt one stands for, since it is spelt as an option; empty for none."""
        table, dot, name = key.rpartition(".")
        spelling = self.names.find_short(name)
        return f"{table}{dot}{spelling}" if spelling else ""

    def format_place(self, key: str) -> str:
        return f"{self.flag}{redact(key)}"

    def replace(self, key: str, ways: Iterable[Suggestion]) -> tuple[Suggestion, ...]:
        """Return the ways, each in the place of the change of a key."""
        name = f"{self.flag.partition(' ')[0]}={self.prefix}{key}"
        return tuple(way if way.replaces or " " in name else way._replace(replaces=name) for way in ways)
