"""`robotrain scores`: the evaluations made from this machine, those of equal conditions in one table."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from robotrain_runtime.contract.event import Evaluated

from robotrain.cli.arguments import JsonOption, argument, complete_platforms, complete_run_names, option
from robotrain.cli.command_factory import get_plugins, make_app
from robotrain.cli.commands.runs import NAME_HELP, SET_HELP, SINCE_HELP, UNTIL_HELP
from robotrain.cli.output import format_table, print_json, print_message, print_problems, print_text
from robotrain.cli.run_list import listed_runs, run_filter
from robotrain.cli.run_list.listed_runs import ListedRun
from robotrain.messages import Messages
from robotrain.model.run import RunRecord
from robotrain.report import collect, score_table
from robotrain.report.score_table import ScoredPolicy
from robotrain.store import stored_job

make_problem = Messages(__file__)

WORD_HELP = "Only evaluations whose name, or the run itself, contains this."


def scores(
    ctx: typer.Context,
    word: Annotated[str, argument("[NAME]", WORD_HELP, complete_run_names)] = "",
    platform: Annotated[str, option("--platform", "NAME", "Only runs on this platform.", complete_platforms)] = "",
    name: Annotated[str, option("--name", "NAME", NAME_HELP)] = "",
    set: Annotated[list[str] | None, option("--set", "KEY=VALUE", SET_HELP)] = None,
    since: Annotated[str, option("--since", "TIME", SINCE_HELP)] = "",
    until: Annotated[str, option("--until", "TIME", UNTIL_HELP)] = "",
    json: JsonOption = False,
) -> None:
    """List the evaluations made from this machine: each policy with its episodes, its success and the 95 % interval.
    Only those under equal conditions stand in one table.

    robotrain scores --set env=pusht --since 30d
    """
    record_filter = run_filter.RunFilter(word, "", platform, name, "", since, until, tuple(set or ()))
    accept, plugins = record_filter.make_accept(get_plugins(ctx)), get_plugins(ctx)

    def makes_scores(record: RunRecord) -> bool:
        return (record.makes == "results" or bool(record.steps)) and (accept is None or accept(record))

    selected_runs, *_ = listed_runs.list_runs(plugins, None, (), makes_scores, with_steps=True)
    print_problems(listed_runs.find_silent_platforms(selected_runs))

    row_groups = score_table.group_rows(_list_rows(selected_runs))
    if json:
        return print_json(score_table.dump_groups(row_groups))
    if not row_groups:
        return print_message(
            "no evaluation made from this machine has a score" + (f": {record_filter}" if str(record_filter) else "")
        )
    for group in row_groups:
        print_text(f"{score_table.format_conditions(group)}\n{format_table(score_table.list_table(group))}\n")
    for repeat_note in score_table.list_repeated(row_groups):
        print_message(repeat_note)


def _list_rows(listed: Sequence[ListedRun]) -> "Iterator[ScoredPolicy]":
    """Yield the rows of runs with scores, without pipelines whose evaluation is a run of its own."""
    pipelines = {
        listed_run.record.pipeline for listed_run in listed if listed_run.record and listed_run.progress.scores
    }
    for listed_run in listed:
        record, progress = listed_run.record, listed_run.progress
        if record is None or not progress.scores or listed_run.run in pipelines or record.is_sweep:
            continue
        evaluated = Evaluated(
            episodes=0, scores=progress.scores, results="", conditions=progress.conditions, digest=progress.digest
        )
        policy = _describe_policy(record)
        row = score_table.make_row(listed_run.run, record.name, record.created, policy, evaluated, record.metrics)
        if row:
            yield row


def _describe_policy(record: RunRecord) -> tuple[str, str]:
    """Return what to call the policy of an evaluation, and its type; empty if they are not known."""
    sources = [source for source in stored_job.read_stored_sources(record.run) if source.role == collect.POLICY_ROLE]
    training_run = collect.find_training_run(sources, {})
    value_rows = (row for run in (record.run, training_run) if run for row in stored_job.read_stored_values(run))
    kind = next((str(row["value"]) for row in value_rows if row["name"] == "policy_type" and row["value"]), "")
    return collect.name_sources(sources, collect.POLICY_ROLE, training_run), kind


app = make_app(scores)
