"""The channels that a run tells, as variables of its job: what they are called, and what is said of them to a user."""

import dataclasses
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from robotrain_runtime.contract.parameter import load_pairs
from robotrain_runtime.contract.secret_rules import CHANNEL_PREFIX

from robotrain.cluster.settings import SECRET_FLAG
from robotrain.config.user_file import NOTIFY_FLAG, read_user_file
from robotrain.errors import Problem, Suggestion
from robotrain.model.run import RunRecord
from robotrain.submission.same_job import SECRETS_SETTING

TERMS = {SECRET_FLAG: f"{NOTIFY_FLAG} ", "the value of": "the address of ", "": ""}
"""What stands before a variable, and before the name of its channel."""
VARIABLE_PATTERN = rf"(?:{SECRET_FLAG} |the value of )?{CHANNEL_PREFIX}\w+"


def make_variable(channel: str) -> str:
    """Return the variable with the address of a channel."""
    return CHANNEL_PREFIX + re.sub(r"[^A-Za-z0-9_]", "_", channel)


def suggest_waiting(record: RunRecord, settings: Mapping[str, Any]) -> Iterable[Suggestion]:
    """Yield how a run tells the channels that were asked for, if it does not by itself.

    One that another user sent has addresses of theirs.

    :param settings: those of the platform for a job with these channels.
    """
    wanted_channels = _read_channels(settings)
    run_channels = {} if record.is_adopted else _read_channels(record.settings)
    if missing_channels := [
        variable for variable, address in wanted_channels.items() if run_channels.get(variable) != address
    ]:
        name_by_variable = _read_names()
        channels = shlex.quote(
            ",".join(
                name_by_variable.get(variable, variable.removeprefix(CHANNEL_PREFIX)) for variable in missing_channels
            )
        )
        yield Suggestion(f"robotrain wait {NOTIFY_FLAG} {channels} {record.run}", "tells when it has ended")


def _read_channels(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the channels among the secrets of a job: where their addresses are, by variable."""
    secrets = load_pairs(settings.get(SECRETS_SETTING))
    return {name: address for name, address in secrets.items() if name.startswith(CHANNEL_PREFIX)}


def _read_names() -> dict[str, str]:
    """Return the channels of the user's configuration by variable."""
    return {make_variable(name): name for name in read_user_file().channels}


def name_channels(problems: Iterable[Problem]) -> list[Problem]:
    """Return problems in which the secret of a channel is that of the option that named the channel."""
    return [_name_channel(problem) for problem in problems]


def _name_channel(problem: Problem) -> Problem:
    problem_texts = [problem.where, problem.title, problem.why]
    if not any(CHANNEL_PREFIX in text for text in problem_texts):
        return problem
    name_by_variable = _read_names()

    def name_match(match: re.Match[str]) -> str:
        prefix, _, variable = match[0].rpartition(" ")
        return f"{TERMS[prefix]}{name_by_variable.get(variable, variable.removeprefix(CHANNEL_PREFIX))}"

    option, title, reason = (re.sub(VARIABLE_PATTERN, name_match, text) for text in problem_texts)
    option = NOTIFY_FLAG if option == SECRET_FLAG else option
    suggestions = tuple(way for way in problem.suggestions if not way.text.startswith(SECRET_FLAG))
    return dataclasses.replace(problem, where=option, title=title, why=reason, suggestions=suggestions)
