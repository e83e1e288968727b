"""What to type next, by how a run is."""

from collections.abc import Iterator

from robotrain.progress import Progress
from robotrain.run import Status

FAILS_AGAIN = ("configuration", "data", "code")
"""Faults of the job itself: what is sent once more as it is fails once more."""


def commands(run: str, status: Status, known: Progress) -> list[tuple[str, str]]:
    """Each with what it does, the most useful one first."""
    return list(_commands(run, status, known))


def _commands(run: str, status: Status, known: Progress) -> Iterator[tuple[str, str]]:
    if not status.finished:
        yield f"robotrain watch {run}", "see it run" if status.state == "running" else "see it start"
        yield f"robotrain cancel {run}", "stop it"
        return
    if known.evaluated:
        yield from _of_evaluation(run, status, known)
        return
    if status.state == "succeeded":
        yield f"robotrain outputs {run}", "what it left"
        yield f"robotrain report {run}", "one page on it"
        return
    if known.outcome and known.outcome.worth_a_retry and known.outcome.fault != "stopped":
        what = f"the fault was not the job's ({known.outcome.fault.replace('_', ' ')}): the same may work now"
        yield (f"robotrain resume {run}" if known.checkpoint else f"robotrain resubmit {run}"), what
        yield f"robotrain logs --tail 40 {run}", "the end of its log"
        return
    if status.state == "failed":
        yield f"robotrain logs --tail 40 {run}", "the end of its log"
    if known.checkpoint and known.step is not None and known.step == known.total:
        yield f"robotrain outputs --to FOLDER {run}", "it came to its last step: bring what it left"
    elif known.outcome and known.outcome.fault in FAILS_AGAIN:
        again = "resume" if known.checkpoint else "resubmit"
        what = f"with what has to change: as it is, it would fail again ({known.outcome.fault})"
        yield f"robotrain {again} {run} --set NAME=VALUE", what
    elif known.checkpoint:
        yield f"robotrain resume {run}", f"go on from step {known.checkpoint_step}"
    else:
        yield f"robotrain resubmit {run}", "start it over"


def _of_evaluation(run: str, status: Status, known: Progress) -> Iterator[tuple[str, str]]:
    """Once the results are there; what failed after them is in the log."""
    yield f"robotrain report {run}", "one page on it: every episode, plots, videos"
    found = known.evaluated
    if status.state == "succeeded" and found and found.policy and not known.registered:
        yield f"robotrain register {run} MODEL", "make the policy a version of a model, with its scores"
    if status.state == "failed" and found and found.passed is not False:
        yield f"robotrain logs --tail 40 {run}", "the end of its log"
    yield f"robotrain outputs --to FOLDER {run}", "bring the results"


def listed(run: str, status: Status, known: Progress) -> list[str]:
    """The same as lines, the remarks aligned."""
    found = commands(run, status, known)
    column = max(len(text) for text, _ in found)
    return [f"{'next' if index == 0 else '':<11} {text:<{column}}   {why}" for index, (text, why) in enumerate(found)]
