"""Acts in recorded episodes and compares. Runs inside the run's environment."""

from collections.abc import Callable, Mapping, Sequence

from robotrain_workloads.lerobot_eval.loaded import Loaded
from robotrain_workloads.lerobot_eval.replay import waves
from robotrain_workloads.lerobot_eval.replay.asked import EpisodeReplayed, ReplayAsked
from robotrain_workloads.lerobot_eval.replay.reading import Recording


def replay(
    loaded: Loaded,
    recording: Recording,
    asked: ReplayAsked,
    told: Callable[[EpisodeReplayed], None],
    measured: Mapping[int, Sequence[float]],
) -> list[EpisodeReplayed]:
    """Every episode, in the order of their numbers; told hears of each as it ends. Raises SystemExit with a sentence.

    measured: what `latency.measure` found. Observations are the recorded ones, whatever the policy does: errors of one
    frame do not add up over the next.
    """
    found: list[EpisodeReplayed] = []
    for episodes in waves.waves(recording, asked):
        for one in waves.act(loaded, recording, episodes, asked.seed, measured):
            told(one)
            found.append(one)
    return sorted(found, key=lambda one: one.episode)


def open_recording(loaded: Loaded, asked: ReplayAsked) -> Recording:
    """What is replayed. Raises SystemExit with a sentence when it holds less than it says."""
    try:
        return Recording(loaded, asked)
    except Exception as error:
        if type(error).__name__ in ("OfflineModeIsEnabled", "RepositoryNotFoundError", "HFValidationError"):
            text = f"error: {asked.root} holds less than its meta/info.json says, or files are missing"
            raise SystemExit(text) from error
        raise
