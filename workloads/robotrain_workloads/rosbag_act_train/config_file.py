"""`config.yaml`, in the shape of the seed: `data:`, `model:` and `train:`. An unknown key names the nearest one.

A submission reads it with `--config FILE` (`read_config`), `robotrain bags` what it says of the data
(`read_bag_settings`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from robotrain.config.job_file import JobReader
from robotrain.config.validate import encode, make_invalid_value_problem, validate_values
from robotrain.config.values import CONFIG_LAYER, Origin, Value
from robotrain.config.yaml_nodes import YamlNode
from robotrain.errors import Problem, raise_if_any
from robotrain.messages import Messages
from robotrain.model.workload import ConfigValue
from robotrain_runtime.contract.files import write_given_file
from robotrain_runtime.contract.parameter import get_parameters

from robotrain_workloads import bag_parameters
from robotrain_workloads.lerobot.job import LerobotJob
from robotrain_workloads.rosbag_act_train.parameters import RosbagActParameters

if TYPE_CHECKING:
    from robotrain_runtime.contract.document import JobDocument

    from robotrain_workloads.rosbag.settings import DataSettings

make_problem = Messages(__file__)

HEADER = """\
# How ROS 2 bags become episodes: docs/rosbag.md explains each key.
# Check it with   robotrain bags inspect --config {name}
# Train on it:    robotrain submit rosbag-act-train --config {name}
"""
FOLDER, STORAGE, STORAGE_KEYS = "bag_dir", "storage", ("account", "container", "prefix")
FOLDER_SOURCE = "dataset.local_path"
_POLICY_KEYS = (
    *("n_obs_steps", "vision_backbone", "pretrained_backbone_weights", "dim_model", "n_heads", "dim_feedforward"),
    *("n_encoder_layers", "n_decoder_layers", "n_vae_encoder_layers", "use_vae", "latent_dim", "kl_weight", "dropout"),
    *("temporal_ensemble_coeff", "chunk_size", "n_action_steps"),
)
_TRAIN_KEYS = (
    *("batch_size", "mixed_precision", "num_gpus", "save_freq", "log_freq", "seed", "num_workers", "device"),
    "output_dir",
)
CHUNK, ACTION_STEPS, AVERAGING = (
    f"--policy.{key}" for key in ("chunk_size", "n_action_steps", "temporal_ensemble_coeff")
)
SECTIONS: Mapping[str, Mapping[str, str]] = {
    "data": {
        **{FOLDER: FOLDER_SOURCE, "blob_url": "dataset.blob_url", STORAGE: "dataset.blob_url"},
        **{name: name for name in (*bag_parameters.NAMES, "val_split")},
    },
    "model": {"backbone_path": "backbone.local_path", **{name: f"--policy.{name}" for name in _POLICY_KEYS}},
    "train": {
        "steps": "training_steps",
        "lr": "learning_rate",
        "lr_backbone": "--policy.optimizer_lr_backbone",
        "weight_decay": "--policy.optimizer_weight_decay",
        "amp": "mixed_precision",
        **{name: name for name in _TRAIN_KEYS},
    },
}
"""The keys of each section, with the parameter, source or option of LeRobot that each one sets."""
PARAMETERS = {parameter.name: parameter for parameter in get_parameters(RosbagActParameters)}


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
    for config_value in read_config(file) if file else ():
        if isinstance(config_value, Problem):
            problems.append(config_value)
        elif file and config_value.name == FOLDER_SOURCE:
            folders.append(file.parent / str(config_value.value))
        elif config_value.name in bag_parameters.NAMES:
            values[config_value.name] = Value(config_value.value, Origin(CONFIG_LAYER, config_value.where))
    if len(folders) > 1:
        problems.append(make_problem("usage.several-folders", given=str(file)))
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
    """Yield each parameter, source and option that a file sets, as text, and each mistake in it."""
    reader = JobReader(file, "config")
    options: dict[str, ConfigValue] = {}
    for section, node in reader.read_top((*SECTIONS, FOLDER)):
        keys = SECTIONS.get(section, SECTIONS["data"])
        for key, value_node in [(FOLDER, node)] if section == FOLDER else reader.read_mapping(node, section, keys):
            for text in _list_texts(reader, key, keys[key], value_node):
                value = ConfigValue(keys[key], text, reader.format_place(value_node.line))
                options[value.name] = value
                yield value
    # as many actions as are predicted, or one where predictions are averaged: LeRobot's number may be above that
    if chunk := options.get(AVERAGING, options.get(CHUNK)) if ACTION_STEPS not in options else None:
        yield chunk._replace(name=ACTION_STEPS, value="1" if chunk.name == AVERAGING else chunk.value)
    yield from reader.problems


def _list_texts(reader: JobReader, key: str, name: str, node: YamlNode) -> Iterator[str]:
    """Yield the value of a key as an option has it; several folders are several values."""
    parameter = PARAMETERS.get(name)
    if node.null:
        if key in ("state_topic", "action_topic"):  # without it there is a default, or a question
            yield bag_parameters.NO_TOPIC
    elif key == STORAGE and node.kind == "mapping":
        fields = {part: reader.read_text(text, part) for part, text in reader.read_mapping(node, key, STORAGE_KEYS)}
        if "account" not in fields or "container" not in fields:
            reader.add_problem(node, "storage must have account and container")
        else:
            place = f"https://{fields['account']}.blob.core.windows.net"
            yield "/".join(part.strip("/") for part in (place, fields["container"], fields.get("prefix", "")) if part)
    elif key == "amp":
        text = reader.read_text(node, key)
        yield {"true": "bf16", "false": "no"}.get(text.lower(), text)
    elif key == "image_topics" and node.kind == "mapping":
        cameras = [f"{topic}={reader.read_text(camera, topic)}" for topic, camera in reader.read_mapping(node, key)]
        yield ",".join(cameras) or bag_parameters.NO_TOPIC
    elif key == "image_size" and node.kind == "sequence":
        yield "x".join(item.text for item in node.items)
    elif parameter:
        try:
            text = encode(parameter, node)
        except ValueError:
            value = Value(node, Origin(CONFIG_LAYER, reader.format_place(node.line)))
            reader.problems.append(make_invalid_value_problem(parameter, value))
        else:
            if text:
                yield text
    else:
        for item in node.items if key == FOLDER and node.kind == "sequence" else [node]:
            yield reader.read_text(item, key)


def format_config(document: JobDocument, folder: str) -> str:
    """Return the file with the settings of a job, whose bags are in `folder`."""
    import yaml

    job = LerobotJob(document)
    settings = bag_parameters.make_settings(bag_parameters.list_given(document.parameters))
    values = {**document.parameters, **job.options}
    values |= {name: value for name, value in {**settings, **job.option_values}.items() if value is not None}
    config: dict[str, dict[str, Any]] = {"data": {FOLDER: folder}}
    for section, keys in SECTIONS.items():
        key_by_name = {name: key for key, name in keys.items()}  # of two keys, the last is the parameter's own name
        fields = {key: values[name] for name, key in key_by_name.items() if values.get(name) is not None}
        config[section] = {**config.get(section, {}), **fields}
    return yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
