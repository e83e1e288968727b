"""The episodes of a policy in its environment, each reported with its return and whether it succeeded."""

import importlib
import time
from collections.abc import Callable, Iterator
from typing import Any

SUCCESS_NAMES = ("success", "is_success", "task_success")
"""Names of the signal: a term of the termination manager, or a value of each environment in `extras`."""
RATE_NAME, TOLERANCE = "Metrics/success_rate", 1e-3
"""What Isaac Lab 3.0's tasks log instead: the success rate of the episodes that ended in a step."""


class Episodes:
    """The running episodes. Of each environment the first few count: else most would be short ones."""

    def __init__(self, torch: Any, number: int, wanted: int, device: Any) -> None:
        self._torch, self._number = torch, number
        self._left = [wanted // number + (index < wanted % number) for index in range(number)]
        self._rounds = [0] * number
        self._began = [time.monotonic()] * number
        self._sums, self._steps, self._last = (torch.zeros(number, device=device) for _ in range(3))
        self._greatest = torch.full((number,), -float("inf"), device=device)
        self._successes = torch.zeros(number, dtype=torch.bool, device=device)

    @property
    def remaining(self) -> int:
        """The number of episodes that have not ended yet."""
        return sum(self._left)

    def add_step(self, rewards: Any, ended: Any, success: Any) -> Iterator[dict[str, Any]]:
        """Add a step; yield the episodes that it ended. `success`: whether each succeeded; None for no signal."""
        self._sums += rewards
        self._steps += 1
        self._last = rewards
        self._greatest = self._torch.maximum(self._greatest, rewards)
        if success is not None:
            self._successes |= success
        for index in ended.nonzero().flatten().tolist():
            if self._left[index]:
                self._left[index] -= 1
                yield {
                    "index": self._rounds[index] * self._number + index,
                    "steps": int(self._steps[index]),
                    "sum_reward": float(self._sums[index]),
                    "max_reward": float(self._greatest[index]),
                    "final_reward": float(self._last[index]),
                    "success": bool(self._successes[index]) if success is not None else None,
                    "seconds": time.monotonic() - self._began[index],
                }
            self._rounds[index] += 1
            self._began[index] = time.monotonic()
        going_on = ~ended
        self._sums *= going_on
        self._steps *= going_on
        self._successes &= going_on
        self._greatest[ended] = -float("inf")


def play_episodes(policy: Any, options: Any, append_report: Callable[..., None]) -> None:
    """Play as many episodes as `options` say, and report each."""
    torch, env = importlib.import_module("torch"), policy.env
    number = policy.number
    episode_limit = getattr(env.unwrapped, "max_episode_length", None)
    with torch.inference_mode():
        observations = policy.begin()
        episodes = Episodes(torch, number, options.episodes, env.device)
        append_report("began", device=str(env.device), num_envs=number, limit=episode_limit)
        steps = 0
        most_steps = (options.episodes // number + 2) * int(episode_limit) if episode_limit else None
        while episodes.remaining or steps < options.video_length:
            observations, rewards, has_ended, extras = policy.step(policy.act(observations))
            steps += 1
            success = find_success(env.unwrapped, extras, has_ended)
            for episode in episodes.add_step(rewards, has_ended, success):
                append_report("episode", **episode)
            if most_steps is not None and steps > most_steps:
                raise TimeoutError(f"episodes do not end within {episode_limit} steps")


def find_success(env: Any, extras: Any, has_ended: Any) -> Any:
    """Return whether each environment has just succeeded, as it says itself; None if it does not say."""
    number = len(has_ended)
    manager = getattr(env, "termination_manager", None)
    for name in SUCCESS_NAMES:
        if manager is not None and name in manager.active_terms:
            return manager.get_term(name).reshape(number).bool()
        for mapping in (extras, extras.get("log") if isinstance(extras, dict) else None):
            success = mapping.get(name) if isinstance(mapping, dict) else None
            if success is not None and tuple(getattr(success, "shape", ()))[:1] == (number,):
                return success.reshape(number).bool()
    log = extras.get("log") if isinstance(extras, dict) else None
    rate = log.get(RATE_NAME) if isinstance(log, dict) else None
    return None if rate is None else share_out(float(rate), has_ended, extras.get("time_outs"))


def share_out(rate: float, has_ended: Any, timed_out: Any) -> Any:
    """Return which of the episodes that ended in a step succeeded, given their success rate; None if it does not tell.

    It tells if all or none did, or as many as ended because their time was over: those survived.
    """
    number = int(has_ended.sum())
    count = round(rate * number)
    if not number:
        return has_ended
    if abs(rate * number - count) > TOLERANCE:
        return None  # no rate of episodes, but a share of goals
    if count in (0, number):
        return has_ended if count else ~has_ended & has_ended
    has_survived = None if timed_out is None else timed_out.reshape(has_ended.shape).bool() & has_ended
    return has_survived if has_survived is not None and int(has_survived.sum()) == count else None
