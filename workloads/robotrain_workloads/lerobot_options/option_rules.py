"""Rules between options, as the locked LeRobot has them, before anything is submitted.

`rules.toml` of a version has them, as people read them. LeRobot itself, the checker, judges the rest.
"""

import functools
import operator
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import tomllib
from robotrain_runtime.contract.problem import Problem

from robotrain_workloads.lerobot import image_weights, versions
from robotrain_workloads.lerobot.option_values import RefusedValue, UnreadValue, read_known, read_value
from robotrain_workloads.lerobot.options import split_options
from robotrain_workloads.lerobot.options_list import find_default, load_options
from robotrain_workloads.lerobot.trained_model import TrainedModel
from robotrain_workloads.option_kinds import make_option_problem

COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    "<": operator.lt,
    ">=": operator.ge,
    ">": operator.gt,
    "==": operator.eq,
    "!=": operator.ne,
    "multiple-of": lambda value, other: value % other == 0,
}
LISTED, SET, UNSET = "in", "set", "unset"
START = "a-policy-to-start-from"


class Term(NamedTuple):
    """`NAME OPERATOR VALUE`."""

    name: str
    operator: str
    value: str = ""


class Rule(NamedTuple):
    """What LeRobot requires of options."""

    text: str
    """As people read it."""
    requirement: Term
    condition: Term | None
    """When it does; None for always."""
    suggestion: str

    def list_names(self) -> list[str]:
        """Return the options that it is about."""
        terms = [self.requirement, *([self.condition] if self.condition else [])]
        return [name for term in terms for name in (term.name, term.value) if name]


def parse_rule(text: str) -> Rule:
    """Return the rule in a text."""
    sentence, _, suggestion = text.partition(" -> ")
    requirement, _, condition = sentence.partition(" if ")
    return Rule(sentence, Term(*requirement.split()), Term(*condition.split()) if condition else None, suggestion)


@functools.cache
def load_rules(lerobot: versions.LeRobotVersion) -> Mapping[str, Sequence[Rule]]:
    """Return the rules of a LeRobot version by the part of the options that they are about."""
    sections = tomllib.loads((lerobot.folder / "rules.toml").read_text("utf-8"))
    return {name: [parse_rule(text) for text in texts] for name, texts in sections.items()}


def find_problems(
    arguments: Sequence[str],
    model: TrainedModel,
    settings: Mapping[str, Any] | None,
    *,
    starts: bool,
    list_own: Callable[[], Mapping[str, object]] = dict,
    owned: Container[str] = (),
    loads: bool = False,
) -> Iterator[Problem]:
    """Yield the options after `--` that LeRobot would refuse together.

    :param settings: the configuration of what it starts from; None if that is unknown.
    :param starts: whether it starts from something.
    :param list_own: returns the options that robotrain gives itself.
    :param owned: options that only robotrain may give; they are reported elsewhere.
    :param loads: whether LeRobot reads the options of the policy beside the configuration that it starts from.
    """
    given = {name: text for name, text in split_options(arguments) if name}
    values = OptionValues(model, given, list_own(), settings, starts=starts, loads=loads)
    rules = load_rules(model.lerobot)
    reported_options: set[str] = set()
    for section in ("train", model.prefix, f"{model.prefix}.{model.kind}"):
        prefix = "" if section == "train" else f"{model.prefix}."
        for rule in rules.get(section, ()):
            names = [f"{prefix}{name}" for name in rule.list_names()]
            typed_options = [
                f"--{option}" if text is None else f"--{option}={text}"
                for option, text in given.items()
                if f"--{option}" not in owned and any(option == name or option.startswith(f"{name}.") for name in names)
            ]
            options = " ".join(typed_options)
            if typed_options and options not in reported_options and values.breaks(rule, prefix):
                reported_options.add(options)
                subject = f"'s {model.kind}" if prefix else ""
                yield make_option_problem(
                    options,
                    f"LeRobot {model.lerobot.name}{subject} does not take {options}",
                    values.explain(rule, prefix),
                    rule.suggestion,
                )
    if settings == {}:
        yield from _check_weights(given, model)


class OptionValues:
    """The values of a training's options: given, robotrain's own, of the start, or by default."""

    def __init__(
        self,
        model: TrainedModel,
        given: Mapping[str, str | None],
        own: Mapping[str, object],
        settings: Mapping[str, Any] | None,
        *,
        starts: bool,
        loads: bool,
    ) -> None:
        self.model, self.typed, self.settings, self.starts, self.loads = (
            model,
            {**own, **given},
            settings,
            starts,
            loads,
        )
        self.options = load_options(model.lerobot.name)
        chosen = {name.removesuffix(".type"): str(text) for name, text in self.typed.items() if name.endswith(".type")}
        self.types = {**chosen, model.prefix: model.kind}

    def find_value(self, name: str) -> Any:
        """Return the value of an option, True for a group of which some are given. Raise KeyError if unknown."""
        of_model = name.startswith(f"{self.model.prefix}.")
        if name == START:
            return self.starts or None
        if (text := self.typed.get(name)) is not None:
            kind = self.options.get_kind(name, self.types)
            try:
                return read_value(str(text), kind, as_json=self.loads and of_model)
            except (RefusedValue, UnreadValue):
                raise KeyError(name) from None
        if any(option.startswith(f"{name}.") for option in self.typed):
            return True
        if of_model and self.starts:
            if self.settings is None:
                raise KeyError(name)
            part = name.partition(".")[2]
            if part in self.settings:
                return self.settings[part]
        return find_default(name, self.types, self.model.lerobot.name)

    def breaks(self, rule: Rule, prefix: str) -> bool:
        """Return whether the options are known to break a rule."""
        try:
            is_required = rule.condition is None or self._is_true(rule.condition, prefix)
            return is_required and not self._is_true(rule.requirement, prefix, absent=True)
        except (KeyError, TypeError, ZeroDivisionError):  # of an option that is not known, or is of another kind
            return False

    def _is_true(self, term: Term, prefix: str, *, absent: bool = False) -> bool:
        """Return whether a term is true; `absent` for an option without a value. Raise what `find` raises."""
        value = self.find_value(prefix + term.name if term.name != START else START)
        if term.operator in (SET, UNSET):
            return (value not in (None, {})) == (term.operator == SET)
        if value is None:
            return absent
        if term.operator == LISTED:
            return value in term.value.split(",")
        compare = COMPARISONS[term.operator]
        other = self.read_operand(term.value, prefix)
        return all(compare(item, other) for item in (value if isinstance(value, list) else [value]))

    def read_operand(self, text: str, prefix: str) -> Any:
        """Return the number or the word that a term compares with, or the value of another option."""
        is_option = self.options.list_fields(prefix + text, self.types)
        return self.find_value(prefix + text) if is_option else read_known(text)

    def explain(self, rule: Rule, prefix: str) -> str:
        """Return what a rule requires, with the values of the options that are not typed."""
        options = [
            name
            for name in rule.list_names()
            if self.options.list_fields(prefix + name, self.types) and prefix + name not in self.typed
        ]
        values = "".join(f", {name} is {self.find_value(prefix + name)}" for name in options)
        return f"LeRobot requires {rule.text}{values}."


def _check_weights(given: Mapping[str, str | None], model: TrainedModel) -> Iterator[Problem]:
    """Require that named weights are torchvision's and fit the network: LeRobot fails once it makes the network."""
    option = model.format_flag(image_weights.WEIGHTS_OPTION)
    weights = given.get(option[2:])
    values = model.read_options([f"--{name}={text}" for name, text in given.items()], as_json=False)
    title, meant_weights = image_weights.find_mistake({**model.defaults, **values})
    if title and weights is not None:  # those by default may not be read
        yield make_option_problem(f"{option}={weights}", title, "", f"{option}={meant_weights}")
