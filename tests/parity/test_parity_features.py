"""Every feature on every platform."""

from collections.abc import Iterator, Mapping

import pytest
from parity_cells import Cell, cells, workloads
from parity_changes import change_option
from parity_command import DATASET, LEAST, PLATFORMS, ways_out
from robotrain_runtime.contract.parameter import get_parameters

BLOB = "https://account1.blob.core.windows.net/train/set"
ASKED_OTHERWISE: Mapping[str, str] = {
    "stream_logs": "of a run that was sent: the kit follows a log on each platform",
    "cancel": "of a run that was sent: the kit cancels one on each platform",
    "shell": "of a run that is running: the tests of each platform enter one",
    "tracking": "of sources that are looked up where the run is tracked: the tests of sources",
    "native_dag": "of a pipeline: without it, this machine starts the steps",
    "runs_here": "of nobody: it says where to look for the machine",
}
"""Features that no option of a job needs by itself."""
OTHERS: Mapping[str, tuple[str, ...]] = {
    "several_datasets": ("--blob-url", f"{BLOB}1", "--blob-url", f"{BLOB}2"),
    "publish_folder": (*DATASET, "--publish-url", "/checkpoints"),
}
"""Those that are needed by something else than any value of a parameter."""


def has_job(feature: str) -> bool:
    return feature not in ASKED_OTHERWISE


def job_words(feature: str) -> tuple[str, ...]:
    """A job that needs it."""
    return next(jobs(feature))


def jobs(feature: str) -> Iterator[tuple[str, ...]]:
    """One of each workload that can need it, that of most jobs first."""
    if feature in OTHERS:
        yield OTHERS[feature]
        return
    for workload, least in LEAST.items():
        for parameter in get_parameters(workloads()[workload].parameters):
            if parameter.param.requires == feature:
                options = {**least, **change_option(parameter)}
                yield (workload, *(word for pair in options.items() for word in pair if word))


@pytest.mark.slow
@pytest.mark.parametrize("cell", cells("features", taken=True, where=has_job))
def test_supported_feature_can_be_used(render_job, cell: Cell) -> None:
    (feature,) = cell.what
    for typed in jobs(feature):
        document = render_job(cell.platform, *typed).document
        declared = get_parameters(workloads()[document.workload].parameters)
        needing = [parameter for parameter in declared if parameter.param.requires == feature]
        several = len([source for source in document.sources if source.role == "dataset"]) == 2
        assert several or any(document.parameters[parameter.name] != parameter.default for parameter in needing)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_datasets_have_their_weights_on_every_platform(render_job, platform: str) -> None:
    document = render_job(platform, "--blob-url", f"{BLOB}1=0.7", "--dataset-repo-id", "a/b=0.3").document
    assert document.parameters["mixture"] == "0.7,0.3"
    assert [source.uri for source in document.sources if source.role == "dataset"] == [f"{BLOB}1", "a/b"]


@pytest.mark.parametrize("cell", cells("features", taken=False, where=has_job))
def test_unsupported_feature_has_suggestions_that_are_accepted(find_errors, assert_accepted, cell: Cell) -> None:
    (feature,) = cell.what
    (problem,) = find_errors(cell.platform, *job_words(feature))
    assert problem["code"] == "feature-not-there"
    assert problem["where"] in job_words(feature)
    ways = list(ways_out(cell.platform, job_words(feature), problem))
    assert ways
    for way in ways:
        assert_accepted(way)
