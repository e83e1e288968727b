"""Rules on the compute and the kind of its machines."""

import re
from collections.abc import Iterator

from robotrain.job import Job
from robotrain.problem import Instead, Problem
from robotrain_azure.finding import cannot, missing, ways

from robotrain_azureml import compute_name, machine
from robotrain_azureml.rules.finding import unfit
from robotrain_azureml.settings import Settings

INSTANCE_TYPE = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_COMPUTE = r"[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_LENGTHS = {"kubernetes": (2, 16), "managed": (3, 32), None: (2, 32)}


def compute(settings: Settings) -> Iterator[Problem]:
    """One has to be known, and has a name as computes have."""
    name = compute_name.compute(settings)
    if not name:
        why = (
            "It is one that is attached to the workspace: by itself that of the AKS cluster, where Terraform names it. "
            "`az ml compute list --resource-group GROUP --workspace-name NAME` shows those there are."
        )
        instead = ways("--compute NAME", "AZUREML_COMPUTE=NAME")
        yield missing("azureml-compute-missing", "no compute is named", "--compute", why, instead)
        return
    least, most = _LENGTHS[settings.compute_kind]
    if not re.fullmatch(_COMPUTE, name) or not least <= len(name) <= most:
        why = f"It is {least} to {most} letters, digits and `-`, a letter first."
        bare = name.removeprefix("azureml:")
        instead = ways(f"--compute {bare}" if bare != name and re.fullmatch(_COMPUTE, bare) else "")
        yield unfit("--compute", name, "the name of a compute", why, instead)


def instance_type(settings: Settings) -> Iterator[Problem]:
    """A Kubernetes compute has several kinds of machines, one of Azure ML's own has one."""
    named = settings.instance_type
    if named is None:
        return
    if machine.managed(settings):
        title = "a managed compute has machines of one kind, and is asked for none by name"
        why = "Instance types are those of a Kubernetes compute; a managed one is named for what it has."
        instead = (
            Instead("leave --instance-type out"),
            Instead("--compute NAME", "one of Kubernetes, which has such types"),
        )
        yield cannot("azureml-instance-type-managed", title, "--instance-type", why, instead, named)
    elif not re.fullmatch(INSTANCE_TYPE, named):
        why = "It is letters, digits, `-`, `_` and `.`, 63 at most."
        yield unfit("--instance-type", named, "the name of an instance type", why)


def gpus(job: Job, settings: Settings) -> Iterator[Problem]:
    """As many as the job trains on, neither fewer nor some that idle."""
    wanted, named = machine.wanted_gpus(job), settings.instance_type
    if not wanted or machine.managed(settings):
        return
    trains = f"the job trains on {_counted(wanted)}"
    if named is None:
        if wanted not in machine.DEFAULTS:
            some = ", ".join(f"{name} ({count})" for count, name in machine.DEFAULTS.items())
            title = f"{trains}, and nobody said which instance type has them"
            why = f"Those that are taken by themselves have 1, 2 or 4: {some}."
            other = "--compute-kind managed" if settings.compute_kind is None else ""
            instead = ways("--instance-type NAME", other, *(f"--num-gpus {count}" for count in _near(wanted)))
            yield missing("azureml-instance-type-missing", title, "--num-gpus", why, instead, str(wanted))
    elif machine.GPUS.get(named, wanted) != wanted:
        there = machine.GPUS[named]
        why = "The training would not begin." if there < wanted else "The others would be paid for, and idle."
        family = [name for name, count in machine.GPUS.items() if count == wanted]
        family.sort(key=lambda name: ("spot" in name) != ("spot" in named))
        instead = ways(*(f"--instance-type {name}" for name in family[:1]), f"--num-gpus {there}")
        title = f"{trains}, and a machine of the type {named} has {there}"
        yield cannot("azureml-gpus-differ", title, "--instance-type", why, instead, named)


def _near(wanted: int) -> list[int]:
    """The numbers there are below and above."""
    below = [count for count in machine.DEFAULTS if count < wanted]
    above = [count for count in machine.DEFAULTS if count > wanted]
    return [*below[-1:], *above[:1]]


def _counted(gpus: int) -> str:
    return f"{gpus} GPU{'' if gpus == 1 else 's'}"
