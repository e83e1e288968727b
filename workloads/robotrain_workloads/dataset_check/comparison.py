"""The comparison of a job with its data: what containers call where a job is sent from."""

from collections.abc import Iterator

from robotrain_runtime.contract.problem import Problems

from robotrain_workloads.dataset_check import data_needs, dataset_options, source_units, statistics_needs
from robotrain_workloads.lerobot.job import LerobotJob


def find_problems(job: LerobotJob) -> Problems:
    """Yield one sentence for each reason why what a job trains, or its options, do not fit its dataset.

    The dataset, or its description, is valid.
    """
    if needs := data_needs.find_needs(job):
        yield from data_needs.find_unmet_needs(needs)
        yield from statistics_needs.find_problems(needs)
    yield from dataset_options.find_problems(job)


def find_policy_problems(job: LerobotJob) -> Problems:
    """Yield one sentence for each reason why no untrained policy of the job's type can be made for its dataset."""
    if needs := data_needs.find_needs(job):
        yield from data_needs.find_unmet_needs(needs)


def list_warnings(job: LerobotJob) -> Iterator[str]:
    """Yield a sentence for what LeRobot accepts of a dataset, though it is probably not what is meant."""
    if needs := data_needs.find_needs(job):
        yield from statistics_needs.list_warnings(needs)
    yield from source_units.list_warnings(job)
