"""What `submit` says about a dataset before it sends a job: whether its tables agree, and what they hold."""

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from robotrain.model.data_report import DataReading, DataReport, RemoteFiles
from robotrain.model.job import Job
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.failure import SourceError
from robotrain_runtime.contract.problem import make_data_problem

from robotrain_workloads.bag_parameters import is_storage_file
from robotrain_workloads.data_command.check_report import format_text
from robotrain_workloads.data_command.process import (
    InspectedDataset,
    InspectionFailed,
    build_data_python,
    find_data_python,
    inspect_dataset,
)
from robotrain_workloads.dataset_check import dataset_options, statistics_needs
from robotrain_workloads.dataset_check.findings import leave_out_errors
from robotrain_workloads.lerobot import dataset, episode_numbers
from robotrain_workloads.lerobot.dataset_preparation import make_bags_problem
from robotrain_workloads.lerobot.job import LerobotJob

TABLES, MOST_BYTES = "tables", 200_000_000
"""The question, and how large the tables of a dataset elsewhere may be."""


class NoPython(Exception):
    """No Python here can read the dataset, and none is to be built."""


def describe_dataset(job: Job, source: JobSource, files: Path | RemoteFiles, reading: DataReading) -> DataReport | None:
    """Return the report on a dataset; None for another source, and where its run looks at it soon."""
    if source.role != "dataset":
        return None

    def find_python() -> Path:
        if python := find_data_python(reading.checker):
            return python
        if not reading.may_build:
            raise NoPython
        return build_data_python(reading.say)

    lerobot_job = LerobotJob(job)
    try:
        if isinstance(files, RemoteFiles) and _are_bags(files.list_sizes()):
            return DataReport(errors=(make_bags_problem(lerobot_job, source),))
        questions = {TABLES: {**make_table_options(lerobot_job), "warns": True}}
        inspected = inspect_dataset(files, questions, find_python, seconds=reading.seconds, most_bytes=MOST_BYTES)
    except NoPython:
        return None
    except InspectionFailed as error:
        return DataReport(unread=str(error))
    except SourceError as error:
        return DataReport(unread=error.why.rstrip("."))
    is_alone = [source.role for source in job.sources].count(source.role) == 1
    return _make_report(inspected, source, questions[TABLES].get("excluded", ""), is_alone=is_alone)


def _are_bags(paths: Iterable[str]) -> bool:
    """Return whether these are the files of bags, and of no dataset."""
    files = [*map(Path, paths)]
    return dataset.INFO_FILE not in files and any(map(is_storage_file, files))


def make_table_options(job: LerobotJob) -> dict[str, Any]:
    """Return the options of the question `tables` for the dataset of a training."""
    options: dict[str, Any] = {
        "allow_non_finite": bool(job.parameters.get("allow_non_finite")),
        "converts": bool(job.parameters["convert_v21"]),
        **statistics_needs.list_read_numbers(job),
    }
    if [source.role for source in job.sources].count("dataset") > 1:  # what follows is of the merged dataset
        return options
    if isinstance(tolerance := job.option_values.get(dataset_options.TOLERANCE), float):
        options["tolerance"] = tolerance
    if (episodes_text := job.options.get(dataset_options.EPISODES)) is not None:
        options["episodes"] = dataset_options.parse_episodes(episodes_text)
    if excluded := job.parameters[episode_numbers.EXCLUDED]:
        options["excluded"] = str(excluded)
    return options


def _make_report(inspected: InspectedDataset, source: JobSource, excluded: str, *, is_alone: bool) -> DataReport:
    errors = [finding for finding in inspected.findings if finding.severity == "error"]
    facts = inspected.results.get(TABLES, {})
    findings = [make_data_problem(format_text(error)) for error in errors]
    ways = [*facts.get("ways", ())]
    if is_alone and (left_out_episodes := leave_out_errors(errors, facts)):
        ways.append(f"{episode_numbers.EXCLUDE_FLAG} {episode_numbers.format_ranges(left_out_episodes)}")
    if findings and ways:
        findings[-1] = make_data_problem(findings[-1], *(episode_numbers.keep_excluded(way, excluded) for way in ways))
    counts = {name: facts[name] for name in ("episodes", "frames", "cameras") if name in facts}
    return DataReport(
        text=", ".join(f"{count:,} {name[:-1] if count == 1 else name}" for name, count in counts.items()),
        errors=tuple(findings),
        warnings=len(inspected.findings) - len(errors),
        command=f"robotrain data check {shlex.quote(source.uri)}",
        content={"source": source.uri, **counts, "findings": [finding.dump() for finding in inspected.findings]},
    )
