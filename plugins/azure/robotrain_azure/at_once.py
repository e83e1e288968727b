"""Looks at the world, side by side: each waits for somebody else most of the time."""

import threading
from collections.abc import Callable, Iterable, Sequence

from robotrain.problem import Problem, Rejected

Look = Callable[[], Iterable[Problem]]


class _Looking:
    """One look, in a thread that holds up nobody's end: the commands it waits for end with us."""

    def __init__(self, look: Look) -> None:
        self.found: list[Problem] = []
        self.error: BaseException | None = None
        self._look = look
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            for problem in self._look():
                self.found.append(problem)
        except Rejected as rejected:
            self.found += rejected.problems
        except BaseException as error:
            self.error = error


def found(looks: Sequence[Look]) -> list[Problem]:
    """What all of them find, in their order, each once: what is down stops several. Raises what one raised."""
    looking = [_Looking(look) for look in looks]
    for one in looking:
        one.thread.join()
    for one in looking:
        if one.error is not None:
            raise one.error
    return [
        *{(problem.code, problem.title, problem.given): problem for one in looking for problem in one.found}.values()
    ]
