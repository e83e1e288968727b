"""Events about the progress of an evaluation: of one policy, and of several checkpoints in turn."""

from robotrain_runtime.contract.event import Metrics, emit_event

from robotrain_workloads.evaluation.rollout_scores import RolloutEpisode
from robotrain_workloads.lerobot_eval.results import summary
from robotrain_workloads.lerobot_eval.results.evaluation import EvaluationResult, ReplayEpisode


class EvaluationProgress:
    """Events about the progress over all episodes."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0

    def start(self) -> None:
        """Send the number of episodes before the first one ends."""
        self._send({})

    def add_episode(self, episode: ReplayEpisode | RolloutEpisode) -> None:
        """Send the scores of an episode."""
        self._done += 1
        self._send(summary.score_episode(episode))

    def finish(self, result: EvaluationResult) -> None:
        """Send the scores of all episodes, and print them for readers of the log."""
        self._send(summary.score_evaluation(result))
        if replayed := result.replayed:
            print(f"replay: mse {replayed.mean('mse'):.4g}, mae {replayed.mean('mae'):.4g}", flush=True)
        if rolled := result.rolled:
            low, high = rolled.success_interval
            count = f"{rolled.successes} of {len(rolled.episodes)}"
            print(f"rollout: success {count}, {rolled.success_rate:.0%} ({low:.0%} to {high:.0%})", flush=True)
            for line in summary.format_task_table(rolled):
                print(line, flush=True)

    def _send(self, values: dict[str, float]) -> None:
        emit_event(Metrics(values=values, step=self._done, total=self._total, unit="episode"))


class CheckpointProgress(EvaluationProgress):
    """Events about the progress over the episodes of one of several checkpoints.

    They have no scores of episodes: those of the next checkpoint would have the same names.
    """

    def __init__(self, total: int, before: int, count: int) -> None:
        """Make the progress of a checkpoint with `total` episodes, after `before` others of `count`."""
        super().__init__(total * count)
        self._done = total * before

    def _send(self, values: dict[str, float]) -> None:
        emit_event(Metrics(values={}, step=self._done, total=self._total, unit="episode"))
