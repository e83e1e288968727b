"""Which runs may be removed, and why the others stay. Pure.

A run stays if it is not known to have ended, or if a remaining run was started from it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from robotrain.model.run import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneCandidate:
    """A run that may be old enough to remove."""

    run: str
    created: float
    status: Status | None = None
    """None if the platform does not answer; `reason` says why."""
    reason: str = ""
    gone: bool = False
    """Whether the platform no longer knows it."""
    interrupted: bool = False
    """Whether its submit was interrupted."""
    outputs: tuple[str, ...] = ()
    """The addresses of its outputs."""

    @property
    def end_time(self) -> float:
        """Seconds since the epoch; the time of the submit if the end is unknown."""
        return (self.status.ended if self.status else None) or self.created


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunePlan:
    """The runs to remove, and why the other old runs stay."""

    removed: tuple[PruneCandidate, ...]
    kept_reasons: Mapping[str, str]


def select_old_runs(
    runs: Sequence[str], created: Mapping[str, float], *, cutoff_time: float | None, keep: int
) -> list[str]:
    """Return those of `runs`, newest first, beyond the newest `keep` and submitted before a time."""
    return [run for run in runs[keep:] if cutoff_time is None or created.get(run, 0.0) < cutoff_time]


def plan_pruning(
    candidates: Iterable[PruneCandidate], started_from: Mapping[str, Sequence[str]], *, cutoff_time: float | None
) -> PrunePlan:
    """Return which candidates to remove.

    :param started_from: the addresses of the sources of every recorded run.
    :param cutoff_time: remove only runs that ended before this time.
    """
    kept_reasons: dict[str, str] = {}
    removed_candidates: dict[str, PruneCandidate] = {}
    for candidate in candidates:
        if reason := _explain_unfinished(candidate):
            kept_reasons[candidate.run] = reason
        elif cutoff_time is None or candidate.gone or candidate.end_time < cutoff_time:
            removed_candidates[candidate.run] = candidate
    while user_by_run := dict(
        _find_needed_runs(removed_candidates, started_from)
    ):  # each run that stays may need another one
        for run, user in user_by_run.items():
            del removed_candidates[run]
            kept_reasons[run] = f"{user} was started from it"
    return PrunePlan(removed=tuple(removed_candidates.values()), kept_reasons=kept_reasons)


def _explain_unfinished(candidate: PruneCandidate) -> str:
    """Return why a run cannot be removed; empty if it has ended."""
    if candidate.gone:
        return ""
    if candidate.status is None:
        return candidate.reason or "its status is unknown"
    return "" if candidate.status.finished else f"it is {candidate.status.state}"


def _find_needed_runs(
    removed_candidates: Mapping[str, PruneCandidate], started_from: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, str]]:
    """Yield runs to remove that a remaining run was started from, each with that run."""
    sources = [(run, uri) for run, uris in started_from.items() if run not in removed_candidates for uri in uris]
    for candidate in removed_candidates.values():
        users = (run for run, uri in sources if any(_overlaps(uri, output) for output in candidate.outputs))
        if user := next(users, None):
            yield candidate.run, user


def _overlaps(uri: str, output: str) -> bool:
    """Return whether two addresses are equal, or one is below the other."""
    uri = uri.rstrip("/")
    output = output.rstrip("/")
    return uri == output or uri.startswith(f"{output}/") or output.startswith(f"{uri}/")
