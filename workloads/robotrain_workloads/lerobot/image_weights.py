"""Weights of torchvision that the cameras' network of a new policy starts from: which ones, and what brings them.

LeRobot's option names them, by default ImageNet's. A policy to start from brings its own. Standard library only.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.problem import Problems, make_data_problem

from robotrain_workloads.lerobot.backbones import TORCHVISION_KIND, WEIGHTS_SUFFIXES, is_weights
from robotrain_workloads.lerobot.job import LerobotJob
from robotrain_workloads.lerobot.options import split_options

WEIGHTS_OPTION, NETWORK_OPTION = "pretrained_backbone_weights", "vision_backbone"
GROUP_NORM = "use_group_norm"
NAME = re.compile(r"(?:(\w+)_Weights\.)?([A-Z0-9_]+)")
NETWORKS = {"resnet18": 1, "resnet34": 1, "resnet50": 2, "resnet101": 2, "resnet152": 2}
"""The networks that LeRobot takes of torchvision, each with the number of its ImageNet weights."""
HOME_FOLDER = "torch"
"""The folder of PyTorch's downloads, in the run's own."""


def make_home_variables(sources: Iterable[JobSource], work: Path) -> dict[str, str]:
    """Return the environment variables of a job that brings weights; none of another one."""
    return {"TORCH_HOME": str(work / HOME_FOLDER)} if any(map(is_weights, sources)) else {}


def read_name(option_values: Mapping[str, Any]) -> str:
    """Return the weights that a new policy starts from, as torchvision names them; empty for none, and for no name.

    :param option_values: the options of its type by name, given or by default, as LeRobot reads them.
    """
    name = str(option_values.get(WEIGHTS_OPTION) or "")
    match = NAME.fullmatch(name)
    if not match:
        return ""
    return name if match[1] else f"{_name_class(_read_network(option_values))}.{name}"


def list_known(network: str) -> list[str]:
    """Return the names of the weights that torchvision has for a network."""
    version_names = [f"IMAGENET1K_V{number + 1}" for number in range(NETWORKS.get(network, 0))]
    return [f"{_name_class(network)}.{name}" for name in (*version_names, "DEFAULT")] if version_names else []


def find_mistake(option_values: Mapping[str, Any]) -> tuple[str, str]:
    """Return what is wrong with the weights of a new policy, and the value that is meant; empty if nothing is.

    :param option_values: as for `read_name`.
    """
    weights = option_values.get(WEIGHTS_OPTION)
    name = read_name(option_values)
    network = _read_network(option_values)
    if network not in NETWORKS or weights is None:
        return "", ""  # LeRobot refuses the network, or has no such option
    weight_names = list_known(network)
    if name in weight_names:
        return "", ""
    if name in list_known(name.partition("_Weights")[0].lower()):
        return f"{name} are weights of another network than {network}", weight_names[0]
    is_none = str(weights).lower() in ("", "none")
    return f"torchvision has no weights {weights or repr(weights)}", "null" if is_none else weight_names[0]


def _name_class(network: str) -> str:
    return f"{network.replace('resnet', 'ResNet')}_Weights"


def _read_network(option_values: Mapping[str, Any]) -> str:
    return str(option_values.get(NETWORK_OPTION) or "")


def find_needed(job: LerobotJob) -> str:
    """Return the weights that a job's policy starts from; empty for none, as of a policy to start from."""
    if job.start_source is not None:
        return ""
    return read_name(job.values) if job.may_have_cameras else ""


def list_implied(job: LerobotJob) -> list[str]:
    """Return the weights that a job implies, as `implied_sources` does: none that a source brings."""
    name = find_needed(job)
    if not name or find_source(job.sources, name):
        return []
    return [name]


def find_source(sources: Iterable[JobSource], name: str) -> JobSource | None:
    """Return the source that brings weights: a file that the user gives, else torchvision's own."""
    matches = [
        source for source in sources if is_weights(source) and (source.kind != TORCHVISION_KIND or source.uri == name)
    ]
    return min(matches, key=lambda source: source.kind == TORCHVISION_KIND, default=None)


def find_file(folder: Path) -> Path:
    """Return the file of weights: it is alone where it was downloaded or mounted. Raise OSError."""
    if folder.is_file():
        return folder
    files = [path for path in sorted(folder.iterdir()) if path.suffix in WEIGHTS_SUFFIXES]
    if len(files) != 1:
        raise FileNotFoundError(f"{folder} does not hold one file of weights ({', '.join(WEIGHTS_SUFFIXES)})")
    return files[0]


def list_read_options(job: LerobotJob) -> list[str]:
    """Return the user's options that LeRobot gets: without the weights, where those of a start replace them."""
    option = job.model.format_flag(WEIGHTS_OPTION)
    if job.start.mode == "scratch" or option not in job.options:
        return list(job.arguments)
    words = []
    for name, value in split_options(job.arguments):
        if f"--{name}" != option:
            words.append(f"--{name}={value}" if name and value is not None else f"--{name}" if name else str(value))
    return words


def find_problems(job: LerobotJob) -> Problems:
    """Yield why LeRobot cannot make the network: it takes no other weights than its own, nor another normalization."""
    if not (name := find_needed(job)):
        return
    model, option = job.model, job.model.format_flag(WEIGHTS_OPTION)
    mistake, suggested_weights = find_mistake(job.values)
    if mistake:
        yield make_data_problem(mistake, f"-- {option}={suggested_weights}")
    if job.values.get(GROUP_NORM) is True and model.format_flag(GROUP_NORM) in job.options:
        yield make_data_problem(
            f"{model.kind} does not take {model.format_option(GROUP_NORM, 'true')} with {name}", f"-- {option}=null"
        )


def list_warnings(job: LerobotJob) -> Iterator[str]:
    """Yield what has no effect: weights that nothing reads, and the option beside a policy to start from."""
    model = job.model
    name = find_needed(job)
    option = job.model.format_flag(WEIGHTS_OPTION)
    setting = job.options.get(option)
    if job.start_source is not None and job.option_values.get(option) is not None:
        yield f"{option}={setting} has no effect: the training starts with the weights of a {model.noun}"
    read_source = find_source(job.sources, name) if name else None
    for source in filter(is_weights, job.sources):
        if not source.implied and source != read_source:
            start_text = f"starts from {name}" if name else "starts from no weights of a file"
            yield f"{source.uri} is not read: the {model.noun} {start_text}"
