"""Names of Isaac Lab's metrics in tracking, of both libraries and generations."""

from robotrain.model.progress import Progress
from robotrain.model.scores import format_headline_score
from robotrain.store.listed_results import summarize_progress
from robotrain_runtime.contract.event import Metrics, make_record
from robotrain_workloads.isaac_train.supervisor import NOT_ALLOWED, translate_metrics
from robotrain_workloads.isaac_train.workload import ISAAC_TRAIN


def test_tags_of_rsl_rl() -> None:
    names = {
        "Train/mean_reward": "mean_reward",
        "Train/mean_episode_length": "mean_episode_length",
        "Loss/value_function": "loss_value_function",
        "Loss/surrogate": "loss_surrogate",
        "Loss/learning_rate": "learning_rate",
        "Policy/mean_noise_std": "mean_noise_std",
        "Perf/collection time": "Perf/collection_time",
        "Episode_Reward/track": "reward_terms/track",
        "Curriculum/terrain": "curriculum/terrain",
        "Episode/height": "episode_height",
        "Episode_Termination/fell": "Episode_Termination/fell",
        "Custom/number": "Custom/number",
    }
    by_seconds = {"Train/mean_reward/time": 1.0, "Train/mean_episode_length/time": 1.0}
    assert translate_metrics("rsl_rl", dict.fromkeys(names, 2.0) | by_seconds) == dict.fromkeys(names.values(), 2.0)
    newer = {"Loss/value": 1.0, "Policy/mean_std": 2.0}
    assert translate_metrics("rsl_rl", newer) == {"loss_value_function": 1.0, "mean_noise_std": 2.0}


def test_tags_of_skrl() -> None:
    names = {
        "Loss / Policy loss": ["Loss / Policy loss"],
        "Reward / Total reward (mean)": ["Reward / Total reward/mean", "mean_reward"],
        "Reward / Total reward (max)": ["Reward / Total reward/max"],
        "Episode / Total timesteps (mean)": ["Episode / Total timesteps/mean", "mean_episode_length"],
        "Info / Episode_Termination/fell": ["Episode_Termination/fell"],
        "Stats / Inference time (ms)": ["Stats / Inference time ms"],
    }
    metrics = translate_metrics("skrl", dict.fromkeys(names, 2.0))
    assert metrics == {name: 2.0 for expected in names.values() for name in expected}
    assert not any(NOT_ALLOWED.search(name) for name in metrics)


def test_tags_of_sb3() -> None:
    names = {
        "rollout/ep_rew_mean": "mean_reward",
        "rollout/ep_len_mean": "mean_episode_length",
        "train/value_loss": "loss_value_function",
        "train/std": "mean_noise_std",
        "time/fps": "time/fps",
    }
    assert translate_metrics("sb3", dict.fromkeys(names, 2.0)) == dict.fromkeys(names.values(), 2.0)


def test_the_reward_is_the_curve_of_a_training_and_no_loss() -> None:
    progress = Progress(declared_metrics=ISAAC_TRAIN.profile.metrics)
    progress.add_event(make_record(Metrics(values={"mean_reward": 12.5, "loss_surrogate": 0.1}, step=3, total=20)))
    assert progress.main_metric is not None
    assert (progress.main_metric.name, progress.losses) == ("mean_reward", [])
    listed = summarize_progress(progress)
    assert (listed.loss, format_headline_score(listed.scores, progress.declared_metrics)) == (None, "reward 12.5")
