"""What a comparison says: its sentences, and the object of `comparison.json`, whose keys are an API."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

from robotrain_runtime.comparison.continuation import EarlierComparison
from robotrain_runtime.comparison.decision import CONFIDENCE, ComparisonPlan, PairVerdict, PlannedPairs, Withheld

SCHEMA = 1
POLICY_KEYS = (
    *("role", "label", "name", "condition", "source", "pin", "type", "step", "sha256", "run", "date", "conditions"),
    *("episodes", "trials", "successes", "success_rate", "success_interval", "score"),
    *("latency_ms", "peak_memory_mib", "results", "trainings"),
)
CONDITION_KEYS = (
    *("text", "env", "tasks", "starts", "success_reward", "env_steps", "batch", "seed", "first_seed", "episodes"),
    *("options", "renames", "lerobot", "lock", "packages", "device"),
)
Ending = Literal["decided", "at_most", "starts", "floor", "given"]
"""Why there were no more episodes. `starts`: no fresh start is left. `floor`: no start tells the policies apart.
`given`: they had been played before.
"""


LEAST_P_VALUE = 0.001
"""A smaller p-value is not told from this one."""
WITHHELD: Mapping[Withheld, str] = {
    "order": "a verdict is withheld, because all pairs together deny what a part of them showed",
    "missing": "a verdict is withheld, because it depends on the starts that only one of them has",
    "floor": "these conditions do not tell, because a policy never succeeds (--allow-floor accepts that)",
    "ceiling": "these conditions do not tell, because both always succeed (--allow-floor accepts that)",
}


def make_comparison_record(
    plan: ComparisonPlan,
    planned: PlannedPairs,
    policies: Sequence[Mapping[str, Any]],
    verdicts: Sequence[PairVerdict],
    sides: Sequence[tuple[int, int]],
    *,
    conditions: Mapping[str, Any] | None,
    ending: Ending,
    rounds: Sequence[int] = (),
    notes: Sequence[str] = (),
    paired: bool = True,
    earlier_comparisons: Sequence[EarlierComparison] = (),
) -> dict[str, Any]:
    """Return the object of `comparison.json`; what is not known is None.

    :param policies: what is known of each, by POLICY_KEYS.
    :param sides: of each verdict, which of the policies it is about.
    :param conditions: those of all policies, by CONDITION_KEYS; None if they differ.
    :param earlier_comparisons: the comparisons that it goes on from.
    """
    if earlier_comparisons:
        notes = [*notes, _describe_continued(earlier_comparisons, verdicts)]
    sentences = [describe_verdict(verdict, plan) for verdict in verdicts]
    title = "; ".join(sentences)
    return {
        "schema": SCHEMA,
        "title": title,
        "ended": ending,
        "measure": plan.measure,
        "paired": paired,
        **{name: getattr(plan, name) for name in ("confidence", "detect", "equal_within", "margin", "allow_floor")},
        "at_most": planned.at_most if plan.at_most is None else plan.at_most,
        "fixed": planned.fixed,
        "rounds": [*rounds],
        "continues": [comparison.run for comparison in earlier_comparisons],
        "conditions": conditions and {name: conditions.get(name) for name in CONDITION_KEYS},
        "policies": [{name: policy.get(name) for name in POLICY_KEYS} for policy in policies],
        "verdicts": [
            {**asdict(verdict), "first": first, "second": second, "sentence": sentence}
            for verdict, (first, second), sentence in zip(verdicts, sides, sentences, strict=True)
        ],
        "gate": make_gate(plan, [verdict.verdict for verdict in verdicts], title),
        "notes": [*notes],
    }


def _describe_continued(earlier_comparisons: Sequence[EarlierComparison], verdicts: Sequence[PairVerdict]) -> str:
    counts = " and ".join(dict.fromkeys(f"{verdict.earlier} of {verdict.pairs}" for verdict in verdicts))
    runs = name_runs(earlier_comparisons)
    return f"goes on from {runs}, which compared the same policies: {counts} pairs were played there, and count as well"


def name_runs(comparisons: Sequence[EarlierComparison]) -> str:
    """Return the names of runs for a sentence."""
    return " and ".join(comparison.run for comparison in comparisons)


def make_gate(plan: ComparisonPlan, verdicts: Sequence[str], title: str) -> dict[str, Any] | None:
    """Return whether the first is shown to be not worse than all others; None if that is not asked."""
    if plan.margin is None:
        return None
    return {"margin": plan.margin, "passed": {*verdicts} <= {"not worse"}, "sentence": title}


def summarize(made: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer of a `comparison.json` in short: what whoever asks for the run is told first.

    `winner` is the name of the policy to go on with: the first if it is better than all others, or not worse by the
    margin that was asked for, or else the one that is most surely better; empty if there is none. `wins`: the first is
    it. Of several pairs of policies the numbers are those of the last pair that decides.
    """
    verdicts = made["verdicts"]
    wanted_verdict = "not worse" if made["margin"] is not None else "better"
    lost = [verdict for verdict in verdicts if verdict["verdict"] == "worse"]
    wins = all(verdict["verdict"] == wanted_verdict for verdict in verdicts)
    decisive = max(lost, key=lambda verdict: verdict["e_value"]) if lost else verdicts[-1]
    position = decisive["first"] if wins else decisive["second"]
    return {
        "answer": made["title"],
        "references": ", ".join(str(policy["name"]) for policy in made["policies"][1:]),
        "margin": made["margin"],
        "winner": str(made["policies"][position]["name"] or "") if wins or lost else "",
        "wins": wins,
        **{name: decisive[name] for name in ("pairs", "difference", "low", "high")},
    }


def describe_verdict(verdict: PairVerdict, plan: ComparisonPlan) -> str:
    """Return e.g. `A is better than B by 20 points (95% interval 4 to 36), 40 pairs, p = 0.018`."""
    first = verdict.first
    second = verdict.second
    pairs_text = f"{verdict.pairs} pair{'s' * (verdict.pairs != 1)}"
    pairs_text += f" ({verdict.earlier} of them earlier)" if verdict.earlier else ""
    evidence = f"{format_p_value(verdict.p_value)}{format_confidence(plan)}"
    if verdict.verdict in ("better", "worse") and plan.margin is None:
        sign = 1 if verdict.verdict == "better" else -1
        better, worse = (first, second)[::sign]
        lead = "" if verdict.difference is None else f" by {_format_difference(verdict, sign, plan)}"
        counts = (
            f", {max(verdict.wins, verdict.losses)} to {min(verdict.wins, verdict.losses)}"
            if verdict.difference is None
            else ""
        )
        return f"{better} is better than {worse}{lead}{counts}, {pairs_text}, {evidence}"
    answer = describe_answer(verdict.verdict, first, second, plan, f" after {pairs_text}")
    if verdict.difference is not None:
        outcome = f"the difference is {_format_difference(verdict, 1, plan)}"
    else:
        outcome = f"{first} did better in {verdict.wins} pairs, {second} in {verdict.losses}"
    parts = [outcome, *([pairs_text] if pairs_text not in answer else [])]
    parts += [evidence] if verdict.verdict != "equal" else []  # it is about a difference
    sentence = f"{answer}: {', '.join(parts)}"
    return f"{sentence}; {WITHHELD[verdict.withheld]}" if verdict.withheld else sentence


def describe_answer(verdict: str, first: str, second: str, plan: ComparisonPlan, after_note: str = "") -> str:
    """Return the answer to the question of a plan, without numbers of the difference."""
    size = format_size(plan.equal_within if plan.margin is None else plan.margin, plan)
    answers = {
        "not worse": f"{first} is not worse than {second} by more than {size}",
        "worse": f"{first} is worse than {second} by more than {size}",
        "equal": f"{first} and {second} are equal within {size}",
    }
    goal = "not worse" if plan.margin is not None else "equal" if plan.equal_within is not None else ""
    question = answers.get(goal, f"{first} or {second} is better")
    return answers.get(verdict, f"not decided{after_note} whether {question}")


def format_confidence(plan: ComparisonPlan) -> str:
    """Return how sure an answer is, as the end of a sentence, if that is not what everybody assumes."""
    return "" if plan.confidence == CONFIDENCE else f", at a confidence of {100 * plan.confidence:.3g}%"


def format_p_value(p_value: float) -> str:
    """Return a p-value with as many digits as it has a meaning: `p = 0.018`, `p < 0.001`."""
    return f"p < {LEAST_P_VALUE}" if p_value < LEAST_P_VALUE else f"p = {p_value:.2g}"


def format_interval(low: float, high: float, plan: ComparisonPlan) -> str:
    """Return the interval of a difference, with its confidence: `95% interval 4 to 36`."""
    return f"{100 * plan.confidence:.3g}% interval {format_number(low, plan)} to {format_number(high, plan)}"


def _format_difference(verdict: PairVerdict, sign: int, plan: ComparisonPlan) -> str:
    difference, *ends = (sign * (number or 0) for number in (verdict.difference, verdict.low, verdict.high))
    low, high = sorted(ends)
    if not low <= difference <= high:
        return format_size(difference, plan)
    return f"{format_size(difference, plan)} ({format_interval(low, high, plan)})"


def format_size(value: float | None, plan: ComparisonPlan) -> str:
    """Return a difference in points, or as a number where scores are compared."""
    number_text = format_number(value or 0, plan)
    return number_text if plan.measure == "score" else f"{number_text} point{'s' * (number_text not in ('1', '-1'))}"


def format_number(value: float, plan: ComparisonPlan) -> str:
    """Return a difference without its unit."""
    size = value if plan.measure == "score" else 100 * value
    number_text = f"{size:.2f}" if plan.measure == "score" else f"{size:.1f}" if 0 < abs(size) < 2 else f"{size:.0f}"
    number_text = number_text.rstrip("0").rstrip(".") if "." in number_text else number_text
    return "0" if number_text == "-0" else number_text
