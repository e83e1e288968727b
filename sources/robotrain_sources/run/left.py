"""What runs left: the checkpoints of one, and the newest run that has any."""

import itertools
from collections.abc import Mapping

from robotrain import store
from robotrain.platforms import Platform
from robotrain.plugins import Plugins
from robotrain.problem import Problem, Rejected
from robotrain.run import Output, RunGone, RunRecord
from robotrain.source import SourceError

LATEST = "latest"
OFFERED = 50


def named(incomplete: str) -> list[str]:
    """What may be meant by the beginning of a name, the newest run first."""
    names = (name for name in (LATEST, *store.newest()) if name.startswith(incomplete))
    return list(itertools.islice(names, OFFERED))


def checkpoints(record: RunRecord, platform: Platform) -> Mapping[int, Output]:
    """The complete checkpoints of a run, by their steps. Raises Rejected."""
    found = platform.outputs(record.reference)
    return {one.step: one for one in found if one.kind == "checkpoint" and one.step is not None}


def latest(plugins: Plugins) -> tuple[RunRecord, Mapping[int, Output]]:
    """The newest run that left a complete checkpoint, and its checkpoints: evaluations and trainings that left none are
    passed over. Raises SourceError when there is none, or nobody can tell; Rejected.
    """
    for name in store.newest():
        record = store.read(name)
        if record.phase == "sent" and (found := _left(record, plugins)):
            return record, found
    raise SourceError("No run that was sent from here left a complete checkpoint.")


def sentences(rejected: Rejected) -> str:
    """What is wrong, as sentences."""
    return " ".join(_sentence(problem) for problem in rejected.problems)


def _left(record: RunRecord, plugins: Plugins) -> Mapping[int, Output]:
    try:
        return checkpoints(record, plugins.platform(record.platform))
    except RunGone:
        return {}
    except Rejected as rejected:  # an older one must not be taken for it
        why = sentences(rejected)
        raise SourceError(f"Whether {record.run} left the latest checkpoint cannot be told: {why}") from None


def _sentence(problem: Problem) -> str:
    return f"{problem.title[:1].upper()}{problem.title[1:]}." + (f" {problem.why}" if problem.why else "")
