"""Evaluate inside the environment: `python -m robotrain_workloads.lerobot_eval.launcher … -- OPTIONS`.

`python -m robotrain_workloads.lerobot_eval.launcher --policy FOLDER … --results FOLDER -- OPTIONS FOR LEROBOT`
"""

import argparse
import importlib
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from robotrain_runtime.contract.event import Evaluated, Metrics, Note, Track, emit_event

from robotrain_workloads.lerobot import dataset, device
from robotrain_workloads.lerobot_eval.inputs import held_out
from robotrain_workloads.lerobot_eval.inputs import loaded_policy as loading
from robotrain_workloads.lerobot_eval.inputs.loaded_policy import LoadedPolicy
from robotrain_workloads.lerobot_eval.replay import replay
from robotrain_workloads.lerobot_eval.results import result_store, scores, summary
from robotrain_workloads.lerobot_eval.results.evaluation import (
    EvaluationResult,
    EvaluationSetup,
    ReplayEpisode,
    ReplayRequest,
    ReplayResult,
    RolloutEpisode,
    RolloutRequest,
    RolloutResult,
)


class EvaluationProgress:
    """total: the episodes of both ways together."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0

    def start(self) -> None:
        """Nothing has ended yet; so it is known at once how much there is."""
        self._send({})

    def add_replay_episode(self, episode: ReplayEpisode) -> None:
        """An episode was replayed."""
        self._done += 1
        self._send(scores.score_replay_episode(episode))

    def add_rollout_episode(self, episode: RolloutEpisode) -> None:
        """An episode was rolled out."""
        self._done += 1
        self._send(scores.score_rollout_episode(episode))

    def finish(self, result: EvaluationResult) -> None:
        """Numbers of all, also for those who read the log alone."""
        self._send(scores.score_evaluation(result))
        if replayed := result.replayed:
            print(f"replay: mse {replayed.mean('mse'):.4g}, mae {replayed.mean('mae'):.4g}", flush=True)
        if rolled := result.rolled:
            low, high = rolled.interval
            of = f"{rolled.successes} of {len(rolled.episodes)}"
            print(f"rollout: success {of}, {rolled.rate:.0%} ({low:.0%} to {high:.0%})", flush=True)

    def _send(self, values: dict[str, float]) -> None:
        emit_event(Metrics(values=values, step=self._done, total=self._total, unit="episode"))


def parse_launcher_options(arguments: Sequence[str]) -> argparse.Namespace:
    """Those before the `--`. A policy's folder and `builtin` exclude each other; without `root` nothing is replayed."""
    parser = argparse.ArgumentParser(prog="launcher", allow_abbrev=False)
    add = parser.add_argument
    add("--job-name", required=True)
    _add_policy_options(parser)
    _add_replay_options(parser)
    _add_rollout_options(parser)
    add("--episodes", type=int, required=True)
    add("--batch", type=int, required=True, help="episodes that the policy acts in at once")
    add("--seed", type=int, required=True)
    add("--device", required=True)
    add("--results", type=Path, required=True)
    add("--tag", action="append", default=[], help="NAME=VALUE, for the tracking run")
    given = parser.parse_args(arguments)
    if given.starts_file:
        given.starts = given.starts_file.read_text(encoding="utf-8")
    return given


def _add_policy_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--policy", type=Path, help="the folder of the model")
    add("--builtin", default="", help="the type of an untrained policy")
    add("--policy-name", default="", help="what the person calls it")
    add("--policy-source", default="", help="the kind of its source")
    add("--policy-pin", default="")
    add("--policy-step", type=int, default=0, help="at which it was saved; 0 when nobody knows")
    add("--keep-policy", type=Path, help="the folder that its files are kept in")
    add("--link-policy", action="store_true", help="nobody writes into its files: they are linked, and not copied")


def _add_replay_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--root", type=Path, help="the dataset that is replayed")
    add("--dataset-name", default="", help="what the person calls it")
    add("--replay-episodes", help="held-out, all, or as 0,3,5-9")
    add("--tolerance", type=float, default=1e-4, help="seconds that a video's frame may lie from its time")


def _add_rollout_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--env", default="")
    add("--env-steps", type=int)
    add("--starts")
    add("--starts-file", type=Path, help="holds what is too long for --starts")
    add("--success-reward", type=float)
    add("--success-threshold", type=float)
    add("--record-video", action="store_true")
    add("--workers", type=int, help="processes that step environments")


ROLLOUT_MODULE = "robotrain_workloads.lerobot_eval.rollout.rollout"
REPEATED_OPTIONS = ("seed", "batch", "starts", "success_reward", "env_steps", "replay_episodes")
"""What was given that the results say again."""
STOPPED_STATUS = 128 + signal.SIGTERM


def main(arguments: Sequence[str]) -> None:
    """Evaluate. Raises SystemExit with a sentence, also when the policy is worse than demanded."""
    at = list(arguments).index("--")
    given, options = parse_launcher_options(arguments[:at]), list(arguments[at + 1 :])
    signal.signal(signal.SIGTERM, _handle_stop)
    if given.tag:
        emit_event(Track(tags=dict(tag.split("=", 1) for tag in given.tag)))
    print("loading LeRobot and PyTorch", flush=True)
    loaded = _load_policy(given, device.choose_device(given.device, "evaluating"), options)
    with result_store.fill_folder(given.results) as folder:
        found = _evaluate(given, loaded, options, folder)
        if not found.episodes:
            raise SystemExit("error: no episode was evaluated")
        result_store.write_results(found, folder)
    if given.keep_policy:
        result_store.copy_policy(loaded, given.keep_policy, link=given.link_policy)
    emit_event(_make_evaluated_event(given, found))
    if sentence := scores.explain_low_success(found):
        raise SystemExit(f"error: {sentence}")


def _load_policy(arguments: argparse.Namespace, on: str, options: Sequence[str]) -> LoadedPolicy:
    overrides = [option for option in options if option.startswith(loading.POLICY_OPTION)]
    if arguments.builtin:
        return loading.make_untrained_policy(arguments.builtin, arguments.root, on, overrides, arguments.seed)
    return loading.load_policy(arguments.policy, on, overrides)


def _evaluate(
    arguments: argparse.Namespace, loaded: LoadedPolicy, options: Sequence[str], folder: Path
) -> EvaluationResult:
    """Into the folder go the films."""
    chosen = _choose_episodes(arguments) if arguments.root else None
    replayed_episodes = chosen.episodes[: arguments.episodes] if chosen else []
    about = _describe_setup(arguments, loaded, options, chosen.held_out if chosen else None)
    telling = EvaluationProgress(len(replayed_episodes) + (arguments.episodes if arguments.env else 0))
    telling.start()
    replayed = _run_replay(arguments, loaded, replayed_episodes, telling) if chosen else None
    rolled = _run_rollout(arguments, loaded, options, folder, telling) if arguments.env else None
    found = EvaluationResult(about=about, replayed=replayed, rolled=rolled, threshold=arguments.success_threshold)
    telling.finish(found)
    return found


def _choose_episodes(arguments: argparse.Namespace) -> held_out.EpisodeSelection:
    try:
        chosen = held_out.choose_episodes(arguments.replay_episodes, arguments.root, arguments.policy)
    except ValueError as error:
        raise SystemExit(f"error: {error}") from error
    if not chosen.episodes:
        raise SystemExit(f"error: {arguments.dataset_name or arguments.root} has no episodes to replay")
    emit_event(Note(level="info", text=chosen.why))
    return chosen


def _describe_setup(
    arguments: argparse.Namespace, loaded: LoadedPolicy, options: Sequence[str], is_held_out: bool | None
) -> EvaluationSetup:
    fps = float(dataset.load_dataset_info(arguments.root)["fps"]) if arguments.root else None
    known = {"policy_type": loaded.kind, "device": loaded.device, "fps": fps, "held_out": is_held_out}
    emit_event(Track(params={name: value for name, value in known.items() if value is not None}))
    policy = {
        "source": arguments.policy_source,
        "name": arguments.policy_name,
        "pin": arguments.policy_pin or None,
        "type": loaded.kind,
        "step": arguments.policy_step,
        "sha256": result_store.digest_policy(loaded.folder) if loaded.folder else None,
    }
    asked = {name: getattr(arguments, name) for name in REPEATED_OPTIONS}
    return EvaluationSetup(
        job_name=arguments.job_name,
        policy=policy,
        device=loaded.device,
        dataset=arguments.dataset_name,
        statistics=result_store.digest_statistics(arguments.root) if arguments.root else "",
        env=arguments.env,
        held_out=is_held_out,
        fps=fps,
        options=options,
        **asked,
    )


def _run_replay(
    arguments: argparse.Namespace, loaded: LoadedPolicy, episodes: Sequence[int], telling: EvaluationProgress
) -> ReplayResult:
    asked = ReplayRequest(
        root=arguments.root,
        episodes=episodes,
        batch=arguments.batch,
        seed=arguments.seed,
        tolerance=arguments.tolerance,
    )
    recording = replay.open_recording(loaded, asked)
    measured = replay.measure_latency(loaded, recording, episodes)
    begun = time.perf_counter()
    found = replay.replay_episodes(loaded, recording, asked, telling.add_replay_episode, measured.seconds)
    return ReplayResult(episodes=found, latency=replay.summarize_latency(measured), seconds=time.perf_counter() - begun)


def _run_rollout(
    arguments: argparse.Namespace,
    loaded: LoadedPolicy,
    options: Sequence[str],
    folder: Path,
    telling: EvaluationProgress,
) -> RolloutResult:
    asked = RolloutRequest(
        env=arguments.env,
        episodes=arguments.episodes,
        seed=arguments.seed,
        steps=arguments.env_steps,
        starts=arguments.starts,
        success_reward=arguments.success_reward,
        batch=arguments.batch,
        workers=arguments.workers,
        video_folder=folder / "videos" if arguments.record_video else None,
        env_options=tuple(option for option in options if option.startswith("--env.")),
    )
    return RolloutResult(
        episodes=importlib.import_module(ROLLOUT_MODULE).run_rollout(loaded, asked, telling.add_rollout_episode)
    )


def _make_evaluated_event(arguments: argparse.Namespace, result: EvaluationResult) -> Evaluated:
    return Evaluated(
        episodes=result.episodes,
        scores=scores.compute_scores(result),
        results=str(arguments.results.absolute()),
        policy=str(arguments.keep_policy.absolute()) if arguments.keep_policy else "",
        step=arguments.policy_step,
        passed=result.passed,
        conditions=summary.describe_conditions(result),
    )


def _handle_stop(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: nothing may stop the clearing up
    raise SystemExit(STOPPED_STATUS)


if __name__ == "__main__":
    main(sys.argv[1:])
