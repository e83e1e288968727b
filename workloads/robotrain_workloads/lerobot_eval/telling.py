"""What is told while an evaluation goes on: numbers of each episode as it ends, and in the end those of all."""

from robotrain_runtime.emit import emit
from robotrain_runtime.event import Metrics

from robotrain_workloads.lerobot_eval.replay.asked import EpisodeReplayed
from robotrain_workloads.lerobot_eval.results import scores
from robotrain_workloads.lerobot_eval.results.found import Found
from robotrain_workloads.lerobot_eval.rollout.asked import EpisodeRolled


class Telling:
    """total: the episodes of both ways together."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0

    def begun(self) -> None:
        """Nothing has ended yet; so it is known at once how much there is."""
        self._send({})

    def replayed(self, one: EpisodeReplayed) -> None:
        """An episode was replayed."""
        self._done += 1
        self._send(scores.of_replayed(one))

    def rolled(self, one: EpisodeRolled) -> None:
        """An episode was rolled out."""
        self._done += 1
        self._send(scores.of_rolled(one))

    def ended(self, found: Found) -> None:
        """Numbers of all, also for those who read the log alone."""
        self._send(scores.of_all(found))
        if replayed := found.replayed:
            print(f"replay: mse {replayed.mean('mse'):.4g}, mae {replayed.mean('mae'):.4g}", flush=True)
        if rolled := found.rolled:
            low, high = rolled.interval
            of = f"{rolled.successes} of {len(rolled.episodes)}"
            print(f"rollout: success {of}, {rolled.rate:.0%} ({low:.0%} to {high:.0%})", flush=True)

    def _send(self, values: dict[str, float]) -> None:
        emit(Metrics(values=values, step=self._done, total=self._total, unit="episode"))
