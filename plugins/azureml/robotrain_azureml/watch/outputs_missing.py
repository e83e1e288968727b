"""Why nothing lies in the output of a job that made something: it is not there yet, or ended with the machine."""

from robotrain.problem import Instead, Problem, Stage
from robotrain.run import Reference

from robotrain_azureml.watch import outputs_kept
from robotrain_azureml.watch.states import Job


def problem(reference: Reference, told: Job) -> Problem:
    """Of a job that told of checkpoints or results."""
    return _gone(reference) if told.finished else _not_yet(reference, told)


def _not_yet(reference: Reference, told: Job) -> Problem:
    run = reference.get("run") or reference["job"]
    made = "results" if outputs_kept.holds_results(reference) else "saved checkpoints"
    upload = "The output of this job is uploaded when it ends." if told.mode == "Upload" else "The copy is under way."
    return Problem(
        code="outputs-not-yet",
        stage=Stage.SUBMIT,
        title=f"{run} has {made}, and none has reached its output yet",
        why=upload,
        instead=(Instead(f"robotrain wait {run}", "they are there when it has ended"), _mounted(run)),
    )


def _gone(reference: Reference) -> Problem:
    run = reference.get("run") or reference["job"]
    made = "results" if outputs_kept.holds_results(reference) else "checkpoints"
    return Problem(
        code="outputs-unpublished",
        stage=Stage.SUBMIT,
        title=f"the {made} of {run} did not reach its output: they ended with the machine they lay on",
        why=f"In the datastore {reference.get('datastore', '')} there is nothing at {reference.get('output', '')}.",
        instead=(Instead(f"robotrain status {run}", "why it ended so"), _mounted(run)),
    )


def _mounted(run: str) -> Instead:
    again = f"robotrain resubmit {run} --set output_mode=rw_mount"
    return Instead(again, "the same once more, each one kept as it is made")
