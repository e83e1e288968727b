"""Caches for the whole test session: what is installed here is discovered, packed, loaded and composed only once."""

import copy
import functools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml
from robotrain.plugins import discovery

ROOT = Path(__file__).parents[1]
HERE = (sys.prefix, sys.base_prefix, str(ROOT))
ENVIRONMENTS = (str(Path.home() / ".cache/robotrain/environments"),)
DECLARATIONS = ("source", "workload")
"""The families whose things hold nothing between two calls, as a platform may."""
OURS = {"robotrain_runtime", "robotrain_sources", "robotrain_workloads"}
OURS |= {f"robotrain_{name}" for name in ("local", "azure", "osmo", "azureml", "slurm")}


@pytest.fixture(autouse=True, scope="session")
def cache_discovery() -> Iterator[None]:
    """Nothing of this checkout changes while tests run; what a test installs is read each time."""
    import typer.testing

    with pytest.MonkeyPatch.context() as patch:
        read_installed(patch)
        load_plugins(patch)
        compose_options(patch)
        patch.setattr(typer.testing, "_get_command", functools.cache(typer.main.get_command))
        read_yaml_in_c(patch)
        yield


def cache_function(patch: pytest.MonkeyPatch, owner: ModuleType, name: str, get_key: Callable[..., tuple | None]):
    """Let a function answer once for the same arguments; without a key it is called each time."""
    cache: dict[tuple, object] = {}
    read = getattr(owner, name)

    def read_once(*arguments):
        arguments = tuple(argument if isinstance(argument, str) else tuple(argument) for argument in arguments)
        if (key := get_key(*arguments)) is None:
            return read(*arguments)
        if (arguments, key) not in cache:
            answer = read(*arguments)
            cache[arguments, key] = [*answer] if isinstance(answer, Iterator) else answer
        return cache[arguments, key]

    patch.setattr(owner, name, read_once)


def read_entry_points(group: str) -> list[SimpleNamespace]:
    """Return the entry points of a group, as importlib.metadata does; those of what is installed here are read once."""
    points: dict[str, list[SimpleNamespace]] = {}
    for place in sys.path:
        read = read_points if place.startswith(HERE) else read_points.__wrapped__
        for project, project_points in read(place, group):
            points.setdefault(project, project_points)  # of two distributions with the same name the first counts
    return [point for project_points in points.values() for point in project_points]


@functools.cache
def read_points(place: str, group: str) -> list[tuple[str, list[SimpleNamespace]]]:
    """Return the distributions of a folder: the normalized name of each, and its entry points of a group."""
    projects = []
    for distribution in metadata.distributions(path=[place]):
        points = [point for point in distribution.entry_points if point.group == group]
        described = distribution.metadata
        owner = SimpleNamespace(name=described["Name"], version=described["Version"])
        named = [SimpleNamespace(name=point.name, value=point.value, dist=owner) for point in points]
        projects.append((discovery.normalize_name(owner.name), named))
    return projects


def read_yaml_in_c(patch: pytest.MonkeyPatch) -> None:
    """A workflow of OSMO, which contains its payload, takes the loader that is written in Python a second."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    patch.setattr(yaml, "safe_load", lambda stream: yaml.load(stream, Loader=loader))


def read_installed(patch: pytest.MonkeyPatch) -> None:
    """Distributions, the packages that travel with a job, and what Python an environment for all tests has."""
    from robotrain.submission import packing
    from robotrain_runtime.environments import interpreter

    def is_ours(*packages: str) -> tuple | None:
        """Return a key for packages of this checkout."""
        return () if {package.partition(".")[0] for package in packages} <= OURS else None

    get_version, versions = interpreter.get_python_version, {}
    installed = (*HERE, *ENVIRONMENTS, str(Path.home() / ".pyenv"), "/usr/")

    def get_version_once(python: Path, *seconds: float) -> str:
        key = (python, os.environ.get("PYENV_VERSION"))
        if not str(python).startswith(installed):
            return get_version(python, *seconds)
        return versions[key] if key in versions else versions.setdefault(key, get_version(python, *seconds))

    patch.setattr(interpreter, "get_python_version", get_version_once)
    patch.setattr(discovery, "metadata", SimpleNamespace(**{**vars(metadata), "entry_points": read_entry_points}))
    for name in ("_find_packages", "_list_package_files"):
        cache_function(patch, packing, name, is_ours)
    cache_function(patch, packing, "pack_modules", lambda modules: is_ours(*modules))


def load_plugins(patch: pytest.MonkeyPatch) -> None:
    """What this checkout declares is registered once."""
    from robotrain.plugins import manager

    call_hook = manager.call_providing_hook
    provided: dict[tuple, list] = {}

    def call_hook_once(family, function):
        if family not in DECLARATIONS or function.__module__.partition(".")[0] not in OURS:
            return call_hook(family, function)
        if (key := (family, function)) not in provided:
            provided[key] = call_hook(family, function)
        return provided[key]

    make_manager = manager.Plugins.__dict__["_manager"].func
    managers: dict[tuple, Any] = {}

    def make_shared_manager(plugins):
        """Plugins that a command did not load count for none of its hooks. With others installed, it is a copy."""
        claims = tuple(claim for claim in plugins.claims if are_ours([claim]))
        if claims not in managers:
            managers[claims] = make_manager(plugins)
            for module in dict.fromkeys(claim.load() for claim in claims if claim.family != "command"):
                managers[claims].add(module)
        return managers[claims] if len(claims) == len(plugins.claims) else copy_manager(managers[claims])

    def copy_manager(shared):
        made = type(shared)()
        made._name2plugin.update(shared._name2plugin)
        for name, caller in vars(shared.hook).items():
            getattr(made.hook, name)._hookimpls[:] = caller._hookimpls
        return made

    registered = functools.cached_property(make_shared_manager)
    registered.__set_name__(manager.Plugins, "_manager")
    patch.setattr(manager, "call_providing_hook", call_hook_once)
    patch.setattr(manager.Plugins, "_manager", registered)


def compose_options(patch: pytest.MonkeyPatch) -> None:
    """The options of a command for a workload of this checkout, but for completion."""
    from robotrain.cli import job_command

    build, built = job_command.JobCommand.build_for, {}

    def has_options(claim):
        """Whether a plugin of a test may add other options than the settings of its platform."""
        module = sys.modules.get(claim.module)
        return claim.family != "platform" or claim.from_file or hasattr(module, "robotrain_source_kinds")

    def get_settings(plugins, name):
        """Return the settings of a platform that a test installed; None of one of this checkout."""
        if all(are_ours([claim]) for claim in plugins.list_claims("platform", name)):
            return None
        return plugins.platform(name).settings

    def build_once(command, choice, parent):
        plugins = job_command.get_plugins(parent)
        claims = tuple(plugins.claims)
        others = [claim for claim in claims if not are_ours([claim])]
        if parent.resilient_parsing or any(map(has_options, others)):
            return build(command, choice, parent)
        try:
            settings = get_settings(plugins, choice.platform)
        except Exception:  # that it fails is found by the command
            return build(command, choice, parent)
        named_by = choice.origins[0].layer  # the help says what a workload does that was named
        key = (command.name, choice.workload, named_by, choice.platform, choice.is_evaluated, claims, settings)
        if key not in built:
            return built.setdefault(key, build(command, choice, parent))
        made = copy.copy(built[key])
        made.choice = choice
        return made

    patch.setattr(job_command.JobCommand, "build_for", build_once)


def are_ours(claims: Sequence) -> bool:
    """Whether nothing is installed, nor read from a file, that is not of this checkout."""
    return all(claim.built_in and claim.top_package in OURS for claim in claims)
