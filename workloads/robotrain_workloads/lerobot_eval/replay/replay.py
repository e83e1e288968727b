"""Acts in recorded episodes, compares actions with the recorded ones, and measures latency.

Policies keep their plans each in a way of its own; but none computes without a module of PyTorch.
"""

import importlib
import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from statistics import fmean
from typing import Any

from robotrain_workloads.lerobot_eval.inputs import loaded_policy
from robotrain_workloads.lerobot_eval.inputs.loaded_policy import LoadedPolicy
from robotrain_workloads.lerobot_eval.replay.recording import Recording
from robotrain_workloads.lerobot_eval.results.evaluation import LatencySummary, ReplayEpisode, ReplayRequest


def replay_episodes(
    loaded: LoadedPolicy,
    recording: Recording,
    request: ReplayRequest,
    on_episode: Callable[[ReplayEpisode], None],
    measured: Mapping[int, Sequence[float]],
) -> list[ReplayEpisode]:
    """Every episode, in the order of their numbers; told hears of each as it ends. Raises SystemExit with a sentence.

    measured: what `latency.measure` found. Observations are the recorded ones, whatever the policy does: errors of one
    frame do not add up over the next.
    """
    found: list[ReplayEpisode] = []
    for episodes in group_into_waves(recording, request):
        for one in replay_wave(loaded, recording, episodes, request.seed, measured):
            on_episode(one)
            found.append(one)
    return sorted(found, key=lambda one: one.episode)


def open_recording(loaded: LoadedPolicy, request: ReplayRequest) -> Recording:
    """What is replayed. Raises SystemExit with a sentence when it holds less than it says."""
    try:
        return Recording(loaded, request)
    except Exception as error:
        if type(error).__name__ in ("OfflineModeIsEnabled", "RepositoryNotFoundError", "HFValidationError"):
            text = f"error: {request.root} holds less than its meta/info.json says, or files are missing"
            raise SystemExit(text) from error
        raise


def group_into_waves(recording: Recording, request: ReplayRequest) -> list[list[int]]:
    """The episodes by how long they are: a wave lasts as long as its longest one."""
    ordered = sorted(request.episodes, key=recording.count_frames)
    return [ordered[start : start + request.batch] for start in range(0, len(ordered), request.batch)]


def replay_wave(
    loaded: LoadedPolicy,
    recording: Recording,
    episodes: Sequence[int],
    seed: int,
    measured: Mapping[int, Sequence[float]],
) -> Iterator[ReplayEpisode]:
    """Each as it comes to its end. The same seed draws the same. measured: as `latency.measure` has it."""
    importlib.import_module("lerobot.utils.random_utils").set_seed(seed)
    loaded.policy.reset()
    steps = [recording.count_frames(episode) for episode in episodes]
    predicted, recorded = [], []
    for number, moment in enumerate(recording.read_frames(episodes), start=1):
        predicted.append(_require_action_size(loaded.act(moment.observation), moment.action))
        recorded.append(moment.action)
        for at, (episode, count) in enumerate(zip(episodes, steps, strict=True)):
            if number <= count:
                _require_finite(predicted[-1][at], recorded[-1][at], f"episode {episode}, frame {number - 1}")
            if count == number:
                rows = ([row[at] for row in predicted], [row[at] for row in recorded])
                taken = (*measured.get(episode, ()), *[math.nan] * count)[:count]
                yield measure_errors(episode, recording.names, *rows, taken)


def _require_finite(predicted: Any, recorded: Any, place: str) -> None:
    loaded_policy.require_finite_action(recorded, "the recorded action", place, "the dataset may be damaged")
    loaded_policy.require_finite_action(predicted, "the policy's action", place)


def _require_action_size(action: Any, done: Any) -> Any:
    if action.shape[-1] == done.shape[-1]:
        return action
    raise SystemExit(
        f"error: the policy's actions have {action.shape[-1]} numbers, and those of the dataset {done.shape[-1]}:"
        " it was trained for something else"
    )


def measure_errors(
    episode: int, names: Sequence[str], predicted: Sequence[Any], recorded: Sequence[Any], seconds: Sequence[float]
) -> ReplayEpisode:
    """Of one episode. predicted, recorded: an action for each frame. seconds: as in what is told."""
    torch: Any = importlib.import_module("torch")
    made, done = torch.stack(list(predicted)).numpy(), torch.stack(list(recorded)).float().numpy()
    off = made.astype("float64") - done
    square, absolute = off**2, abs(off)
    return ReplayEpisode(
        episode=episode,
        steps=len(made),
        mse=float(square.mean()),
        mae=float(absolute.mean()),
        max_error=float(absolute.max()),
        each_mse=_map_by_name(names, square.mean(axis=0)),
        each_mae=_map_by_name(names, absolute.mean(axis=0)),
        each_max=_map_by_name(names, absolute.max(axis=0)),
        predicted=made,
        recorded=done,
        seconds=seconds,
    )


def _map_by_name(names: Sequence[str], values: Any) -> dict[str, float]:
    return dict(zip(names, map(float, values), strict=True))


WARM_UP = 5
MOST_FRAMES = 1000
MOST_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencySamples:
    """seconds: of each action, by episode. computed: those of the actions for which the network ran."""

    seconds: dict[int, list[float]] = field(default_factory=dict)
    computed: list[float] = field(default_factory=list)


def measure_latency(loaded: LoadedPolicy, recording: Recording, episodes: Sequence[int]) -> LatencySamples:
    """Frames of the first episodes, for as long as there is time: the first one in any case."""
    print("measuring how quickly the policy answers", flush=True)
    begun = time.perf_counter()
    _warm_up(loaded, recording, episodes[0], begun + MOST_SECONDS / 2)
    found = LatencySamples()
    left, until = MOST_FRAMES, begun + MOST_SECONDS
    for episode in episodes:
        with closing(_time_actions(loaded, recording, episode)) as acted:
            for taken, computed in islice(acted, left):
                found.seconds.setdefault(episode, []).append(taken)
                if computed:
                    found.computed.append(taken)
                if time.perf_counter() > until:
                    return found
        left -= len(found.seconds.get(episode, ()))
    return found


def _warm_up(loaded: LoadedPolicy, recording: Recording, episode: int, until: float) -> None:
    """The first calls take longer than those that follow."""
    with closing(_time_actions(loaded, recording, episode)) as acted:
        for _ in islice(acted, WARM_UP):
            if time.perf_counter() > until:
                return


def _time_actions(loaded: LoadedPolicy, recording: Recording, episode: int) -> Generator[tuple[float, bool]]:
    """Seconds of each action, and whether the network ran. Nothing is decoded meanwhile."""
    loaded.policy.reset()
    network = NetworkProbe()
    for moment in recording.read_frames([episode], ahead=0):
        network.watch()
        begun = time.perf_counter()
        loaded.act(moment.observation)
        taken = time.perf_counter() - begun
        network.leave()
        yield taken, network.ran


def summarize_latency(measured: LatencySamples) -> LatencySummary:
    """Over all frames that were measured."""
    every = [1000 * one for seconds in measured.seconds.values() for one in seconds]
    ordered = sorted(1000 * one for one in measured.computed) or sorted(every)
    return LatencySummary(
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


class NetworkProbe:
    """ran: whether any module ran since it was watched last. It is asked once, so that it costs the rest nothing."""

    def __init__(self) -> None:
        self.ran = False
        self._hooks: Any = importlib.import_module("torch.nn.modules.module")
        self._hook: Any = None

    def watch(self) -> None:
        """From now on."""
        self.leave()
        self.ran = False
        self._hook = self._hooks.register_module_forward_pre_hook(self._mark_run)

    def leave(self) -> None:
        """Nothing is watched any more."""
        if self._hook is not None:
            self._hook.remove()
            self._hook = None

    def _mark_run(self, module: object, inputs: object) -> None:
        self.ran = True
        self.leave()
