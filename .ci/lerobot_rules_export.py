"""Write the rules of an installed LeRobot's options: `rules/VERSION.json` beside the folder of its other data.

A class is on each line: `rules`, each with a condition over its options (`when`) and LeRobot's message (`why`), and the
`defaults` of options that `options.json` does not have. Where a package is missing, `instead` does without it.
robotrain_workloads/lerobot_options/option_rules.py reads it.
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
PACKAGES = {
    "configs.default.DatasetConfig": [("video_backend == 'torchcodec'", "torchcodec", "--dataset.video_backend=pyav")],
    "policies.lingbot_va.configuration_lingbot_va.LingBotVAConfig": [
        ("attn_mode == 'flashattn'", "flash-attn", "--policy.attn_mode=torch")
    ],
}
"""By class, the values that need a package which no extra of LeRobot brings everywhere, and what does without it."""


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


def list_lacking(name: str, lock: str) -> list[dict[str, str]]:
    """Return the rules for values of a class that need a package which the lock lacks."""
    rules = []
    for when, package, instead in PACKAGES.get(name, ()):
        if f"\n{package}==" not in lock:
            why = f"It needs the package {package}, which the environment of the job does not have."
            rules.append({"when": when, "why": why, "instead": instead})
    return rules


def is_plain(value: Any) -> bool:
    """Return whether JSON has a value."""
    try:
        json.dumps(value)
    except TypeError:
        return False
    return True


def format_rules(version: str, tree: dict[str, dict[str, list[Any]]], lock: str) -> tuple[str, list[str]]:
    """Return the file, and a line for each rule that is left out because LeRobot does not confirm it.

    :param tree: the classes of `options.json`.
    :param lock: the packages that a training has.
    """
    lines, left_out = [], list[str]()
    for owner in sorted(list_rule_classes(TrainPipelineConfig), key=lambda one: one.__module__ + one.__qualname__):
        name = f"{owner.__module__.removeprefix('lerobot.')}.{owner.__qualname__}"
        found, dropped = describe_class(owner, tree.get(name, {}))
        left_out += dropped
        found["rules"] += list_lacking(name, lock)
        if found["rules"]:
            lines.append(f"{json.dumps(name)}: {json.dumps(found)}")
    return "{" + f'"lerobot": "{version}",\n"classes": {{\n' + ",\n".join(lines) + "\n}}\n", left_out
