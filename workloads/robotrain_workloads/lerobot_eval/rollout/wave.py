"""A wave: some episodes in which the policy acts at once, from their first step to the last one's end.

Policies of LeRobot keep what they decided for the next steps, of all episodes together, until they decide again. So an
episode cannot take the place of one that ended before the others: it would act on what was decided for that one. What
ended is not stepped any more; the policy goes on to see its end.
"""

from collections.abc import Iterator, Sequence

from robotrain_workloads.lerobot_eval import finite
from robotrain_workloads.lerobot_eval.rollout.acting import Actor
from robotrain_workloads.lerobot_eval.rollout.asked import EpisodeRolled, RolloutAsked
from robotrain_workloads.lerobot_eval.rollout.stage import Stage

Wave = Sequence[int]
"""Its episodes."""


def play(wave: Wave, actor: Actor, stage: Stage, seed: int) -> Iterator[EpisodeRolled]:
    """Each episode when it ends. seed: that of episode 0."""
    actor.begin(seed + wave[0])
    seen, running, step = stage.begin(wave), set(range(len(wave))), 0
    while running:
        actions = actor.act(seen)
        for place in sorted(running):
            finite.refuse(actions[place], "the policy's action", f"episode {wave[place]}, step {step}")
        for place, moved in stage.step({place: actions[place] for place in sorted(running)}).items():
            seen[place] = moved.seen
            if moved.ended:
                running.remove(place)
                yield moved.ended
        step += 1


def waves(asked: RolloutAsked, shares: int = 1) -> list[Wave]:
    """All episodes, so many at once as were asked for; each such batch dealt out in so many shares.

    The share of a number is the largest in the first batch: who goes on to the next while others are in the last one
    never makes it more at once than a batch.
    """
    batches = [
        range(first, min(first + asked.batch, asked.episodes)) for first in range(0, asked.episodes, asked.batch)
    ]
    return [batch[number::shares] for batch in batches for number in range(min(shares, len(batch)))]
