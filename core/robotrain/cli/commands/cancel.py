"""`robotrain cancel`: stop runs, and show what they saved."""

import functools
from typing import TYPE_CHECKING, Annotated, Any

import typer
from robotrain_runtime.contract.deadline import DeadlineFuture

from robotrain.cli.arguments import JsonOption, argument, complete_run_names, find_run_to_change, open_runs
from robotrain.cli.command_factory import get_plugins, make_app
from robotrain.cli.output import describe_exception, print_json, print_message, print_problems, print_text
from robotrain.cli.watch.run_view import RunView, add_listed_outputs, read_run_log
from robotrain.errors import EXIT_INTERRUPTED, Problem, Rejected
from robotrain.messages import Messages
from robotrain.plugins import site
from robotrain.store import records
from robotrain.store.latest_run import UNFINISHED
from robotrain.submission.adopted_run import require_own_run

if TYPE_CHECKING:
    from robotrain.model.platform import Platform
    from robotrain.model.run import RunRecord, Status

make_problem = Messages(__file__)

RUNS_HELP = "Names or beginnings of identifiers (default: the only run that has not ended)."


def cancel(
    ctx: typer.Context,
    runs: Annotated[list[str] | None, argument("[RUN]...", RUNS_HELP, complete_run_names)] = None,
    json: JsonOption = False,
) -> None:
    """Stop runs, and show what they saved. Runs that have ended do not change.

    Without a name, it stops the only run that has not ended; of several, it asks for one.

    robotrain cancel latest
    """
    find = functools.partial(find_run_to_change, ctx, unfinished_first=True, need=UNFINISHED)
    stopping = [RunCancellation(record, platform) for record, platform in open_runs(ctx, runs, find)]
    _cancel_in_parallel([cancellation for cancellation in stopping if not cancellation.has_ended])
    for cancellation in stopping:
        if cancellation.has_ended:
            print_message(f"{cancellation.record.run} had ended already")
        elif not cancellation.problems:
            print_problems(
                site.notify_run_changed(get_plugins(ctx), cancellation.record, "cancelled", cancellation.after)
            )
    cancel_results = [cancellation.describe_result() for cancellation in stopping]
    if json:
        print_json(
            [result_data for result_data, _ in cancel_results] if len(cancel_results) > 1 else cancel_results[0][0]
        )
    else:
        print_text("\n".join(result_text for _, result_text in cancel_results))
    if problems := [problem for cancellation in stopping for problem in cancellation.problems]:
        print_problems(problems)
        raise typer.Exit(Rejected(problems).exit_code)


class RunCancellation:
    """The cancellation of one run: its status before and after, and what went wrong."""

    def __init__(self, record: "RunRecord", platform: "Platform") -> None:
        self.record, self.platform = record, platform
        self.before: Status = platform.engine.status(record.reference)
        self.after = self.before
        self.problems: list[Problem] = []

    @property
    def has_ended(self) -> bool:
        """Whether there was nothing to cancel. The steps of a pipeline that lost its driver may still run."""
        return self.before.finished and not (self.record.steps and self.before.state == "lost")

    def cancel(self) -> None:
        """Cancel the run, and wait for its end as long as the platform does."""
        try:
            require_own_run(self.record, self.platform, "cancelled")
            self.platform.engine.cancel(self.record.reference)
            self.after = self.platform.engine.status(self.record.reference)
        except Rejected as rejected:
            self.problems += rejected.problems
        except Exception as error:  # whatever a plugin raises must not keep the others from being stopped
            self.problems.append(
                make_problem(
                    "cancel-refused",
                    platform=self.record.platform,
                    run=self.record.run,
                    error=describe_exception(error),
                )
            )

    def describe_result(self) -> tuple[dict[str, Any], str]:
        """Return the result as data, whose keys are an API, and as text."""
        records.save_final_status(self.record.run, self.after)
        progress, _ = read_run_log(self.record, self.platform)
        missing = add_listed_outputs(self.record, self.platform, self.after, progress)
        view = RunView(self.record, self.platform, self.after, progress, missing=missing)
        data = {
            "run": self.record.run,
            "state": self.after.state,
            "was": self.before.state,
            "checkpoint": progress.checkpoint or None,
            "checkpoint_step": progress.checkpoint_step,
        }
        return data, view.format()


def _cancel_in_parallel(cancellations: list[RunCancellation]) -> None:
    """Cancel runs at the same time: each may take a while to save a checkpoint."""
    futures = []
    for cancellation in cancellations:
        print_message(f"stopping {cancellation.record.run} …")
        futures.append(DeadlineFuture(cancellation.cancel))
    try:
        for future in futures:
            future.result()
    except KeyboardInterrupt:
        run_names = " ".join(cancellation.record.run for cancellation in cancellations)
        print_message(f"\nstopped waiting; the cancellation continues\n  robotrain wait {run_names}   wait for the end")
        raise typer.Exit(EXIT_INTERRUPTED) from None


app = make_app(cancel)
