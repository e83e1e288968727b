"""The evaluations that were made from here, as tables of equal conditions."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from robotrain_runtime.contract.event import Evaluated

from robotrain.model import scores
from robotrain.model.workload_profile import Metric

HEAD = ("policy", "type", "date", "run", "chosen")
SHORT_DIGEST = 12
DATE_FORMAT = "%Y-%m-%d"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredPolicy:
    """The evaluation of a policy. The fields are the keys of JSON."""

    conditions: str
    """Those of its headline score; empty if they are not known."""
    policy: str
    """The run that trained it, or its address."""
    policy_type: str
    metric: str
    value: float
    episodes: int | None
    """How many trials count; None if that is not known."""
    successes: int | None
    low: float | None
    high: float | None
    """The 95 % interval."""
    unit: str
    date: str
    run: str
    name: str
    """What people call the run."""
    selection: str
    """How its checkpoint, or the number of episodes, was chosen by scores; empty if neither was."""
    digest: str
    """Of the policy, which a copy of it has too; empty if it is not known."""


def make_row(
    run: str, name: str, created: float, policy: tuple[str, str], evaluated: Evaluated, declared: Sequence[Metric]
) -> ScoredPolicy | None:
    """Return the row of an evaluation; None if it has no headline score.

    :param policy: its name and its type.
    """
    metrics = scores.add_described_metrics(declared, evaluated)
    if (headline := scores.find_headline_score(evaluated.scores, metrics)) is None:
        return None
    metric, headline_score = headline
    success_counts = scores.count_successes(evaluated, metric) if metric.share else None
    conditions, selection = scores.split_selection(scores.format_conditions(evaluated))
    bound = scores.get_share if metric.share else scores.get_number
    return ScoredPolicy(
        conditions=conditions,
        policy=policy[0],
        policy_type=policy[1],
        metric=metric.brief or metric.title,
        value=headline_score,
        episodes=success_counts[1] if success_counts else None,
        successes=success_counts[0] if success_counts else None,
        low=bound(evaluated.scores, metric.low),
        high=bound(evaluated.scores, metric.high),
        unit="share" if metric.share else metric.unit,
        date=format_date(created),
        run=run,
        name=name,
        selection=selection,
        digest=evaluated.digest,
    )


def format_date(created: float) -> str:
    """Return the day of a time."""
    return datetime.fromtimestamp(created).strftime(DATE_FORMAT)


def group_rows(rows: Iterable[ScoredPolicy]) -> list[list[ScoredPolicy]]:
    """Return the rows in groups of equal conditions and one metric, in the order of their first rows.

    Those of unknown conditions are groups of one row each: nobody knows whether they can be compared.
    """
    rows_by_key: dict[tuple[str, ...], list[ScoredPolicy]] = {}
    for row in rows:
        key = (row.conditions, row.metric, "" if row.conditions else row.run)
        rows_by_key.setdefault(key, []).append(row)
    return [*rows_by_key.values()]


def format_conditions(group: Sequence[ScoredPolicy]) -> str:
    """Return the conditions of a group."""
    return group[0].conditions or "unknown conditions"


def list_table(group: Sequence[ScoredPolicy]) -> list[tuple[str, ...]]:
    """Return the rows of a group as texts, the head first, without columns in which nothing stands."""
    first_title, *other_titles = HEAD
    head = (first_title, other_titles[0], "n", group[0].metric, *other_titles[1:])
    rows = [
        (
            row.policy,
            row.policy_type,
            "" if row.episodes is None else str(row.episodes),
            _format_value(row),
            row.date,
            row.name or row.run,
            row.selection,
        )
        for row in group
    ]
    columns = [column for column in range(len(head)) if any(row[column] for row in rows)]
    return [tuple(row[column] for column in columns) for row in (head, *rows)]


def list_repeated(row_groups: Iterable[Sequence[ScoredPolicy]]) -> Iterator[str]:
    """Yield a sentence for each policy, or copies of it, that was evaluated several times under equal conditions."""
    for group in row_groups:
        by_policy: dict[str, list[ScoredPolicy]] = {}
        for row in group:
            if (row.digest or row.policy) and row.conditions and not row.selection:
                by_policy.setdefault(row.digest or row.policy, []).append(row)
        for rows in by_policy.values():
            if len(rows) > 1:
                policy_names = list(dict.fromkeys(row.policy for row in rows if row.policy))
                policy = " and ".join(policy_names) or f"the policy sha256:{rows[0].digest[:SHORT_DIGEST]}"
                value_texts = ", ".join(f"{_format_value(row)} in {row.name or row.run}" for row in rows)
                verb = "are one policy, which was" if len(policy_names) > 1 else "was"
                yield (
                    f"{policy} {verb} evaluated {len(rows)} times under equal conditions: {value_texts}; report "
                    "all of them"
                )


def dump_groups(row_groups: Sequence[Sequence[ScoredPolicy]]) -> dict[str, Any]:
    """Return the groups as data; the keys are an API."""
    return {
        "groups": [
            {
                "conditions": group[0].conditions,
                "metric": group[0].metric,
                "evaluations": [asdict(row) for row in group],
            }
            for group in row_groups
        ]
    }


def _format_value(row: ScoredPolicy) -> str:
    if row.unit != "share":
        value_text = f"{scores.format_number(row.value)} {row.unit}".rstrip()
        bounds = "" if row.low is None or row.high is None else f"{row.low:.3g} to {row.high:.3g}"
        return f"{value_text} ({bounds})" if bounds else value_text
    interval = scores.format_share_bounds(row.low, row.high)
    return f"{row.value:.0%}{f' ({interval})' if interval else ''}"
