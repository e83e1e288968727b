"""Events about the progress of an evaluation."""

from robotrain_runtime.contract.event import Metrics, emit_event

from robotrain_workloads.evaluation.rollout_scores import RolloutEpisode
from robotrain_workloads.lerobot_eval.results import summary
from robotrain_workloads.lerobot_eval.results.evaluation import EvaluationResult, ReplayEpisode


class EvaluationProgress:
    """Events about the progress over all episodes, of one policy or of one of several checkpoints.

    Those of a checkpoint have no scores of episodes: the next one's would have the same names.
    """

    def __init__(self, total: int, before: int = 0, count: int = 0, *, done: int = 0, has_scores: bool = True) -> None:
        """Make the progress of `total` episodes, of which some are done; of a checkpoint after `before` of `count`."""
        self._total, self._done, self._has_scores = (
            total * (count or 1),
            total * before + done,
            has_scores and not count,
        )

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
            lower_bound, upper_bound = rolled.success_interval
            count = f"{rolled.successes} of {len(rolled.episodes)}"
            print(
                f"rollout: success {count}, {rolled.success_rate:.0%} ({lower_bound:.0%} to {upper_bound:.0%})",
                flush=True,
            )
            for table_line in summary.format_task_table(rolled):
                print(table_line, flush=True)

    def _send(self, values: dict[str, float]) -> None:
        sent_scores = values if self._has_scores else {}
        emit_event(Metrics(values=sent_scores, step=self._done, total=self._total, unit="episode"))
