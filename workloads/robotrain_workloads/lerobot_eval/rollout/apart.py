"""A stage in other processes, for a policy that stays in this one because it is on a GPU."""

from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any

from robotrain_workloads.lerobot_eval.rollout.acting import Seen
from robotrain_workloads.lerobot_eval.rollout.crew import Crew, Work
from robotrain_workloads.lerobot_eval.rollout.stage import Here, Moved

BEGIN, STEP = "begin", "step"


class Apart:
    """The environments, dealt out among the processes of a crew that `serving` made."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew

    def begin(self, episodes: Sequence[int]) -> list[Seen]:
        """See `Stage`."""
        dealt = [episodes[number :: self._crew.count] for number in range(self._crew.count)]
        answers = self._ask(BEGIN, {number: hand for number, hand in enumerate(dealt) if hand})
        return [answers[place % self._crew.count][place // self._crew.count] for place in range(len(episodes))]

    def step(self, actions: Mapping[int, Any]) -> dict[int, Moved]:
        """See `Stage`."""
        count, dealt = self._crew.count, dict[int, dict[int, Any]]()
        for place, action in actions.items():
            dealt.setdefault(place % count, {})[place // count] = action
        answers = self._ask(STEP, dealt)
        return {place: answers[place % count][place // count] for place in actions}

    def _ask(self, what: str, dealt: Mapping[int, Any]) -> dict[int, Any]:
        """All at once, then hear all."""
        for number, hand in dealt.items():
            self._crew.send(number, (what, hand))
        return {number: self._crew.receive(number) for number in dealt}


def serving(stage: Here) -> Work:
    """What a process of the crew does."""

    def serve(_number: int, pipe: Connection) -> None:
        while True:
            try:
                what, hand = pipe.recv()
            except EOFError:
                return
            pipe.send(stage.begin(hand) if what == BEGIN else stage.step(hand))

    return serve
