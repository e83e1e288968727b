"""The comparison of a job with its data: what containers call where a job is sent from."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from robotrain_runtime.contract.document import JobDocument, JobSource

from robotrain_workloads.lerobot import lineage, start
from robotrain_workloads.lerobot.trained_model import TrainedModel, choose_model
from robotrain_workloads.lerobot_data_check import data_needs, dataset_options, statistics_needs


def find_problems(
    document: JobDocument, described: Mapping[JobSource, Path], root: Path, *, is_complete: bool = False
) -> Iterator[str]:
    """Yield one sentence for each reason why what a job trains, or its options, do not fit its data.

    :param described: the folders with what can be read of the job's sources.
    :param root: a valid dataset, or its description: the first of the job.
    :param is_complete: whether the folders have all files of the datasets.
    """
    yield from data_needs.find_unmet_needs(document, described, root)
    yield from statistics_needs.find_problems(document, described, root)
    model = _find_model(document, described)
    yield from dataset_options.find_problems(document, described, root, model, is_complete=is_complete)


def find_policy_problems(document: JobDocument, described: Mapping[JobSource, Path], root: Path) -> Iterator[str]:
    """Yield one sentence for each reason why no untrained policy of the job's type can be made for its data."""
    yield from data_needs.find_unmet_needs(document, described, root)


def list_warnings(document: JobDocument, described: Mapping[JobSource, Path], root: Path) -> Iterator[str]:
    """Yield a sentence for what LeRobot accepts of a dataset, though it is probably not what is meant."""
    yield from data_needs.list_warnings(document, described, root)
    yield from statistics_needs.list_warnings(document, described, root)
    yield from dataset_options.list_warnings(document, described)


def _find_model(document: JobDocument, described: Mapping[JobSource, Path]) -> TrainedModel | None:
    """Return what a job trains; None if it starts from what cannot be read here."""
    if lineage.find_start_source(described) != lineage.find_start_source(document.sources):
        return None
    with suppress(OSError, ValueError):
        return choose_model(document.parameters, start.load_start(described).settings)
    return None
