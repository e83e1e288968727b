"""Configurations of policies, reward models and checkpoints that a line of LeRobot starts from."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robotrain_workloads.lerobot import file_formats
from robotrain_workloads.lerobot.policy import CONFIG_FILE, find_model_folder, load_policy_settings
from robotrain_workloads.lerobot.start import TRAIN_CONFIG_FILE

if TYPE_CHECKING:
    from robotrain.model.source import SourceKind

REPOSITORY = re.compile(r"[\w][\w.-]*/[\w][\w.-]*")
REPOSITORY_FLAG = "--policy-repo-id"
PLAIN_HINT = re.compile(r"--[a-z0-9, -]+")
"""What robotrain has for an option of LeRobot, if that is an option."""


def read_policy_config(path_text: str, revision: str, kinds: Mapping[str, "SourceKind"]) -> Mapping[str, Any]:
    """Return the configuration of a policy: of a folder, or of a revision at the Hub, which is asked.

    Raise OSError or ValueError with a sentence.
    """
    folder = Path(path_text).expanduser()
    if folder.is_dir():
        return load_policy_settings(find_model_folder(folder))
    role = "policy"
    kind = next(
        (kind for kind in kinds.values() if role in kind.roles and kind.roles[role].flag == REPOSITORY_FLAG), None
    )
    if kind is None or kind.pinning is None or not REPOSITORY.fullmatch(path_text):
        raise FileNotFoundError(f"{path_text} is not a folder of this machine")
    source = kind.parse(f"{path_text}@{revision}" if revision else path_text, Path.cwd())
    files = kind.pinning.read_files(source, role, kind.pinning.resolve(source, role), (CONFIG_FILE,))
    config: Any = json.loads(files.get(CONFIG_FILE, b"{}"))
    return config if isinstance(config, dict) else {}


def read_saved_options(checkpoint: Path, managed_options: Mapping[str, str]) -> dict[str, str]:
    """Return the values of those `managed_options` options that a checkpoint's configuration gives, by their names.

    Raise OSError or ValueError with a sentence.
    """
    saved_config = file_formats.read_json_object(checkpoint / TRAIN_CONFIG_FILE)
    values_by_name: dict[str, Any] = {}
    for name in (option.removeprefix("--") for option, hint in managed_options.items() if PLAIN_HINT.fullmatch(hint)):
        value: Any = saved_config
        for part in name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        values_by_name[name] = value
    if not values_by_name.get("wandb.enable"):
        values_by_name.pop("wandb.project", None)
    texts_by_name = {name: str(value) for name, value in values_by_name.items() if value is not None}
    return {
        name: value_text.lower() if value_text in ("True", "False") else value_text
        for name, value_text in texts_by_name.items()
    }
