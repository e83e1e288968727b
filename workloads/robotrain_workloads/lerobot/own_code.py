"""Files of a policy that make LeRobot run code which no type of LeRobot runs: classes and folders of any name.

A step of a saved processor names a class, and LeRobot imports and calls it, whatever it is. A name that is a folder
is read there, code included: a policy may name a folder of the job. Standard library only.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from robotrain_workloads.lerobot import file_formats, policy
from robotrain_workloads.lerobot.backbones import REPOSITORY
from robotrain_workloads.lerobot.options import get_option_value
from robotrain_workloads.lerobot.trained_model import TrainedModel

OWN_PACKAGE = "lerobot."


def find_reason(folder: Path, model: TrainedModel, options: Sequence[str]) -> str:
    """Return what of a policy's files may run any code; empty for nothing.

    :param folder: that of the policy's files, or of those that are here.
    :param model: the policy's type.
    :param options: those after `--`, which count instead of the policy's own.
    """
    reasons = [*_find_setting_reasons(folder, model, options)]
    for name in policy.PROCESSOR_FILES:
        reasons += [f"its {name} names {reason}" for reason in _find_processor_reasons(folder / name)]
    return next(iter(reasons), "")


def _find_setting_reasons(folder: Path, model: TrainedModel, options: Sequence[str]) -> Iterator[str]:
    code_options = [
        option for repository in model.facts.repositories.values() if repository.code for option in repository.options
    ]
    with suppress(OSError, ValueError):
        settings = policy.load_policy_settings(folder)
        for option in code_options:
            is_given = get_option_value(options, f"--{model.prefix}.{option}") is not None
            if not is_given and is_folder(settings.get(option)):
                yield f"its {policy.CONFIG_FILE} names the folder {settings[option]}"


def _find_processor_reasons(path: Path) -> Iterator[str]:
    steps: Any = None
    with suppress(OSError, ValueError):
        steps = file_formats.read_json_object(path).get("steps")
    for step in steps if isinstance(steps, list) else ():
        if not isinstance(step, Mapping):
            continue
        class_name = str(step.get("class") or "")
        config = step.get("config")
        if "registry_name" not in step and not class_name.startswith(OWN_PACKAGE):
            yield f"the class {class_name}"
        for key, value in (config if isinstance(config, Mapping) else {}).items():
            if policy.PROCESSOR_KEY.fullmatch(key) and is_folder(value):
                yield f"the folder {value}"


def is_folder(value: object) -> bool:
    """Return whether a name is not one of the Hub, but that of a folder."""
    if not isinstance(value, str) or not value or REPOSITORY.fullmatch(value):
        return False
    return "/" in value or value.startswith(".") or Path(value).is_dir()
