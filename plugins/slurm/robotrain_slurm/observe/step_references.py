"""References of the steps of a pipeline and the trials of a sweep, as those of runs of their own."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from robotrain.errors import Rejected
from robotrain.messages import Messages
from robotrain.model.run import LOGIN_KEY, STEP_KEY, Reference
from robotrain.run_folder.parts import RunPart
from robotrain.run_folder.scheduler_plan import STEPS_FOLDER, TRIALS_FOLDER, SchedulerSpec
from robotrain.run_folder.submit import CLUSTER_KEY, JOBS_KEY, TRIALS_KEY

from robotrain_slurm.spec.submission_spec import SUBMISSION

make_problem = Messages(__file__)


def is_whole(reference: Reference) -> bool:
    """Return whether a reference is that of a pipeline or a sweep, and not of one of its parts."""
    return STEP_KEY not in reference and (JOBS_KEY in reference or TRIALS_KEY in reference)


ReadSpec = Callable[[Reference], SchedulerSpec]
"""Return how a run was submitted. Raise RunGone, Rejected."""


def select_step(reference: Reference, read_spec: ReadSpec) -> Reference:
    """Return the reference of a step or a trial as that of a run; any other one as it is. Raise RunGone, Rejected."""
    name = reference.get(STEP_KEY, "")
    if not name:
        return reference
    if JOBS_KEY in reference:
        return _refer_to_step(reference, name)
    found = _list_trials(reference, read_spec)
    if name not in found:
        raise Rejected([make_problem("run-gone.trial", run=reference["run"], name=name)])
    return found[name]


def list_parts(reference: Reference, read_spec: ReadSpec) -> Mapping[str, RunPart]:
    """Return the steps of a pipeline or the trials of a sweep by name; nothing for others. Raise RunGone, Rejected."""
    if not is_whole(reference):
        return {}
    if JOBS_KEY not in reference:
        return {name: RunPart(trial) for name, trial in _list_trials(reference, read_spec).items()}
    needs = {job.step: job.needs for job in read_spec(reference).jobs}
    return {name: RunPart(_refer_to_step(reference, name), needs.get(name, ())) for name in _read_numbers(reference)}


def parse_spec(file: Path, content: bytes) -> SchedulerSpec:
    """Return how a run was submitted. Raise Rejected. `file`: where that stands."""
    try:
        return SUBMISSION.parse(content)
    except ValueError as error:
        raise make_unreadable_error(file, error) from None


def make_unreadable_error(file: Path, error: Exception) -> Rejected:
    """Return the error of a run folder without a readable file of how it was submitted."""
    return Rejected([make_problem("run-gone.file", file=file, error=error)])


def _read_numbers(reference: Reference) -> dict[str, str]:
    return {name: number for name, _, number in (one.partition("=") for one in reference[JOBS_KEY].split())}


def _refer_to_step(reference: Reference, name: str) -> Reference:
    folder = os.path.join(reference["folder"], STEPS_FOLDER, name)
    part = {"run": f"{reference['run']}-{name}", "folder": folder, "job": _read_numbers(reference).get(name, "")}
    return {**_get_cluster(reference), **part}


def _get_cluster(reference: Reference) -> Mapping[str, str]:
    return {CLUSTER_KEY: reference[CLUSTER_KEY]} if CLUSTER_KEY in reference else {}


def _list_trials(reference: Reference, read_spec: ReadSpec) -> dict[str, Reference]:
    """Return the trials of a sweep. They all have the name of the sweep in Slurm."""
    root, array = os.path.join(reference["folder"], TRIALS_FOLDER), reference["job"]
    names = enumerate(read_spec(reference).jobs[0].trials, start=1)
    return {
        name: {
            **_get_cluster(reference),
            "run": reference["run"],
            "folder": os.path.join(root, str(number)),
            "job": f"{array}_{number}",
        }
        for number, name in names
    }


def describe_reference(reference: Reference) -> Mapping[str, str]:
    """Return the number of the job in Slurm, and the login node that knows it."""
    shown = {name: reference.get(name, "") for name in ("job", JOBS_KEY, LOGIN_KEY)}
    return {name: text for name, text in shown.items() if text}
