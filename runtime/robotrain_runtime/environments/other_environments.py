"""The environments of a job beside the one that its work runs in: its data is moved in them, its secrets are read."""

import dataclasses
from collections.abc import Iterator

from robotrain_runtime import data_environment
from robotrain_runtime.checkpoints import targets
from robotrain_runtime.contract import plugin_loader
from robotrain_runtime.contract.container_plugin import PythonEnvironment
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.problem import Problem
from robotrain_runtime.environments import environment_check


def list_other_environments(document: JobDocument) -> list[PythonEnvironment]:
    """Return each of them once. Raise JobFailed."""
    environments = [*plugin_loader.list_source_environments(document), *targets.list_target_environments(document)]
    if plugin_loader.load_tracking_plugin(document) or plugin_loader.load_secret_stores(document):
        environments.append(data_environment.ENVIRONMENT)
    return list({python_environment.lock: python_environment for python_environment in environments}.values())


def find_other_problems(document: JobDocument) -> Iterator[Problem]:
    """Yield why this machine cannot have one of them: `--environment` does not replace it. Raise JobFailed."""
    placement = dataclasses.replace(document.placement, environment=None, torch_backend=None)
    for python_environment in list_other_environments(document):
        for finding in environment_check.find_environment_problems(python_environment, placement):
            ways = tuple(way for way in finding.suggestions if way.text != environment_check.ENVIRONMENT_OPTION)
            yield dataclasses.replace(finding, suggestions=ways)
