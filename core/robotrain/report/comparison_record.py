"""The content of a `comparison.json` as texts, for the command and for pages."""

import functools
from collections.abc import Mapping
from typing import Any

from robotrain_runtime.comparison.decision import ComparisonPlan

from robotrain.comparison import table
from robotrain.model import scores
from robotrain.report import collect
from robotrain.report.curves import capitalize

UNDECIDED = "not decided"
"""How a sentence begins that names no policy first."""
SUCCESS_HEAD = "success (95% interval)"


def list_policies(record: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return the table of the policies, the head first: how many episodes count, and the success with its interval."""
    labels = _list_labels(record)
    has_rates = any(policy.get("success_rate") is not None for policy in record["policies"])
    return [
        ("policy", "episodes", SUCCESS_HEAD if has_rates else "score"),
        *((label, *_format_success(policy)) for label, policy in zip(labels, record["policies"], strict=True)),
    ]


def list_sentences(record: Mapping[str, Any]) -> list[str]:
    """Return the sentence about each pair, with the names of the table."""
    label_pairs = sorted(zip(_list_names(record), _list_labels(record), strict=True), key=lambda pair: -len(pair[0]))
    return [
        functools.reduce(lambda sentence, pair: sentence.replace(*pair), label_pairs, str(verdict["sentence"]))
        for verdict in record["verdicts"]
    ]


def format_verdict(sentence: str) -> str:
    """Return the sentence about a pair as one of a page: what begins with the name of a policy keeps its letters."""
    return f"{capitalize(sentence) if sentence.startswith(UNDECIDED) else sentence}."


def explain_numbers(confidence: float, margin: float | None) -> str:
    """Return what the interval and the p-value of a verdict mean, for whoever reads them on a page."""
    policies = "equal policies" if margin is None else "policies, the first worse by just the margin,"
    return (
        f"The interval is where the true difference is, with a confidence of {100 * confidence:.3g}%. The p-value is"
        f" how often two {policies} would come out as clearly as this: up to {1 - confidence:.2g} it is decided."
    )


def list_notes(record: Mapping[str, Any]) -> list[str]:
    """Return what limits the answers, and how many more episodes may decide what a job left open."""
    notes = [*map(str, record.get("notes") or ())]
    verdicts = record["verdicts"]
    undecided_verdicts = [verdict for verdict in verdicts if verdict["verdict"] == "not decided"]
    if record.get("ended") != "given" and any(not verdict.get("withheld") for verdict in undecided_verdicts):
        field_names = ("confidence", "detect", "equal_within", "margin", "measure")
        plan = ComparisonPlan(**{name: record[name] for name in field_names})
        pair_count = min(verdict["pairs"] for verdict in verdicts)
        discordance = max(verdict["discordance"] for verdict in undecided_verdicts)
        notes += table.list_needs(pair_count, discordance, plan, len(verdicts))
    return notes


def _list_names(record: Mapping[str, Any]) -> list[str]:
    return [str(policy.get("label") or policy.get("name") or "") for policy in record["policies"]]


def _list_labels(record: Mapping[str, Any]) -> list[str]:
    """Return the names of policies, those that are addresses of checkpoints of runs as RUN@STEP."""
    policy_names = _list_names(record)
    short_names = [collect.name_checkpoint(name) or name for name in policy_names]
    return short_names if len({*short_names}) == len(short_names) else policy_names


def _format_success(policy: Mapping[str, Any]) -> tuple[str, str]:
    """Return how many episodes count, and the success with its interval, or the mean score."""
    count, rate, score = (policy.get(name) for name in ("trials", "success_rate", "score"))
    ends = policy.get("success_interval")
    number = f"{count or policy.get('episodes') or 0:.0f}"
    if rate is None:
        return number, "" if score is None else f"{score:.4g}"
    interval = f" ({scores.format_share_bounds(*ends)})" if ends else ""
    return number, f"{rate:.0%}{interval}"
