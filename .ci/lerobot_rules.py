"""The rules of LeRobot's configuration classes as conditions over options: `rules.json`.

They are read in the code (`lerobot_rule_reader`), and each is tried against LeRobot itself (`lerobot_rule_trials`).
"""

import ast
import dataclasses
import inspect
import multiprocessing
import re
import types
import typing
from collections.abc import Iterator
from typing import Any

import draccus
from lerobot.configs.policies import PreTrainedConfig
from lerobot.datasets.factory import make_train_eval_datasets
from lerobot.policies.factory import make_policy
from lerobot.policies.pretrained import PreTrainedPolicy
from lerobot.scripts import lerobot_train
from lerobot.utils.sample_weighting import SampleWeightingConfig, make_sample_weighter
from lerobot_rule_reader import Scope
from lerobot_rule_values import Config, Known, Value, bound, has_unknown, make_expression, make_name, make_test

METHODS = ("__post_init__", "validate", "validate_features", "get_optimizer_preset", "get_scheduler_preset")
FEATURES = ("input_features", "output_features")
"""They are the dataset's, which another check compares."""
RESOLVED = ("_resolve_pretrained_from_cli", "to_dict", "validate")
"""Methods that are not followed: the values of the rules are those after them."""
BACKBONES = (
    "vision_backbone not in ('resnet18', 'resnet34', 'resnet50', 'resnet101', 'resnet152')",
    "torchvision has no vision_backbone {vision_backbone}",
)
ASSERTED = {
    "ACTConfig": [
        BACKBONES,
        ("dim_model % n_heads != 0", "dim_model must be divisible by n_heads"),
        ("not 0.0 <= dropout <= 1.0", "dropout probability has to be between 0 and 1, but got {dropout}"),
    ],
    "DiffusionConfig": [BACKBONES],
    "VQBeTConfig": [
        BACKBONES,
        ("gpt_hidden_dim % gpt_n_head != 0", "gpt_hidden_dim must be divisible by gpt_n_head"),
    ],
}
"""What making a network refuses."""
NETWORK = "network"
"""The error of a rule that only making the network shows."""
LONGEST = 600
FILLABLE = re.compile(r"[\w.\[\]()+\-*/ %]+")


@dataclasses.dataclass
class Rule:
    """A condition over the options of a class that LeRobot refuses."""

    when: str
    why: str
    error: str
    source: str
    """Where it is read, for the report."""


class RuleReader:
    """What raises in the methods of a configuration class."""

    skipped = RESOLVED

    def __init__(self, owner: type, path: str = "") -> None:
        self.owner = owner
        self.rules: list[Rule] = []
        self.unreadable: list[str] = []
        self.names: dict[str, Value] = {}

    def read_class(self) -> None:
        """Follow the methods that check options."""
        for name in METHODS:
            member = inspect.getattr_static(self.owner, name, None)
            if isinstance(member, types.FunctionType):
                self.follow(member, {"self": Config(self.owner, "")})
        self.rules += [Rule(when, why, NETWORK, "network") for when, why in ASSERTED.get(self.owner.__name__, ())]

    def read_training(self) -> None:
        """Follow the functions of the trainer that are called with the configuration."""
        policy, trained = Config(PreTrainedConfig, "policy"), "reward_model is None"
        network = Known(types.SimpleNamespace(config=policy))
        weighting = Config(SampleWeightingConfig, "sample_weighting")
        self.follow(make_train_eval_datasets, {"cfg": Config(self.owner, "")})
        self.follow(make_policy, {"cfg": policy}, trained)
        self.follow(PreTrainedPolicy._validate_peft_config, {"self": network}, f"peft is not None and {trained}")
        self.follow(make_sample_weighter, {"config": weighting, "policy": network})
        self.follow(lerobot_train.train, {"cfg": Config(self.owner, "")})

    def follow(self, function: Any, arguments: dict[str, Value], guard: str = "") -> None:
        """Follow a function whose arguments are configurations; `guard`: when it is called."""
        scope = Scope(self, inspect.unwrap(function), dict(self.names), 0)
        path: list[Value] = [ast.parse(guard, mode="eval").body] if guard else []
        others = dict.fromkeys(inspect.signature(function).parameters)
        scope.call(function, [], {**others, **arguments}, path)
        self.names |= {name: value for name, value in scope.names.items() if "." in name}

    def find_field(self, owner: Config, name: str) -> Value:
        """Return an option of a configuration, or what is below it; None if it is no option."""
        path = f"{owner.path}.{name}".lstrip(".")
        if owner.type is None or name in FEATURES:
            return None
        is_registry = issubclass(owner.type, draccus.ChoiceRegistry)
        if name == "type" and is_registry:
            kind = owner.type.get_choice_name(owner.type) if not owner.path else ""
            return Known(kind) if kind else make_name(path)
        fields = (
            {one.name: one for one in dataclasses.fields(owner.type)} if dataclasses.is_dataclass(owner.type) else {}
        )
        if name not in fields:
            known = inspect.getattr_static(owner.type, name, None) is not None
            return make_name(path) if is_registry and owner.path and not known else None
        if not fields[name].init:
            return None
        hint = typing.get_type_hints(owner.type)[name]
        arms = [one for one in typing.get_args(hint) or (hint,) if one is not type(None)]
        if len(arms) == 1 and dataclasses.is_dataclass(arms[0]):
            return Config(arms[0], path)
        return make_name(path)

    def call_super(self, scope: Scope, name: str, path: list[Value]) -> Value:
        """Follow the method of a parent class."""
        for parent in self.owner.__mro__[1:]:
            member = vars(parent).get(name)
            if isinstance(member, types.FunctionType):
                return scope.call(member, [Config(self.owner, "")], {}, path)
        return None

    def call_known(self, value: Any) -> Value:
        """Return what a function of Python returns on the machine of a job."""
        return Known(("fork", "spawn", "forkserver")) if value is multiprocessing.get_all_start_methods else None

    def add(self, scope: Scope, raised: ast.expr | None, path: list[Value], error: str = "") -> None:
        """Add a rule for what raises under some conditions."""
        line = f"{scope.function.__qualname__}: {ast.unparse(raised)[:120] if raised else ''}"
        if isinstance(raised, ast.Call):
            error = error or ast.unparse(raised.func)
            message = raised.args[0] if raised.args else None
        else:
            message = raised
        conditions = [bound(make_test(one)) for one in path]
        known = [one for one in conditions if one is not None]
        if not known or len(known) < len(conditions):
            self.unreadable.append(line)
            return
        when = simplify(ast.BoolOp(ast.And(), known) if len(known) > 1 else known[0])
        text = ast.unparse(ast.fix_missing_locations(when))
        if len(text) > LONGEST:
            self.unreadable.append(line)
        elif text not in ("True", "False") and not self._is_implied(when):
            self.rules.append(Rule(text, self._read_message(scope, message), error, line))

    def _is_implied(self, when: ast.expr) -> bool:
        """Return whether another rule refuses all that this one does."""
        parts = {ast.unparse(one) for one in list_conjuncts(when)}
        known = [
            {ast.unparse(one) for one in list_conjuncts(ast.parse(rule.when, mode="eval").body)} for rule in self.rules
        ]
        return any(one <= parts for one in known)

    def _read_message(self, scope: Scope, node: ast.expr | None) -> str:
        if isinstance(node, ast.Constant):
            return str(node.value).replace("{", "{{").replace("}", "}}")
        if isinstance(node, ast.BinOp):
            return self._read_message(scope, node.left) + self._read_message(scope, node.right)
        if isinstance(node, ast.JoinedStr):
            return "".join(self._read_message(scope, one) for one in node.values)
        if isinstance(node, ast.FormattedValue):
            value = scope.read(node.value)
            if isinstance(value, Known) and isinstance(value.value, str | int | float | list | tuple):
                found = value.value
                text = ", ".join(map(str, found)) if isinstance(found, list | tuple) else str(found)
                return text.replace("{", "{{").replace("}", "}}")
            found = make_expression(value)
            text = "" if found is None or has_unknown(found) else ast.unparse(ast.fix_missing_locations(found))
            return f"{{{text}}}" if FILLABLE.fullmatch(text) else "…"
        value = scope.read(node) if node is not None else None
        return value.value if isinstance(value, Known) and isinstance(value.value, str) else "…"


def list_conjuncts(node: ast.expr) -> list[ast.expr]:
    """Return the conditions that must all hold."""
    is_and = isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And)
    return [ast.fix_missing_locations(one) for one in (node.values if is_and else [node])]  # type: ignore[attr-defined]


def simplify(node: ast.expr) -> ast.expr:
    """Return a condition without what is always true, and with fewer negations."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        inner = simplify(node.operand)
        if isinstance(inner, ast.UnaryOp) and isinstance(inner.op, ast.Not):
            return inner.operand
        if isinstance(inner, ast.Compare) and len(inner.ops) == 1:
            return ast.Compare(inner.left, [OPPOSITES[type(inner.ops[0])]()], inner.comparators)
        return ast.UnaryOp(ast.Not(), inner)
    if isinstance(node, ast.BoolOp):
        decides = isinstance(node.op, ast.Or)
        parts: list[ast.expr] = []
        for one in map(simplify, node.values):
            inner = one.values if isinstance(one, ast.BoolOp) and type(one.op) is type(node.op) else [one]
            parts += [
                part for part in inner if not (isinstance(part, ast.Constant) and bool(part.value) is not decides)
            ]
        unique = list({ast.unparse(ast.fix_missing_locations(one)): one for one in parts}.values())
        if any(isinstance(one, ast.Constant) and bool(one.value) is decides for one in unique):
            return ast.Constant(decides)
        return ast.BoolOp(node.op, unique) if len(unique) > 1 else unique[0] if unique else ast.Constant(not decides)
    return node


OPPOSITES: dict[type[ast.cmpop], type[ast.cmpop]] = {
    **{ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt},
    **{ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In},
}


def list_rule_classes(root: type) -> Iterator[type]:
    """Yield a configuration class and those below it."""
    seen: list[type] = [root]
    for one in seen:
        yield one
        for hint in typing.get_type_hints(one).values():
            for arm in (hint, *typing.get_args(hint)):
                if isinstance(arm, type) and issubclass(arm, draccus.ChoiceRegistry):
                    seen += [c for c in map(arm.get_choice_class, sorted(arm.get_known_choices())) if c not in seen]
                elif isinstance(arm, type) and dataclasses.is_dataclass(arm) and arm not in seen:
                    seen.append(arm)
