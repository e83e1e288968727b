"""`robotrain runs --everywhere`: list what the platforms have, whichever machine submitted it."""

import shlex
import time
from collections.abc import Sequence
from typing import Any

from robotrain.cli import output
from robotrain.cli.output import print_json, print_message, print_problems, print_result
from robotrain.cli.run_list.found_runs import FoundRun, PlatformOutcome, list_found_runs
from robotrain.cli.run_list.run_filter import RunFilter
from robotrain.cli.table import GAP, Column, fit_columns, to_plain_line
from robotrain.model.amounts import format_short_age
from robotrain.plugins.manager import Plugins

NOT_ASKED = {"not-set-up": "not set up here", "cannot-list": "cannot list"}
"""The outcomes that no warning tells of, in words."""


def print_runs_everywhere(
    plugins: Plugins, record_filter: RunFilter, everyone: bool, max_runs: int | None, json: bool
) -> None:
    """Print the runs that fit. Raise Rejected if no platform could be asked."""
    accept = record_filter.make_accept(plugins)
    found_runs, answers, problems, has_more = list_found_runs(
        plugins, record_filter.platform, everyone, max_runs, record_filter.states, accept, record_filter.find_begin()
    )
    print_problems(problems)
    if json:
        platform_rows = [answer._asdict() for answer in answers]
        print_json(
            {"runs": [_dump_run(found_run) for found_run in found_runs], "platforms": platform_rows, "more": has_more}
        )
        return
    if found_runs:
        print_result("\n".join(_format_runs(found_runs)))
    else:
        fits = f" that fits {record_filter}" if str(record_filter) else ""
        print_message(f"{_join_platforms(answers, 'listed')} lists no run {'' if everyone else 'of yours'}{fits}")
    for outcome, words in NOT_ASKED.items():
        if platform_names := _join_platforms(answers, outcome):
            print_message(f"{words}: {platform_names}")
    if has_more and max_runs is not None:
        user_option = " --user all" if everyone else ""
        print_message(f"there are older runs: robotrain runs --everywhere{user_option} --all {record_filter}".rstrip())


def _join_platforms(answers: Sequence[PlatformOutcome], outcome: str) -> str:
    return ", ".join(answer.platform for answer in answers if answer.outcome == outcome)


def _format_runs(found_runs: Sequence[FoundRun]) -> list[str]:
    """Return the table. The command that adopts a run stays whole, so that it can be pasted."""
    now = time.time()
    columns = [
        Column("NAME", [to_plain_line(found_run.record.name) for found_run in found_runs], drop_order=2),
        Column("RUN", [found_run.record.run for found_run in found_runs]),
        Column("STATE", [found_run.state for found_run in found_runs]),
        Column("PLATFORM", [found_run.record.platform for found_run in found_runs], drop_order=3),
        Column("USER", [to_plain_line(found_run.listed.user) for found_run in found_runs], drop_order=4),
        Column(
            "AGE",
            [
                format_short_age(now - found_run.record.created) if found_run.record.created else ""
                for found_run in found_runs
            ],
            drop_order=1,
        ),
        Column("TO RECORD IT HERE", [_format_adoption(found_run) for found_run in found_runs]),
    ]
    titles, *rows = fit_columns(columns, output.get_table_width())
    colour = output.has_color(output.get_results())
    state = [title.rstrip() for title in titles].index("STATE")
    lines = [output.paint_text((" " * GAP).join(titles).rstrip(), "bold", colour)]
    for found_run, cells in zip(found_runs, rows, strict=True):
        cells[state] = output.paint_text(cells[state], output.STATE_STYLES.get(found_run.state, ""), colour)
        lines.append((" " * GAP).join(cells).rstrip())
    return lines


def _format_adoption(found_run: FoundRun) -> str:
    if found_run.record.phase == "sending":
        return f"robotrain status {found_run.record.run}"
    can_be_adopted = found_run.listed.can_be_adopted and not found_run.is_recorded
    line = f"robotrain adopt --platform {found_run.record.platform} {shlex.quote(found_run.listed.text)}"
    return line if can_be_adopted else ""


def _dump_run(found_run: FoundRun) -> dict[str, Any]:
    """Return a run as data; the keys are an API."""
    return {
        "run": found_run.record.run,
        "platform": found_run.record.platform,
        "workload": found_run.record.workload,
        "state": found_run.state,
        "created": found_run.record.created or None,
        "user": found_run.listed.user,
        "name": found_run.record.name,
        "recorded": found_run.is_recorded,
        "ref": found_run.listed.text,
        "can_be_adopted": found_run.listed.can_be_adopted,
    }
