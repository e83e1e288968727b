"""Values of a job by their names in a job file, as strong as flags: `--set KEY=VALUE`, and those of a call."""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

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

    VALUE is the text that a flag would have; an empty one counts as unset.

    :param kinds: needed only for sources.
    :param prefix: what stood before each KEY: the name of a pipeline's step with a dot.
    :param flag: the option that the texts were given by.
    """
    parser = NamedValues(request, workload, platform, kinds or {}, "flag", f"{flag} {prefix}")
    for assignment_text in assignment_texts:
        key, value = split_assignment(assignment_text)
        if value is None or not key:
            parser.add_problem("value-invalid.assignment", key)
        else:
            parser.add(key, value)
    return parser.make_request(), parser.problems


class NamedValues:
    """Reader of values by their names, which collects values and problems.

    A key is `batch_size` or `parameters.batch_size`, `runs_dir` or `platforms.NAME.runs_dir`, `sources.ROLE.KIND`
    (repeated for several sources, which replace all sources of the role), `set_env.NAME` for one name of a parameter
    with pairs, `params.NAME` for a parameter of the user's own, or `trainer_args` with a list, as a text in JSON, which
    replaces that of the job file. A value that `request` has by flag is a problem.

    :param start: what stands before each key in messages.
    """

    def __init__(
        self,
        request: Request,
        workload: Workload,
        platform: Platform,
        kinds: Mapping[str, SourceKind],
        layer: str,
        start: str,
    ) -> None:
        self.request, self.platform, self._layer, self._start = request, platform, layer, start
        self.workload = extend_for_request(workload, request, platform)
        self.names = Names(self.workload, platform, kinds)
        self.values: dict[str, Value] = {}
        self.sources: list[SourceText] = []
        self.arguments: tuple[Value, ...] | None = None
        self.problems: list[Problem] = []

    def make_origin(self, key: str) -> Origin:
        """Return the origin of a key's value."""
        return Origin(self._layer, f"{self._start}{key}")

    def make_request(self) -> Request:
        """Return the request with all values."""
        line_layer = self.request.line
        changed_line = line_layer._replace(
            values={**line_layer.values, **self.values},
            sources=(*line_layer.sources, *self.sources),
            arguments=line_layer.arguments if self.arguments is None else self.arguments,
        )
        return dataclasses.replace(self.request, line=changed_line)

    def add(self, key: str, value: Any, other_keys: Iterable[str] = ()) -> None:
        """Add a value by its key. `other_keys`: that the caller knows; one of them may be meant by an unknown key."""
        table, _, name = key.rpartition(".")
        if key in ARGUMENT_KEYS:
            self._add_arguments(key, value)
        elif key in self.names.sources:
            self.add_source(key, table.partition(".")[2], (name,), value)
        elif full_names := self.names.find(key):
            self._add_field(key, full_names, value)
        elif table == "params" and self.workload.own_command:
            self._add_value(key, f"params.{name}", value)  # which may be a new one
        elif name_pair := self.names.find_pair(key):
            self._add_pair(key, *name_pair, value)
        else:
            self._report_unknown(key, other_keys)

    def add_source(self, key: str, role: str, kinds: tuple[str, ...], text: str) -> None:
        """Add a source, unless the role has one by flag."""
        if by_flag := next((source for source in self.request.line.sources if source.role == role), None):
            self._add_conflict(by_flag.origin.where, key)
        else:
            self.sources.append(SourceText(role, kinds, text, self.make_origin(key), Path.cwd()))

    def add_problem(self, message: str, key: str, *ways: Suggestion, **facts: Any) -> None:
        """Report what is wrong with a key or its value."""
        key = redact(key)
        self.problems.append(make_problem(message, *ways, where=f"{self._start}{key}", key=key, **facts))

    def _add_field(self, key: str, full_names: Sequence[str], value: Any) -> None:
        """Add a value. `full_names`: what the key stands for."""
        full_name, name = full_names[0], key.rpartition(".")[2]
        if len(full_names) > 1:
            ways = [Suggestion(f"{self._start}{full_name}=…") for full_name in full_names]
            self.add_problem("set-ambiguous", key, *ways)
        elif full_name.startswith("parameters.") and name in list_own_names(self.workload.parameters):
            self._add_value(key, f"params.{name}", value)
        else:
            self._add_value(key, full_name, value)

    def _add_value(self, key: str, full_name: str, value: Any) -> None:
        line_value = self.request.line.values.get(full_name)
        if earlier := (line_value if line_value and line_value.value != "" else self.values.get(full_name)):
            self._add_conflict(earlier.origin.where, key)
        else:
            self.values[full_name] = Value(value, self.make_origin(key))

    def _add_pair(self, key: str, full_name: str, name: str, value: Any) -> None:
        """Add one name to a parameter with pairs; that the name, or the whole, is given already is a problem."""
        earlier = self.values.get(full_name) or self.request.line.values.get(full_name)
        texts = earlier.value if earlier else []
        if earlier and (isinstance(texts, str) or name in {str(text).partition("=")[0] for text in texts}):
            self._add_conflict(earlier.origin.where, key)
        else:
            self.values[full_name] = Value([*texts, f"{name}={value}"], self.make_origin(key))

    def _add_arguments(self, key: str, value: Any) -> None:
        try:
            arguments = json.loads(value) if isinstance(value, str) else [*map(str, value)]
        except (ValueError, TypeError):
            arguments = None
        later_arguments = [str(argument.value) for argument in self.request.after_dashes]
        if not isinstance(arguments, list) or not all(isinstance(argument, str) for argument in arguments):
            self.add_problem("value-invalid.arguments", key)
        elif repeated_names := list_option_names(later_arguments, self.workload) & list_option_names(
            arguments, self.workload
        ):
            self._add_conflict(f"{', '.join(map(redact, sorted(repeated_names)))} after --", key)
        elif self.arguments is not None:
            self._add_conflict(f"{self._start}{key}", key)
        else:
            self.arguments = tuple(Value(argument, self.make_origin(key)) for argument in arguments)

    def _add_conflict(self, other_place: str, key: str) -> None:
        self.add_problem("options-conflict", key, other=other_place)

    def _report_unknown(self, key: str, other_keys: Iterable[str]) -> None:
        table, _, key_in_table = key.partition(".")
        reason = ""
        if key in ("workload", "platform", "profile"):
            reason = "It has an argument or option of its own."
        elif table == "platforms" and key_in_table.partition(".")[0] != self.platform.name:
            reason = f"The job is for {self.platform.name}: only its settings can be changed."
        near = suggest_name(self.names.find_short(key) or key, [*self.names.list_keys(), *other_keys], self._start)
        ways = near if self._layer == "call" else [Suggestion(f"{way.text}=VALUE") for way in near]
        self.add_problem("value-unknown", key, *ways, why=reason)
