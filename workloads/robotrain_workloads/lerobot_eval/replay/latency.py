"""How long the policy takes for one observation alone, as a robot would ask it."""

import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from statistics import fmean

from robotrain_workloads.lerobot_eval.loaded import Loaded
from robotrain_workloads.lerobot_eval.replay.network import Network
from robotrain_workloads.lerobot_eval.replay.reading import Recording

WARM_UP = 5
MOST_FRAMES = 1000
MOST_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Milliseconds from an observation to its action. frames: for how many of them the network ran; mean, p50, p95,
    p99 and max are of those alone. action: the mean over all `actions`.

    A policy that plans several actions at once runs its network for the first of them and hands out the others: they
    come at once, and say nothing of how long a robot waits for a plan.
    """

    frames: int
    mean: float
    p50: float
    p95: float
    p99: float
    max: float
    actions: int
    action: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """seconds: of each action, by episode. computed: those of the actions for which the network ran."""

    seconds: dict[int, list[float]] = field(default_factory=dict)
    computed: list[float] = field(default_factory=list)


def measure(loaded: Loaded, recording: Recording, episodes: Sequence[int]) -> Measured:
    """Frames of the first episodes, for as long as there is time: the first one in any case."""
    print("measuring how quickly the policy answers", flush=True)
    begun = time.perf_counter()
    _warm_up(loaded, recording, episodes[0], begun + MOST_SECONDS / 2)
    found = Measured()
    left, until = MOST_FRAMES, begun + MOST_SECONDS
    for episode in episodes:
        with closing(_acted(loaded, recording, episode)) as acted:
            for taken, computed in islice(acted, left):
                found.seconds.setdefault(episode, []).append(taken)
                if computed:
                    found.computed.append(taken)
                if time.perf_counter() > until:
                    return found
        left -= len(found.seconds.get(episode, ()))
    return found


def _warm_up(loaded: Loaded, recording: Recording, episode: int, until: float) -> None:
    """The first calls take longer than those that follow."""
    with closing(_acted(loaded, recording, episode)) as acted:
        for _ in islice(acted, WARM_UP):
            if time.perf_counter() > until:
                return


def _acted(loaded: Loaded, recording: Recording, episode: int) -> Generator[tuple[float, bool]]:
    """Seconds of each action, and whether the network ran. Nothing is decoded meanwhile."""
    loaded.policy.reset()
    network = Network()
    for moment in recording.moments([episode], ahead=0):
        network.watch()
        begun = time.perf_counter()
        loaded.act(moment.seen)
        taken = time.perf_counter() - begun
        network.leave()
        yield taken, network.ran


def of(measured: Measured) -> Latency:
    """Over all frames that were measured."""
    every = [1000 * one for seconds in measured.seconds.values() for one in seconds]
    ordered = sorted(1000 * one for one in measured.computed) or sorted(every)
    return Latency(
        frames=len(ordered),
        mean=fmean(ordered),
        p50=_percentile(ordered, 50),
        p95=_percentile(ordered, 95),
        p99=_percentile(ordered, 99),
        max=ordered[-1],
        actions=len(every),
        action=fmean(every),
    )


def _percentile(ordered: Sequence[float], percent: int) -> float:
    """The smallest that at least so many per cent do not exceed."""
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
