"""`robotrain data view`: write an HTML page about a dataset."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer
from robotrain.cli.arguments import JsonOption, argument, option
from robotrain.cli.command_factory import get_plugins
from robotrain.cli.output import print_json, print_message, print_result
from robotrain.cli.page_file import check_page_place, write_page
from robotrain.errors import Rejected
from robotrain.messages import Messages
from robotrain.redaction import redact

from robotrain_workloads.lerobot.parameters import DEFAULT_VAL_SPLIT

if TYPE_CHECKING:
    from robotrain_workloads.lerobot_data.given_datasets import GivenDataset

make_problem = Messages(__file__)

VIEWER, VIEWER_PACKAGE = "lerobot-dataset-viz", "lerobot[dataset_viz]"
"""LeRobot's own program, and the package that brings it."""
HUB_KIND = "huggingface"
LONGEST_NAME = 80
TO_HELP = "A file, a folder, or - for stdout; default: NAME-episodes.html or NAME-episode-N.html in this folder."


def view(
    ctx: typer.Context,
    dataset: Annotated[str, argument("DATASET", "A folder, Hub repository or blob URL of a LeRobot dataset.")],
    episode: Annotated[
        int | None,
        typer.Argument(metavar="[EPISODE]", min=0, help="The one that is shown whole; default: the worst."),
    ] = None,
    to: Annotated[str, option("--to", "FILE", TO_HELP)] = "",
    json: JsonOption = False,
) -> None:
    """Write an HTML page about a LeRobot dataset and one of its episodes.

    The episodes are sorted by any score, with what is wrong with each. One is shown whole: pictures and video of its
    cameras, actions and states, with findings marked where they are. Of a dataset elsewhere the tables are compared,
    and that episode alone is read, at most some 60 MB.

    robotrain data view recordings/pick-cube

    robotrain data view recordings/pick-cube 7 --to pages/
    """
    from robotrain.cli.progress_bar import show_progress

    from robotrain_workloads.lerobot_data import given_datasets, inspector
    from robotrain_workloads.lerobot_data.check_report import CheckedDataset, format_heading
    from robotrain_workloads.lerobot_data.dataset_page import render_dataset_page

    check_page_place(to)
    (given,) = given_datasets.parse_datasets([dataset], get_plugins(ctx), "robotrain data view")
    try:
        with show_progress(given.text, hidden=json) as progress:
            options = {"episode": episode, "converts": True, "val_split": DEFAULT_VAL_SPLIT}
            answer = given_datasets.inspect_given(given, {"view": options}, progress)
    except inspector.InspectionFailed as error:
        raise _make_unread_error(given, str(error)) from None
    results = dict(answer.results["view"])
    content: Mapping[str, Any] | None = results.pop("view")
    checked = CheckedDataset(redact(given.text), answer.findings, results)
    if content is None:
        raise _make_unread_error(given, "; ".join(one.text for one in checked.sorted_findings))
    shown = content["shown"]
    if shown is None:
        raise Rejected(
            [
                make_problem(
                    "value-invalid.episode", dataset=redact(dataset), episode=str(episode), last=str(content["last"])
                )
            ]
        )
    viewer = "" if checked.needs_conversion else _format_viewer(given, shown["episode"])
    name = given.folder.resolve().name if given.folder else given.text.partition("@")[0].rstrip("/")
    label = redact(name)
    target = write_page(
        to,
        lambda folder: _choose_file_name(name, episode),
        lambda folder: render_dataset_page(
            content,
            checked.sorted_findings,
            time.time(),
            label=label,
            dataset=redact(given.text),
            viewer=viewer,
            folder=given.folder,
            excluded=checked.excluded,
            is_about_episode=episode is not None,
        ),
    )
    if target is None:
        return
    if json:
        said = {"episode": shown["episode"], "path": str(target.absolute()), "viewer": viewer}
        print_json({**checked.dump(), **said})
    else:
        print_message(format_heading(checked))
        print_message(f"episode {shown['episode']} is shown whole; the page works offline")
        if unchecked := checked.explain_unchecked():
            print_message(unchecked)
        if viewer:
            print_message(f"more:  {viewer}   (of {VIEWER_PACKAGE})")
        print_result(str(target))


def _make_unread_error(given: GivenDataset, why: str) -> Rejected:
    return Rejected([make_problem("data-unusable.unread", dataset=redact(given.text), why=why)])


def _format_viewer(given: GivenDataset, episode: int) -> str:
    """Return the command line of LeRobot that shows an episode; empty for a dataset that it does not read."""
    if given.folder:
        folder = given.folder.resolve()
        name = re.sub(r"[^a-zA-Z0-9._-]+", "-", folder.name).strip("-.") or "dataset"
        words = ["--repo-id", f"local/{name}", "--root", str(folder)]
    elif given.source.kind == HUB_KIND:
        words = ["--repo-id", str(given.source).partition("@")[0]]
    else:
        return ""
    return shlex.join([VIEWER, *words, "--episode-index", str(episode)])


def _choose_file_name(name: str, episode: int | None) -> str:
    """Return the name of the file without its ending: of what the dataset is called, in any script."""
    plain = re.sub(r"[^\w.-]+", "-", name.rpartition("/")[2])[:LONGEST_NAME].strip("-.") or "dataset"
    return f"{plain}-episodes" if episode is None else f"{plain}-episode-{episode}"
