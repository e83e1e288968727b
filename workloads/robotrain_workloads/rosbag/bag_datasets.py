"""Bags as the data of a training with LeRobot: what is wrong with them, and their conversion. Standard library only.

A job that names `--bags` carries this module as its plugin `data.bags`; other jobs of that workload do not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path

from robotrain_runtime.contract.container_plugin import DataPreparation, PythonEnvironment
from robotrain_runtime.contract.document import Folders, JobDocument, JobSource
from robotrain_runtime.contract.problem import Problems, Suggestion, make_data_problem, suggest_leaving_out

from robotrain_workloads import bag_parameters
from robotrain_workloads.bag_parameters import STORAGE_SUFFIXES, has_bags
from robotrain_workloads.dataset_check.data_needs import DataNeeds
from robotrain_workloads.lerobot import dataset
from robotrain_workloads.lerobot.job import LerobotJob

ENVIRONMENT = PythonEnvironment(
    lock=Path(__file__).parent / "locks" / "bags.txt", python="3.12", gib=0.3, platform="Linux-x86_64"
)
PROGRAM = "robotrain_workloads.rosbag.dataset_conversion"
FORMAT = 1
"""Incremented when the same bags would become another dataset."""
LOCAL_KIND = "local_path"
TRAINING = "lerobot-train"
"""The workload that also trains on datasets."""


def find_problems(document: JobDocument, data: Folders, *, is_complete: bool = False) -> Problems:
    """Yield why the bags cannot be converted, as far as their files tell at a glance.

    :param is_complete: whether the job itself asks, which has all files: its conversion says the rest.
    """
    sources = [source for source in document.sources if source.role == "dataset"]
    bags = []
    for source in dict.fromkeys(source for source in sources if source in data):
        folder = data[source]
        if has_bags(folder):
            bags.append(folder)
        elif (folder / dataset.INFO_FILE).is_file():
            yield make_data_problem(f"{source.uri} is a LeRobot dataset, not ROS 2 bags", _suggest_dataset(document))
        elif is_complete or source.kind == LOCAL_KIND:
            yield f"{source.uri} holds no ROS 2 bag: no file in it ends in {' or '.join(STORAGE_SUFFIXES)}"
    if bags and len(bags) == len(set(sources)) and not is_complete:
        from robotrain_workloads.rosbag.bag_check import check_bags

        findings = check_bags(bags, document.parameters)
        yield from findings.problems
        if not findings.problems and findings.features is not None:
            yield from _find_missing_inputs(LerobotJob(document, data), findings.features)


def _suggest_dataset(document: JobDocument) -> Suggestion:
    """Return what trains on a dataset: the job without `--bags`, or the workload that has that option."""
    if document.workload == TRAINING:
        return suggest_leaving_out("--bags")
    return Suggestion(f"robotrain submit {TRAINING} --policy-type act …", "trains on it; so do other policy types")


def _find_missing_inputs(job: LerobotJob, features: Collection[str]) -> Problems:
    """Yield what a new policy reads that the dataset will lack."""
    is_new = job.start_source is None
    if is_new and not job.model.facts.refused:
        kinds = {name: {"dtype": "video" if name.startswith("observation.images.") else "float32"} for name in features}
        yield from DataNeeds(job, job.model, job.values, {"features": kinds}).find_missing_inputs()


def plan_conversion(document: JobDocument, data: Folders, digests: Mapping[JobSource, str]) -> DataPreparation:
    """Return the program that makes one dataset of all bags."""
    sources = [source for source in document.sources if source.role == "dataset"]
    bag_values = bag_parameters.list_given(document.parameters)
    task = str(document.parameters["task"] or bag_parameters.DEFAULT_TASK)
    source_digests = [digests.get(source, "") for source in sources]  # empty when the content of a source is unknown
    facts = [FORMAT, document.parameters["lerobot_version"], bag_values, task, source_digests]
    key = hashlib.sha256(json.dumps(facts).encode()).hexdigest() if all(source_digests) else ""
    return DataPreparation(
        sources=tuple(dict.fromkeys(sources)),
        key=key,
        arguments=(
            *("-m", PROGRAM, f"--settings={json.dumps(bag_values)}", f"--task={task}"),
            *(f"--bags={data[source]}" for source in sources),
        ),
        environment=ENVIRONMENT,
    )
