"""Each parameter of each workload, changed alone, changes what is executed; every platform gets the same ones."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import pytest
from parity_cells import workloads
from parity_changes import BESIDE, COMMAND, ENVIRONMENTS, WHAT, change_option, change_together, parameters
from parity_command import DATASET, LEAST, PLATFORMS
from parity_document import Arrived
from parity_runtime import execute, record_dataset, write_policy
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.parameter import Parameter, get_parameters

Made = Callable[[JobDocument], dict[str, Any]]


@pytest.fixture(scope="session")
def execute_document(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """What is executed of a document, on a small dataset and on an old one."""
    data, old = record_dataset(tmp_path_factory.mktemp("now")), record_dataset(tmp_path_factory.mktemp("old"), "v2.1")
    policy = write_policy(tmp_path_factory.mktemp("policy") / "act")
    return lambda document: execute(document, data, old, policy)


@pytest.fixture
def render_least(
    render_job: Callable[..., Arrived], rendered_before: dict[tuple[str, ...], Arrived]
) -> Callable[..., Arrived]:
    """What arrives of a job that says as little as it can; rendered once."""

    def run(platform: str, workload: str, given: Mapping[str, str | None]) -> Arrived:
        key = ("parameters", platform, workload, *given)
        if key not in rendered_before:
            rendered_before[key] = render_job(platform, workload, given={**LEAST[workload], **given})
        return rendered_before[key]

    return run


@pytest.mark.parametrize(("platform", "workload", "parameter"), list(parameters()))
def test_changed_parameter_changes_what_is_executed(
    render_job: Callable[..., Arrived],
    render_least: Callable[..., Arrived],
    execute_document: Made,
    platform: str,
    workload: str,
    parameter: Parameter,
) -> None:
    beside = BESIDE.get((workload, parameter.name), {})
    before = render_least(platform, workload, beside).document
    after = render_job(platform, workload, given={**LEAST[workload], **beside, **change_option(parameter)}).document
    old, new = execute_document(before), execute_document(after)
    for what in WHAT.get(parameter.name, COMMAND):
        assert old[what] != new[what]


@pytest.mark.parametrize("workload", workloads())
def test_parameters_are_equal_on_every_platform(render_job: Callable[..., Arrived], workload: str) -> None:
    given = {**LEAST[workload], **change_together(workloads()[workload])}
    local, *others = (render_job(platform, workload, given=given).document for platform in PLATFORMS)
    assert [other.parameters for other in others] == [local.parameters] * len(others)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_options_after_dashes_end_the_command(
    render_job: Callable[..., Arrived], execute_document: Made, platform: str
) -> None:
    after = ("--policy.chunk_size=150", "--policy.n_heads", "4", "--dataset.episodes=[0, 1]")
    work = execute_document(render_job(platform, *DATASET, after=after).document)["command"]
    assert work.arguments[-4:] == after


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_version_of_lerobot_brings_its_own_environment(render_job: Any, platform: str) -> None:
    for workload in workloads().values():
        least = [word for option in LEAST[workload.name].items() for word in option]
        for parameter in get_parameters(workload.parameters):
            for version in parameter.choices if parameter.name in ENVIRONMENTS else ():
                document = render_job(platform, workload.name, *least, parameter.flag, version).document
                environment = import_module(workload.container_plugin).environment(document)
                folder = f"v{version.replace('.', '_')}"
                assert environment.lock.parent.name == folder
                package, _, files = document.container_plugins["data.lerobot"].partition(":")
                assert package == f"robotrain_workloads.lerobot_versions.{folder}"
                assert environment.lock.name in files.split(",")
