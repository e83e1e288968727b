"""What a rollout is asked for, and what is told of each of its episodes. Standard library only."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutAsked:
    """env: `pusht` or `aloha`. episodes: how many; episode i has the seed `seed + i`.

    steps: that an episode has at most; None for the environment's own. starts: where episodes start, as `starts.read`
    takes it; None for the environment's own. success_reward: an episode succeeds when its greatest reward reaches it;
    None to believe the environment. batch: the episodes that a policy acts in at once. workers: processes that step
    environments; None for the cores, 0 for none. video_folder: where films go; None for no films. env_options: what
    was given after `--`, as `--env.NAME=VALUE`.
    """

    env: str
    episodes: int = 10
    seed: int = 1000
    steps: int | None = None
    starts: str | None = None
    success_reward: float | None = None
    batch: int = 10
    workers: int | None = None
    video_folder: Path | None = None
    env_options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeRolled:
    """One episode. steps: how many it had. seconds: how long it took, among the others that ran beside it.

    video: its film, from the folder that the video folder lies in (`videos/episode_000.mp4`); None when not filmed.
    """

    index: int
    seed: int
    steps: int
    sum_reward: float
    max_reward: float
    final_reward: float
    success: bool
    seconds: float
    video: str | None = None
