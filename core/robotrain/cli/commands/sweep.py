"""`robotrain sweep`: one job over several values."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from robotrain.cli import evaluated_training
from robotrain.cli.arguments import parse_count
from robotrain.cli.command_factory import get_plugins
from robotrain.cli.commands.sending import Sending, send_job
from robotrain.cli.help_page import format_help
from robotrain.cli.job_command import JobCommand, complete_override, make_job_command
from robotrain.cli.job_request import read_request
from robotrain.cli.options import ComposedOptions, make_completer
from robotrain.cli.output import format_table, print_message, print_problems
from robotrain.config.selection import Choice, load_or_none
from robotrain.errors import (
    Problem,
    collect_problems,
    raise_if_any,
)
from robotrain.messages import Messages
from robotrain.model.platform import Platform
from robotrain.nearest_name import suggest_name
from robotrain.pipelines.prepare import PreparedPipeline, pin_pipeline
from robotrain.plugins.manager import Plugins
from robotrain.sweeps import space
from robotrain.sweeps.prepare import list_point_rows, list_usual_labels, prepare_sweep
from robotrain.sweeps.space import SAMPLERS, Axis, SamplerName, SweepRequest

if TYPE_CHECKING:
    import typer

make_problem = Messages(__file__)


HELP = """Run one job over several values; each combination is a trial.

  robotrain sweep job.yaml --platform PLATFORM --over learning_rate=1e-5,1e-4 --over seed=1..5 --at-most 2 --wait

  robotrain sweep train.py --platform PLATFORM --over lr=1e-4,1e-3 -- --lr '{lr}'\f

  robotrain sweep job.yaml --platform PLATFORM --over learning_rate=log:1e-5..1e-2 --sampler random --samples 20

All values are checked before the first trial starts. A trial that fails does not stop the others.
"""
PROGRAM_HELP = """Run your program over several values; each combination is a trial.

  robotrain sweep train.py --platform PLATFORM --over lr=1e-4,1e-3 --wait -- --lr '{lr}' --out '{outputs}'\f

  robotrain sweep train.py --platform PLATFORM --over lr=log:1e-5..1e-2 --sampler random --samples 20 -- --lr '{lr}'

  robotrain sweep job.yaml --platform PLATFORM --over lr=1e-4,1e-3 --over seed=1..5 --compare-by val_loss

{NAME} in the command stands for a value of --over NAME. All values are checked before the first trial starts. A trial
that fails does not stop the others.
"""
"""For a workload that runs a command of the user's own."""
OVER_HELP = (
    "values of a parameter, named as in a job file: V,V or 1..5; log:A..B and uniform:A..B need --sampler  [repeatable]"
)
METRIC_FLAG, COMPARE_FLAG = "--metric", "--compare-by"
"""What names the metric that compares the trials; the second where the workload has an option as the first."""
AT_MOST_HELP = "how many trials may run at the same time  [default: 1 on this machine, else all]"
SAMPLER_HELP = "how trials are chosen: grid (all) or random  [default: grid]"
MAX_SHOWN = 20
"""How many trials a preview lists."""


class SweepCommand(JobCommand):
    """The command of a sweep; its options are those of the job, and its own."""

    purpose = "submit"
    saves_job = False

    def compose_own(self, choice: Choice, plugins: Plugins) -> ComposedOptions:
        """Return the options that every choice has; `--over` completes as `--set` does."""
        self._complete_over = functools.partial(complete_override, choice, plugins)
        return super().compose_own(choice, plugins)

    def add_own_options(self, options: ComposedOptions) -> None:
        """Add the options of the sweep."""
        complete = self._complete_over
        options.add_own(
            "--over", help=OVER_HELP, metavar="NAME=VALUES", complete=complete, repeatable=True, common=True
        )
        samplers = make_completer(lambda: SAMPLERS)
        options.add_own("--sampler", help=SAMPLER_HELP, metavar="NAME", complete=samplers, common=True)
        options.add_own("--samples", help="how many trials the sampler makes", metavar="N", common=True)
        options.add_own("--at-most", help=AT_MOST_HELP, metavar="N", common=True)
        self.add_sending(options, "--stream")
        options.add_own("--sampler-seed", help="the seed of the sampler  [default: 0]", metavar="N")

    def add_plugin_options(self, options: ComposedOptions, choice: Choice, plugins: Plugins) -> None:
        """Add the option that names a metric, which completes to those of the workload; its own `--metric` stays."""
        super().add_plugin_options(options, choice, plugins)
        workload = load_or_none(plugins.workload, choice.workload)
        metric_names = (
            [metric.name for metric in workload.profile.metrics if metric.better and not metric.pattern]
            if workload
            else []
        )
        help = f"the metric that compares the trials: {', '.join(metric_names[:4]) or 'one that the job reports'}"
        flag = COMPARE_FLAG if options.find_owner(METRIC_FLAG) else METRIC_FLAG
        if workload and workload.own_command:
            help += "; NAME:higher or NAME:lower for one that only your program knows"
        if workload and (labels := list_usual_labels(workload)):
            help += f"  [default: these, or else the {' or '.join(labels)} that it reports]"
        options.add_own(flag, help=help, metavar="NAME", complete=make_completer(lambda: metric_names))

    def choose_help(self, choice: Choice, plugins: Plugins) -> str:
        """Return the text of its help: that of programs for a program of the user's own."""
        workload = load_or_none(plugins.workload, choice.workload)
        return format_help(PROGRAM_HELP) if workload and workload.own_command else super().choose_help(choice, plugins)

    def execute(self, ctx: typer.Context, choice: Choice, values: dict[str, Any]) -> None:
        """Submit the sweep, or show what would be submitted."""
        request, workload, platform, problems = read_request(self.describe_line(ctx, values))
        problems += evaluated_training.find_unsent_evaluation(request, workload, "a sweep")
        axes, sampler, samples = _read_space(values, problems)
        sweep_request = SweepRequest(
            job=request,
            workload=workload,
            axes=tuple(axes),
            sampler=sampler,
            samples=samples,
            sampler_seed=_read_count(values, "sampler_seed", problems, least=0) or 0,
            at_most=_read_count(values, "at_most", problems),
            metric=values.get("metric") or values.get("compare_by") or "",
            metric_flag=COMPARE_FLAG if "compare_by" in values else METRIC_FLAG,
            problems=tuple(problems),
        )
        prepared = prepare_sweep(sweep_request, platform, get_plugins(ctx))
        pinned, pin_problems = pin_pipeline(prepared, not values.get("no_pin"), print_message)
        print_problems(describe_driver(pinned, sweep_request, platform))
        print_message(format_preview(pinned, sweep_request))
        raise_if_any(pin_problems)
        ready = replace(pinned, warnings=(*pinned.warnings, *pin_problems))
        send_job(ctx, ready, Sending.read(values, no_pin=True))


def _read_space(values: dict[str, Any], problems: list[Problem]) -> tuple[list[Axis], SamplerName, int]:
    """Return what the trials differ in; what cannot be read is added to `problems`, which are raised at once."""
    axes: list[Axis] = []
    with collect_problems(problems):
        axes = space.parse_axes(values.get("over") or ())
    if not values.get("over"):
        problems.append(space.make_over_problem("a sweep needs values that vary"))
    sampler_name = values.get("sampler") or "grid"
    sampler: SamplerName = next((name for name in SAMPLERS if name == sampler_name), "grid")
    if sampler_name != sampler:
        ways = suggest_name(sampler_name, SAMPLERS, prefix="--sampler ")
        problems.append(make_problem("value-invalid.sampler", *ways, samplers=", ".join(SAMPLERS)))
    samples = _read_count(values, "samples", problems)
    if sampler == "random" and not values.get("samples"):
        problems.append(make_problem("value-missing.samples", sampler=sampler))
    if sampler == "grid" and (values.get("samples") or values.get("sampler_seed")) and sampler_name == sampler:
        problems.append(make_problem("options-conflict.sampler"))
    problems += space.check_count(samples or 0)
    raise_if_any(problems)
    return axes, sampler, samples or 0


def _read_count(values: dict[str, Any], name: str, problems: list[Problem], least: int = 1) -> int | None:
    """Return the whole number of an option; None if it is not given or invalid, which is a problem."""
    with collect_problems(problems):
        return parse_count(values.get(name), f"--{name.replace('_', '-')}", least)
    return None


def describe_driver(prepared: PreparedPipeline, request: SweepRequest, platform: Platform) -> list[Problem]:
    """Return the note that this machine must stay on to start later trials."""
    is_all_at_once = prepared.at_most is None or prepared.at_most >= len(prepared.steps)
    if platform.capabilities.feature("runs_here") or is_all_at_once:
        return []
    reason = (
        "It must stay on until the last trial has begun; the terminal may be closed."
        " Without --at-most all trials are submitted at once."
    )
    return [make_problem("driven-here", name=platform.name, why=reason)]


def format_preview(prepared: PreparedPipeline, request: SweepRequest) -> str:
    """Return the trials, how many run at the same time, and what compares them."""
    count, parallel_trials = len(prepared.steps), prepared.at_most
    pace = "one at a time" if parallel_trials == 1 else f"{parallel_trials} at a time"
    pace = "all at once" if parallel_trials is None or parallel_trials >= count else pace
    headline = f"{count} trials of {request.workload.name}, {pace}, {_describe_comparison(prepared, request)}"
    rows = list_point_rows(prepared)
    more_note = f"\n… and {len(rows) - 1 - MAX_SHOWN} more" if len(rows) - 1 > MAX_SHOWN else ""
    return f"{headline}\n{format_table(rows[: MAX_SHOWN + 1])}{more_note}"


def _describe_comparison(prepared: PreparedPipeline, request: SweepRequest) -> str:
    """Return what compares the trials."""
    metric_names = [name for name, _ in prepared.sweep.get("metrics", ())]
    if prepared.sweep.get("patterns"):
        metric_names += list_usual_labels(request.workload)
    if not metric_names:
        return "compared by no metric: they report none"
    if len(metric_names) == 1:
        return f"compared by {metric_names[0]}"
    return f"compared by the first that they report of {', '.join(metric_names)} ({request.metric_flag} names another)"


app = make_job_command("sweep", SweepCommand, HELP)
