"""A fast path for step metrics, which are almost all events of a run: they are added without building an event."""

import operator
from collections.abc import Mapping, Sequence
from typing import Any

from robotrain_runtime.contract.event import LAST_STEP

from robotrain.model.progress import Progress

UNITS, FLOAT, NUMBERS = ("step", "episode"), {float}, {float, int}


def add_step_metrics(progress: Progress, data: Any) -> bool:
    """Add the JSON object of an event, if it is one of metrics at a step without oddities; return whether it is.

    This is `Progress.add_event` without the time that checking and building an event takes.
    """
    try:
        kind, at, values, step = data["event"], data["time"], data["values"], data["step"]
        total, unit = data.get("total"), data.get("unit", "step")
        plain = kind == "metrics" and type(at) is float and type(step) is int and abs(step) <= LAST_STEP
        plain = plain and (total is None or (type(total) is int and abs(total) <= LAST_STEP))
        if not plain or unit not in UNITS:
            return False
        if (types := set(map(type, values.values()))) != FLOAT:
            if not types <= NUMBERS:
                return False
            values = {name: float(value) for name, value in values.items()}
    except (LookupError, TypeError, AttributeError, OverflowError):
        return False
    progress.add_metrics(at, values, step, total, unit)
    return True


def add_many_step_metrics(progress: Progress, objects: Sequence[Any]) -> bool:
    """Do what `add_step_metrics` does for several events at once, if they differ in time, step and values only."""
    try:
        times, steps = [data["time"] for data in objects], [data["step"] for data in objects]
        kinds = {(data["event"], data.get("total"), data.get("unit")) for data in objects}
        ((*names,),) = {(*data["values"],) for data in objects}
        columns = {name: [data["values"][name] for data in objects] for name in names}
    except (LookupError, TypeError, AttributeError, ValueError):
        return False
    plain = len(kinds) == 1 and set(map(type, steps)) == {int}
    plain = plain and all(set(map(type, column)) == FLOAT for column in (times, *columns.values()))
    return plain and add_step_columns(progress, objects[0], times[-1], steps, columns)


def add_step_columns(
    progress: Progress,
    first: Mapping[str, Any],
    end: float,
    steps: Sequence[int],
    columns: Mapping[str, Sequence[float]],
) -> bool:
    """Add events of metrics that differ in time, step and values only, as `add_many_step_metrics` does.

    :param first: the JSON object of the first one.
    :param end: the time of the last one.
    :param columns: the values of all, by metric.
    """
    total = first.get("total")
    ascending = (progress.step or 0) < steps[0] and steps[-1] <= LAST_STEP
    ascending = ascending and all(map(operator.lt, steps, steps[1:]))
    plain = first.get("unit") == "step" and (total is None or type(total) is int)
    if not (ascending and plain and abs(total or 0) <= LAST_STEP and add_step_metrics(progress, first)):
        return False
    if len(steps) > 1:
        progress.extend_metrics(steps[1:], {name: column[1:] for name, column in columns.items()}, end)
    return True
