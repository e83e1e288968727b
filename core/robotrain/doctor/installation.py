"""Health checks of the installation: versions, plugins, settings files, the checker of options."""

import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

from robotrain import __version__
from robotrain.config import project_file, variables
from robotrain.errors import Problem
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
from robotrain.submission import checker
from robotrain.submission.container_plugins import load_workload_container


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


def check_settings_files() -> Iterator[HealthResult]:
    """Check that `.env.local`, `.env` and `robotrain.toml` can be read."""
    working_folder = Path.cwd()
    read_files: list[str] = []
    problems: list[Problem] = []
    for layer in variables.read_dotenv_files(working_folder):
        read_files.append(layer.layer)
        problems += layer.problems
    if project := project_file.load_project(working_folder):
        read_files.append(os.path.relpath(project.folder / files.PROJECT_FILE))
        problems += project.problems
    yield from map(convert_problem, problems)
    if not problems:
        yield report_ok(", ".join(read_files) if read_files else f"none in {working_folder}")


def check_checker(installed: Plugins) -> Iterator[HealthResult]:
    """Report which Python asks the trainers about options; none is no warning."""
    choice, problems = checker.read_choice()
    yield from map(convert_problem, problems)
    if choice and choice.value in (checker.NONE, checker.BUILD):
        wish = "nobody is asked" if choice.value == checker.NONE else "environments are built for it"
        yield report_ok(f"{wish} about the options of a trainer ({choice.origin})")
        return
    absent_workloads = list[str]()
    for workload in installed.workloads().values():
        plugin = load_workload_container({f"workload.{workload.name}": workload.container_plugin})
        if plugin is None or "check_command" not in vars(plugin):
            continue
        checker_search = checker.find_checker(checker.get_asked_environment(plugin), checker.NO_OPTIONS)
        if checker_search.checker:
            yield report_ok(f"{workload.name}: {checker_search.checker.name}")
        elif choice:
            yield from map(convert_problem, checker_search.problems)
        else:
            absent_workloads.append(workload.name)
    if absent_workloads:
        trainer_names = ", ".join(absent_workloads)
        yield report_ok(
            f"the trainers of {trainer_names} are not on this machine; --checker build {checker.BUILD_REMARK}"
        )
