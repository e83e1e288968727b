"""`config.yaml`, in the shape of the seed: `data:`, `model:` and `train:`. An unknown key names the nearest one.

A submission reads it with `--config FILE` (`read_config`), `robotrain bags` what it says of the data
(`read_bag_settings`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from robotrain.config.validate import validate_values
from robotrain.config.values import Origin, Value, read_limited
from robotrain.config.yaml_nodes import MalformedYaml, YamlNode, parse_yaml
from robotrain.errors import Problem, Rejected, Suggestion, raise_if_any
from robotrain.messages import Messages
from robotrain.model.workload import ConfigValue
from robotrain.nearest_name import suggest_name
from robotrain_runtime.contract.files import write_given_file

from robotrain_workloads import bag_parameters
from robotrain_workloads.rosbag_act_train.parameters import RosbagActParameters

if TYPE_CHECKING:
    from robotrain_workloads.rosbag.settings import DataSettings

make_problem = Messages(__file__)

HEADER = """\
# How ROS 2 bags become episodes: docs/rosbag.md explains each key.
# Check it with   robotrain bags inspect --config {name}
# Train on it:    robotrain submit rosbag-act-train --config {name}
"""
FOLDER, BLOB_URL, STORAGE = "bag_dir", "blob_url", "storage"
BACKBONE = "backbone_path"
_PLACES = {FOLDER: "dataset.local_path", BLOB_URL: "dataset.blob_url", STORAGE: "dataset.blob_url"}
_MODEL_KEYS = (
    *("chunk_size", "n_action_steps", "vision_backbone", "pretrained_backbone_weights", "dim_model"),
    *("n_heads", "dim_feedforward", "n_encoder_layers", "n_decoder_layers", "n_vae_encoder_layers", "use_vae"),
    *("latent_dim", "kl_weight", "dropout", "temporal_ensemble_coeff"),
)
_TRAIN_KEYS = (
    *("lr_backbone", "weight_decay", "batch_size", "mixed_precision", "num_gpus", "save_freq"),
    *("log_freq", "seed", "num_workers", "device", "output_dir"),
)
SECTIONS: Mapping[str, Mapping[str, str]] = {
    "data": {**_PLACES, **{name: name for name in (*bag_parameters.NAMES, "val_split")}},
    "model": {"n_obs_steps": "", BACKBONE: "backbone.local_path", **{name: name for name in _MODEL_KEYS}},
    "train": {
        "steps": "training_steps",
        "lr": "learning_rate",
        "amp": "mixed_precision",
        **{name: name for name in _TRAIN_KEYS},
    },
}
"""The keys of each section, with the parameter or source that each one sets."""
REMOVED = {"accumulate": "LeRobot adds no gradients of batches up: `batch_size` has as many samples in a step."}
"""Keys that the trainer of its own had, and what to use instead."""
LISTS = ("joint_names", "action_joint_names", "image_size", "exclude_bags")
_READ = ("image_topics", "units", *LISTS)
"""Lists and mappings, which are texts as parameters."""


class BagConfig(NamedTuple):
    """The settings of bags in a file."""

    folder: Path | None
    settings: Mapping[str, Any]
    """Fields of DataSettings."""


def read_bag_settings(file: Path | None, typed: Mapping[str, Value]) -> BagConfig:
    """Return the settings of bags in a file, and those that were typed, which win. Raise Rejected with all mistakes."""
    problems: list[Problem] = []
    values: dict[str, Value] = {}
    folders: list[Path] = []
    try:
        config_values = list(read_config(file)) if file else []
    except OSError as error:
        raise Rejected([_make_problem(str(file), f"{file} cannot be read", f"{error.strerror or error}.")]) from None
    for config_value in config_values:
        if isinstance(config_value, Problem):
            problems.append(config_value)
        elif file and config_value.name == _PLACES[FOLDER]:
            folders.append(file.parent / str(config_value.value))
        elif config_value.name in bag_parameters.NAMES:
            values[config_value.name] = Value(config_value.value, Origin("config file", config_value.where))
    if len(folders) > 1:
        problems.append(_make_problem(str(file), f"{file} names several folders of bags", "Name one as an argument."))
    validated = validate_values(RosbagActParameters, {**values, **typed})
    raise_if_any([*problems, *validated.problems])
    settings = bag_parameters.make_settings(bag_parameters.list_given(vars(validated.instance)))
    return BagConfig(folders[0] if folders else None, settings)


def write_config(file: Path, folder: Path, settings: DataSettings) -> None:
    """Write a file that `--config` reads; the folder of bags is relative to it where it can be."""
    import yaml

    target = os.path.relpath(folder.resolve(), file.resolve().parent)
    bag_settings = {FOLDER: target, **settings.dump()}
    if settings.is_action_open:
        del bag_settings["action_topic"]  # null is an answer
    config_text = HEADER.format(name=file.name) + yaml.safe_dump(
        {"data": bag_settings}, sort_keys=False, allow_unicode=True
    )
    write_given_file(file, config_text.encode())


def read_config(file: Path) -> Iterator[ConfigValue | Problem]:
    """Yield each parameter and source that a file sets, as text, and each mistake in it. Raise OSError."""
    try:
        root = parse_yaml(read_limited(file))
    except MalformedYaml as error:
        yield _make_problem(f"{file.name}:{error.line}", f"{file} is not YAML", error.why)
        return
    except ValueError as error:
        yield _make_problem(str(file), f"{file} cannot be read", str(error))
        return
    if root is None or root.null:
        return
    if root.kind != "mapping":
        yield _make_problem(str(file), f"{file} has no settings", f"It is a mapping with {', '.join(SECTIONS)}.")
        return
    for name, section in root.pairs:
        if name.text == FOLDER:
            yield from _read_value(file, "data", FOLDER, section)
        elif name.text not in SECTIONS:
            yield _make_unknown(file, "", name, (*SECTIONS, FOLDER))
        elif section.kind == "mapping":
            for key, node in section.pairs:
                if key.text in SECTIONS[name.text]:
                    yield from _read_value(file, name.text, key.text, node)
                else:
                    yield _make_unknown(file, f"{name.text}.", key, SECTIONS[name.text])
        elif not section.null:
            yield _make_problem(f"{file.name}:{name.line}", f"{file}: {name.text} is invalid", "It is a mapping.")


def _read_value(file: Path, section: str, key: str, node: YamlNode) -> Iterator[ConfigValue | Problem]:
    name, location = SECTIONS[section][key], f"{file.name}:{node.line}"
    if node.null:
        if key in ("state_topic", "action_topic"):  # without it there is a default, or a question
            yield ConfigValue(name, bag_parameters.NO_TOPIC, location)
        return
    try:
        yield from (ConfigValue(name, text, location) for text in _format_texts(key, node) if text)
    except ValueError as error:
        yield _make_problem(location, f"{file}: {section}.{key} is invalid", str(error))


def _format_texts(key: str, node: YamlNode) -> Iterator[str]:
    """Yield a value as a parameter has it; several folders are several sources. Raise ValueError."""
    if key == FOLDER and node.kind == "sequence":
        yield from (_get_text(item, "It is a folder, or a list of folders.") for item in node.items)
    elif key == STORAGE:
        fields = {name.text: _get_text(value, "It is text.") for name, value in _list_pairs(node)}
        if not {"account", "container"} <= {*fields} <= {"account", "container", "prefix"}:
            raise ValueError("It has `account` and `container`, and may have `prefix`.")
        url_parts = (
            f"https://{fields['account']}.blob.core.windows.net",
            fields["container"],
            fields.get("prefix", ""),
        )
        yield "/".join(part.strip("/") for part in url_parts if part)
    elif key == "image_topics":
        form_text = "It is a mapping from topics to names of cameras."
        topic_cameras = [f"{topic.text}={_get_text(camera, form_text)}" for topic, camera in _list_pairs(node)]
        yield ",".join(topic_cameras) or bag_parameters.NO_TOPIC
    elif key == "units":
        form_text = "It is a mapping from topics to units."
        yield ",".join(f"{topic.text}={_get_text(unit, form_text)}" for topic, unit in _list_pairs(node))
    elif key in LISTS:
        if node.kind != "sequence":
            raise ValueError("It is [height, width] in pixels." if key == "image_size" else "It is a list.")
        item_texts = [_get_text(item, "It is a list of values.") for item in node.items]
        yield ("x" if key == "image_size" else ",").join(item_texts)
    elif key == "n_obs_steps":
        if _get_text(node) != "1":
            raise ValueError("ACT takes one observation: it is 1.")
    elif key == "amp":
        if _get_text(node).lower() not in ("true", "false"):
            raise ValueError("It is true or false; `mixed_precision: bf16` is the same as true.")
        yield "bf16" if node.text.lower() == "true" else "no"
    else:
        yield _get_text(node)


def _get_text(node: YamlNode, reason: str = "It is a single value.") -> str:
    if node.kind != "scalar" or node.null:
        raise ValueError(reason)
    return node.text


def _list_pairs(node: YamlNode) -> tuple[tuple[YamlNode, YamlNode], ...]:
    if node.kind != "mapping":
        raise ValueError("It is a mapping.")
    return node.pairs


def _make_unknown(file: Path, section: str, key: YamlNode, keys: Mapping[str, str] | tuple[str, ...]) -> Problem:
    other_sections = tuple(Suggestion(f"{name}.{key.text}") for name, keys in SECTIONS.items() if key.text in keys)
    sets = SECTIONS.get(section[:-1], {})
    same_parameter = tuple(Suggestion(f"{section}{name}") for name, parameter in sets.items() if parameter == key.text)
    similar_keys = other_sections or same_parameter or suggest_name(key.text, keys)
    reason = REMOVED.get(key.text) or f"Known keys: {', '.join(keys)}."
    return _make_problem(f"{file.name}:{key.line}", f"{file}: unknown key {section}{key.text}", reason, similar_keys)


def _make_problem(where: str, title: str, why: str = "", suggestions: tuple[Suggestion, ...] = ()) -> Problem:
    return make_problem("file-wrong", *suggestions, where=where, title=title, why=why)


def format_config(values: Mapping[str, Any], folder: str) -> str:
    """Return the file with the parameters of a job, whose bags are in `folder`."""
    import yaml

    config: dict[str, dict[str, Any]] = {"data": {FOLDER: folder}}
    for section, keys in SECTIONS.items():
        key_by_name = {name: key for key, name in keys.items()}  # of two keys, the last is the parameter's own name
        written_keys = {name: key for name, key in key_by_name.items() if values.get(name) is not None}
        fields = {key: values[name] for name, key in written_keys.items()}
        if section == "data":
            read_values = {name: value for name, value in fields.items() if name in _READ}
            settings = bag_parameters.make_settings(read_values)
            fields |= {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}
        config[section] = {**config.get(section, {}), **fields}
    return yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
