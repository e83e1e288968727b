"""The lock of the packages that a job adds to the environment of its workload (`--with`), decided before it is sent.

They are resolved with every package of that environment as it is: only what it lacks is added.
"""

from collections.abc import Callable

from packaging.utils import canonicalize_name
from robotrain.model.job import Job
from robotrain.model.locked_program import LockedProgram
from robotrain.model.plan import make_job_document
from robotrain.plugins.manager import get_plugins
from robotrain_runtime.contract.added_packages import list_packages
from robotrain_runtime.contract.container_plugin import PythonEnvironment, WorkloadContainerPlugin
from robotrain_runtime.contract.document import Placement
from robotrain_runtime.contract.plugin_loader import load_container_plugin

from robotrain_workloads.package_lock import given_packages, locking
from robotrain_workloads.package_lock.lock_inputs import LockInput
from robotrain_workloads.packages import list_given

PARAMETERS = ("packages", "allow_builds", "lerobot_version", "env")
"""The parameters that decide what is locked."""


def lock_program(job: Job, say: Callable[[str], None]) -> LockedProgram | None:
    """Return the packages that a job adds, locked; None if it adds none. Raise Rejected with all that cannot be."""
    inputs = _read_input(job)
    return locking.lock_packages(inputs, say) if inputs else None


def find_locked(job: Job) -> LockedProgram | None:
    """Return what was locked for equal packages before; None if there is nothing."""
    inputs = _read_input(job)
    return locking.find_locked(inputs) if inputs else None


def find_environment(job: Job) -> PythonEnvironment:
    """Return the environment that a job would have without further packages."""
    module = get_plugins().workload(job.workload).container_plugin
    placement = Placement(work="", cache="", environment="")
    document = make_job_document(job, run="", platform="", container_plugins={}, placement=placement)
    plugin = load_container_plugin(module, WorkloadContainerPlugin)
    return plugin.PROGRAM_ENVIRONMENT or plugin.environment(document)


def _read_input(job: Job) -> LockInput | None:
    package_texts = list_given(dict(job.parameters))
    if not package_texts:
        return None
    environment = find_environment(job)
    builds = bool(job["allow_builds"])
    locked = list_packages(environment.lock.read_text(encoding="utf-8"))
    present_packages: dict[str, str] = {canonicalize_name(name): version for name, version in locked.items()}
    owner = f"the environment of {job.workload}"
    return given_packages.read_packages(package_texts, environment.python, present_packages, owner, allow_builds=builds)
