"""`robotrain status`: print the state of a run and the next commands."""

import typer

from robotrain.cli.arguments import JsonOption, RunArgument, open_run
from robotrain.cli.command_factory import make_app
from robotrain.cli.output import print_json, print_text
from robotrain.cli.watch import run_view
from robotrain.cli.watch.run_view import RunView
from robotrain.store import records


def status(ctx: typer.Context, run: RunArgument = "", json: JsonOption = False) -> None:
    """Show the state of a run, the reason for it, its outputs, and the next commands.

    robotrain status latest
    """
    record, platform = open_run(ctx, run)
    now, steps = run_view.query_run(record, platform)
    records.save_final_status(record.run, now)
    progress, log_lines = run_view.read_run_log(record, platform, with_lines=now.state in ("failed", "lost"))
    view = RunView(record, platform, now, progress, steps)
    view.missing = run_view.add_listed_outputs(record, platform, now, progress)
    if progress.outcome and progress.outcome.state == "failed":  # the run said why: its platform's lines add nothing
        log_lines = [log_line for log_line in log_lines if not run_view.is_platform_line(log_line, record)]
    log_end = run_view.select_error_lines(log_lines) if view.is_explained else []
    if json:
        code = {name: value for name, value in run_view.describe_code(record.run).items() if name != "text"}
        native_names = dict(run_view.list_native_names(record, platform))
        print_json({**view.to_json(), "shown": native_names, "log_end": log_end, **({"code": code} if code else {})})
    else:
        print_text(view.format(log_end))


app = make_app(status)
