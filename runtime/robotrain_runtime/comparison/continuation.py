"""Earlier comparisons of the same policies under equal conditions, which a later one goes on from.

Whoever begins anew until a comparison ends well finds a winner of equal policies too often: bench/compare.py measures
it. So a later comparison is no new chance. Its bet goes on with the capital that all pairs before it left, and it plays
starts that none of them had.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from robotrain_runtime.comparison.observations import Pair

KEY = "continuation"
"""What `dump_continuation` returns is called among the facts that a run sends."""


class PairCounts(NamedTuple):
    """How the pairs of two policies ended; no bet on successes needs to know more of them."""

    wins: int = 0
    """The first succeeded alone."""
    losses: int = 0
    both: int = 0
    neither: int = 0

    @property
    def total(self) -> int:
        """How many pairs there are."""
        return sum(self)

    @property
    def differences(self) -> dict[float, int]:
        """How many pairs have each difference."""
        return {1.0: self.wins, -1.0: self.losses, 0.0: self.both + self.neither}

    def list_values(self, side: int) -> list[float]:
        """Return the successes of the first (0) or the second (1) policy."""
        succeeded = (self.wins, self.losses)[side] + self.both
        return [1.0] * succeeded + [0.0] * (self.total - succeeded)

    def swap(self) -> "PairCounts":
        """Return the counts for the second policy."""
        return PairCounts(self.losses, self.wins, self.both, self.neither)


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierComparison:
    """What a comparison in rounds played."""

    run: str
    """Empty for the one that runs now."""
    policies: Sequence[str]
    """Their digests, that of the evaluated policy first."""
    counts: Sequence[PairCounts]
    """Of the evaluated policy with each other one."""
    seed: int
    skip: int
    """How many starts of the seed it left out."""
    episodes: int
    """Of each task."""
    starts: Sequence[str] = ()
    """The names of those that were listed or recorded; none of starts that have a seed."""

    @property
    def seeds(self) -> range:
        """The seeds of its starts."""
        first_seed = self.seed + self.skip
        return range(first_seed, first_seed + self.episodes)

    def count_pairs(self, first: str, second: str) -> PairCounts:
        """Return how the pairs of two policies ended, by their digests; none if it did not compare them."""
        evaluated, *other_digests = self.policies
        for digest, counts in zip(other_digests, self.counts, strict=True):
            if (evaluated, digest) == (first, second):
                return counts
            if (evaluated, digest) == (second, first):
                return counts.swap()
        return PairCounts()


def count_pairs(pairs: Sequence[Pair]) -> PairCounts:
    """Return how pairs with known successes ended."""
    outcomes = [(bool(pair.first.success), bool(pair.second.success)) for pair in pairs]
    return PairCounts(
        *(outcomes.count(outcome) for outcome in ((True, False), (False, True), (True, True), (False,) * 2))
    )


def sum_counts(earlier_comparisons: Iterable[EarlierComparison], first: str, second: str) -> PairCounts:
    """Return how all earlier pairs of two policies ended."""
    counts = [comparison.count_pairs(first, second) for comparison in earlier_comparisons]
    return PairCounts(*(sum(column) for column in zip(*counts, strict=True)))


def select_continued(
    earlier_comparisons: Iterable[EarlierComparison], policies: Sequence[str]
) -> list[EarlierComparison]:
    """Return the comparisons, the oldest first, that have a pair of the policies, each start once.

    Of two that played the same starts, which tell the same twice, the older one counts.
    """
    selected_comparisons = list[EarlierComparison]()
    evaluated, *other_digests = policies
    for comparison in earlier_comparisons:
        has_pair = any(comparison.count_pairs(evaluated, other).total for other in other_digests)
        if has_pair and not any(_share_starts(comparison, other) for other in selected_comparisons):
            selected_comparisons.append(comparison)
    return selected_comparisons


def _share_starts(first: EarlierComparison, second: EarlierComparison) -> bool:
    if first.starts or second.starts:
        return not {*first.starts}.isdisjoint(second.starts)
    return first.seeds.start < second.seeds.stop and second.seeds.start < first.seeds.stop


def choose_skip(earlier_comparisons: Sequence[EarlierComparison], seed: int, skip: int, episodes: int) -> int:
    """Return how many starts of a seed to leave out, at least `skip`, so that so many after them are new."""
    if any(
        comparison.starts for comparison in earlier_comparisons
    ):  # their numbers follow each other, whatever the seed is
        return max(skip, *(comparison.skip + comparison.episodes for comparison in earlier_comparisons))
    first_seed = seed + skip
    for seeds in sorted((comparison.seeds for comparison in earlier_comparisons), key=lambda seeds: seeds.start):
        if seeds.start < first_seed + episodes and first_seed < seeds.stop:
            first_seed = seeds.stop
    return first_seed - seed


def dump_continuation(
    conditions: str, own_comparison: EarlierComparison, earlier_comparisons: Sequence[EarlierComparison]
) -> str:
    """Return what a later comparison goes on from, as JSON.

    :param conditions: a digest of what the outcome of an episode depends on.
    """
    return json.dumps(
        {
            "conditions": conditions,
            "comparisons": [asdict(comparison) for comparison in (*earlier_comparisons, own_comparison)],
        }
    )


def load_continuations(runs: Mapping[str, Mapping[str, Any]], conditions: str) -> list[EarlierComparison]:
    """Return the comparisons of runs that had these conditions, and those that they went on from.

    :param runs: by name, the oldest first, the facts that they sent (`Evaluated.compared`).
    """
    comparisons: dict[str, EarlierComparison] = {}
    for run, facts in runs.items():
        try:
            continuation = json.loads(str(facts.get(KEY) or "{}"))
            if continuation.get("conditions") == conditions:
                for row in continuation["comparisons"]:
                    comparison = _load_comparison({**row, "run": row["run"] or run})
                    comparisons.setdefault(comparison.run, comparison)
        except (ValueError, TypeError, LookupError, AttributeError):  # of another version, or damaged
            continue
    return [*comparisons.values()]


def find_unrelated(runs: Mapping[str, Mapping[str, Any]], run: str) -> list[str]:
    """Return the runs that compared the same policies under equal conditions as a run, and neither went on from the
    other.

    :param runs: as for `load_continuations`.
    """
    try:
        conditions = str(json.loads(str(runs[run][KEY]))["conditions"])
    except (ValueError, TypeError, LookupError):
        return []
    comparisons_by_run = {name: load_continuations({name: facts}, conditions) for name, facts in runs.items()}
    own_comparison = next((comparison for comparison in comparisons_by_run[run] if comparison.run == run), None)
    if own_comparison is None:
        return []
    continued_runs = [{comparison.run for comparison in comparisons_by_run[name]} for name in runs]
    return [
        name
        for name, run_names in zip(runs, continued_runs, strict=True)
        if run not in run_names
        and name not in {comparison.run for comparison in comparisons_by_run[run]}
        and any(
            comparison.run == name and select_continued([comparison], own_comparison.policies)
            for comparison in comparisons_by_run[name]
        )
    ]


def dump_comparisons(comparisons: Iterable[EarlierComparison]) -> str:
    """Return comparisons as JSON."""
    return json.dumps([asdict(comparison) for comparison in comparisons])


def load_comparisons(comparisons_text: str | None) -> list[EarlierComparison]:
    """Return what `dump_comparisons` wrote. Raise ValueError for anything else."""
    try:
        return [_load_comparison(row) for row in json.loads(comparisons_text or "[]")]
    except (TypeError, LookupError, AttributeError) as error:
        raise ValueError(f"they are no earlier comparisons: {error}") from None


def _load_comparison(row: Mapping[str, Any]) -> EarlierComparison:
    comparison = EarlierComparison(
        **{**row, "counts": [PairCounts(*(int(count) for count in counts)) for counts in row["counts"]]}
    )
    if len(comparison.counts) != len(comparison.policies) - 1:
        raise ValueError("the number of policies is not that of their pairs")
    return comparison
