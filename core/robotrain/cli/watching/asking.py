"""Many questions to several platforms at once; one that does not answer holds up nobody else."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import functools
import queue
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from robotrain import aside, limited
from robotrain.limited import Asked
from robotrain.problem import Problem, Rejected

WORKERS = 8


class Question(NamedTuple):
    """Something to ask a platform."""

    platform: str
    ask: Callable[[], Any]


class Unanswered(NamedTuple):
    """No answer, and why. gone: the platform no longer knows what it was asked about. problem: what it said."""

    why: str
    gone: bool = False
    problem: Problem | None = None


def answers(questions: Sequence[Question]) -> list[Any]:
    """What each answers, in order, or Unanswered. A platform that is silent as long as a plugin may be is given up:
    each has threads of its own, so that none waits for another. Raises Rejected.
    """
    found: list[Any] = [None] * len(questions)
    if questions:
        with aside.printing():
            asked = _Asked(questions, limited.seconds())
            try:
                for index, answer in asked.answers():
                    found[index] = answer
            finally:  # Ctrl-C among others
                asked.leave()
    return found


def why(error: BaseException) -> str:
    """What an exception says, in one line fit to be shown."""
    from robotrain.redaction import redact

    if isinstance(error, Rejected):
        return redact(str(error), longest=500)
    return redact(f"{type(error).__name__}: {error}".rstrip(": "), longest=500)


class _Asked:
    """The questions that are open, by platform, and who asks them."""

    def __init__(self, questions: Sequence[Question], limit: float) -> None:
        self._questions, self._limit = questions, limit
        self._inbox: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        self._open: dict[str, set[int]] = {}
        for index, question in enumerate(questions):
            self._open.setdefault(question.platform, set()).add(index)
        self._workers = [worker for indices in self._open.values() for worker in self._start(sorted(indices))]
        self._heard = dict.fromkeys(self._open, time.monotonic())

    def answers(self) -> Iterable[tuple[int, Any]]:
        """Each as it comes, beside the number of its question."""
        while self._open:
            due = min(self._heard[platform] for platform in self._open) + self._limit
            try:
                index, answer = self._inbox.get(timeout=max(0.0, due - time.monotonic()))
            except queue.Empty:
                yield from self._given_up()
                continue
            platform = self._questions[index].platform
            if platform in self._open:  # else it was given up a moment ago
                self._heard[platform] = time.monotonic()
                self._open[platform].discard(index)
                if not self._open[platform]:
                    del self._open[platform]
                yield index, answer

    def leave(self) -> None:
        """Wait for nobody any more."""
        for worker in self._workers:
            worker.leave()

    def _given_up(self) -> Iterable[tuple[int, Any]]:
        now = time.monotonic()
        for platform in [one for one in self._open if now >= self._heard[one] + self._limit]:
            for index in self._open.pop(platform):
                yield index, Unanswered(f"{platform} did not answer within {self._limit:g} s")

    def _start(self, indices: list[int]) -> list[Asked[None]]:
        todo: queue.SimpleQueue[int] = queue.SimpleQueue()
        for index in indices:
            todo.put(index)
        workers = [Asked(functools.partial(self._work, todo)) for _ in range(min(WORKERS, len(indices)))]
        for worker in workers:
            worker.start()
        return workers

    def _work(self, todo: queue.SimpleQueue[int]) -> None:
        while True:
            try:
                index = todo.get_nowait()
            except queue.Empty:
                return
            self._inbox.put((index, _answer(self._questions[index])))


def _answer(question: Question) -> Any:
    from robotrain.run import RunGone

    try:
        return question.ask()
    except RunGone as error:
        return Unanswered(why(error), gone=True)
    except Rejected as rejected:
        return Unanswered(why(rejected), problem=rejected.problems[0])
    except BaseException as error:  # a plugin may raise what it likes: the others are shown all the same
        return Unanswered(why(error))
