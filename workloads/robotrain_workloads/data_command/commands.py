"""`robotrain data`: find what is wrong with a dataset."""

from __future__ import annotations

from enum import StrEnum
from inspect import getdoc
from typing import Annotated

import typer
from robotrain.cli.arguments import JsonOption, argument
from robotrain.cli.command_factory import OwnCommand, get_plugins, make_plain_app
from robotrain.cli.help_page import format_help
from robotrain.cli.output import (
    SEVERITY_STYLES,
    format_table,
    get_results,
    has_color,
    paint_text,
    print_json,
    print_message,
    print_result,
)
from robotrain.cli.progress_bar import show_progress
from robotrain.errors import Stage

from robotrain_workloads.data_command import check_report, given_datasets, process
from robotrain_workloads.data_command.check_report import CheckedDataset
from robotrain_workloads.data_command.given_datasets import GivenDataset
from robotrain_workloads.data_command.view_command import view
from robotrain_workloads.lerobot.parameters import DEFAULT_VAL_SPLIT


class Decoded(StrEnum):
    """The pictures that are decoded."""

    SAMPLE = "sample"
    ALL = "all"


def check(
    ctx: typer.Context,
    datasets: Annotated[
        list[str], argument("DATASET...", "Folders, Hub repositories or blob URLs of LeRobot datasets.")
    ],
    val_split: Annotated[
        float,
        typer.Option(metavar="PART", min=0, max=0.999, help="The part of the episodes that a training would hold out."),
    ] = DEFAULT_VAL_SPLIT,
    exclude_episodes: Annotated[
        str, typer.Option(metavar="EPISODES", help="Episodes that a training would leave out, such as 0,3,5-9.")
    ] = "",
    decode: Annotated[
        Decoded, typer.Option(help="How many pictures to decode: a fixed sample, spread over each episode, or all.")
    ] = Decoded.SAMPLE,
    json: JsonOption = False,
) -> None:
    """Say what is wrong with LeRobot datasets, and with which episodes.

    Tables are compared with each other, and numbers and pictures looked at: cameras that are black or frozen,
    copies of episodes, idle beginnings and ends, missing frames, wrong statistics. Of a dataset elsewhere
    its tables are read, of up to 1 GB, and no videos. The exit code is 2 if a dataset cannot be trained on.

    robotrain data check recordings/pick-cube

    robotrain data check lerobot/pusht --json
    """
    parsed_datasets = given_datasets.parse_datasets(datasets, get_plugins(ctx))
    if decode == Decoded.ALL:
        given_datasets.require_folders(parsed_datasets)
    checked_datasets = [
        _check_dataset(dataset, val_split, exclude_episodes, decode, hidden=json) for dataset in parsed_datasets
    ]
    common_warnings = check_report.list_common_warnings(checked_datasets)
    if json:
        print_json({"datasets": [dataset.dump() for dataset in checked_datasets], "warnings": common_warnings})
    else:
        for dataset in checked_datasets:
            _print_dataset(dataset)
            if dataset.failure and not dataset.is_folder:
                ways = given_datasets.suggest_elsewhere(dataset.text, get_plugins(ctx))
                for index, way in enumerate(ways):
                    print_message(f"  {'or ' if index else 'use'}   {way.text} ({way.remark})")
        for warning_text in common_warnings:
            print_result(
                f"{paint_text('warning', SEVERITY_STYLES['warning'], has_color(get_results()))}: {warning_text}"
            )
    if not all(dataset.can_train for dataset in checked_datasets):
        raise typer.Exit(Stage.USAGE.exit_code)


def _check_dataset(
    dataset: GivenDataset, val_split: float, excluded: str, decode: Decoded, *, hidden: bool
) -> CheckedDataset:
    exclusion: dict[str, str | float] = {"excluded": excluded} if excluded else {}
    quality = {"val_split": val_split, "decode": decode.value, **exclusion}
    questions = {"tables": {"converts": True, **exclusion}, "quality": quality}
    try:
        with show_progress(dataset.text, hidden=hidden) as progress:
            inspected = given_datasets.inspect_given(dataset, questions, progress)
    except process.InspectionFailed as error:
        return CheckedDataset(dataset.text, (), {}, str(error), is_folder=dataset.folder is not None)
    refusal = str(inspected.results.get("tables", {}).get("refused", ""))
    is_folder = dataset.folder is not None
    return CheckedDataset(dataset.text, inspected.findings, inspected.results, refusal, excluded, is_folder)


def _print_dataset(checked: CheckedDataset) -> None:
    print_result(check_report.format_heading(checked))
    if rows := list(check_report.list_rows(checked)):
        color = has_color(get_results())
        print_result(
            format_table(
                [(paint_text(kind, SEVERITY_STYLES[kind], color), *other_cells) for kind, *other_cells in rows]
            )
        )
    if lag := check_report.describe_lag(checked):
        print_message(lag)
    if unchecked_text := checked.explain_unchecked():
        print_message(unchecked_text)
    if next_lines := list(check_report.list_next_lines(checked)):
        print_message("\n".join(next_lines))


HELP = """Look at datasets: what is wrong with them, and in which episodes.

  robotrain data check recordings/pick-cube

  robotrain data view recordings/pick-cube
"""
app = make_plain_app()
app.info.help = format_help(HELP)
for _command in (check, view):
    app.command(cls=OwnCommand, help=format_help(getdoc(_command) or ""))(_command)
