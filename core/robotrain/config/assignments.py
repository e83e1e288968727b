"""`--set KEY=VALUE`: values of a job by their names in a job file, as strong as flags."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from robotrain.config.names import Names
from robotrain.config.own_parameters import extend_for_request, list_own_names
from robotrain.config.request import Request
from robotrain.config.selection import split_assignment
from robotrain.config.trainer_args import list_option_names
from robotrain.config.values import SET_FLAG, Origin, SourceText, Value
from robotrain.errors import Problem, Suggestion
from robotrain.messages import Messages
from robotrain.model.job import ARGUMENT_KEYS
from robotrain.model.platform import Platform
from robotrain.model.source import SourceKind
from robotrain.model.workload import Workload
from robotrain.nearest_name import suggest_name
from robotrain.redaction import redact

make_problem = Messages(__file__)


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
            self.problems.append(make_problem("value-invalid.assignment", where=self.format_place(key)))
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
            self.add_unknown_key(key)

    def add_field(self, key: str, full_names: Sequence[str], value_text: str) -> None:
        """Add a value.

        :param full_names: the full names that the key stands for.
        """
        full_name, name = full_names[0], key.rpartition(".")[2]
        if len(full_names) > 1:
            ways = [Suggestion(f"{self.flag}{full_name}=…") for full_name in full_names]
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
        earlier_value = self.values.get(full_name) or self.request.line.values.get(full_name)
        earlier_texts = earlier_value.value if earlier_value else []
        names = {str(text).partition("=")[0] for text in earlier_texts}
        if earlier_value and (isinstance(earlier_texts, str) or name in names):
            self.add_conflict(earlier_value.origin.where, key)
        else:
            self.values[full_name] = Value([*earlier_texts, f"{name}={value_text}"], self.make_origin(key))

    def add_source(self, key: str, role: str, kind: str, text: str) -> None:
        if key not in self.names.sources:
            self.add_unknown_key(key)
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
            self.problems.append(make_problem("value-invalid.arguments", where=self.format_place(key)))
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

    def add_unknown_key(self, key: str) -> None:
        """Report an unknown key, with the nearest one."""
        table, _, key_in_table = key.partition(".")
        reason = ""
        if key in ("workload", "platform", "profile"):
            reason = "It has an argument or option of its own."
        elif table == "platforms" and key_in_table.partition(".")[0] != self.platform.name:
            reason = f"The job is for {self.platform.name}: only its settings can be changed."
        meant = self.names.find_short(key) or key
        ways = [Suggestion(f"{way.text}=VALUE") for way in suggest_name(meant, self.names.list_keys(), self.flag)]
        where = self.format_place(key)
        self.problems.append(make_problem("value-unknown", *ways, where=where, key=redact(key), why=reason))

    def format_place(self, key: str) -> str:
        """Return the place of a key on the line."""
        return f"{self.flag}{redact(key)}"
