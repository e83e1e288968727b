"""Options after `--` of a policy type that a package brings (`--with`): nobody here knows what it takes."""

import itertools
from collections.abc import Iterator, Sequence

from robotrain.errors import Problem
from robotrain.messages import Messages
from robotrain.redaction import redact
from robotrain_runtime.contract.redaction import MAX_LENGTH

from robotrain_workloads.lerobot.options import split_options as split_arguments
from robotrain_workloads.lerobot.versions import POLICIES, LeRobotVersion

make_problem = Messages(__file__)

POLICY_PREFIX = "policy."


def split_options(
    arguments: Sequence[str], lerobot: LeRobotVersion, *, is_known: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the arguments that LeRobot's own options can be compared with, and the names of the other options.

    What all types of LeRobot have, one of a package has too.

    :param is_known: whether the type may be one of LeRobot's, so that an option that any of these has counts as known.
    """
    types = [lerobot.get_model_options(POLICIES, kind) for kind in lerobot.policies]
    option_names = {name for options in types for name in options}
    common_names = option_names if is_known else set.intersection(*(set(options) for options in types))
    compared_options: list[str] = []
    unchecked_options: list[str] = []
    for name, value in split_arguments(arguments):
        part = name.removeprefix(POLICY_PREFIX)
        if name.startswith(POLICY_PREFIX) and part not in common_names:
            unchecked_options.append(f"--{name}")
        else:
            option = f"--{name}" if value is None else f"--{name}={value}"
            compared_options.append(option if name else str(value))
    return tuple(compared_options), tuple(unchecked_options)


def warn_of_unchecked(option_names: Sequence[str]) -> Iterator[Problem]:
    """Yield a warning of options that nobody has checked."""
    if option_names:
        names_text = _list_names([redact(name) for name in option_names])
        title = (
            f"{names_text} {'was' if len(option_names) == 1 else 'were'} not checked: only the package of the "
            "policy knows"
        )
        yield make_problem("options-unchecked", title=title)


def _list_names(names: Sequence[str]) -> str:
    """Return names for a title, which is cut at the same length as any text of a user; at least the first."""
    lengths = itertools.accumulate(len(name) + len(", ") for name in names)
    shown_count = max(1, sum(length <= MAX_LENGTH for length in lengths))
    omitted_count = len(names) - shown_count
    return ", ".join(names[:shown_count]) + (f" and {omitted_count} more" if omitted_count else "")
