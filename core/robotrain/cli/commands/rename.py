"""`robotrain rename`: change the name and the note of a run."""

import shlex
from dataclasses import replace
from typing import Annotated

import typer

from robotrain.cli.arguments import JsonOption, NamedRunArgument, argument, find_run_to_change, option
from robotrain.cli.command_factory import make_app
from robotrain.cli.output import print_json, print_result
from robotrain.errors import Rejected
from robotrain.messages import Messages
from robotrain.store import name_lock, records
from robotrain.submission.run_labels import make_labels

make_problem = Messages(__file__)


def rename(
    ctx: typer.Context,
    run: NamedRunArgument,
    name: Annotated[str, argument("[NAME]", "What to call the run; other runs may have the same name.")] = "",
    note: Annotated[str | None, option("--note", "TEXT", "A new note; an empty one removes it.")] = None,
    json: JsonOption = False,
) -> None:
    """Change what a run is called here, or its note. The platform and the tracking server keep their names.

    robotrain rename latest pick-v3

    robotrain rename pick-v3 --note "with the new gripper"
    """
    if not name and note is None:
        raise Rejected([make_problem("usage.nothing-to-change", run=run)])
    labels = make_labels(name, note or "", f"robotrain rename {shlex.quote(run)}")
    run_name = find_run_to_change(ctx, run)
    lock = name_lock.acquire_name_lock(records.get_run_folder(run_name))
    if lock is None:
        raise Rejected([records.make_being_submitted_problem(records.read_record(run_name))])
    with lock:
        record = records.read_record(run_name)
        renamed_record = replace(
            record, name=labels.name or record.name, note=record.note if note is None else labels.note
        )
        records.write_record(renamed_record)
    if json:
        print_json(
            {"run": renamed_record.run, "name": renamed_record.name, "note": renamed_record.note, "before": record.name}
        )
    else:
        name_phrase = f" is named {renamed_record.name}" if renamed_record.name else " has no name"
        print_result(
            f"{renamed_record.run}{name_phrase}{f', note: {renamed_record.note}' if renamed_record.note else ''}"
        )


app = make_app(rename)
