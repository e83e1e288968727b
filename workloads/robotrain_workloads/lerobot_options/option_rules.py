"""Rules between options, as the locked LeRobot has them, before anything is submitted.

`lerobot_versions/rules` has them by configuration class: a condition over its options that LeRobot refuses (`when`),
with its message (`why`). They are frozen: people add what lines broke, and LeRobot itself, the checker, judges the
rest. What no class says, `policy_rules` has.
"""

import ast
import dataclasses
import functools
import json
import re
import string
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from types import CodeType
from typing import Any, NamedTuple

from robotrain_runtime.contract.problem import Problem

from robotrain_workloads.lerobot import versions
from robotrain_workloads.lerobot.option_tree import OptionTree, load_option_tree
from robotrain_workloads.lerobot.trained_model import TrainedModel, make_model
from robotrain_workloads.lerobot_options import policy_rules
from robotrain_workloads.lerobot_options.rule_values import (
    SET,
    OptionClass,
    OptionValues,
    list_classes,
    read_given,
)
from robotrain_workloads.option_kinds import make_option_problem

START_SUGGESTION = "--policy-repo-id OWNER/NAME"
SCHEDULE, SCHEDULE_SUGGESTION = "scheduler", "--scheduler.type=constant_with_warmup"
"""An own optimizer needs a schedule: this one keeps its learning rate."""
NOTHING: Mapping[str, Any] = {"rules": (), "defaults": {}}
FUNCTIONS: Mapping[str, Any] = {function.__name__: function for function in (all, any, int, len, set)}
"""What conditions call."""
TEXT_METHODS = ("startswith", "lower")


class Rule(NamedTuple):
    """What LeRobot refuses."""

    when: str
    """A condition over the options of a class."""
    why: str
    """LeRobot's message, with expressions in braces."""
    instead: str = ""
    """What to use instead; an option after `--`."""


class BrokenRule(NamedTuple):
    """A rule that options break."""

    rule: Rule
    place: OptionClass
    values: Mapping[str, Any]
    given: Sequence[str]
    """The options of the rule that are given, by their names in the class."""


class Condition:
    """An expression over options, by name: `chunk_size`, `dataset.episodes`."""

    def __init__(self, text: str) -> None:
        self._tree = _OptionNames().visit(ast.parse(text, mode="eval"))
        name_nodes = [node for node in ast.walk(self._tree) if isinstance(node, ast.Name)]
        local_names = {node.id for node in name_nodes if isinstance(node.ctx, ast.Store)} | FUNCTIONS.keys()
        name_nodes.sort(key=lambda node: (node.lineno, node.col_offset))
        self.names = tuple(dict.fromkeys(node.id for node in name_nodes if node.id not in local_names))

    @functools.cached_property
    def _code(self) -> CodeType:  # of most conditions, no option is given
        return compile(self._tree, "condition", "eval")

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        """Return its value, for those of options. Raise whatever it raises without one of them."""
        return eval(self._code, {"__builtins__": FUNCTIONS, **values})

    def find_limit(self) -> tuple[str, str] | None:
        """Return two options of which the first is larger than the second; None if that is not all it says."""
        tree = self._tree.body
        is_limit = isinstance(tree, ast.Compare) and len(tree.ops) == 1 and isinstance(tree.ops[0], ast.Gt)
        if not is_limit or not isinstance(tree.left, ast.Name) or not isinstance(tree.comparators[0], ast.Name):
            return None
        return tree.left.id, tree.comparators[0].id

    def is_true(self, values: Mapping[str, Any]) -> bool:
        """Return whether it is known to be true."""
        try:
            return bool(self.evaluate(values))
        except Exception:  # of an option that is not known, or whose value is of another kind
            return False


class _OptionNames(ast.NodeTransformer):
    """Makes one name of an option with dots."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """Return a name, unless it is a method of a text."""
        owner = node.value = self.visit(node.value)
        if node.attr in TEXT_METHODS:
            return node
        return ast.copy_location(ast.Name(f"{owner.id}.{node.attr}", ast.Load()), node)


@functools.cache
def parse(text: str) -> Condition:
    """Return the expression in a text. Raise SyntaxError."""
    return Condition(text)


def fill_in(template: str, values: Mapping[str, Any]) -> str:
    """Return a text with the values of the expressions in its braces."""
    text_parts = []
    for literal_text, expression, *_ in string.Formatter().parse(template):
        text_parts.append(literal_text)
        if expression is not None:
            try:
                text_parts.append(str(parse(expression).evaluate(values)))
            except Exception:  # of an option that is not known
                text_parts.append("…")
    return "".join(text_parts)


@functools.cache
def load_rules(version: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the rules of a LeRobot version by class, as its file has them; none where only a job's files are."""
    path = versions.FOLDER / "rules" / f"v{version.replace('.', '_')}.json"
    if not path.is_file():
        return {}
    rules: Mapping[str, Mapping[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["classes"]
    return rules


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
    """Yield the options after `--` that LeRobot would refuse together; `RuleCheck` has the parameters.

    :param loads: whether LeRobot reads the options of the policy beside the configuration that it starts from.
    """
    problems = list(policy_rules.find_rule_problems(arguments, model, settings, loads=loads))
    yield from problems
    reported_options = {problem.given for problem in problems if problem.severity == "error"}
    for problem in RuleCheck(
        arguments, model, settings, starts=starts, list_own=list_own, owned=owned, loads=loads
    ).find_problems():
        if problem.given not in reported_options:
            yield problem


class RuleCheck:
    """The check of options after `--` for one type of policy or reward model.

    :param settings: the configuration of what it starts from; None if that is unknown.
    :param starts: whether it starts from something.
    :param own: what returns the options that robotrain gives itself; they are asked for only if a rule is broken.
    :param owned: options that only robotrain may give; they are reported elsewhere.
    :param loads: whether LeRobot reads the options of the policy beside the configuration that it starts from.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        model: TrainedModel,
        settings: Mapping[str, Any] | None,
        *,
        starts: bool,
        list_own: Callable[[], Mapping[str, object]] = dict,
        owned: Container[str] = (),
        loads: bool = False,
    ) -> None:
        self.loads = loads
        self.owned, self.model, self.tree = owned, model, load_option_tree(model.lerobot.name)
        self.given, self.settings, self.starts, self.own = read_given(tuple(arguments)), settings, starts, list_own
        self.rules = load_rules(model.lerobot.name)

    def find_problems(self) -> Iterator[Problem]:
        """Yield the options that do not fit together."""
        option_values = self._make_values({})
        broken_rules = [*self._list_broken(option_values)]
        if broken_rules and (own_options := self.own()):
            option_values = self._make_values(own_options)
            broken_rules = [*self._list_broken(option_values)]
        reported_options: set[str] = set()
        for broken_rule in broken_rules:
            options = format_given(broken_rule.place, broken_rule.given, self.given)
            if options not in reported_options:
                reported_options.add(options)
                yield self._explain(broken_rule, options)

    def _make_values(self, own_options: Mapping[str, object]) -> OptionValues:
        return OptionValues(
            self.tree, self.model, self.given, own_options, self.settings, starts=self.starts, loads=self.loads
        )

    def _list_broken(self, all_values: OptionValues) -> Iterator[BrokenRule]:
        types = {self.model.prefix: self.model.kind}
        for option_class in list_classes(self.tree, self.given, types):
            exported_class = self.rules.get(option_class.name, NOTHING)
            for rule in (Rule(**fields) for fields in exported_class["rules"]):
                condition = parse(rule.when)
                condition_names = [*condition.names]
                given_names = [name for name in condition_names if self._is_given(option_class, name)]
                if given_names:
                    option_values = all_values.collect(
                        option_class, condition_names, exported_class.get("defaults", {})
                    )
                    if condition.is_true(option_values):
                        yield BrokenRule(rule, option_class, option_values, given_names)

    def _is_given(self, option_class: OptionClass, name: str) -> bool:
        path = f"{option_class.prefix}{name}"
        given_names = [option for option in self.given if option == path or option.startswith(f"{path}.")]
        return path not in ("policy", "reward_model") and any(f"--{option}" not in self.owned for option in given_names)

    def _explain(self, broken: BrokenRule, options: str) -> Problem:
        rule, option_class = broken.rule, broken.place
        subject = f"'s {self.model.kind}" if option_class.prefix.startswith(f"{self.model.prefix}.") else ""
        title = f"LeRobot {self.model.lerobot.name}{subject} does not take {options}"
        reason = (
            re.sub(r"[,:]?(?: got)?:? *\(?…\W*$| \(…\)", "", fill_in(rule.why, broken.values).replace("`", ""))
            .strip()
            .rstrip(".")
        )
        other_values = [
            self._describe(broken, name, reason) for name in parse(rule.when).names if name not in broken.given
        ]
        explanation = " ".join([f"It says: {reason}.", *filter(None, other_values)])
        return make_option_problem(options, title, explanation, self._suggest(broken))

    def _describe(self, broken: BrokenRule, name: str, reason: str) -> str:
        """Return the value of an option that is not given."""
        value = broken.values.get(name, SET)
        option = f"--{broken.place.prefix}{name}"
        if value == SET or value is None or not isinstance(value, bool | int | float | str) or "." in name:
            return ""
        if re.search(rf"(?<!\w){re.escape(str(value))}(?!\w)", reason) and re.search(rf"(?<!\w){name}(?!\w)", reason):
            return ""
        is_saved = self.settings and name in self.settings and broken.place.prefix == f"{self.model.prefix}."
        return f"{option} is {str(value).lower()}{' in its configuration' if is_saved else ' by default'}."

    def _suggest(self, broken: BrokenRule) -> str:
        """Return what to add to the line, where that is known; empty where a value is the user's choice."""
        if broken.rule.instead:
            return broken.rule.instead
        if f"{self.model.prefix}.pretrained_path" in parse(broken.rule.when).names and not self.starts:
            return START_SUGGESTION
        if SCHEDULE in broken.values and broken.values[SCHEDULE] is None and broken.values.get("optimizer") == SET:
            return SCHEDULE_SUGGESTION
        if option := parse(broken.rule.when).find_limit():
            other_name, limit = option if option[0] not in broken.given else option[::-1]
            limit_value = broken.values.get(limit)
            return f"--{broken.place.prefix}{other_name}={limit_value}" if isinstance(limit_value, int) else ""
        return ""


def format_given(
    option_class: OptionClass, option_names: Sequence[str], option_values: Mapping[str, str | None]
) -> str:
    """Return options as they are given, a group of them as those below it."""
    paths = [f"{option_class.prefix}{name}" for name in option_names]
    matches = [option for path in paths for option in option_values if option == path or option.startswith(f"{path}.")]
    options = (
        f"--{option}" if option_values[option] is None else f"--{option}={option_values[option]}" for option in matches
    )
    return " ".join(dict.fromkeys(options))


def find_common_problems(arguments: Sequence[str], lerobot: versions.LeRobotVersion) -> list[Problem]:
    """Return the problems of options for a policy or reward model of an unknown type: those of every type."""
    option_values = read_given(tuple(arguments))
    tree = load_option_tree(lerobot.name)
    common_problems: list[Problem] = []
    for model in list_models(option_values, tree, lerobot):
        problems = [*RuleCheck(arguments, model, None, starts=True).find_problems()]
        option_texts = {problem.given for problem in problems}
        common_problems = (
            [problem for problem in common_problems if problem.given in option_texts] if common_problems else problems
        )
        if not common_problems:
            return []
    return [
        dataclasses.replace(problem, title=re.sub(r"'s \w+ ", " ", problem.title, count=1))
        for problem in common_problems
    ]


def list_models(
    option_values: Mapping[str, str | None], tree: OptionTree, lerobot: versions.LeRobotVersion
) -> Iterator[TrainedModel]:
    """Yield the types that have all given options."""
    for section in (versions.POLICIES, versions.REWARD_MODELS):
        for kind in lerobot.get_types(section):
            model = make_model(lerobot, section, kind)
            name_parts = [name.split(".") for name in option_values]
            part_names = {
                name_part[1] for name_part in name_parts if name_part[0] == model.prefix and len(name_part) > 1
            }
            is_other = any(
                name_part[0] != model.prefix and name_part[0] in ("policy", "reward_model") for name_part in name_parts
            )
            if not is_other and part_names <= model.options.keys():
                yield model
