"""Each parameter of each workload, changed alone, changes what is executed; every platform gets the same ones."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from parity_cells import workloads
from parity_changes import BESIDE, COMMAND, JUDGED, WHAT, changed, changed_together, parameters
from parity_command import DATASET, LEAST, PLATFORMS
from parity_document import Arrived
from parity_runtime import execute, record_dataset, write_policy
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.parameter import Parameter, get_parameters

Made = Callable[[JobDocument], dict[str, Any]]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """What is executed of a document, on a small dataset and on an old one."""
    data, old = record_dataset(tmp_path_factory.mktemp("now")), record_dataset(tmp_path_factory.mktemp("old"), "v2.1")
    policy = write_policy(tmp_path_factory.mktemp("policy") / "act")
    return lambda document: execute(document, data, old, policy)


@pytest.fixture
def usual(rendered: Callable[..., Arrived], known: dict[tuple[str, ...], Arrived]) -> Callable[..., Arrived]:
    """What arrives of a job that says as little as it can; rendered once."""

    def run(platform: str, workload: str, given: Mapping[str, str | None]) -> Arrived:
        key = ("parameters", platform, workload, *given)
        if key not in known:
            known[key] = rendered(platform, workload, given={**LEAST[workload], **given})
        return known[key]

    return run


@pytest.mark.parametrize(("platform", "workload", "parameter"), list(parameters()))
def test_one_changed_alone_changes_what_is_executed(
    rendered: Callable[..., Arrived],
    usual: Callable[..., Arrived],
    made: Made,
    platform: str,
    workload: str,
    parameter: Parameter,
) -> None:
    beside = BESIDE.get((workload, parameter.name), {})
    before = usual(platform, workload, beside).document
    after = rendered(platform, workload, given={**LEAST[workload], **beside, **changed(parameter)}).document
    old, new = made(before), made(after)
    for what in WHAT.get(parameter.name, COMMAND):
        assert old[what] != new[what]


@pytest.mark.parametrize("workload", workloads())
def test_all_that_are_given_reach_every_platform_alike(rendered: Callable[..., Arrived], workload: str) -> None:
    given = {**LEAST[workload], **changed_together(workloads()[workload])}
    local, *others = (rendered(platform, workload, given=given).document for platform in PLATFORMS)
    assert [other.parameters for other in others] == [local.parameters] * len(others)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_what_comes_after_the_dashes_is_the_end_of_the_command(
    rendered: Callable[..., Arrived], made: Made, platform: str
) -> None:
    after = ("--policy.chunk_size=150", "--policy.vision_backbone", "resnet34", "--dataset.episodes=[0, 1]")
    work = made(rendered(platform, *DATASET, after=after).document)["command"]
    assert work.arguments[-4:] == after


@pytest.mark.parametrize("platform", PLATFORMS)
def test_what_a_job_counts_on_is_refused_where_it_is_not_so_and_changes_nothing_where_it_is(
    refused: Any, rendered: Any, usual: Any, made: Made, platform: str
) -> None:
    for workload in workloads().values():
        least = [word for option in LEAST[workload.name].items() for word in option]
        for flag in (one.flag for one in get_parameters(workload.parameters) if one.name in JUDGED):
            (problem,) = refused(platform, workload.name, *least, flag, "another")
            assert problem["where"] == flag
            way = problem["instead"][0]["text"].split()
            before, after = usual(platform, workload.name, {}), rendered(platform, workload.name, *least, *way)
            assert before.document.job != after.document.job
            assert made(before.document) == made(after.document)
