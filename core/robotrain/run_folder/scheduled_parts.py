"""The steps of a pipeline and the trials of a sweep that a scheduler runs, by the reference of the whole."""

import os
from collections.abc import Mapping

from robotrain.errors import Rejected
from robotrain.messages import Messages
from robotrain.model.reference import LOGIN_KEY, STEP_KEY, Reference
from robotrain.run_folder.parts import RunPart
from robotrain.run_folder.scheduler_plan import STEPS_FOLDER, TRIALS_FOLDER, SchedulerSpec, make_spec_file
from robotrain.run_folder.status import RunFolderEngine

make_problem = Messages(__file__)

JOB_KEY, JOBS_KEY, TRIALS_KEY = "job", "jobs", "trials"
"""Keys of references: the job of a run; those of all steps of a pipeline, as `STEP=JOB` between spaces; how many trials
a sweep has.
"""
OF_WHOLE = (JOBS_KEY, TRIALS_KEY, STEP_KEY)


class ScheduledParts(RunFolderEngine):
    """A platform whose runs have steps and trials."""

    def format_trial(self, array: str, number: int | str) -> str:
        """Return the name of the job of a trial."""
        raise NotImplementedError

    def read_spec(self, reference: Reference) -> SchedulerSpec:
        """Return how a run was submitted. Raise RunGone, Rejected."""
        spec = make_spec_file(self.platform.name, self.engine_name)
        file = self.require_folder(reference) / spec.name
        try:
            return spec.parse(self.folders.read_file(file))
        except (OSError, ValueError) as error:
            raise Rejected([make_problem("run-gone.file", file=file, error=error)]) from None

    def list_parts(self, reference: Reference) -> Mapping[str, RunPart]:
        """Return the steps of a pipeline or the trials of a sweep by name; nothing for others. Raise as `read_spec`."""
        if not is_whole(reference):
            return {}
        if TRIALS_KEY in reference:
            return {name: RunPart(trial, is_trial=True) for name, trial in self._list_trials(reference).items()}
        jobs = self.read_spec(reference).jobs
        return {job.step: RunPart(_refer_to_step(reference, job.step), job.needs) for job in jobs}

    def select_step(self, reference: Reference) -> Reference:
        """Return the reference of a step or a trial as that of a run; any other one as it is. Raise as `read_spec`."""
        name = reference.get(STEP_KEY, "")
        if not name or JOBS_KEY in reference:
            return _refer_to_step(reference, name) if name else reference
        trials = self._list_trials(reference)
        if name not in trials:
            raise Rejected([make_problem("run-gone.trial", run=reference["run"], name=name)])
        return trials[name]

    def describe_reference(self, reference: Reference) -> Mapping[str, str]:
        """Return the name of the job, and the login node that knows it."""
        value_by_key = {name: reference.get(name, "") for name in (JOB_KEY, JOBS_KEY, LOGIN_KEY)}
        return {name: value for name, value in value_by_key.items() if value}

    def _list_trials(self, reference: Reference) -> dict[str, Reference]:
        """Return the references of the trials of a sweep, by name. They all have the name of the sweep."""
        root = os.path.join(reference["folder"], TRIALS_FOLDER)
        array = reference[JOB_KEY]
        return {
            name: _refer_to_part(reference, "", os.path.join(root, str(number)), self.format_trial(array, number))
            for number, name in enumerate(self.read_spec(reference).jobs[0].trials, start=1)
        }


def is_whole(reference: Reference) -> bool:
    """Return whether a reference is that of a pipeline or a sweep, and not of one of its parts."""
    return STEP_KEY not in reference and (JOBS_KEY in reference or TRIALS_KEY in reference)


def _refer_to_step(reference: Reference, name: str) -> Reference:
    jobs = dict(pair.split("=", 1) for pair in reference[JOBS_KEY].split())
    folder = os.path.join(reference["folder"], STEPS_FOLDER, name)
    return _refer_to_part(reference, f"-{name}", folder, jobs.get(name, ""))


def _refer_to_part(reference: Reference, suffix: str, folder: str, job: str) -> Reference:
    common_values = {key: value for key, value in reference.items() if key not in OF_WHOLE}
    return {**common_values, "run": reference["run"] + suffix, "folder": folder, JOB_KEY: job}
