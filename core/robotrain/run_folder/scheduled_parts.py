"""The steps of a pipeline that a scheduler runs, by the reference of the whole."""

import os
from collections.abc import Mapping

from robotrain.errors import Rejected
from robotrain.messages import Messages
from robotrain.model.reference import LOGIN_KEY, STEP_KEY, Reference
from robotrain.run_folder.parts import RunPart
from robotrain.run_folder.scheduler_plan import STEPS_FOLDER, SchedulerSpec, make_spec_file
from robotrain.run_folder.status import RunFolderEngine

make_problem = Messages(__file__)

JOB_KEY, JOBS_KEY = "job", "jobs"
"""Keys of references: the job of a run; those of all steps of a pipeline, as `STEP=JOB` between spaces."""
OF_WHOLE = (JOBS_KEY, STEP_KEY)


class ScheduledParts(RunFolderEngine):
    """A platform whose runs have steps."""

    def read_spec(self, reference: Reference) -> SchedulerSpec:
        """Return how a run was submitted. Raise RunGone, Rejected."""
        spec = make_spec_file(self.platform.name, self.engine_name)
        file = self.require_folder(reference) / spec.name
        try:
            return spec.parse(self.folders.read_file(file))
        except (OSError, ValueError) as error:
            raise Rejected([make_problem("run-gone.file", file=file, error=error)]) from None

    def list_parts(self, reference: Reference) -> Mapping[str, RunPart]:
        """Return the steps of a pipeline by name; nothing for others. Raise as `read_spec`."""
        if not is_whole(reference):
            return {}
        jobs = self.read_spec(reference).jobs
        return {job.step: RunPart(_refer_to_step(reference, job.step), job.needs) for job in jobs}

    def select_step(self, reference: Reference) -> Reference:
        """Return the reference of a step as that of a run; any other one as it is. Raise as `read_spec`."""
        name = reference.get(STEP_KEY, "")
        return _refer_to_step(reference, name) if name else reference

    def describe_reference(self, reference: Reference) -> Mapping[str, str]:
        """Return the name of the job, and the login node that knows it."""
        value_by_key = {name: reference.get(name, "") for name in (JOB_KEY, JOBS_KEY, LOGIN_KEY)}
        return {name: value for name, value in value_by_key.items() if value}


def is_whole(reference: Reference) -> bool:
    """Return whether a reference is that of a pipeline, and not of one of its steps."""
    return STEP_KEY not in reference and JOBS_KEY in reference


def _refer_to_step(reference: Reference, name: str) -> Reference:
    jobs = dict(pair.split("=", 1) for pair in reference[JOBS_KEY].split())
    common_values = {key: value for key, value in reference.items() if key not in OF_WHOLE}
    folder = os.path.join(reference["folder"], STEPS_FOLDER, name)
    return {**common_values, "run": f"{reference['run']}-{name}", "folder": folder, JOB_KEY: jobs.get(name, "")}
