"""Why nothing whole lies in the output of a job that made something: it is not there yet, lacks a part, or ended with
the machine.
"""

from collections.abc import Mapping

from robotrain.problem import Instead, Problem, Stage
from robotrain.run import Reference

from robotrain_azureml.watch import outputs_kept
from robotrain_azureml.watch.outputs_kept import Kept
from robotrain_azureml.watch.states import Job

SHOWN = 3


def problem(reference: Reference, told: Job, torn: Mapping[str, Kept]) -> Problem:
    """Of a job that told of checkpoints or results. torn: those that lie there and are not whole, by their names."""
    if not told.finished:
        return _not_yet(reference, told)
    return _torn(reference, torn) if torn else _gone(reference)


def lacks(kept: Kept) -> str:
    """What one is not whole by."""
    named = ", ".join(kept.lacking[:SHOWN])
    more = f" and {len(kept.lacking) - SHOWN} more" if len(kept.lacking) > SHOWN else ""
    return f"lacks {named}{more}"


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
    store, place = reference.get("datastore", ""), reference.get("output", "")
    return Problem(
        code="outputs-unpublished",
        stage=Stage.SUBMIT,
        title=f"the {made} of {run} did not reach its output: they ended with the machine they lay on",
        why=f"In the datastore {store} there is nothing whole at {place}.",
        instead=(Instead(f"robotrain status {run}", "why it ended so"), _mounted(run)),
    )


def _torn(reference: Reference, torn: Mapping[str, Kept]) -> Problem:
    run = reference.get("run") or reference["job"]
    told = "; ".join(f"{name} {lacks(one)}" for name, one in torn.items())
    return Problem(
        code="outputs-torn",
        stage=Stage.SUBMIT,
        title=f"nothing that {run} left in its output is whole",
        why=f"In the datastore {reference.get('datastore', '')}, at {reference.get('output', '')}: {told}.",
        instead=(Instead(f"robotrain status {run}", "why it ended so"), _mounted(run)),
    )


def _mounted(run: str) -> Instead:
    again = f"robotrain resubmit {run} --set output_mode=rw_mount"
    return Instead(again, "the same once more, each one kept as it is made")
