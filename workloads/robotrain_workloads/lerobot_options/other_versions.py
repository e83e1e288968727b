"""Options that another LeRobot has: a version that is here, or a newer one (`lerobot_versions/newer.json`)."""

import functools
import json
import re
from collections.abc import Callable
from typing import Any

from robotrain_workloads.lerobot import versions
from robotrain_workloads.lerobot.episode_numbers import EXCLUDE_FLAG

EXCLUDED = "dataset.exclude_episodes"
NEWER_FILE = "newer.json"
DISK_OPTIONS = {
    "keep_last_n_checkpoints": (
        "it changes what is on the disk alone: robotrain keeps each checkpoint of the run, and with --publish-url and"
        " --keep N the newest N there"
    ),
}
"""Options of other versions about the checkpoints that stay."""


def find_version(name: str, has_option: Callable[[str], bool]) -> tuple[str, str] | None:
    """Return which LeRobot has an option that the job's does not have, and the line to type if it is here.

    :param has_option: whether a version, by its name, has it.
    """
    for other_version in versions.list_versions():
        if has_option(other_version.name):
            return f"LeRobot {other_version.name} has it.", f"--lerobot-version {other_version.name}"
    reason = explain_newer(name)
    return (reason, "") if reason else None


def explain_newer(name: str) -> str:
    """Return a sentence about an option that only a newer LeRobot has; empty for any other name.

    :param name: the option without dashes, or what people call it.
    """
    newer_options = _read_newer()
    option = newer_options["words"].get(name.replace("_", "-"), name.replace("-", "_"))
    parents = {option.rpartition(".")[0] for option in newer_options["options"] if "." in option} - {
        "policy",
        "dataset",
    }
    is_below = any(option == parent or option.startswith(f"{parent}.") for parent in parents)
    if option not in newer_options["options"] and not is_below:
        return ""
    version_names = " and ".join(version.name for version in versions.list_versions())
    return (
        f"LeRobot has --{option} from the version after {newer_options['after']} on; robotrain runs LeRobot "
        f"{version_names}."
    )


def replace_newer(flag: str, value: str, publishes: bool) -> tuple[str, list[str]] | None:
    """Return what robotrain itself has for an option of a newer LeRobot: a sentence, and lines to type; None for none.

    :param publishes: whether the job has `--publish-url`.
    """
    name = flag.removeprefix("--").replace("-", "_")
    if name == EXCLUDED and (episodes := re.findall(r"\d+", value)):
        return "", [f"{EXCLUDE_FLAG} {','.join(episodes)}"]
    if reason := DISK_OPTIONS.get(name):
        target = "" if publishes else "--publish-url URL "
        keep = f"{target}--keep {value if value.isdecimal() else 'N'}"
        return f"{reason[0].upper()}{reason[1:]}.", [f"leave out {flag}", keep]
    return None


@functools.cache
def _read_newer() -> dict[str, Any]:
    """Return the options by name, and words that people use for them."""
    newer_options: dict[str, Any] = json.loads((versions.FOLDER / NEWER_FILE).read_text(encoding="utf-8"))
    return newer_options
