"""The records of runs: those that cannot be read, and those whose submit was cut off."""

import itertools
import time
from collections.abc import Iterator

from robotrain import store
from robotrain.amounts import ago
from robotrain.health import Finding, of_problem, ok, warn
from robotrain.problem import Instead, Rejected
from robotrain.run import RunRecord

MOST = 1000
"""How many of the newest are read."""
SHOWN = 5


def records() -> Iterator[Finding]:
    """What a person should know of the recorded runs; none of it stops a submit."""
    count, wrong = 0, list[Finding]()
    names = store.newest()
    for run in itertools.islice(names, MOST):
        count += 1
        try:
            record = store.read(run)
        except store.UnknownRun:  # given back a moment ago
            continue
        except Rejected as rejected:
            broken = of_problem(rejected.problems[0])
            wrong.append(warn(broken.says, *broken.instead))
            continue
        if record.phase == "sending" and not store.being_sent(run):
            wrong.append(_cut_off(record))
    yield from wrong[:SHOWN]
    if len(wrong) > SHOWN:
        yield warn(f"and {len(wrong) - SHOWN} more like these", Instead("robotrain runs --state interrupted"))
    if not wrong:
        newest = "the newest " if next(names, None) else ""
        yield ok(f"{newest}{count} run{'' if count == 1 else 's'} recorded, all readable" if count else "no runs yet")


def _cut_off(record: RunRecord) -> Finding:
    when = ago(time.time() - record.created)
    ask = Instead(f"robotrain status {record.run}", f"asks {record.platform} for it")
    again = Instead("the same `robotrain submit …` once more", f"asks {record.platform}; nothing is sent twice")
    says = f"sending {record.run} to {record.platform} was cut off {when}; whether it runs is not known"
    return warn(says, ask, again)
