"""The files of a LeRobot policy: its settings, and problems in its configuration, weights and processors."""

import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from robotrain_workloads.lerobot import file_formats
from robotrain_workloads.lerobot.file_formats import read_safetensors_header
from robotrain_workloads.lerobot.parameters import PolicyType
from robotrain_workloads.lerobot.versions import LEROBOT_VERSION

MODEL_FOLDER = "pretrained_model"
STEP_FILE = Path("training_state", "training_step.json")
CONFIG_FILE, WEIGHTS_FILE, ADAPTER_FILE = "config.json", "model.safetensors", "adapter_config.json"
PROCESSOR_FILES = ("policy_preprocessor.json", "policy_postprocessor.json")
TRAINABLE_TYPES = typing.get_args(PolicyType)
OLD_NORMALIZERS = ("normalize", "unnormalize", "input_normalizer", "output_normalizer")
MIGRATE_COMMAND = "python -m lerobot.processor.migrate_policy_normalization --pretrained-path {folder}"


UNTYPED = f"does not say what type of policy it is, in {CONFIG_FILE}"


def find_model_folder(folder: Path) -> Path:
    """The folder of the model alone: that of a checkpoint lies inside it."""
    return folder / MODEL_FOLDER if (folder / MODEL_FOLDER / CONFIG_FILE).is_file() else folder


def load_policy_settings(folder: Path) -> dict[str, Any]:
    """The policy's own settings. Raises OSError or ValueError with a sentence."""
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder")
    if (folder / ADAPTER_FILE).is_file():
        raise ValueError(f"{folder} holds a PEFT adapter, not a policy: merge it into its base policy first")
    if not (folder / CONFIG_FILE).is_file():
        raise FileNotFoundError(f"{folder} holds no policy: it has no {CONFIG_FILE}{_hint_nested_policy(folder)}")
    found = file_formats.read_json_object(folder / CONFIG_FILE)
    if said := next(find_settings_problems(found), ""):
        raise ValueError(f"{folder / CONFIG_FILE}: {said}")
    return found


def find_policy_problems(
    folder: Path, settings: Mapping[str, Any], expected: object, *, with_processors: bool
) -> Iterator[str]:
    """One sentence for each thing wrong. found: the policy's settings. whole: whether its processors are needed too."""
    kind = settings.get("type")
    if kind not in TRAINABLE_TYPES:
        what = f"is a policy of type {kind}" if kind else UNTYPED
        yield f"{folder} {what}: what can be trained is {' and '.join(TRAINABLE_TYPES)}"
    else:
        yield from find_type_problem(folder, kind, expected)
    yield from find_torn_files(folder, with_processors=with_processors)


def find_type_problem(name: object, kind: object, expected: object) -> Iterator[str]:
    """A sentence when it is not of the type that is asked for. name: what the person calls it."""
    if kind != expected:
        yield f"{name} is a policy of type {kind}, and --policy-type is {expected}\n--policy-type {kind}"


def find_torn_files(folder: Path, *, with_processors: bool) -> Iterator[str]:
    """One sentence for each file that is not whole, or not there. whole: as in `wrong`."""
    tensors: Mapping[str, Any] = {}
    try:
        tensors = read_safetensors_header(folder / WEIGHTS_FILE)
    except (OSError, ValueError) as error:
        yield str(error)
    if with_processors:
        yield from _find_processor_problems(folder, old=any(name.startswith(OLD_NORMALIZERS) for name in tensors))


def _find_processor_problems(folder: Path, old: bool) -> Iterator[str]:
    if missing := [name for name in PROCESSOR_FILES if not (folder / name).is_file()]:
        if old:
            yield (
                f"{folder} was saved by an older LeRobot, which kept normalisation in the network;"
                f" {LEROBOT_VERSION} keeps it beside: convert it\n{MIGRATE_COMMAND.format(folder=folder)}"
            )
        else:
            yield f"{folder} is incomplete: it has no {', no '.join(missing)}, which LeRobot {LEROBOT_VERSION} normalises with"
        return
    for name in PROCESSOR_FILES:
        try:
            states = _list_state_files(folder / name)
        except (OSError, ValueError) as error:
            yield str(error)
            continue
        yield from (
            f"{folder} is incomplete: it has no {state}, of which {name} speaks"
            for state in states
            if not (folder / state).is_file()
        )


def _list_state_files(path: Path) -> list[str]:
    """The files that a processor keeps numbers in. Raises OSError or ValueError with a sentence."""
    steps = file_formats.read_json_object(path).get("steps") or []
    try:
        states = [step["state_file"] for step in steps if step.get("state_file")]
    except (AttributeError, TypeError):
        raise ValueError(f"{path}: steps must be a list of objects") from None
    if not all(isinstance(state, str) for state in states):
        raise ValueError(f"{path}: each state_file must be the name of a file")
    return states


def _hint_nested_policy(folder: Path) -> str:
    """Where the person may have meant: a folder above it is a common slip. `last` sorts behind the numbers."""
    places = ("*", f"*/{MODEL_FOLDER}", f"checkpoints/*/{MODEL_FOLDER}", f"*/checkpoints/*/{MODEL_FOLDER}")
    near = next((found for place in places if (found := sorted(folder.glob(f"{place}/{CONFIG_FILE}")))), [])
    return f" (but {near[-1].parent} has)" if near else ""


FEATURE_KEYS = ("input_features", "output_features")
SIZE_KEYS = ("crop_shape", "resize_shape")


def find_settings_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    """What is not as it should be, each with its key: `type must be a word, and is a list`."""
    if not isinstance(settings.get("type"), str | None):
        yield f"type must be a word, and is {_describe_type(settings['type'])}"
    for name in FEATURE_KEYS:
        yield from _find_feature_problems(name, settings.get(name))
    for name in SIZE_KEYS:
        if not isinstance(settings.get(name), list | None) or not _are_whole_numbers(settings.get(name) or []):
            yield f"{name} must be a list of whole numbers, or null"


def _find_feature_problems(name: str, features: Any) -> Iterator[str]:
    if not isinstance(features, dict | None):
        yield f"{name} must be an object, and is {_describe_type(features)}"
        return
    for feature, said in (features or {}).items():
        if not isinstance(said, dict):
            yield f"{name}.{feature} must be an object, and is {_describe_type(said)}"
        elif not isinstance(said.get("shape"), list) or not _are_whole_numbers(said["shape"]):
            yield f"{name}.{feature}.shape must be a list of whole numbers"


def _are_whole_numbers(values: list[Any]) -> bool:
    return all(isinstance(one, int) and not isinstance(one, bool) for one in values)


def _describe_type(value: Any) -> str:
    names = {type(None): "null", bool: "true or false", dict: "an object", list: "a list", str: "a text"}
    return names.get(type(value), "a number")
