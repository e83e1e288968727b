"""Lines of a log as they are shown: events as sentences for people, every line as an object for programs."""

from collections.abc import Callable, Sequence

from robotrain_runtime import event

from robotrain.progress import Progress
from robotrain.workload import Metric

Shape = Callable[[str], str | None]
"""What a line of a log is shown as; None for one that is not."""


def readable(line: str, declared: Sequence[Metric] = ()) -> str | None:
    """For a person; None for an event that says nothing by itself. declared: the metrics of the run's workload."""
    found = event.read(line)
    if found is None:
        return line
    text = Progress.describe(found.event, declared)
    return f"[robotrain] {text}" if text else None


def as_json(line: str) -> str:
    """The event as the object it is, an ordinary line as `{"line": …}`."""
    import json

    return json.dumps({"line": line}) if event.read(line) is None else line.removeprefix(event.PREFIX)
