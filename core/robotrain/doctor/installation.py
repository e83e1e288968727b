"""Health checks of the installation: versions, plugins, settings files."""

import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

from robotrain import __version__
from robotrain.config import variables
from robotrain.config.request import Request
from robotrain.config.selection import Surroundings, read_surroundings
from robotrain.config.unknown_keys import find_unknown_tables
from robotrain.errors import Problem, select_errors
from robotrain.installation import find_version, suggest_install
from robotrain.model.health import (
    HealthResult,
    convert_problem,
    report_failure,
    report_ok,
    report_warning,
)
from robotrain.plugins.discovery import list_built_in_distributions
from robotrain.plugins.manager import Plugins
from robotrain.store import files
from robotrain.submission.prepare import check_request


def check_versions() -> Iterator[HealthResult]:
    """Check that all distributions of robotrain have the same version."""
    versions = {name: find_version(name) for name in sorted(list_built_in_distributions())}
    other_versions = {name: number for name, number in versions.items() if number not in ("", __version__)}
    for name, number in other_versions.items():
        suggestion = suggest_install(f"{name}=={__version__}")
        text = f"{name} is {number}, but robotrain-core is {__version__}: they must have the same version"
        yield report_failure(text, suggestion)
    if not other_versions:
        yield report_ok(f"{__version__}, on Python {platform.python_version()} ({sys.executable})")


def check_plugins(installed: Plugins, platform_name: str) -> Iterator[HealthResult]:
    """Report plugins that failed; only the plugin of the chosen platform stops a submit."""
    for failure in installed.failures.values():
        claim, suggestions = failure.claim, [*failure.suggestions]
        if claim.built_in:
            suggestions.append(suggest_install(claim.package, remark="repairs it", option="--force-reinstall"))
        if platform_name and (claim.family, claim.name) == ("platform", platform_name):
            yield report_failure(str(failure), *suggestions)
            continue
        effect = "" if claim.family else ": its rules are not enforced"
        yield report_warning(f"{failure}{effect}", *suggestions)
    if not installed.failures:
        packages = {claim.distribution for claim in installed.claims}
        yield report_ok(f"{len(installed.claims)} plugins from {len(packages)} packages, all loaded")


def check_settings_files(installed: Plugins, platform_name: str) -> Iterator[HealthResult]:
    """Check that `.env.local`, `.env` and `robotrain.toml` can be read, and that a submit takes what this file says."""
    working_folder = Path.cwd()
    surroundings = read_surroundings()
    dotenv_files = [*variables.read_dotenv_files(working_folder)]
    read_files = [layer.layer for layer in dotenv_files]
    problems = [problem for layer in dotenv_files for problem in layer.problems]
    if surroundings.project:
        read_files.append(os.path.relpath(surroundings.project.folder / files.PROJECT_FILE))
        problems += _check_project_file(surroundings, installed, platform_name)
    yield from map(convert_problem, problems)
    if not problems:
        yield report_ok(", ".join(read_files) if read_files else f"none in {working_folder}")


def _check_project_file(surroundings: Surroundings, installed: Plugins, platform_name: str) -> list[Problem]:
    """Return the errors of submits that would not be there without robotrain.toml, but for what an option may add."""
    project = surroundings.project
    assert project is not None
    kinds = installed.source_kinds()
    project_platform, project_workload = project.find("platform"), project.find("workload")
    named_platform = platform_name or (str(project_platform.value) if project_platform else "")
    workload_names = {
        str(project_workload.value) if project_workload else installed.default_workload(),
        *(name for level in project.levels for name in level.workloads),
    }
    problems = [*project.problems, *find_unknown_tables((), project, installed)]
    for name, chosen_platform in installed.platforms().items():
        for workload in installed.workloads().values():
            if named_platform not in ("", name) or workload.name not in workload_names:
                continue
            without = surroundings._replace(project=None)
            errors, other_errors = (
                select_errors(check_request(request, workload, chosen_platform, installed, kinds)[1])
                for request in (Request(surroundings=part, lookups=None) for part in (surroundings, without))
            )
            known_problems = (*other_errors, *problems)
            problems += [error for error in errors if error not in known_problems and error.code != "value-missing"]
    return problems
