"""What to change after LeRobot has refused a job's options: its rules, with the values that its reason names.

Where a policy comes from the Hub, only the machine of the job knows its configuration, and so the rules that an option
breaks; LeRobot's sentence has the values of it that matter.
"""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from robotrain_workloads.lerobot import versions
from robotrain_workloads.lerobot.options import find_rejected_options, split_options
from robotrain_workloads.lerobot.rules import START_ROLES
from robotrain_workloads.lerobot.trained_model import TrainedModel, choose_model
from robotrain_workloads.lerobot_options import option_rules, option_tree
from robotrain_workloads.lerobot_options.option_values import read_given
from robotrain_workloads.option_kinds import OptionProblem
from robotrain_workloads.rules import make_option_problems

if TYPE_CHECKING:
    from robotrain.errors import Problem
    from robotrain.model.job import Job

NO_OPTION = " has no option "
VERSION = re.compile(r"\bLeRobot (\d+\.\d+\.\d+)")
NUMBER = r"-?\d+(?:\.\d+)?"
VALUE_FORMS = (
    re.compile(rf"(?P<value>{NUMBER}) for `?(?P<name>[a-z]\w+)`?"),
    re.compile(rf"`?(?P<name>[a-z]\w+)`?(?: is|=|:| \(|\() ?(?P<value>{NUMBER})\b"),
)
"""How LeRobot's messages name the value of an option: `Got 20 for n_action_steps`, `chunk_size (16)`."""


def find_refused_options(job: "Job", reason: str) -> "Iterator[Problem]":
    """Yield what is wrong with the options after `--` that a sentence of LeRobot rejects, the best known first."""
    given = ["--" + "=".join(filter(None, pair)) for pair in split_options(job.trainer_args) if pair[0]]
    rejected = {option.partition("=")[0] for option in find_rejected_options(given, reason)}
    rejected |= {name for name in (one.partition("=")[0] for one in given) if re.search(rf"{name}(?![\w.])", reason)}
    found = [one for one in _find_problems(job, reason) if rejected & {*re.findall(r"--[\w.-]+", one.given)}]
    if not found and NO_OPTION in reason:
        title = f"LeRobot has no option {' '.join(rejected)}"
        found = [OptionProblem(name, title, "", f"leave out {name}", replaces=name) for name in sorted(rejected)[:1]]
    yield from make_option_problems(found if rejected else ())


def _find_problems(job: "Job", reason: str) -> Iterator[OptionProblem]:
    values = dict(job.parameters)
    version = found[1] if (found := VERSION.search(reason)) else values["lerobot_version"]
    values["lerobot_version"] = version if version in {one.name for one in versions.list_versions()} else None
    model, starts = choose_model(values, {}), any(source.role in START_ROLES for source in job.sources)
    is_typed = not starts or bool(values["policy_type"] or values["reward_model"])
    types = {model.prefix: model.kind} if is_typed else {}
    yield from option_tree.find_option_problems(job.trainer_args, types, {}, model.lerobot.name)
    named = read_values(reason).keys()
    models = [model] if is_typed else [one for one in _list_models(job, model) if named <= one.options.keys()]
    broken = [problems for one in models if (problems := list(_find_broken_rules(job, one, reason, starts)))]
    for problem in broken[0] if broken else ():
        if all(problem.suggestion in {other.suggestion for other in others} for others in broken):
            yield problem


def _list_models(job: "Job", model: TrainedModel) -> Iterator[TrainedModel]:
    """Yield the types that have the options of a job whose type only its machine knows."""
    tree = option_tree.load_option_tree(model.lerobot.name)
    yield from option_rules.list_models(read_given(tuple(job.trainer_args)), tree, model.lerobot)


def _find_broken_rules(job: "Job", model: TrainedModel, reason: str, starts: bool) -> Iterator[OptionProblem]:
    settings: Mapping[str, Any] = {"type": model.kind, **read_values(reason)}
    yield from option_rules.RuleCheck(job.trainer_args, model, settings, starts=starts).find_problems()


def read_values(reason: str) -> dict[str, int | float]:
    """Return the values of options that a sentence names, by their names without a prefix."""
    found: dict[str, int | float] = {}
    for form in VALUE_FORMS:
        for match in form.finditer(reason):
            value = float(match["value"])
            found.setdefault(match["name"], int(value) if value.is_integer() else value)
    return found
