"""`rosbag-act-train` in the container: environment, problems with inputs, the command, and where it publishes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.container_plugin import (
    GpuRequirement,
    PublishingSpec,
    PythonEnvironment,
    TrackingSpec,
    WorkCommand,
)
from robotrain_runtime.contract.document import JobDocument, JobSource, Scalar
from robotrain_runtime.contract.event import Note
from robotrain_runtime.contract.finding import Finding, make_finding

from robotrain_workloads import bag_parameters, publish_url
from robotrain_workloads.bag_storage import STORAGE_SUFFIXES, is_storage_file
from robotrain_workloads.lerobot import device, image_weights, lineage, policy, run_setup, start
from robotrain_workloads.lerobot.backbones import BACKBONE_ROLE, TORCHVISION_KIND, is_weights
from robotrain_workloads.lerobot.policy import STEP_FILE
from robotrain_workloads.rosbag import bag_check
from robotrain_workloads.rosbag.bag_files import BagError, select_bags
from robotrain_workloads.rosbag_act_train import parameters, policy_start
from robotrain_workloads.rosbag_act_train.act.config import TYPE

TRAINER = "robotrain_workloads.rosbag_act_train.trainer"
LAUNCHER = "robotrain_workloads.rosbag_act_train.launcher"
RANDOM_BACKBONE_NOTE = (
    "the cameras' network starts from random weights;"
    " to start from ImageNet's: --pretrained-backbone-weights {}_Weights.IMAGENET1K_V1"
)
ENVIRONMENT = PythonEnvironment(
    lock=Path(__file__).parent / "locks" / "rosbag.txt",
    python="3.12",
    gib=7.0,
    platform="Linux-x86_64",
    required_packages={"torch": "2", "rosbags": "0"},
    base_torch=True,
)
targets = publish_url.list_targets
checkpoints = run_setup.get_checkpoints_folder


def compare(document: JobDocument, described: Mapping[JobSource, Path]) -> Iterator[Finding | str]:
    """Yield why the bags, as far as their files tell at a glance, or the policy to start from do not fit."""
    folders = [folder for source, folder in described.items() if source.role == "dataset"]
    if folders and len(folders) == sum(source.role == "dataset" for source in document.sources):
        yield from bag_check.BagCheck(document.parameters).find_problems(folders)
    for source, folder in described.items():
        if source.role == "policy":
            with suppress(OSError, ValueError):
                settings = policy.load_policy_settings(policy.find_model_folder(folder))
                name = str(folder) if source.uri.startswith("/") else source.uri
                yield from policy_start.find_policy_mismatches(document.parameters, settings, name)


def list_warnings(document: JobDocument, described: Mapping[JobSource, Path]) -> Iterator[str]:
    """Yield what may stop the training."""
    folders = [folder for source, folder in described.items() if source.role == "dataset"]
    check = bag_check.BagCheck(document.parameters)
    if folders:
        check.find_problems(folders)
    yield from check.warnings


def implied_sources(document: JobDocument, described: Mapping[JobSource, Path]) -> Mapping[str, Sequence[str]]:
    """Return the weights of torchvision that the job names and no source brings."""
    name = document.parameters["pretrained_backbone_weights"]
    is_brought = any(map(is_weights, document.sources)) or lineage.find_start_source(document.sources)
    return {BACKBONE_ROLE: [str(name)]} if name is not None and not is_brought else {}


def describe_output(document: JobDocument, described: Mapping[JobSource, Path], folder: Path) -> None:
    """Write the configuration of the policy that the training will make, as far as it is known without the bags."""
    settings: Mapping[str, Any] = policy_start.predict_settings(document.parameters)
    if lineage.find_start_source(document.sources):
        start_source = lineage.find_start_source(described)
        if start_source is None:
            return
        settings = start.load_start(start_source, described[start_source]).settings
    (folder / policy.CONFIG_FILE).write_text(json.dumps(settings), encoding="utf-8")


def inspect(document: JobDocument, data: Mapping[JobSource, Path]) -> Iterator[Finding | str]:
    """Yield what would stop the training, as far as names of files tell; bags are read when it starts."""
    for source, folder in data.items():
        if source.role == "dataset" and not any(map(is_storage_file, folder.rglob("*"))):
            yield f"{source.uri} holds no ROS 2 bag: no file in it ends in {' or '.join(STORAGE_SUFFIXES)}"
        elif source.role == "resume":
            yield from _find_resume_problems(document, folder)
        elif source.role == "policy":
            yield from _find_policy_problems(document, folder)
    folders = [folder for source, folder in data.items() if source.role == "dataset"]
    if excluded := bag_parameters.parse_names(document.parameters["exclude_bags"]):  # type: ignore[arg-type]
        try:
            select_bags(folders, excluded)
        except BagError as error:
            yield str(error)
    output = run_setup.resolve_output_folder(document, Path(document.placement.work))
    yield from run_setup.find_output_problems(document, output)
    yield from publish_url.find_write_problems(str(document.parameters["publish_url"] or ""), output, "checkpoints")


def work(document: JobDocument, data: Mapping[JobSource, Path], work: Path) -> WorkCommand:
    """Return the trainer's command; it goes on from what an earlier attempt saved."""
    output = run_setup.get_checkpoints_folder(document, work)
    values = document.parameters
    steps = int(str(values["training_steps"]))
    point, notes = checkpoint.find_resume_point(output, run=document.run, job=document.job, steps=steps)
    folders = {source.role: folder for source, folder in data.items()}
    begin = point[1] if point else folders.get("resume")
    own = folders.get("policy")
    settings: dict[str, Any] = {
        "parameters": dict(values),
        "bags": [str(folder) for source, folder in data.items() if source.role == "dataset"],
        "cache": document.placement.cache,
        "checkpoints": str(output),
        "resume": None if begin is None else str(begin),
        "policy": None if own is None else str(policy.find_model_folder(own)),
    }
    if not (begin or own):
        settings["weights"] = [
            (str(image_weights.find_file(folder)), source.uri if source.kind == TORCHVISION_KIND else "")
            for source, folder in data.items()
            if is_weights(source)
        ]
    if values["image_topics"] and not (begin or own or settings["weights"]):
        family = str(values["vision_backbone"]).replace("resnet", "ResNet")
        notes = (*notes, Note(level="info", text=RANDOM_BACKBONE_NOTE.format(family)))
    count = values["num_gpus"]
    program = (TRAINER,) if count == 1 else (LAUNCHER, f"--count={count}")
    return WorkCommand(arguments=("-m", *program, json.dumps(settings)), notes=notes)


def gpus(document: JobDocument) -> GpuRequirement | None:
    """Return the GPUs that the job needs; None if it also runs without."""
    return device.find_gpu_requirement(document.parameters)


def tracked(document: JobDocument) -> TrackingSpec:
    """Return the metadata of the tracking run."""
    values = document.parameters
    params: dict[str, Scalar] = {name: value for name, value in values.items() if value is not None}
    datasets = " ".join(source.uri for source in document.sources if source.role == "dataset")
    tags = {
        "framework": "robotrain-act",
        "policy_type": "act",
        "dataset.source": "rosbag",
        "dataset.uri": datasets,
        **({"model.register_name": str(name)} if (name := values["register_checkpoint"]) else {}),
    }
    return TrackingSpec(
        experiment=parameters.get_experiment_name(values),
        run_name=str(values["job_name"]),
        params=params,
        tags=tags,
        machine=bool(values["system_metrics"]),
    )


def publishing(document: JobDocument, data: Mapping[JobSource, Path]) -> PublishingSpec:
    """Return the metadata of the registered checkpoint."""
    values = document.parameters
    datasets = [source.uri for source in document.sources if source.role == "dataset"]
    return PublishingSpec(
        register=str(values["register_checkpoint"] or ""),
        description=f"ACT policy trained on ROS 2 bags: {', '.join(datasets)} (run {document.run})",
        tags={
            "framework": "lerobot",
            "policy_type": "act",
            "training_steps": str(values["training_steps"]),
            **lineage.make_parent_tags(data),
        },
        lineage={"dataset_uri": " ".join(datasets), "dataset_source": "rosbag"},
    )


def _find_policy_problems(document: JobDocument, folder: Path) -> Iterator[Finding | str]:
    model = policy.find_model_folder(folder)
    try:
        settings = policy.load_policy_settings(model)
    except (OSError, ValueError) as error:
        yield str(error)
        return
    yield from policy_start.find_policy_mismatches(document.parameters, settings, str(model))
    if settings.get("type") == TYPE:
        yield from policy.find_torn_files(model, with_processors=True)


def _find_resume_problems(document: JobDocument, folder: Path) -> Iterator[Finding | str]:
    steps = int(str(document.parameters["training_steps"]))
    try:
        step = int(json.loads((folder / STEP_FILE).read_text(encoding="utf-8"))["step"])
    except (OSError, ValueError, KeyError, TypeError):
        yield f"{folder} is not a checkpoint to resume from: {STEP_FILE} is missing or damaged"
        return
    if problem := checkpoint.validate_checkpoint(folder):
        yield f"the training cannot resume from this checkpoint: {problem}"
    if step >= steps:
        yield make_finding(
            f"{folder} has reached step {step} already: increase the steps", f"--training-steps {2 * step}"
        )
