"""What to change once LeRobot has refused options of a job: a name that it does not have, a value of another kind."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from robotrain_workloads.lerobot import versions
from robotrain_workloads.lerobot.options import find_rejected_options, split_options
from robotrain_workloads.lerobot.rules import START_ROLES
from robotrain_workloads.lerobot.trained_model import choose_model
from robotrain_workloads.lerobot_options import rejected_options
from robotrain_workloads.option_kinds import make_option_problem

if TYPE_CHECKING:
    from robotrain.errors import Problem
    from robotrain.model.job import Job

NO_OPTION = " has no option "
VERSION = re.compile(r"\bLeRobot (\d+\.\d+\.\d+)")


def find_refused_options(job: "Job", reason: str) -> "Iterator[Problem]":
    """Yield what is wrong with the options after `--` that a sentence of LeRobot rejects, the best known first."""
    options = ["--" + "=".join(filter(None, pair)) for pair in split_options(job.trainer_args) if pair[0]]
    rejected_names = {option.partition("=")[0] for option in find_rejected_options(options, reason)}
    rejected_names |= {
        name for name in (option.partition("=")[0] for option in options) if re.search(rf"{name}(?![\w.])", reason)
    }
    problems = [
        problem
        for problem in _find_problems(job, reason)
        if rejected_names & {*re.findall(r"--[\w.-]+", problem.given)}
    ]
    if not problems and NO_OPTION in reason:
        title = f"LeRobot has no option {' '.join(rejected_names)}"
        problems = [
            make_option_problem(name, title, "", f"leave out {name}", replaces=name)
            for name in sorted(rejected_names)[:1]
        ]
    yield from problems if rejected_names else ()


def _find_problems(job: "Job", reason: str) -> "Iterator[Problem]":
    parameters = dict(job.parameters)
    version = match[1] if (match := VERSION.search(reason)) else parameters["lerobot_version"]
    parameters["lerobot_version"] = (
        version if version in {known_version.name for known_version in versions.list_versions()} else None
    )
    model = choose_model(parameters, {})
    starts = any(source.role in START_ROLES for source in job.sources)
    is_typed = not starts or bool(parameters["policy_type"] or parameters["reward_model"])
    types = {model.prefix: model.kind} if is_typed else {}
    is_resumed = any(source.role == "resume" for source in job.sources)
    json_prefix = f"{model.prefix}." if starts and not is_resumed else ""
    yield from rejected_options.find_option_problems(job.trainer_args, types, {}, model.lerobot.name, json_prefix)
