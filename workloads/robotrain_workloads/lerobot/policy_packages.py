"""Policy types of packages that a job adds to its environment: they are imported here, so that LeRobot knows them.

LeRobot itself imports only distributions whose name is spelled `lerobot_policy_…`, and only logs why one fails.
"""

import importlib
import importlib.metadata
import os
from collections.abc import Iterator, Mapping

from robotrain_runtime.contract.added_packages import list_packages
from robotrain_runtime.contract.document import JobDocument

from robotrain_workloads import packages
from robotrain_workloads.exit_status import end_as_preflight

PACKAGES_VARIABLE = "ROBOTRAIN_POLICY_PACKAGES"
"""The environment variable of the work with the names of the packages that the user gave, separated by commas."""
PLUGIN_PREFIXES = tuple(f"lerobot-{kind}-" for kind in ("policy", "env", "robot", "camera", "teleoperator"))
"""What the normalized names of LeRobot's plugins begin with."""
NO_MODULES = ("", "..", "bin", "share", "etc")


def list_names(document: JobDocument) -> list[str]:
    """Return the names of the packages that the user gave: not of what these need."""
    requirements = packages.list_given(document.parameters)
    locked = {packages.normalize_name(name): name for name in list_packages(document.program_lock)}
    given_names = map(packages.normalize_name, map(packages.find_name, requirements))
    files = {packages.normalize_name(file.partition("-")[0]) for file in document.program_files}
    return list(dict.fromkeys([*(name for name in given_names if name), *[name for name in locked if name in files]]))


def make_environ(document: JobDocument) -> Mapping[str, str]:
    """Return the variable with the names; none for a job without packages."""
    package_names = list_names(document)
    return {PACKAGES_VARIABLE: ",".join(package_names)} if package_names else {}


def register_policies(kind: str = "") -> None:
    """Import the packages of this job that are plugins of LeRobot; for a type that these do not have, also the others.

    Raise SystemExit, as preflight does, with the name and the error of a package that cannot be imported.

    :param kind: the type of policy that is needed; empty if it is not known.
    """
    package_names = [name for name in os.environ.get(PACKAGES_VARIABLE, "").split(",") if name]
    plugins = [name for name in package_names if packages.normalize_name(name).startswith(PLUGIN_PREFIXES)]
    for name in plugins:
        _import_package(name)
    if kind and package_names and kind not in _list_types():
        for name in package_names:
            if name not in plugins:
                _import_package(name)
        if kind not in _list_types():
            end_as_preflight(
                f"{' and '.join(package_names)} of {packages.WITH_FLAG} have no policy type {kind}: there is "
                f"{_list_others()}"
            )


def _list_types() -> list[str]:
    importlib.import_module("lerobot.policies")
    from lerobot.configs import PreTrainedConfig

    return sorted(PreTrainedConfig.get_known_choices())


def _list_others() -> str:
    """Return the types that are not LeRobot's own, or else all."""
    from lerobot.configs import PreTrainedConfig

    choices: Mapping[str, type] = PreTrainedConfig.get_known_choices()
    other_types = [name for name in choices if not choices[name].__module__.startswith("lerobot.")]
    return ", ".join(sorted(other_types or choices))


def _import_package(name: str) -> None:
    """Import what a distribution has. Raise SystemExit."""
    try:
        modules = list(list_modules(name))
    except importlib.metadata.PackageNotFoundError:
        end_as_preflight(f"the package {name} is not in the environment")
    if not modules:
        end_as_preflight(f"the package {name} has no module to import")
    for module in modules:
        try:
            importlib.import_module(module)
        except Exception as error:
            reason = " ".join(str(error).split())
            end_as_preflight(f"the package {name} cannot be imported: {type(error).__name__}: {reason}")


def list_modules(name: str) -> Iterator[str]:
    """Yield the top-level modules of a distribution, by its metadata. Raise PackageNotFoundError."""
    distribution = importlib.metadata.distribution(name)
    if top_level_text := distribution.read_text("top_level.txt"):
        yield from top_level_text.split()
        return
    top_names: dict[str, None] = {}
    for file in distribution.files or ():
        top_name = file.parts[0]
        if len(file.parts) == 1 and top_name.endswith(".py"):
            top_names[top_name.removesuffix(".py")] = None
        elif (
            len(file.parts) > 1 and file.name.endswith(".py") and top_name not in NO_MODULES and top_name.isidentifier()
        ):
            top_names[top_name] = None
    yield from top_names
