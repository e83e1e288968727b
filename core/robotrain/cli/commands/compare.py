"""`robotrain compare`: which of several policies is better, by finished evaluations, a file of episodes, or a job."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import typer
from robotrain_runtime.comparison.decision import ComparisonPlan

from robotrain.cli import usage
from robotrain.cli.arguments import AGREE_FLAG, AGREE_HELP, CHECKER, CHECKER_HELP, complete_run_names, find_run
from robotrain.cli.command_factory import get_plugins
from robotrain.cli.commands import compared_runs, watch
from robotrain.cli.commands.submit import submit_job, waits_for_end
from robotrain.cli.job_command import ORDER_KEY, JobCommand, make_job_command
from robotrain.cli.options import ComposedOptions
from robotrain.cli.output import format_table, print_json, print_message, print_message_line, print_text
from robotrain.cli.watch.follower import RunFollower
from robotrain.cli.watch.renderer import LiveLineRenderer, LogRenderer
from robotrain.comparison.table import Missing
from robotrain.config.selection import Choice, is_job_file
from robotrain.config.values import Origin, SourceText
from robotrain.errors import Problem, Rejected, Stage, Suggestion, collect_problems, raise_if_any, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.model.source import LOCAL_KIND
from robotrain.plugins.manager import Plugins
from robotrain.redaction import redact
from robotrain.report import comparison_record
from robotrain.store.latest_run import NEWEST_NAMES
from robotrain.store.name_index import names_run

if TYPE_CHECKING:
    from robotrain.config.request import Request
    from robotrain.model.platform import Platform
    from robotrain.model.run import RunRecord
    from robotrain.model.source import SourceKind
    from robotrain.model.workload import Workload
    from robotrain.submission.prepare import PreparedJob

make_problem = Messages(__file__)

HELP = """Decide which policy is better, from episodes that begin at the same starts.

Evaluations that exist are compared at once; policies (of RUN, or of its step: RUN@8000) are evaluated in a job.

  robotrain compare EVALUATION EVALUATION

  robotrain compare RUN RUN@8000 --env pusht --platform PLATFORM --wait

  robotrain compare --scores episodes.csv

  robotrain compare RUN --not-worse-than OWNER/NAME --margin 0.1 --env pusht\f

Evaluations that have ended under equal conditions need no new episode. Any other policy (a run, RUN@STEP, a folder, the
Hugging Face Hub, a registered model) is rolled out with --env in one job, with the policies side by side, until the
question is decided; `robotrain compare RUN` prints what that found. The answer is better, equal, or not decided after
so many episodes. A comparison looks at each pair as it comes: its confidence holds at all looks together, and for all
pairs of policies together. With --margin the exit code, of a job with --wait, is 5 unless the first policy is shown to
be not worse than the others.
"""
POLICY, REFERENCE, DATASET = "policy", "reference", "dataset"
"""The roles of the policy that is asked about, of those that it is compared with, and of recorded episodes."""
NOT_WORSE_THAN, MARGIN, SCORES, MISSING = "--not-worse-than", "--margin", "--scores", "--missing"
QUESTIONS = ("--confidence", "--detect", "--equal-within", MARGIN)
"""The parameters of the workload that ask something of episodes that were played before, too."""
SHOWN = (*QUESTIONS, "--at-most")
SWITCHES = {
    "--stream": "show the log until the job ends, then print its answer as --wait does",
    "--new": "start a new run even if the same job is running, or an interrupted submit of it exists",
    "--no-pin": "do not resolve branches and tags to commits now",
    AGREE_FLAG: AGREE_HELP,
    "--json": "print JSON",
}
ALLOW_FLOOR = "--allow-floor"
KNOWN = (*QUESTIONS, ALLOW_FLOOR, NOT_WORSE_THAN, SCORES, MISSING, "--json")
"""The options that go with episodes that were played before."""


class CompareCommand(JobCommand):
    """The command; its options are those of the workload that compares, of which it makes one job."""

    sends = True
    saves_job = False
    policies: Sequence[str] = ()
    """Those among the words, the one that is asked about first."""
    words_metavar = "POLICY POLICY…"

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Parse the words as those of a job of the workload that compares."""
        return super().make_context(info_name, [find_comparing(get_plugins(parent)), *args], parent, **extra)

    def add_own_options(self, options: ComposedOptions) -> None:
        """Add what the command itself does."""
        reference_help = "ask whether the named policies are not worse than this one; needs --margin"
        options.add_own(NOT_WORSE_THAN, help=reference_help, metavar="POLICY", common=True)
        file = "compare the episodes of a CSV file with columns policy, start and success"
        options.add_own(SCORES, help=file, metavar="FILE.csv", common=True)
        none = "how a start counts that only one policy has: left out, or a failure of the other"
        options.add_own(MISSING, help=none, metavar="|".join(get_args(Missing)), common=True)
        options.add_own("--wait", help="wait for the end of the job, and print its answer", common=True)
        options.add_own("--dry-run", help="check the job, and show what it is; do not submit", common=True)
        for flag, help in SWITCHES.items():
            options.add_own(flag, help=help, common=flag == "--json")
        self.add_labels(options)
        options.add_own(CHECKER, help=CHECKER_HELP, metavar="PYTHON|build|none")

    def list_roles(self, workload: Workload) -> Sequence[str]:
        """Return the inputs that have options: policies are words, and nothing is replayed."""
        return [role for role in workload.roles if role not in (POLICY, REFERENCE, DATASET)]

    def add_plugin_options(self, options: ComposedOptions, choice: Choice, plugins: Plugins) -> None:
        """Add the options of the workload; help shows those of the question."""
        super().add_plugin_options(options, choice, plugins)
        common_names = {options.flags[flag] for flag in SHOWN if flag in options.flags}
        options.options = [
            option._replace(common=True) if option.name in common_names else option for option in options.options
        ]

    def complete_word(self, incomplete: str, plugins: Plugins) -> list[str]:
        """Return the runs that begin like this; after `--` an option of the program."""
        return super().complete_word(incomplete, plugins) if self.is_after_dashes else complete_run_names(incomplete)

    def invoke(self, ctx: Any) -> Any:
        """Compare what was played before; submit a job for anything else."""
        _, *words = ctx.params.get("words") or []
        policies = _list_policies(words)
        file = ctx.params.get("scores")
        reference_policy = ctx.params.get("not_worse_than") or ""
        if not file and (ctx.params.get("parameters.env") or self.choice.file):
            return super().invoke(ctx)
        self._check_options(ctx, words, policies)
        plan = self._read_plan(ctx.params)
        missing: Missing | None = ctx.params.get("missing")
        if missing not in (None, *get_args(Missing)):
            raise Rejected([make_problem("value-invalid.missing", given=str(missing))])
        if file:
            record = compared_runs.compare_file(Path(file), policies, plan, reference_policy, missing)
        else:
            record = compared_runs.compare_runs(policies, plan, reference_policy, missing, get_plugins(ctx))
        show_record(ctx, record)

    def make_request(
        self,
        ctx: typer.Context,
        choice: Choice,
        values: dict[str, Any],
        workload: Workload,
        platform: Platform,
        problems: Sequence[Problem],
    ) -> tuple[Request, Sequence[Problem]]:
        """Return what the arguments ask for, with the policies among the words as sources of the job."""
        request, request_problems = super().make_request(ctx, choice, values, workload, platform, problems)
        reference_policy = values.get("not_worse_than") or ""
        margin = values.get(self.options.flags[MARGIN])
        policy_texts = [*self.policies, *([reference_policy] if reference_policy else [])]
        kinds = get_plugins(ctx).source_kinds()
        mistakes = [*_find_mistakes(self.policies, reference_policy, margin)]
        sources = list[SourceText]()
        if values.get("missing"):
            mistakes.append(make_problem("option-without-effect.missing", suggest_leaving_out(MISSING)))
        for number, policy_text in enumerate(policy_texts):
            with collect_problems(mistakes):
                sources.append(_make_source(REFERENCE if number else POLICY, policy_text, kinds))
        if mistakes:  # what follows of a job without its policies would be wrong too
            raise Rejected([*problems, *request_problems, *mistakes])
        line_layer = request.line._replace(sources=(*request.line.sources, *sources))
        return replace(request, line=line_layer), request_problems

    def execute(self, ctx: typer.Context, choice: Choice, values: dict[str, Any]) -> None:
        """Submit the job of the policies; what is left of the words is that of any job."""
        words = values.get("words") or []
        self.policies = _list_policies(words[1:])
        super().execute(ctx, choice, {**values, "words": [word for word in words if word not in self.policies]})

    def run_prepared(self, ctx: typer.Context, prepared: PreparedJob, values: dict[str, Any]) -> None:
        """Submit the job; if requested, follow it to its end, and print what it found."""
        submit_job(ctx, prepared, values, finish_comparison if waits_for_end(values) else None)

    def _read_plan(self, values: dict[str, Any]) -> ComparisonPlan:
        """Return what is asked. Raise Rejected for what cannot be asked."""
        plan_values = dict[str, Any]()
        problems = list[Problem]()
        for flag in QUESTIONS:
            share_text = values.get(self.options.flags.get(flag, "")) or ""
            try:
                plan_values |= {flag.removeprefix("--").replace("-", "_"): float(share_text)} if share_text else {}
            except ValueError:
                problems.append(make_problem("value-invalid.share", where=flag, given=share_text))
        if values.get(self.options.flags.get(ALLOW_FLOOR, "")):
            plan_values["allow_floor"] = True
        if values.get("not_worse_than") and "margin" not in plan_values:
            problems.append(make_problem("value-missing.margin"))
        raise_if_any(problems)
        try:
            return ComparisonPlan(**plan_values)
        except ValueError as error:
            raise Rejected([make_problem("value-invalid.comparison", error=str(error))]) from None

    def _check_options(self, ctx: Any, words: Sequence[str], policies: Sequence[str]) -> None:
        """Raise Rejected for options that have no effect without new episodes, and for unknown ones."""
        order = ctx.meta.get(ORDER_KEY, [])
        problems = [*usage.find_swallowed_flags(ctx.params, self.options)]
        problems += usage.find_repeated_options(order, self.options)
        if unknown_flags := [word for word in words if word.startswith("-")]:
            problems += usage.find_unknown_words(
                [self.choice.workload, *unknown_flags], self.choice, self.options, get_plugins(ctx)
            )
        flags_by_name = {name: flag for flag, name in reversed(self.options.flags.items())}
        extra_flags = [
            flags_by_name[name]
            for name in dict.fromkeys(order)
            if name in flags_by_name and flags_by_name[name] not in KNOWN
        ]
        if extra_flags:
            way = Suggestion("--env ENV", "plays new episodes") if policies else ""
            flags = " and ".join(extra_flags)
            problems.append(
                make_problem("option-without-effect.comparison", way, suggest_leaving_out(*extra_flags), where=flags)
            )
        raise_if_any(problems)


def _list_policies(words: Sequence[str]) -> list[str]:
    """Return the policies among the words, which are no options and no job files."""
    return [word for word in words if not word.startswith("-") and not is_job_file(word)]


def _find_mistakes(policies: Sequence[str], than: str, margin: Any) -> Iterator[Problem]:
    """Yield what is wrong with the policies of a job."""
    if than and not margin:
        yield make_problem("value-missing.margin")
    if than and len(policies) > 1:
        yield make_problem("options-conflict.one-candidate", count=len(policies))
    elif len(policies) + bool(than) < 2:
        yield make_problem("value-missing.second-policy", given=redact(next(iter(policies), than or "none")))
    for policy in (*policies, than):
        if "," in policy:
            yield make_problem("not-comparable.trainings-played", given=policy)


def _make_source(role: str, policy_text: str, kinds: Mapping[str, SourceKind]) -> SourceText:
    """Return a policy as a source of the job, of whatever kind its text is. Raise Rejected if no run is meant."""
    kind_names = tuple(name for name, kind in kinds.items() if role in kind.roles)
    run, separator, step = policy_text.partition("@")
    if Path(policy_text).expanduser().is_dir() and not names_run(run):
        kind_names = (LOCAL_KIND,)
    elif not re.search("[/:]", policy_text) and run not in NEWEST_NAMES:
        policy_text = f"{find_run(run)}{separator}{step}"
    return SourceText(role, kind_names, policy_text, Origin("argument", redact(policy_text)), Path.cwd())


def finish_comparison(
    ctx: typer.Context, record: RunRecord, platform: Platform, options: dict[str, Any], is_new: bool
) -> None:
    """Follow a job to its end, and print what it found; raise typer.Exit if it failed, or its gate is not passed."""
    plugins = get_plugins(ctx)
    renderer = LogRenderer(print_message_line) if options.get("stream") else LiveLineRenderer()
    follower = RunFollower([(record, platform)], renderer, plugins, just_sent=is_new)
    watch.follow(follower, renderer, "wait", follower.wait_until_over)
    (followed_run,) = follower.runs
    facts = None if followed_run.failure else compared_runs.collect_with_results(record.run, plugins)
    evaluation = facts.evaluation if facts else None
    if facts is None or evaluation is None or evaluation.comparison is None:
        return watch.print_end(followed_run, bool(options.get("json")), with_tail=not options.get("stream"))
    print_message(f"robotrain report {record.run}   shows it on a page")
    show_record(ctx, compared_runs.add_unrelated(evaluation.comparison, facts, plugins))


def find_comparing(plugins: Plugins) -> str:
    """Return the workload that compares policies: the first that takes references."""
    return next((workload.name for workload in plugins.workloads().values() if REFERENCE in workload.roles), "")


def show_record(ctx: typer.Context, record: Mapping[str, Any]) -> None:
    """Print the content of a `comparison.json`; raise typer.Exit with 5 if its gate is not passed."""
    if ctx.params.get("json"):
        print_json(record)
    else:
        conditions_text = (record.get("conditions") or {}).get("text")
        sentences = comparison_record.list_sentences(record)
        notes = comparison_record.list_notes(record)
        parts = [
            *([f"{conditions_text}\n"] if conditions_text else []),
            f"{format_table(comparison_record.list_policies(record))}\n",
        ]
        print_text("\n".join([*parts, *sentences, *(f"  {note}" for note in notes)]))
    if (record.get("gate") or {"passed": True})["passed"] is not True:
        raise typer.Exit(Stage.RUN.exit_code)


app = make_job_command("compare", CompareCommand, HELP)
