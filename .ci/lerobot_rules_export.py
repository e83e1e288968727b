"""Write the rules of an installed LeRobot's options: `rules/VERSION.json` beside the folder of its other data.

A class is on each line: `rules`, each with a condition over its options (`when`) and LeRobot's message (`why`), and the
`defaults` of options that `options.json` does not have. robotrain_workloads/lerobot_options/option_rules.py reads it.
"""

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "workloads"))  # the evaluator of the rules

from lerobot.configs.train import TrainPipelineConfig
from lerobot_rule_trials import find_defaults, try_rule
from lerobot_rules import RuleReader, list_rule_classes
from robotrain_workloads.lerobot_options.rule_expressions import list_names

LONGEST_REASON = 300


def describe_class(owner: type, known: dict[str, list[Any]]) -> tuple[dict[str, Any], list[str]]:
    """Return the confirmed rules of a class, and a line for each other one.

    :param known: the options of the class in `options.json`.
    """
    reader = RuleReader(owner)
    reader.read_class()
    if owner is TrainPipelineConfig:
        reader.read_training()
    rules, dropped = [], []
    for rule in reader.rules:
        if reason := try_rule(rule, owner, reader.rules):
            dropped.append(f"{owner.__name__}: {rule.when}: {reason}")
        else:
            rules.append({"when": rule.when, "why": " ".join(rule.why.split())[:LONGEST_REASON]})
    named = {name for rule in rules for name in list_names(rule["when"])}
    defaults = {name: value for name, value in find_defaults(owner).items() if name in named}
    missing = {
        name: value for name, value in sorted(defaults.items()) if len(known.get(name, [])) < 2 and is_plain(value)
    }
    return {"rules": rules, **({"defaults": missing} if missing else {})}, dropped


def is_plain(value: Any) -> bool:
    """Return whether JSON has a value."""
    try:
        json.dumps(value)
    except TypeError:
        return False
    return True


def format_rules(version: str, tree: dict[str, dict[str, list[Any]]]) -> tuple[str, list[str]]:
    """Return the file, and a line for each rule that is left out because LeRobot does not confirm it."""
    lines, left_out = [], list[str]()
    for owner in sorted(list_rule_classes(TrainPipelineConfig), key=lambda one: one.__module__ + one.__qualname__):
        name = f"{owner.__module__.removeprefix('lerobot.')}.{owner.__qualname__}"
        found, dropped = describe_class(owner, tree.get(name, {}))
        left_out += dropped
        if found["rules"]:
            lines.append(f"{json.dumps(name)}: {json.dumps(found)}")
    return "{" + f'"lerobot": "{version}",\n"classes": {{\n' + ",\n".join(lines) + "\n}}\n", left_out
