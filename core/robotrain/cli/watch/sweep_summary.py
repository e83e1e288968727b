"""The summary of a sweep: its trials, groups of seeds, and the best run with the line that registers it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from robotrain.cli.output import format_table
from robotrain.sweeps import results
from robotrain.sweeps.space import format_point

if TYPE_CHECKING:
    from robotrain.model.run import StepStatus


MAX_NAMES = 4


def format_sweep(run: str, steps: Sequence[StepStatus]) -> Iterator[str]:
    """Yield the lines of a sweep's results; the reasons of trials that did not succeed are below the table."""
    found = results.read_results(run)
    if found is None:
        yield "the plan or the progress of the sweep is gone"
        return
    yield from format_table(results.list_trial_rows(found)).splitlines()
    yield from _format_reasons(steps)
    if rows := results.list_group_rows(found):
        yield ""
        yield from format_table(rows).splitlines()
    if best := found.best:
        values = format_point(best.values)
        yield f"{'best':<11} {best.name}  {values}  {found.metric} {results.format_value(best.score)}"
        yield f"{'':<11} {results.make_register_command(run, found)}"


def _format_reasons(steps: Sequence[StepStatus]) -> Iterator[str]:
    """Yield why trials did not succeed; those with the same reason share a line."""
    trials: dict[tuple[str, str], list[str]] = {}
    for step in steps:
        if step.reason:
            trials.setdefault((step.state, step.reason), []).append(step.name)
    for (state, reason), names in trials.items():
        more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
        yield f"{', '.join(names[:MAX_NAMES])}{more} {state}: {reason}"
