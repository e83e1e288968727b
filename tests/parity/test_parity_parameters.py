"""Each parameter of each workload, changed alone, changes what is executed; every platform gets the same ones."""

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest
from parity_cells import workloads
from parity_changes import COMMAND, ENVIRONMENTS, PREPARED, WHAT, Group, list_groups
from parity_command import DATASET, LEAST, PLATFORMS
from parity_document import Arrived
from parity_runtime import execute, record_dataset, write_policy
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.parameter import get_parameters

Render = Callable[..., Arrived]
Execute = Callable[[JobDocument], dict[str, Any]]


@pytest.fixture(scope="session")
def execute_document(tmp_path_factory: pytest.TempPathFactory) -> Execute:
    """What is executed of a document, on a small dataset and on an old one."""
    data, old = record_dataset(tmp_path_factory.mktemp("now")), record_dataset(tmp_path_factory.mktemp("old"), "v2.1")
    policy = write_policy(tmp_path_factory.mktemp("policy") / "act")
    return lambda document: execute(document, data, old, policy)


def check_changes(before: JobDocument, after: JobDocument, group: Group, execute_document: Execute) -> None:
    """Each parameter of a group, changed alone, changes what is executed."""
    old = execute_document(before)
    for parameter in group.parameters:
        alone = {**before.parameters, parameter.name: after.parameters[parameter.name]}
        new = execute_document(after if len(group.parameters) == 1 else replace(before, parameters=alone))
        default = WHAT.get(parameter.name, COMMAND)
        for what in PREPARED.get((before.workload, parameter.name), default):
            assert old[what] != new[what], f"{parameter.flag} does not change the {what}"


@pytest.mark.parametrize("workload", workloads())
def test_changed_parameters_are_equal_on_every_platform_and_each_changes_what_is_executed(
    render_job: Render, execute_document: Execute, workload: str
) -> None:
    least, group = LEAST[workload], list_groups(workloads()[workload])[0]
    before = render_job(PLATFORMS[0], workload, given=least).document
    documents = [render_job(platform, workload, given={**least, **group.change()}).document for platform in PLATFORMS]
    for document in documents:
        assert document.parameters == documents[0].parameters, document.platform
    check_changes(before, documents[0], group, execute_document)


@pytest.mark.parametrize("workload", workloads())
def test_parameters_with_needs_of_their_own_change_what_is_executed(
    render_job: Render, execute_document: Execute, workload: str
) -> None:
    for group in list_groups(workloads()[workload])[1:]:
        least = {**LEAST[workload], **group.beside}
        before = render_job(group.platform, workload, given=least).document
        after = render_job(group.platform, workload, given={**least, **group.change()}).document
        check_changes(before, after, group, execute_document)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_options_after_dashes_end_the_command(
    render_job: Callable[..., Arrived], execute_document: Execute, platform: str
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
