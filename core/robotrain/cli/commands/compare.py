"""`robotrain compare`: which of several policies is better, by finished evaluations, a file of episodes, or a job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from robotrain.cli.arguments import CHECKER, CHECKER_HELP, complete_run_names, find_run, make_usage_error
from robotrain.cli.command_factory import get_plugins
from robotrain.cli.job_command import JobCommand, make_job_command
from robotrain.cli.options import ComposedOptions
from robotrain.cli.output import format_table, print_json, print_message, print_text
from robotrain.config.selection import Choice, is_job_file
from robotrain.errors import Problem, Rejected, Stage, Suggestion, collect_problems, raise_if_any, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.plugins.manager import Plugins
from robotrain.redaction import redact

if TYPE_CHECKING:
    from robotrain_runtime.comparison.decision import ComparisonPlan
    from robotrain_runtime.comparison.observations import Observation

    from robotrain.comparison.table import ComparedSide, Comparison
    from robotrain.model.workload import Workload
    from robotrain.report.collect import RunFacts

make_problem = Messages(__file__)

HELP = """Decide which policy is better, from episodes that begin at the same starts.

  robotrain compare EVALUATION EVALUATION

  robotrain compare RUN RUN@8000 --env pusht --platform PLATFORM

  robotrain compare --scores episodes.csv

  robotrain compare RUN --not-worse-than OWNER/NAME --margin 0.1 --env pusht\f

Evaluations that have ended under equal conditions need no new episode. Any other policy (a run, RUN@STEP, a folder, the
Hugging Face Hub, a registered model) is rolled out with --env in one job, with the policies side by side, until the
question is decided. The answer is better, equal, or not decided after so many episodes. A comparison looks at each pair
as it comes: its confidence holds at all looks together, and for all pairs of policies together. With --margin the exit
code is 5 unless the first policy is shown to be not worse than the others.
"""
POLICY, REFERENCE, DATASET = "policy", "reference", "dataset"
"""The roles of the policy that is asked about, of those that it is compared with, and of recorded episodes."""
NOT_WORSE_THAN, MARGIN, SCORES = "--not-worse-than", "--margin", "--scores"
QUESTIONS = {
    "--confidence": ("the confidence of all that is said together  [default: 0.95]", "SHARE"),
    "--detect": ("the difference to be found, for which episodes are planned  [default: 0.2]", "SHARE"),
    "--equal-within": ("ask whether the policies differ by less than this", "SHARE"),
    MARGIN: ("ask whether the first policy is not worse than the others by more than this", "SHARE"),
}
"""What is asked of episodes that were played before, too."""
SWITCHES = {
    "--stream": "show the log until the job ends",
    "--new": "start a new run even if the same job is running, or an interrupted submit of it exists",
    "--no-pin": "do not resolve branches and tags to commits now",
    "--json": "print JSON",
}
KNOWN = (*QUESTIONS, NOT_WORSE_THAN, SCORES, "--json")
"""The options that go with episodes that were played before."""


class CompareCommand(JobCommand):
    """The command; its options are those of the workload that compares, of which it makes one job."""

    sends = True
    saves_job = False
    words_metavar = "POLICY POLICY…"

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Parse the words as those of a job of the workload that compares."""
        return super().make_context(info_name, [find_comparing(get_plugins(parent)), *args], parent, **extra)

    def add_own_options(self, options: ComposedOptions) -> None:
        """Add what the command itself does."""
        than = "ask whether the named policies are not worse than this one; needs --margin"
        options.add_own(NOT_WORSE_THAN, help=than, metavar="POLICY", common=True)
        file = "compare the episodes of a CSV file: policy,start,success[,score][,condition][,training]"
        options.add_own(SCORES, help=file, metavar="FILE.csv", common=True)
        options.add_own("--skip-wait", help="return when the job is submitted", common=True)
        options.add_own("--dry-run", help="check the job, and show what it is; do not submit", common=True)
        for flag, help in SWITCHES.items():
            options.add_own(flag, help=help, common=flag == "--json")
        self.add_labels(options)
        options.add_own(CHECKER, help=CHECKER_HELP, metavar="PYTHON|build|none")

    def list_roles(self, workload: Workload) -> Sequence[str]:
        """Return the inputs that have options: policies are words, and nothing is replayed."""
        return [role for role in workload.roles if role not in (POLICY, REFERENCE, DATASET)]

    def add_plugin_options(self, options: ComposedOptions, choice: Choice, plugins: Plugins) -> None:
        """Add the options of the workload, and those of the question that it does not have."""
        super().add_plugin_options(options, choice, plugins)
        for flag, (help, metavar) in QUESTIONS.items():
            if flag not in options.flags:
                options.add_own(flag, help=help, metavar=metavar, common=True)

    def complete_word(self, incomplete: str, plugins: Plugins) -> list[str]:
        """Return the runs that begin like this; after `--` an option of the program."""
        return super().complete_word(incomplete, plugins) if self.is_after_dashes else complete_run_names(incomplete)

    def invoke(self, ctx: Any) -> Any:
        """Compare what was played before; submit a job for anything else."""
        _, *words = ctx.params.get("words") or []
        policies = [word for word in words if not word.startswith("-") and not is_job_file(word)]
        file = ctx.params.get("scores")
        needs_job = ctx.params.get("parameters.env") or self.choice.file
        if needs_job and not file:
            return super().invoke(ctx)
        self._check_options(ctx, words, policies)
        plan, than = self._read_plan(ctx.params), ctx.params.get("not_worse_than") or ""
        if file:
            compare_file(ctx, Path(file), policies, plan, than)
        else:
            compare_runs(ctx, policies, plan, than)

    def _read_plan(self, values: dict[str, Any]) -> ComparisonPlan:
        """Return what is asked. Raise Rejected for what cannot be asked."""
        from robotrain_runtime.comparison.decision import ComparisonPlan

        given, problems = dict[str, Any](), list[Problem]()
        for flag in QUESTIONS:
            text = values.get(self.options.flags.get(flag, "")) or ""
            try:
                given |= {flag.removeprefix("--").replace("-", "_"): float(text)} if text else {}
            except ValueError:
                problems.append(make_problem("value-invalid.share", where=flag, given=text))
        if values.get("not_worse_than") and "margin" not in given:
            problems.append(make_problem("value-missing.margin"))
        raise_if_any(problems)
        try:
            return ComparisonPlan(**given)
        except ValueError as error:
            raise Rejected([make_problem("value-invalid.comparison", error=str(error))]) from None

    def _check_options(self, ctx: Any, words: Sequence[str], policies: Sequence[str]) -> None:
        """Raise Rejected for options that have no effect without new episodes, and for unknown ones."""
        from robotrain.cli import usage
        from robotrain.cli.job_command import ORDER_KEY
        from robotrain.cli.unknown_words import find_unknown_words

        order = ctx.meta.get(ORDER_KEY, [])
        problems = [*usage.find_swallowed_flags(ctx.params, self.options)]
        problems += usage.find_repeated_options(order, self.options)
        if unknown := [word for word in words if word.startswith("-")]:
            problems += find_unknown_words(
                [self.choice.workload, *unknown], self.choice, self.options, get_plugins(ctx)
            )
        names = {name: flag for flag, name in reversed(self.options.flags.items())}
        extra = [names[name] for name in dict.fromkeys(order) if name in names and names[name] not in KNOWN]
        if extra:
            way = Suggestion("--env ENV", "plays new episodes") if policies else ""
            flags = " and ".join(extra)
            problems.append(
                make_problem("option-without-effect.comparison", way, suggest_leaving_out(*extra), where=flags)
            )
        raise_if_any(problems)


def find_comparing(plugins: Plugins) -> str:
    """Return the workload that compares policies: the first that takes references."""
    workloads = plugins.workloads().values()
    return next((one.name for one in workloads if REFERENCE in one.roles or one.evaluates), "")


def compare_file(ctx: typer.Context, file: Path, words: Sequence[str], plan: ComparisonPlan, than: str) -> None:
    """Compare the policies of a CSV file, or those of them that are named."""
    from robotrain_runtime.comparison.observations import Side

    from robotrain.comparison import table
    from robotrain.comparison.scores_file import read_scores

    try:
        content = file.read_bytes()
    except OSError as error:
        why = error.strerror or str(error)
        raise Rejected([make_problem("file-unsuitable.scores", given=str(file), why=why)]) from None
    episodes = read_scores(content, str(file))
    known = [*dict.fromkeys(one.policy for one in episodes)]
    named = [*dict.fromkeys([*words, *([than] if than else [])])]
    every = redact(", ".join(known))
    strange = [name for name in named if name not in known]
    raise_if_any([make_problem("value-unknown.policy", given=name, every=every) for name in strange])
    chosen = named if words else known
    conditions = [*dict.fromkeys(one.condition for one in episodes)]
    sides = [Side(name) for name in chosen]
    if len(chosen) == 1 and len(conditions) > 1:
        sides = [Side(chosen[0], condition or "as it is") for condition in conditions]
    if len(sides) < 2:
        raise Rejected([make_problem("value-missing.second-policy", given=chosen[0])])
    described = [
        table.ComparedSide(side=side, facts={**table.describe_side(episodes, side), "source": str(file)})
        for side in sides
    ]
    references = _find_references(plan, chosen, than)
    show_comparison(ctx, _compare(episodes, described, plan, references), None)


def compare_runs(ctx: typer.Context, words: Sequence[str], plan: ComparisonPlan, than: str) -> None:
    """Compare finished evaluations; of one run that compared policies, show what it found."""
    from robotrain.report import compared_evaluations

    texts, problems = [*words, *([than] if than else [])], list[Problem]()
    if not texts:
        ways = [
            ("robotrain compare RUN RUN", "finished evaluations"),
            ("--scores FILE.csv", "episodes of a real robot"),
        ]
        raise make_usage_error("`robotrain compare` needs policies", "It says which of them is better.", *ways)
    found: list[tuple[str, RunFacts]] = []
    for text in texts:
        with collect_problems(problems):
            found.append((text, _find_evaluation(ctx, text)))
    raise_if_any(problems)
    if len(found) == 1:
        evaluation = found[0][1].evaluation
        if evaluation is None or evaluation.comparison is None:
            raise Rejected([make_problem("value-missing.second-policy", given=texts[0])])
        return show_record(ctx, evaluation.comparison)
    if repeated := next((text for text, facts in found if _count_runs(found, facts) > 1), ""):
        raise Rejected([make_problem("word-repeated.evaluation", given=repeated)])
    evaluations = compared_evaluations.make_table([(_name_run(text, facts), facts) for text, facts in found])
    references = _find_references(plan, texts, than)
    show_comparison(ctx, _compare(evaluations.episodes, evaluations.sides, plan, references), evaluations.conditions)


def _find_evaluation(ctx: typer.Context, text: str) -> RunFacts:
    """Return the evaluation that a word means, of a training the newest one. Raise Rejected."""
    from robotrain.report import collect
    from robotrain.store import name_index, records

    plugins = get_plugins(ctx)
    try:
        run = find_run(text)
    except records.UnknownRun as unknown:
        if not any(character in text for character in "/:@") and not Path(text).exists():
            raise
        raise Rejected([make_problem("value-missing.env", given=text)]) from unknown
    facts = collect.collect_facts(run, plugins, print_message, complete=False)
    if facts.progress.evaluated is None and facts.record.makes == "checkpoints":
        evaluations = collect.find_evaluations(facts.record, facts.progress, facts.outputs, plugins)
        if not evaluations:
            raise Rejected([make_problem("value-missing.env", given=text)])
        name = name_index.find_unique_name(evaluations[0].run)
        print_message(f"{text}: its newest evaluation is {name}")
        facts = collect.collect_facts(evaluations[0].run, plugins, print_message, complete=False)
    if facts.evaluation and facts.evaluation.results is None:  # they are elsewhere
        facts = collect.collect_facts(facts.record.run, plugins, print_message)
    return facts


def _count_runs(found: Sequence[tuple[str, RunFacts]], facts: RunFacts) -> int:
    return sum(other.record.run == facts.record.run for _, other in found)


def _name_run(text: str, facts: RunFacts) -> str:
    """Return what to call a policy: as it was typed, unless that says only which run is the newest."""
    from robotrain.store import name_index

    return name_index.find_unique_name(facts.record.run) if text in name_index.NEWEST_NAMES else redact(text)


def _find_references(plan: ComparisonPlan, texts: Sequence[str], than: str) -> list[int] | None:
    """Return the places of the policies that the others are compared with; None for all pairs."""
    if plan.margin is None:
        return None
    return [texts.index(than)] if than else [*range(1, len(texts))]


def _compare(
    episodes: Sequence[Observation],
    sides: Sequence[ComparedSide],
    plan: ComparisonPlan,
    references: Sequence[int] | None,
) -> Comparison:
    """Return what the episodes say. Raise Rejected if they have nothing in common."""
    from robotrain.comparison import table

    measure = table.choose_measure([one for one in episodes if any(side.side.has(one) for side in sides)])
    if measure is None:
        raise Rejected([make_problem("not-comparable.mixed")])
    try:
        compared = table.compare_sides(episodes, sides, replace(plan, measure=measure), references)
    except ValueError as error:
        raise Rejected([make_problem("value-invalid.comparison", error=str(error))]) from None
    if apart := [one for one in compared.verdicts if not one.pairs]:
        first, second = redact(apart[0].first), redact(apart[0].second)
        raise Rejected([make_problem("not-comparable.no-pair", first=first, second=second)])
    return compared


def show_comparison(ctx: typer.Context, compared: Comparison, conditions: Mapping[str, Any] | None) -> None:
    """Print a comparison of episodes that were played before; raise typer.Exit if its gate is not passed."""
    from robotrain.comparison import table

    show_record(ctx, table.dump_comparison(compared, conditions))


def show_record(ctx: typer.Context, record: Mapping[str, Any]) -> None:
    """Print the content of a `comparison.json`; raise typer.Exit with 5 if its gate is not passed."""
    if ctx.params.get("json"):
        print_json(record)
    else:
        print_text("\n".join(format_record(record)))
    if (record.get("gate") or {"passed": True})["passed"] is not True:
        raise typer.Exit(Stage.RUN.exit_code)


def format_record(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield the conditions, the table of the policies, the sentence about each pair, and the notes."""
    if text := (record.get("conditions") or {}).get("text"):
        yield f"{text}\n"
    rows = [("policy", "n", "success")]
    rows += [(one.get("label") or one.get("name") or "", *_format_success(one)) for one in record["policies"]]
    yield f"{format_table(rows)}\n"
    yield from (f"{one['sentence']}" for one in record["verdicts"])
    yield from (f"  {note}" for note in record.get("notes") or ())


def _format_success(policy: Mapping[str, Any]) -> tuple[str, str]:
    """Return how many episodes count, and the success with its interval, or the mean score."""
    count, rate, score = (policy.get(name) for name in ("trials", "success_rate", "score"))
    ends = policy.get("success_interval")
    number = f"{count or policy.get('episodes') or 0:.0f}"
    if rate is None:
        return number, "" if score is None else f"score {score:.4g}"
    interval = f" ({ends[0] * 100:.0f}-{ends[1] * 100:.0f}%)" if ends else ""
    return number, f"{rate:.0%}{interval}"


app = make_job_command("compare", CompareCommand, HELP)
