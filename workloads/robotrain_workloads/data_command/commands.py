"""`robotrain data`: find what is wrong with a dataset, and write a page about it."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Mapping
from enum import StrEnum
from inspect import getdoc
from pathlib import Path
from typing import Annotated, Any

import typer
from robotrain.cli.arguments import JsonOption, argument, option
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
from robotrain.cli.page_file import check_page_place, print_page, write_page
from robotrain.cli.progress_bar import show_progress
from robotrain.errors import Rejected, Stage
from robotrain.messages import Messages
from robotrain.nearest_name import suggest_path
from robotrain.redaction import redact

from robotrain_workloads.data_command import check_report, given_datasets, process
from robotrain_workloads.data_command.check_report import CheckedDataset, format_heading
from robotrain_workloads.data_command.given_datasets import GivenDataset
from robotrain_workloads.lerobot.parameters import DEFAULT_VAL_SPLIT

make_problem = Messages(__file__)

VIEWER, VIEWER_PACKAGE = "lerobot-dataset-viz", "lerobot[dataset_viz]"
"""LeRobot's own program, and the package that brings it."""
LONGEST_NAME = 80
TO_HELP = "A file, a folder, or - for stdout (default: NAME-episodes.html or NAME-episode-N.html in this folder)."


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


def view(
    dataset: Annotated[str, argument("DATASET", "A folder of this machine with a LeRobot dataset.")],
    episode: Annotated[
        int | None,
        typer.Argument(metavar="[EPISODE]", min=0, help="The one that is shown whole (default: the worst)."),
    ] = None,
    to: Annotated[str, option("--to", "FILE", TO_HELP)] = "",
    json: JsonOption = False,
) -> None:
    """Write an HTML page about a LeRobot dataset and one of its episodes.

    The worst episodes come first, with what is wrong with each. One is shown whole: pictures and video of its cameras,
    actions and states, with findings marked where they are.

    robotrain data view recordings/pick-cube

    robotrain data view recordings/pick-cube 7 --to pages/
    """
    from robotrain_workloads.data_command.dataset_page import render_dataset_page

    check_page_place(to)
    dataset_folder = _find_folder(dataset)
    try:
        with show_progress(dataset, hidden=json) as progress:
            inspected = process.inspect_dataset(
                dataset_folder,
                {"view": {"episode": episode, "converts": True, "val_split": DEFAULT_VAL_SPLIT}},
                given_datasets.find_python,
                progress=progress,
            )
    except process.InspectionFailed as error:
        raise _make_unread_error(dataset, str(error)) from None
    view_results = dict(inspected.results["view"])
    page_content: Mapping[str, Any] | None = view_results.pop("view")
    checked = CheckedDataset(redact(dataset), inspected.findings, view_results)
    if page_content is None:
        raise _make_unread_error(dataset, "; ".join(finding.text for finding in checked.sorted_findings))
    shown_episode = page_content["shown"]
    if shown_episode is None:
        raise Rejected(
            [
                make_problem(
                    "value-invalid.episode",
                    dataset=redact(dataset),
                    episode=str(episode),
                    last=str(page_content["last"]),
                )
            ]
        )
    viewer = "" if checked.needs_conversion else _format_viewer(dataset_folder, shown_episode["episode"])
    name = dataset_folder.resolve().name
    target = write_page(
        to,
        [_make_page_name(name, episode)],
        str(dataset_folder.resolve()),
        lambda folder: render_dataset_page(
            page_content,
            checked.sorted_findings,
            time.time(),
            label=redact(name),
            dataset=redact(dataset),
            viewer=viewer,
            folder=dataset_folder,
            excluded=checked.excluded,
            is_about_episode=episode is not None,
        ),
    )
    if target is None:
        return
    if json:
        print_json(
            {
                **checked.dump(),
                **{"episode": shown_episode["episode"], "path": str(target.absolute()), "viewer": viewer},
            }
        )
    else:
        print_message(format_heading(checked))
        print_message(f"episode {shown_episode['episode']} is shown whole")
        if unchecked_text := checked.explain_unchecked():
            print_message(unchecked_text)
        if viewer:
            print_message(f"more:  {viewer}   (of {VIEWER_PACKAGE})")
        print_page(target)


def _find_folder(dataset: str) -> Path:
    """Return the folder of a dataset. Raise Rejected for one that is elsewhere."""
    folder = Path(dataset).expanduser()
    if folder.is_dir():
        return folder
    raise Rejected(
        [make_problem("source-invalid.elsewhere", *suggest_path(folder, "robotrain data view "), given=redact(dataset))]
    )


def _make_unread_error(dataset: str, reason: str) -> Rejected:
    return Rejected([make_problem("data-unusable.unread", dataset=redact(dataset), why=reason)])


def _format_viewer(dataset_folder: Path, episode: int) -> str:
    """Return the command line of LeRobot that shows an episode of a folder."""
    folder = dataset_folder.resolve()
    name = re.sub(r"[^a-zA-Z0-9._-]+", "-", folder.name).strip("-.") or "dataset"
    return shlex.join([VIEWER, "--repo-id", f"local/{name}", "--root", str(folder), "--episode-index", str(episode)])


def _make_page_name(name: str, episode: int | None) -> str:
    """Return the name of the file without its ending: of what the dataset is called, in any script."""
    plain_name = re.sub(r"[^\w.-]+", "-", name)[:LONGEST_NAME].strip("-.") or "dataset"
    return f"{plain_name}-episodes" if episode is None else f"{plain_name}-episode-{episode}"


app = make_plain_app()
app.info.help = format_help(HELP)
for _command in (check, view):
    app.command(cls=OwnCommand, help=format_help(getdoc(_command) or ""))(_command)
