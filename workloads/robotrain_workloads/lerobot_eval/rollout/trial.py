"""One action before the episodes: whether the policy can read what it is shown, and whether it draws at random.

The environment is made where those of the episodes are: a process that has once drawn with OpenGL cannot hand it on.
"""

import contextlib
import importlib
import random
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from robotrain_runtime.emit import emit
from robotrain_runtime.event import Note

from robotrain_workloads.lerobot_eval.loaded import Loaded
from robotrain_workloads.lerobot_eval.rollout import sizes
from robotrain_workloads.lerobot_eval.rollout.acting import Actor, Seen
from robotrain_workloads.lerobot_eval.rollout.apart import Apart, serving
from robotrain_workloads.lerobot_eval.rollout.asked import RolloutAsked
from robotrain_workloads.lerobot_eval.rollout.crew import Crew
from robotrain_workloads.lerobot_eval.rollout.environment import Environment
from robotrain_workloads.lerobot_eval.rollout.stage import Here, Stage


@dataclass(frozen=True, slots=True)
class Tried:
    """The environment that the policy can act in. draws: whether its actions take random numbers."""

    environment: Environment
    draws: bool


def hold(loaded: Loaded, environment: Environment, asked: RolloutAsked) -> Tried:
    """Try the policy on what LeRobot draws, then on the size that it reads. Raises SystemExit with a sentence."""
    actor, seen = Actor(loaded, environment), _shown(environment, asked)
    shown, read = sizes.shown(actor.batch(seen)), sizes.read(loaded)
    another = shown and read and shown != read and not environment.drawn
    try:
        draws = _draws(actor, seen, loaded.device, asked.seed)
    except Exception as error:
        if not another:
            traceback.print_exc()
            why = " ".join(str(error).split())
            raise SystemExit(f"error: the policy cannot act on what --env {asked.env} shows: {why}") from error
        emit(Note(level="info", text=sizes.as_read(shown, read)))
        return hold(loaded, replace(environment, drawn=sizes.keywords(read)), asked)
    if another:
        emit(Note(level="info", text=sizes.as_lerobot_draws(shown, read)))
    return Tried(environment, draws)


def _shown(environment: Environment, asked: RolloutAsked) -> list[Seen]:
    with _stage(environment, replace(asked, video_folder=None)) as stage:
        return stage.begin([0])


@contextlib.contextmanager
def _stage(environment: Environment, asked: RolloutAsked) -> Iterator[Stage]:
    if not asked.workers:
        yield Here(environment, asked)
        return
    with Crew(serving(Here(environment, asked)), 1) as crew:
        yield Apart(crew)


def _draws(actor: Actor, seen: list[Seen], device: str, seed: int) -> bool:
    """Whether the random numbers that follow an action are others than those that follow the seed."""
    importlib.import_module("lerobot.utils.random_utils").set_seed(seed)
    expected = _following(device)
    actor.begin(seed)
    actor.act(seen)
    return _following(device) != expected


def _following(device: str) -> tuple[float, ...]:
    torch: Any = importlib.import_module("torch")
    numpy: Any = importlib.import_module("numpy")
    drawn = (torch.rand(1, device=on).item() for on in ("cpu", device))
    return (random.random(), float(numpy.random.random()), *drawn)
