"""The recorded runs, newest first, each with its state: their platforms are asked at once, broken records shown too."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args

from robotrain import ended, progress, scores, store
from robotrain.cli.watching.asking import Question, Unanswered, answers, why
from robotrain.problem import Problem, Rejected, Stage
from robotrain.run import State, Status

if TYPE_CHECKING:
    from robotrain.run import RunRecord

NEWEST = 50
LOOKED_THROUGH = 500
"""How many runs are asked for their state to find those that are in one; `all` asks every one."""
TAIL = 200
"""The last lines of a log, in which the newest step and loss are looked for."""
STATES = (*get_args(State), "sending", "interrupted", "gone", "broken", "unknown")
"""Those of a run, and: its submit is at it, or was cut off; its platform knows it no more; its record cannot be read;
its platform does not say.
"""
CUT_OFF = "its submit was cut off; `robotrain status {}` asks whether it runs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which runs. number: how many at most, None for all."""

    number: int | None = NEWEST
    state: str = ""
    platform: str = ""


@dataclass(slots=True, kw_only=True)
class Listed:
    """A run in the listing. step, total, unit, loss, scores, conditions: as far as the end of its log tells.

    silent: its platform did not say how it is; what was seen of its end before counts.
    """

    run: str
    state: str
    reason: str = ""
    record: RunRecord | None = None
    status: Status | None = None
    silent: Unanswered | None = None
    step: int | None = None
    total: int | None = None
    unit: str = "step"
    loss: float | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    conditions: str = ""


def listed(wanted: Wanted, plugins: Any) -> tuple[list[Listed], bool]:
    """The runs that are wanted, newest first, and whether there may be more of them."""
    names = store.newest()
    found: list[Listed] = []
    looked = 0
    while wanted.number is None or len(found) < wanted.number:
        size = wanted.number or LOOKED_THROUGH
        batch = list(itertools.islice(_opened(names, wanted.platform), size))
        if not batch:
            break
        looked += len(batch)
        _ask_states(batch, plugins)
        found += [one for one in batch if wanted.state in ("", one.state)]
        if wanted.number is not None and looked >= max(LOOKED_THROUGH, wanted.number):
            break
    found = found[: wanted.number]
    _ask_progress(found, plugins)
    return found, wanted.number is not None and next(names, None) is not None


def silence(found: Sequence[Listed]) -> Iterator[Problem]:
    """Why platforms did not say how runs are: each reason once."""
    alike: dict[tuple[str, str], list[Listed]] = {}
    for one in found:
        if one.silent and one.record:
            said = one.silent.problem
            alike.setdefault((one.record.platform, (said and said.why) or one.silent.why), []).append(one)
    for (platform, reason), runs in alike.items():
        told = runs[0].silent and runs[0].silent.problem
        how = f"how {runs[0].run} is" if len(runs) == 1 else f"how {len(runs)} runs are"
        yield Problem(
            code="platform-silent",
            stage=Stage.SUBMIT,
            severity="warning",
            title=f"{platform} does not say {how}",
            why=f"{reason.rstrip('.')}.",
            instead=told.instead if told else (),
        )


def unfinished(plugins: Any) -> tuple[list[Listed], list[Listed]]:
    """Of the newest runs, those that wait or run, and those that nobody can say it of."""
    batch = list(itertools.islice(_opened(store.newest(), ""), LOOKED_THROUGH))
    _ask_states(batch, plugins)
    return [one for one in batch if one.state in ("pending", "running")], [
        one for one in batch if one.state == "unknown"
    ]


def _opened(names: Iterator[str], platform: str) -> Iterator[Listed]:
    """The records, each read when it is asked for."""
    for name in names:
        try:
            record = store.read(name)
        except store.UnknownRun:  # given back a moment ago
            continue
        except Rejected as rejected:
            if not platform:
                yield Listed(run=name, state="broken", reason=_mend(rejected))
            continue
        if platform in ("", record.platform):
            yield _as_recorded(record)


def _as_recorded(record: RunRecord) -> Listed:
    if record.phase != "sending":
        return Listed(run=record.run, state="unknown", record=record)
    if store.being_sent(record.run):
        return Listed(run=record.run, state="sending", record=record)
    return Listed(run=record.run, state="interrupted", reason=CUT_OFF.format(record.run), record=record)


def _mend(rejected: Rejected) -> str:
    """Why a record is broken, and what to type."""
    (problem, *_) = rejected.problems
    ways = "".join(f"; {way.text}" for way in problem.instead[:1])
    return f"{problem.why.rstrip('.') or problem.title}{ways}"


def _ask_states(batch: Sequence[Listed], plugins: Any) -> None:
    asked = [one for one in batch if one.state == "unknown"]
    for one, answer in zip(asked, answers(_questions(asked, plugins, "status")), strict=True):
        if isinstance(answer, Status):
            one.status, one.state, one.reason = answer, answer.state, answer.reason
            ended.seen(one.run, answer)
        elif isinstance(answer, Unanswered) and answer.gone:
            one.state, one.reason = "gone", answer.why
        elif isinstance(answer, Unanswered):
            one.reason, one.silent = answer.why, answer
            if status := ended.known(one.run):
                one.status, one.state, one.reason = status, status.state, status.reason
        else:
            one.reason = f"{one.record.platform if one.record else ''} answered with no status"


def _ask_progress(found: Sequence[Listed], plugins: Any) -> None:
    """The newest step and loss of those that answered; a platform that tells no log leaves them out."""
    asked = [one for one in found if one.status and not one.silent and one.state != "pending"]
    for one, answer in zip(asked, answers(_questions(asked, plugins, "progress")), strict=True):
        if isinstance(answer, progress.Progress):
            one.step, one.total = answer.step, answer.total
            one.unit = answer.unit
            if answer.evaluated:
                one.scores, one.conditions = answer.evaluated.scores, scores.conditions(answer.evaluated)
            elif answer.main and answer.main.kind == "score" and answer.curve:
                one.scores = {answer.main.name: answer.curve[-1][1]}
            one.loss = answer.losses[-1][1] if answer.losses else None


def _questions(asked: Sequence[Listed], plugins: Any, what: str) -> list[Question]:
    return [_question(one.record, plugins, what) for one in asked if one.record]


def _question(record: RunRecord, plugins: Any, what: str) -> Question:
    try:
        platform = plugins.platform(record.platform)
    except Rejected as rejected:
        failure = Unanswered(why(rejected))
        return Question(record.platform, lambda: failure)
    if what == "status":
        return Question(record.platform, lambda: platform.status(record.reference))
    return Question(record.platform, lambda: _newest(record, platform))


def _newest(record: RunRecord, platform: Any) -> progress.Progress:
    """What the end of its log tells."""
    return progress.newest(platform.logs(record.reference, follow=False, tail=TAIL), record.metrics)
