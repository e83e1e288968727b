"""Files of a LeRobot policy: settings, and problems in configuration, weights and processors."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.problem import Problems, Suggestion, make_data_problem

from robotrain_workloads.lerobot import adapter, file_formats, versions
from robotrain_workloads.lerobot.backbones import REPOSITORY, PolicyFiles
from robotrain_workloads.lerobot.trained_model import TrainedModel
from robotrain_workloads.packages import WITH_FLAG

MODEL_FOLDER = "pretrained_model"
STEP_FILE = Path("training_state", "training_step.json")
CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"
PROCESSOR_FILES = ("policy_preprocessor.json", "policy_postprocessor.json")
_DESCRIBING = (CONFIG_FILE, adapter.CONFIG_FILE, adapter.BASE_FILE)
DESCRIPTION_FILES = (*_DESCRIBING, *(f"{MODEL_FOLDER}/{name}" for name in _DESCRIBING))
PROCESSOR_DESCRIPTION_FILES = (PROCESSOR_FILES[0], f"{MODEL_FOLDER}/{PROCESSOR_FILES[0]}")
"""The processors that read the Hub, and rename features."""
PROCESSOR_KEY = re.compile(r"\w*(model|tokenizer|processor|checkpoint)\w*")
"""Keys of a processor's steps whose value may be a repository."""
OLD_NORMALIZERS = ("normalize", "unnormalize", "input_normalizer", "output_normalizer")
MIGRATE_COMMAND = "python -m lerobot.processor.migrate_policy_normalization --pretrained-path {folder}"
WITHOUT_UNKNOWN = Suggestion(
    "--policy-path FOLDER", f"with a copy whose {CONFIG_FILE} is without them, if its network is the same then"
)
UNTYPED = f"has no policy type in {CONFIG_FILE}"
FEATURE_KEYS = ("input_features", "output_features")
SIZE_KEYS = ("crop_shape", "resize_shape")
WITH_PACKAGE = Suggestion(f"{WITH_FLAG} PACKAGE", "a package that has it")
TYPE_FLAGS = ("--policy-type", "--reward-model")
"""The options with a policy type, and with that of a reward model."""


def find_model_folder(folder: Path) -> Path:
    """Return the folder of the model: that inside a checkpoint, or the folder itself."""
    return folder / MODEL_FOLDER if (folder / MODEL_FOLDER / CONFIG_FILE).is_file() else folder


def load_policy_settings(folder: Path) -> dict[str, Any]:
    """Return the policy's configuration. Raise OSError or ValueError with a sentence."""
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder")
    if not (folder / CONFIG_FILE).is_file():
        patterns = ("*", f"*/{MODEL_FOLDER}", f"checkpoints/*/{MODEL_FOLDER}", f"*/checkpoints/*/{MODEL_FOLDER}")
        nested_files = next(
            (files for pattern in patterns if (files := sorted(folder.glob(f"{pattern}/{CONFIG_FILE}")))), []
        )
        hint = f" (but {nested_files[-1].parent} has)" if nested_files else ""  # `last` sorts behind the numbers
        raise FileNotFoundError(f"{folder} holds no policy: {CONFIG_FILE} is missing{hint}")
    settings = file_formats.read_json_object(folder / CONFIG_FILE)
    if problem := _explain_wrong_setting(settings):
        raise ValueError(f"{folder / CONFIG_FILE}: {problem}")
    return settings


def read_policy_files(folder: Path, *, with_processors: bool) -> PolicyFiles:
    """Return what a policy's files say. Raise OSError or ValueError with a sentence.

    :param with_processors: whether its processors are used; of initial weights they are not.
    """
    model = find_model_folder(folder)
    settings = load_policy_settings(model)
    path = model / PROCESSOR_FILES[0]
    return PolicyFiles(
        settings=settings,
        processor_names=tuple(_list_processor_names(path)) if with_processors and path.is_file() else (),
    )


def _list_processor_names(path: Path) -> Iterator[tuple[str, str]]:
    steps = file_formats.read_json_object(path).get("steps")
    for step in steps if isinstance(steps, list) else ():
        config = step.get("config") if isinstance(step, dict) else None
        for key, value in (config if isinstance(config, dict) else {}).items():
            if isinstance(value, str) and PROCESSOR_KEY.fullmatch(key) and REPOSITORY.fullmatch(value):
                yield key, value


def find_weights_file(folder: Path) -> str:
    """Return the name of the file with the weights: of an adapter only those beside its base."""
    is_whole = (folder / WEIGHTS_FILE).is_file() or not (folder / adapter.CONFIG_FILE).is_file()
    return WEIGHTS_FILE if is_whole else adapter.WEIGHTS_FILE


def find_start_type_problems(
    name: object, settings: Mapping[str, Any], model: TrainedModel, expected_type: object, *, has_packages: bool = False
) -> Problems:
    """Yield why LeRobot cannot go on from a policy of this type, or why it is not the requested one.

    :param name: what the user calls the policy.
    :param model: what the job trains with these settings.
    :param expected_type: the type that the user asks for; None for that of the settings.
    :param has_packages: whether packages of the job may have other types than LeRobot.
    """
    lerobot, kind = model.lerobot, settings.get("type")
    if not kind:
        yield f"{name} {UNTYPED}"
    elif kind not in lerobot.types and has_packages:
        yield from find_type_problem(name, model, expected_type)
    elif kind not in lerobot.types:
        types = ", ".join(name for name, facts in lerobot.policies.items() if not facts.refused)
        lack_text = f"{name} has the policy type {kind}, which LeRobot {lerobot.name} does not have: it trains {types}"
        yield make_data_problem(lack_text, WITH_PACKAGE)
    elif model.facts.refused:
        yield f"LeRobot {lerobot.name} cannot train {kind}, the type of {name}: {model.facts.refused}"
    elif model.facts.refused_start:
        yield explain_refused_start(name, model)
    else:
        yield from find_type_problem(name, model, expected_type)
        yield from find_unknown_settings(name, settings, model)


def find_unknown_settings(name: object, settings: Mapping[str, Any], model: TrainedModel) -> Problems:
    """Yield a sentence if LeRobot refuses the configuration for options that it does not have: another one saved it.

    :param name: what the user calls the policy.
    """
    saved_keys = settings.keys() - {"type"}
    known_keys = {name.partition(".")[0] for name in model.options}  # a group of options is one key
    if unknown_keys := sorted(saved_keys - known_keys):
        model_type = (model.section, model.kind)
        fitting_versions = [
            version
            for version in versions.list_versions()
            if saved_keys <= version.get_model_options(*model_type).keys()
        ]
        way = f"--lerobot-version {fitting_versions[0].name}" if fitting_versions else WITHOUT_UNKNOWN
        lerobot = f"LeRobot {model.lerobot.name}"
        yield make_data_problem(
            f"{name} was saved by another LeRobot: {lerobot} does not know its {', '.join(unknown_keys)}", way
        )


def explain_refused_start(name: object, model: TrainedModel) -> str:
    """Return why LeRobot cannot go on from a policy; `name` is what the user calls it."""
    return f"LeRobot {model.lerobot.name} cannot go on from {name}, a {model.kind}: {model.facts.refused_start}"


def find_type_problem(name: object, model: TrainedModel, expected_type: object) -> Problems:
    """Yield a sentence when a policy or reward model does not have the requested type.

    :param name: what the user calls it.
    """
    if expected_type is not None and model.kind != expected_type:
        flag = TYPE_FLAGS[expected_type in model.lerobot.reward_models]
        yield make_data_problem(
            f"{name} has the {model.noun} type {model.kind}, but {flag} is {expected_type}",
            f"{model.flag} {model.kind}",
        )


def find_torn_files(folder: Path, *, with_processors: bool) -> Problems:
    """Yield one sentence for each file that is incomplete or missing."""
    tensors: Mapping[str, Any] = {}
    try:
        tensors = file_formats.read_safetensors_header(folder / find_weights_file(folder))
    except (OSError, ValueError) as error:
        yield str(error)
    if with_processors:
        yield from _find_processor_problems(folder, is_old=any(name.startswith(OLD_NORMALIZERS) for name in tensors))


def _find_processor_problems(folder: Path, is_old: bool) -> Problems:
    if missing_files := [name for name in PROCESSOR_FILES if not (folder / name).is_file()]:
        if is_old:
            yield make_data_problem(
                f"{folder} was saved by an older LeRobot with normalization in the network;"
                f" LeRobot {versions.get_version().name} needs it in separate files",
                MIGRATE_COMMAND.format(folder=folder),
            )
        else:
            yield f"{folder} is incomplete: LeRobot {versions.get_version().name} needs {' and '.join(missing_files)}"
        return
    for name in PROCESSOR_FILES:
        try:
            states = _list_state_files(folder / name)
        except (OSError, ValueError) as error:
            yield str(error)
            continue
        yield from (
            f"{folder} is incomplete: {state}, which {name} refers to, is missing"
            for state in states
            if not (folder / state).is_file()
        )


def _list_state_files(path: Path) -> list[str]:
    """Return the files with a processor's numbers. Raise OSError or ValueError with a sentence."""
    steps = file_formats.read_json_object(path).get("steps") or []
    try:
        states = [step["state_file"] for step in steps if step.get("state_file")]
    except (AttributeError, TypeError):
        raise ValueError(f"{path}: steps must be a list of objects") from None
    if not all(isinstance(state, str) for state in states):
        raise ValueError(f"{path}: each state_file must be the name of a file")
    return states


def _explain_wrong_setting(settings: Mapping[str, Any]) -> str:
    """Return a sentence about the first wrong value, with its key; empty if there is none."""
    if not isinstance(settings.get("type"), str | None):
        return "type must be a word"
    for name in FEATURE_KEYS:
        features = settings.get(name) or {}
        if not isinstance(features, dict):
            return f"{name} must be an object"
        for feature, description in features.items():
            if not isinstance(description, dict) or not _are_whole_numbers(description.get("shape")):
                return f"{name}.{feature} must be an object with a shape, a list of whole numbers"
    wrong_sizes = (name for name in SIZE_KEYS if not _are_whole_numbers(settings.get(name) or []))
    return next((f"{name} must be a list of whole numbers, or null" for name in wrong_sizes), "")


def _are_whole_numbers(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int for value in values)
