"""`robotrain compare`: which of several policies is better, by finished evaluations, a file of episodes, or a job."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from robotrain.cli.arguments import CHECKER, CHECKER_HELP, complete_run_names, find_run, make_usage_error
from robotrain.cli.command_factory import get_plugins
from robotrain.cli.job_command import JobCommand, make_job_command
from robotrain.cli.options import ComposedOptions
from robotrain.cli.output import format_table, print_json, print_message, print_message_line, print_text
from robotrain.config.selection import Choice, is_job_file
from robotrain.config.values import Origin, SourceText
from robotrain.errors import Problem, Rejected, Stage, Suggestion, collect_problems, raise_if_any, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.plugins.manager import Plugins
from robotrain.redaction import redact

if TYPE_CHECKING:
    from robotrain_runtime.comparison.decision import ComparisonPlan
    from robotrain_runtime.comparison.observations import Observation

    from robotrain.comparison.table import ComparedSide
    from robotrain.config.request import Request
    from robotrain.model.platform import Platform
    from robotrain.model.run import RunRecord
    from robotrain.model.source import SourceKind
    from robotrain.model.workload import Workload
    from robotrain.report.collect import RunFacts
    from robotrain.report.compared_evaluations import EvaluationTable
    from robotrain.submission.prepare import PreparedJob

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
LOCAL_KIND = "local_path"
NOT_WORSE_THAN, MARGIN, SCORES = "--not-worse-than", "--margin", "--scores"
QUESTIONS = ("--confidence", "--detect", "--equal-within", MARGIN)
"""The parameters of the workload that ask something of episodes that were played before, too."""
SHOWN = (*QUESTIONS, "--at-most")
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
    policies: Sequence[str] = ()
    """Those among the words, the one that is asked about first."""
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
        """Add the options of the workload; help shows those of the question."""
        super().add_plugin_options(options, choice, plugins)
        asked = {options.flags[flag] for flag in SHOWN if flag in options.flags}
        options.options = [one._replace(common=True) if one.name in asked else one for one in options.options]

    def complete_word(self, incomplete: str, plugins: Plugins) -> list[str]:
        """Return the runs that begin like this; after `--` an option of the program."""
        return super().complete_word(incomplete, plugins) if self.is_after_dashes else complete_run_names(incomplete)

    def invoke(self, ctx: Any) -> Any:
        """Compare what was played before; submit a job for anything else."""
        _, *words = ctx.params.get("words") or []
        policies = [word for word in words if not word.startswith("-") and not is_job_file(word)]
        file, than = ctx.params.get("scores"), ctx.params.get("not_worse_than") or ""
        if not file and (ctx.params.get("parameters.env") or self.choice.file):
            return super().invoke(ctx)
        self._check_options(ctx, words, policies)
        plan = self._read_plan(ctx.params)
        if file:
            compare_file(ctx, Path(file), policies, plan, than)
        else:
            compare_runs(ctx, policies, plan, than)

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
        request, found = super().make_request(ctx, choice, values, workload, platform, problems)
        than, margin = values.get("not_worse_than") or "", values.get(self.options.flags[MARGIN])
        texts, kinds = [*self.policies, *([than] if than else [])], get_plugins(ctx).source_kinds()
        mistakes, sources = [*_find_mistakes(self.policies, than, margin)], list[SourceText]()
        for number, text in enumerate(texts):
            with collect_problems(mistakes):
                sources.append(_make_source(REFERENCE if number else POLICY, text, kinds))
        if mistakes:  # what follows of a job without its policies would be wrong too
            raise Rejected([*problems, *found, *mistakes])
        line = request.line._replace(sources=(*request.line.sources, *sources))
        return replace(request, line=line), found

    def execute(self, ctx: typer.Context, choice: Choice, values: dict[str, Any]) -> None:
        """Submit the job of the policies; what is left of the words is that of any job."""
        words = values.get("words") or []
        self.policies = [word for word in words[1:] if not word.startswith("-") and not is_job_file(word)]
        super().execute(ctx, choice, {**values, "words": [word for word in words if word not in self.policies]})

    def run_prepared(self, ctx: typer.Context, prepared: PreparedJob, values: dict[str, Any]) -> None:
        """Submit the job, follow it to its end, and print what it found."""
        from robotrain.cli.commands.submit import submit_job

        submit_job(ctx, prepared, values, None if values.get("skip_wait") else finish_comparison)

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


def _find_mistakes(policies: Sequence[str], than: str, margin: Any) -> Iterator[Problem]:
    """Yield what is wrong with the policies of a job."""
    if than and not margin:
        yield make_problem("value-missing.margin")
    if than and len(policies) > 1:
        yield make_problem("options-conflict.one-candidate", count=len(policies))
    elif len(policies) + bool(than) < 2:
        yield make_problem("value-missing.second-policy", given=redact(next(iter(policies), than or "none")))
    for text in (*policies, than):
        if "," in text:
            yield make_problem("not-comparable.trainings-played", given=text)


def _make_source(role: str, text: str, kinds: Mapping[str, SourceKind]) -> SourceText:
    """Return a policy as a source of the job, of whatever kind its text is. Raise Rejected if no run is meant."""
    from robotrain.store import name_index

    possible = tuple(name for name, kind in kinds.items() if role in kind.roles)
    run, at, step = text.partition("@")
    if Path(text).expanduser().is_dir():
        possible = (LOCAL_KIND,)
    elif not re.search("[/:]", text) and run not in name_index.NEWEST_NAMES:
        text = f"{find_run(run)}{at}{step}"
    return SourceText(role, possible, text, Origin("argument", redact(text)), Path.cwd())


def finish_comparison(
    ctx: typer.Context, record: RunRecord, platform: Platform, options: dict[str, Any], is_new: bool
) -> None:
    """Follow a job to its end, and print what it found; raise typer.Exit if it failed, or its gate is not passed."""
    from robotrain.cli.commands import watch
    from robotrain.cli.watch.follower import RunFollower
    from robotrain.cli.watch.renderer import LiveLineRenderer, LogRenderer

    plugins = get_plugins(ctx)
    renderer = LogRenderer(print_message_line) if options.get("stream") else LiveLineRenderer()
    follower = RunFollower([(record, platform)], renderer, plugins, just_sent=is_new)
    watch.follow(follower, renderer, "wait", follower.wait_until_over)
    (followed,) = follower.runs
    found = None if followed.failure else _collect_with_results(record.run, plugins).evaluation
    if found is None or found.comparison is None:
        return watch.print_end(followed, bool(options.get("json")), with_tail=not options.get("stream"))
    print_message(f"robotrain report {record.run}   shows it on a page")
    show_record(ctx, found.comparison)


def find_comparing(plugins: Plugins) -> str:
    """Return the workload that compares policies: the first that takes references."""
    return next((one.name for one in plugins.workloads().values() if REFERENCE in one.roles), "")


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
    show_record(ctx, _compare(episodes, described, plan, references))


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
    groups = [text.split(",") for text in texts]
    for text in itertools.chain(*groups):
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
    episodes, sides = evaluations.episodes, evaluations.sides
    if len(found) > len(groups):
        episodes, sides = _group_trainings(evaluations, groups, list(itertools.chain(*groups)))
    show_record(ctx, _compare(episodes, sides, plan, references, evaluations.conditions))


def _group_trainings(
    evaluations: EvaluationTable, groups: Sequence[Sequence[str]], texts: Sequence[str]
) -> tuple[list[Observation], list[ComparedSide]]:
    """Return the episodes and the sides with one side for each group of evaluations, which are its trainings."""
    from robotrain_runtime.comparison.observations import Side

    from robotrain.comparison import table

    if evaluations.conditions is None:
        raise Rejected([make_problem("not-comparable.trainings-conditions")])
    names = _name_groups(groups)
    owners = [name for name, group in zip(names, groups, strict=True) for _ in group]
    by_policy = {
        side.side.policy: (owner, text) for side, owner, text in zip(evaluations.sides, owners, texts, strict=True)
    }
    episodes = [
        replace(one, policy=by_policy[one.policy][0], training=by_policy[one.policy][1]) for one in evaluations.episodes
    ]
    sides = [table.ComparedSide(side=Side(name), facts=table.describe_side(episodes, Side(name))) for name in names]
    return episodes, sides


def _name_groups(groups: Sequence[Sequence[str]]) -> list[str]:
    """Return what to call the trainings of each group: what their names have in common, or the first and the last."""
    shared = [_find_beginning(group) if len(group) > 1 else group[0] for group in groups]
    return [
        redact(name if len(name) > 1 and shared.count(name) == 1 else f"{group[0]}…{group[-1]}")
        for name, group in zip(shared, groups, strict=True)
    ]


def _find_beginning(texts: Sequence[str]) -> str:
    """Return the letters with which all texts begin."""
    letters = itertools.takewhile(lambda found: len({*found}) == 1, zip(*texts, strict=False))
    return "".join(found[0] for found in letters).rstrip("-_.@ ")


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
        return _collect_with_results(evaluations[0].run, plugins)
    return _collect_with_results(run, plugins)


def _collect_with_results(run: str, plugins: Plugins) -> RunFacts:
    """Return the facts of an evaluation, whose results are downloaded if they are not on this machine."""
    from robotrain.report import collect

    facts = collect.collect_facts(run, plugins, print_message, complete=False)
    if facts.evaluation and facts.evaluation.results is None:
        facts = collect.collect_facts(run, plugins, print_message)
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
    conditions: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return what the episodes say, as `comparison.json` has it. Raise Rejected if they have nothing in common."""
    from robotrain.comparison import table, training_table

    measure = table.choose_measure([one for one in episodes if any(side.side.has(one) for side in sides)])
    if measure is None:
        raise Rejected([make_problem("not-comparable.mixed")])
    try:
        asked = replace(plan, measure=measure)
        if training_table.has_trainings(episodes):
            return training_table.dump_trainings(episodes, sides, asked, references, conditions)
        compared = table.compare_sides(episodes, sides, asked, references)
    except ValueError as error:
        raise Rejected([make_problem("value-invalid.comparison", error=str(error))]) from None
    if apart := [one for one in compared.verdicts if not one.pairs]:
        first, second = redact(apart[0].first), redact(apart[0].second)
        raise Rejected([make_problem("not-comparable.no-pair", first=first, second=second)])
    return table.dump_comparison(compared, conditions)


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
    names = [one.get("label") or one.get("name") or "" for one in record["policies"]]
    labels = _shorten_names(names)
    rows = [("policy", "n", "success")]
    rows += [(label, *_format_success(one)) for label, one in zip(labels, record["policies"], strict=True)]
    yield f"{format_table(rows)}\n"
    shorter = sorted(zip(names, labels, strict=True), key=lambda pair: -len(pair[0]))
    for one in record["verdicts"]:
        yield functools.reduce(lambda sentence, pair: sentence.replace(*pair), shorter, one["sentence"])
    yield from (f"  {note}" for note in (*(record.get("notes") or ()), *_list_needs(record)))


def _list_needs(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield how many more episodes may decide what a job left open; notes about given episodes say it already."""
    from robotrain_runtime.comparison.decision import ComparisonPlan

    from robotrain.comparison import table

    verdicts = record["verdicts"]
    if record.get("ended") != "given" and any(one["verdict"] == "not decided" for one in verdicts):
        names = ("confidence", "detect", "equal_within", "margin", "measure")
        plan = ComparisonPlan(**{name: record[name] for name in names})
        yield from table.list_needs(min(one["pairs"] for one in verdicts), plan, len(verdicts))


def _shorten_names(names: Sequence[str]) -> list[str]:
    """Return the names of policies, those that are addresses of checkpoints of runs as RUN@STEP."""
    from robotrain.report import collect

    found = [collect.name_checkpoint(name) or name for name in names]
    return found if len({*found}) == len(found) else [*names]


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
