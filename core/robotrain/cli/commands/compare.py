"""`robotrain compare`: which of several policies is better, by finished evaluations or a file of episodes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from robotrain.cli.arguments import JsonOption, argument, complete_run_names, option
from robotrain.cli.command_factory import get_plugins, make_app
from robotrain.cli.output import format_table, print_json, print_text
from robotrain.errors import Rejected, Stage
from robotrain.messages import Messages

if TYPE_CHECKING:
    from collections.abc import Mapping

make_problem = Messages(__file__)


def compare(
    ctx: typer.Context,
    policies: Annotated[
        list[str] | None,
        argument(
            "[EVALUATION]...",
            "Finished evaluations, or trainings, whose newest evaluation counts; evaluations of several trainings of"
            " one method with commas between them. With --scores: policies of the file.",
            complete_run_names,
        ),
    ] = None,
    scores: Annotated[
        Path | None,
        option("--scores", "FILE.csv", "Compare the episodes of a CSV file with columns policy, start and success."),
    ] = None,
    not_worse_than: Annotated[
        str,
        option(
            "--not-worse-than",
            "EVALUATION",
            "Ask whether the others are not worse than this one; needs --margin.",
            complete_run_names,
        ),
    ] = "",
    margin: Annotated[
        float | None,
        option(
            "--margin",
            "SHARE",
            "Ask whether the first is not worse than the others by more than this: 0.1 is 10 of 100 episodes. The exit"
            " code is 5 unless it is shown.",
        ),
    ] = None,
    allow_floor: Annotated[
        bool,
        typer.Option("--allow-floor", help="With --margin: a policy that never succeeds, or always does, may pass."),
    ] = False,
    equal_within: Annotated[
        float | None, option("--equal-within", "SHARE", "Call policies equal whose difference is surely smaller.")
    ] = None,
    detect: Annotated[
        float, option("--detect", "SHARE", "Say how many more episodes may show this difference.  [default: 0.2]")
    ] = 0.2,
    confidence: Annotated[
        float, option("--confidence", "SHARE", "Of all looks and all pairs of policies together.  [default: 0.95]")
    ] = 0.95,
    missing: Annotated[
        Literal["drop", "failure"] | None,
        option(
            "--missing",
            "drop|failure",
            "A start that only one policy has is left out, or a failure of the other.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Decide which policy is better, from episodes that begin at the same starts.

    robotrain compare EVALUATION EVALUATION

    robotrain compare --scores episodes.csv

    robotrain compare EVALUATION --not-worse-than EVALUATION --margin 0.1\f

    The answer is better, equal, or not decided after so many episodes. A comparison looks at each pair as it comes: its
    confidence holds at all looks together, and for all pairs of policies together. A job can play policies side by side
    until the question is decided (docs/compare-in-a-job.md); `robotrain compare RUN` prints what it found.
    """
    from robotrain_runtime.comparison.decision import ComparisonPlan

    from robotrain.cli.commands import compared_runs

    if not_worse_than and margin is None:
        raise Rejected([make_problem("value-missing.margin")])
    try:
        plan = ComparisonPlan(
            confidence=confidence, detect=detect, equal_within=equal_within, margin=margin, allow_floor=allow_floor
        )
    except ValueError as error:
        raise Rejected([make_problem("value-invalid.comparison", error=str(error))]) from None
    if scores:
        record = compared_runs.compare_file(scores, policies or (), plan, not_worse_than, missing)
    else:
        record = compared_runs.compare_runs(policies or (), plan, not_worse_than, missing, get_plugins(ctx))
    if json:
        print_json(record)
    else:
        print_text(_format_record(record))
    if (record.get("gate") or {"passed": True})["passed"] is not True:
        raise typer.Exit(Stage.RUN.exit_code)


def _format_record(record: Mapping[str, Any]) -> str:
    """Return the content of a `comparison.json` for people."""
    from robotrain.report import comparison_record

    conditions_text = (record.get("conditions") or {}).get("text")
    return "\n".join(
        [
            *([f"{conditions_text}\n"] if conditions_text else []),
            f"{format_table(comparison_record.list_policies(record))}\n",
            *comparison_record.list_sentences(record),
            *(f"  {note}" for note in comparison_record.list_notes(record)),
        ]
    )


app = make_app(compare)
