"""What the job of a run says other than the defaults, and how runs differ in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from robotrain.model.plan import RenderedPlan

MAX_TEXT, MAX_CHANGES = 200, 4
"""Characters of a value that are recorded, and how many changes are shown."""
DEFAULT_ORIGINS = ("default", "platform")
"""The first words of the origins of values that nobody chose."""
IDENTITIES = ("workload", "platform", "job_name")
"""Rows of a plan that say nothing about the training."""
AS_OF = " at "
"""Stands before the pin of a source."""


class Change(NamedTuple):
    """A value that differs between two runs; empty for a run without it."""

    name: str
    before: str
    after: str


def collect_values(rendered: RenderedPlan) -> dict[str, list[str]]:
    """Return each value of a job that is not its default, with that default, as texts; none of a pipeline."""
    found: dict[str, list[str]] = {}
    for source in () if rendered.steps else rendered.plan.job.sources:
        text = _format_value(source.uri) + (f"{AS_OF}{source.pin[:12]}" if source.pin else "")
        found[source.role] = [", ".join([*found.get(source.role, ())[:1], text]), ""]
    for row in () if rendered.steps else rendered.values:
        if row["name"] == "trainer_args":
            name, _, text = _format_value(row["value"]).partition("=")
            found[name] = [text, ""]
        elif row["name"] not in (*found, *IDENTITIES) and row["origin"].split()[0] not in DEFAULT_ORIGINS:
            default = next((lost["value"] for lost in row["overrode"] if lost["origin"] == "default"), None)
            texts = [_format_value(row["value"]), _format_value(default)]
            found |= {row["name"]: texts} if texts[0] != texts[1] else {}
    return found


def _format_value(value: Any) -> str:
    from robotrain.redaction import redact  # costs start-up

    text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return redact(text, max_length=MAX_TEXT)


def find_changes(before: Mapping[str, Sequence[str]], after: Mapping[str, Sequence[str]]) -> list[Change]:
    """Return what differs between the recorded values of two runs, the trainer's own arguments last."""
    changes = []
    for name in sorted({**after, **before}, key=lambda name: name.startswith("-")):
        default = (after.get(name) or before[name])[1]
        changes.append(Change(name, *(known[name][0] if name in known else default for known in (before, after))))
    return [change for change in changes if change.before != change.after]


def format_changes(changes: Sequence[Change]) -> str:
    """Return changes as a line: `batch_size 8 → 16, seed 1 → 2`."""
    texts = [f"{one.name} {one.before or '–'} → {one.after or '–'}" for one in changes[:MAX_CHANGES]]
    return ", ".join([*texts, *([f"{len(changes) - MAX_CHANGES} more"] if len(changes) > MAX_CHANGES else [])])


def has_value(run: str, recorded: Mapping[str, Sequence[str]], name: str, wanted: str) -> bool:
    """Return whether a value of a run is a text or the same number; `*` stands for any letters."""
    from fnmatch import fnmatchcase

    from robotrain.store import plans  # costs start-up

    name = name if name.startswith("-") else name.replace("-", "_")
    if name in recorded:
        text = recorded[name][0].partition(AS_OF)[0]
    else:  # a default, which only the plan has
        rows = plans.read_stored_values(run)
        text = next((_format_value(row["value"]) for row in rows if row["name"] == name), "")
    try:
        return fnmatchcase(text, wanted) or float(text) == float(wanted)
    except ValueError:
        return False
