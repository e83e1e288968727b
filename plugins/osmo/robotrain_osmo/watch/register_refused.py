"""Why nothing of a run can be registered from here, and how it is done."""

from robotrain import store
from robotrain.problem import Instead, Problem, Stage
from robotrain.run import Reference
from robotrain.workload import Outputs

from robotrain_osmo.watch.heard import GONE, Log


def impossible(reference: Reference, name: str, log: Log) -> Problem:
    """Of a run that was not tracked in a workspace, or has left no model there."""
    run = reference.get("run") or "RUN"
    left = store.outputs_of(reference.get("run", ""))
    return Problem(
        code="feature-not-there",
        stage=Stage.CHECK,
        title=f"there is no model of {run} in an Azure ML workspace that could be registered from here",
        given=name,
        why=f"{_why(log, left)} The run registers it itself, from the machine that has it, when it is asked to.",
        instead=(
            Instead(f"robotrain resubmit {run} --set {left.register_parameter}={name}", "from the start"),
            *_ways(run, name, left),
        ),
    )


def missing(reference: Reference, steps: list[int], wanted: int, log: Log) -> Problem:
    """Of a step that tracking has no model of, as far as the log says."""
    run = reference.get("run") or "RUN"
    gone = f" {GONE}: it may have earlier ones." if log.trimmed else ""
    return Problem(
        code="checkpoint-missing",
        stage=Stage.SUBMIT,
        title=f"tracking has no model of step {wanted} of {run}",
        where="--step",
        why=f"It has those of {', '.join(map(str, steps))}.{gone}",
        instead=(Instead(f"robotrain outputs {run}", "shows what it left"),),
    )


def _why(log: Log, left: Outputs) -> str:
    if not log.said.run_id and log.trimmed:
        return f"Whether the {left.noun} was tracked is not known: {GONE}."
    if not log.said.run_id:
        return f"The {left.noun} was not tracked, by what its log says."
    return f"Tracking has no model of this {left.noun}, or is no workspace, or the plan that was sent is not kept here."


def _ways(run: str, name: str, left: Outputs) -> tuple[Instead, ...]:
    """For checkpoints, which can be gone on from, and brought."""
    if not left.resumable:
        return ()
    return (
        Instead(
            f"robotrain resume {run} --set {left.register_parameter}={name}",
            "goes on from what was published; with more --training-steps",
        ),
        Instead(
            f"robotrain outputs --checkpoint last --to FOLDER {run}",
            f"brings it here; then az ml model create --name {name} --path FOLDER",
        ),
    )
