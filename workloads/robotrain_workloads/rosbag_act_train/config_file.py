"""`config.yaml`, in the shape of the seed: the keys of `data:`. An unknown key names the nearest one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from robotrain.errors import Problem, Rejected, Stage, Suggestion, suggest_name
from robotrain_runtime.contract.files import write_atomically

from robotrain_workloads.rosbag_act_train.bags.settings import DataSettings

HEADER = """\
# How ROS 2 bags become episodes: docs/rosbag.md explains each key.
# Check it with   robotrain bags inspect --config {name}
"""
_LISTS = ("joint_names", "action_joint_names", "image_size")
_CHOICES: Mapping[str, tuple[str, ...]] = {"sync": ("nearest", "previous"), "on_clock_jump": ("refuse", "split")}


def read_config(file: Path) -> tuple[Path | None, dict[str, Any]]:
    """Return the folder of bags and the settings that a file gives.

    Raises:
        Rejected: it cannot be read, or has keys or values that are not known; all problems at once.
    """
    import yaml

    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise Rejected([_make_problem(file, f"{file} cannot be read", str(error))]) from None
    content = {} if content is None else content
    data = content.get("data", {}) if isinstance(content, dict) else None
    if not isinstance(data, dict):
        raise Rejected([_make_problem(file, f"{file} has no settings", "It is a mapping with the key `data`.")])
    known = [one.name for one in fields(DataSettings)]
    problems = [_make_unknown(file, name, ["data", "bag_dir"]) for name in content if name not in ("data", "bag_dir")]
    problems += [_make_unknown(file, name, [*known, "bag_dir"]) for name in data if name not in (*known, "bag_dir")]
    settings: dict[str, Any] = {}
    for name, value in data.items():
        if name not in known or value is None:
            continue
        try:
            settings[name] = _convert(name, value)
        except (TypeError, ValueError) as error:
            problems.append(_make_problem(file, f"{file}: data.{name} is invalid", str(error)))
    if problems:
        raise Rejected(problems)
    folder = data.get("bag_dir") or content.get("bag_dir")
    return (file.parent / str(folder) if folder else None), settings


def write_config(file: Path, folder: Path, settings: DataSettings) -> None:
    """Write a file that `read_config` reads; the folder of bags is relative to it where it can be."""
    import os

    import yaml

    target = os.path.relpath(folder.resolve(), file.resolve().parent)
    content = {"data": {"bag_dir": target, **settings.dump()}}
    text = HEADER.format(name=file.name) + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    write_atomically(file, text.encode())


def _convert(name: str, value: Any) -> Any:
    if name in _CHOICES:
        if value not in _CHOICES[name]:
            raise ValueError(f"It is {' or '.join(_CHOICES[name])}, not {value}.")
        return value
    if name == "image_topics":
        if not isinstance(value, dict) or not all(isinstance(camera, str) for camera in value.values()):
            raise ValueError("It is a mapping from topics to names of cameras.")
        return {str(topic): camera for topic, camera in value.items()}
    if name in _LISTS:
        if not isinstance(value, list):
            raise ValueError("It is a list.")
        if name == "image_size":
            return make_size(value)
        return tuple(str(one) for one in value)
    if name in ("fps", "tolerance_s", "max_gap_s"):
        return make_positive(value)
    if not isinstance(value, str):
        raise ValueError("It is the name of a topic.")
    return value


def make_positive(value: Any) -> float:
    """Return a number above 0. Raise ValueError."""
    number = float(value)
    if isinstance(value, bool) or not 0 < number < float("inf"):
        raise ValueError(f"It is a number above 0, not {value}.")
    return number


def make_size(value: list[Any]) -> tuple[int, int]:
    """Return (height, width) from a list of two whole numbers above 0. Raise ValueError."""
    if len(value) != 2 or not all(isinstance(one, int) and one > 0 for one in value):
        raise ValueError("It is [height, width] in pixels.")
    return value[0], value[1]


def _make_unknown(file: Path, name: Any, known: list[str]) -> Problem:
    near = suggest_name(str(name), known)
    return _make_problem(file, f"{file}: unknown key {name}", f"Known keys: {', '.join(known)}.", near)


def _make_problem(file: Path, title: str, why: str, suggestions: tuple[Suggestion, ...] = ()) -> Problem:
    return Problem(
        code="rosbag-config-invalid",
        stage=Stage.PARSE,
        title=title,
        where=str(file),
        why=why,
        suggestions=suggestions,
    )
