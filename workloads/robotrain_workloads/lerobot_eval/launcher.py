"""Evaluate inside the environment: `python -m robotrain_workloads.lerobot_eval.launcher … -- LEROBOT OPTIONS`."""

import argparse
import importlib
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from robotrain_runtime.contract.event import Evaluated, Note, Track, emit_event
from robotrain_runtime.process.stop import STOPPED_STATUS

from robotrain_workloads.evaluation import result_files
from robotrain_workloads.evaluation.rollout_scores import RolloutResult
from robotrain_workloads.lerobot import dataset, device, feature_renames, warm_up
from robotrain_workloads.lerobot.warm_up import quick_imports
from robotrain_workloads.lerobot_eval import checkpoint_scores, replay
from robotrain_workloads.lerobot_eval.inputs import held_out, task_texts, tasks
from robotrain_workloads.lerobot_eval.inputs import loaded_policy as loading
from robotrain_workloads.lerobot_eval.inputs.loaded_policy import LoadedPolicy
from robotrain_workloads.lerobot_eval.results import result_store, summary
from robotrain_workloads.lerobot_eval.results.evaluation import (
    EvaluationResult,
    EvaluationSetup,
    ReplayRequest,
    ReplayResult,
    RolloutRequest,
)
from robotrain_workloads.lerobot_eval.results.progress import EvaluationProgress

ROLLOUT_MODULE = "robotrain_workloads.lerobot_eval.rollout.rollout"
REPEATED_OPTIONS = ("seed", "batch", "starts", "success_reward", "env_steps", "replay_episodes", "rename")
"""Options that the results repeat."""


def parse_launcher_options(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options before `--`. A policy's folder excludes `--builtin`; without `--root` nothing is replayed."""
    parser = argparse.ArgumentParser(prog="launcher", allow_abbrev=False)
    add = parser.add_argument
    add("--job-name", required=True)
    add("--policy", type=Path, help="the folder of the model")
    add("--base", type=Path, help="the folder of the policy that it belongs to, if it is an adapter")
    add("--builtin", default="", help="the type of an untrained policy")
    add("--checkpoint", type=Path, action="append", default=[], help="the folder of a checkpoint, one of several")
    add("--follow", type=Path, help="the folder of checkpoints of a training that still runs")
    add("--follow-steps", default="", help="which of them: all, or those whose step is a multiple of a number")
    add("--follow-until", type=Path, help="the file that appears once the training has ended")
    add("--policy-name", default="", help="the name that the user gave")
    add("--policy-source", default="", help="the kind of its source")
    add("--policy-pin", default="")
    add("--policy-step", type=int, default=0, help="the step at which it was saved; 0 if unknown")
    add("--keep-policy", type=Path, help="the folder to copy its files to")
    add("--link-policy", action="store_true", help="link its files instead of copying: they never change")
    add("--root", type=Path, help="the dataset to replay")
    add("--dataset-name", default="", help="the name that the user gave")
    add("--replay-episodes", help="held-out, all, or as 0,3,5-9")
    add("--tolerance", type=float, default=1e-4, help="seconds that a video frame may be off")
    add("--env", default="")
    add("--env-tasks", default="", help="names of tasks, with commas")
    add("--task-description", help="what the policy is told, in place of the environment's own words")
    add("--rename", default="", help="KEY=KEY of observations and their names in the policy, with commas")
    add("--env-steps", type=int)
    add("--starts")
    add("--starts-file", type=Path, help="a file with starts too long for --starts")
    add("--success-reward", type=float)
    add("--success-threshold", type=float)
    add("--record-video", action="store_true")
    add("--workers", type=int, help="processes that step environments")
    add("--episodes", type=int, required=True)
    add("--batch", type=int, required=True, help="episodes that the policy acts in at once")
    add("--seed", type=int, required=True)
    add("--device", required=True)
    add("--results", type=Path, required=True)
    add("--confirm", type=int, default=0, help="the episodes in which the best checkpoint is confirmed; 0 for none")
    add("--skip", type=int, default=0, help="how many starts are left out, as they were used before")
    add("--tag", action="append", default=[], help="NAME=VALUE, for the tracking run")
    options = parser.parse_args(arguments)
    if options.starts_file:
        options.starts = options.starts_file.read_text(encoding="utf-8")
    return options


def main(arguments: Sequence[str]) -> None:
    """Evaluate. Raise SystemExit with a sentence, also when the success rate is below the threshold."""
    signal.signal(signal.SIGTERM, _handle_stop)
    arguments = warm_up.wait_for_arguments(arguments, _prepare_evaluation)
    separator = list(arguments).index("--")
    own, options = parse_launcher_options(arguments[:separator]), list(arguments[separator + 1 :])
    if own.tag:
        emit_event(Track(tags=dict(tag.split("=", 1) for tag in own.tag)))
    if loading.FACTORY not in sys.modules:
        print(warm_up.LOADING, flush=True)
    if own.follow:
        device.leave_first_gpus(own.device)
    if own.checkpoint or own.follow:
        checkpoint_scores.evaluate_checkpoints(own, options, _load_policy, _evaluate)
        return
    with quick_imports():
        loaded = _load_policy(own, options)
    with result_files.fill_folder(own.results) as folder:
        result = _evaluate(own, loaded, options, folder)
        if not result.episodes:
            raise SystemExit("error: no episode was evaluated")
        result_store.write_results(result, folder)
    if own.keep_policy:
        result_store.copy_policy(loaded, own.keep_policy, link=own.link_policy)
    emit_event(
        Evaluated(
            episodes=result.episodes,
            scores=summary.compute_scores(result),
            results=str(own.results.absolute()),
            policy=str(own.keep_policy.absolute()) if own.keep_policy else "",
            step=own.policy_step,
            passed=result.passed,
            conditions=summary.describe_conditions(result),
        )
    )
    if sentence := summary.explain_low_success(result):
        raise SystemExit(f"error: {sentence}")


def _prepare_evaluation(arguments: Sequence[str]) -> None:
    """Import LeRobot, and check the policy's options if its configuration is known: FOLDER or TYPE, OPTIONS."""
    with quick_imports():
        importlib.import_module(loading.FACTORY)
        if arguments:
            loading.check_policy_configuration(*arguments)


def _load_policy(arguments: argparse.Namespace, options: Sequence[str]) -> LoadedPolicy:
    device_name = device.choose_device(arguments.device, "evaluating", leaves_core=True)
    overrides = [option for option in options if option.startswith(loading.POLICY_OPTION)]
    if arguments.builtin:
        return loading.make_untrained_policy(arguments.builtin, arguments.root, device_name, overrides, arguments.seed)
    renames = feature_renames.parse_renames(vars(arguments))
    return loading.load_policy(arguments.policy, device_name, overrides, arguments.base, renames=renames)


def _evaluate(
    arguments: argparse.Namespace,
    loaded: LoadedPolicy,
    options: Sequence[str],
    folder: Path,
    make_progress: Callable[[int], EvaluationProgress] = EvaluationProgress,
) -> EvaluationResult:
    """Replay and roll out; videos go to `folder`."""
    is_confirmation = bool(arguments.skip)  # which replays nothing: recorded episodes have no fresh starts
    selection = _choose_episodes(arguments) if arguments.root and not is_confirmation else None
    replayed_episodes = selection.episodes[: arguments.episodes] if selection else []
    is_held_out = selection.held_out if selection else None
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
    setup = EvaluationSetup(
        job_name=arguments.job_name,
        policy=policy,
        device=loaded.device,
        dataset=arguments.dataset_name,
        statistics=result_store.digest_statistics(arguments.root) if arguments.root else "",
        env=arguments.env,
        held_out=is_held_out,
        fps=fps,
        options=options,
        tasks=tasks.split_names(arguments.env_tasks),
        description=arguments.task_description,
        **{name: getattr(arguments, name) for name in REPEATED_OPTIONS},
    )
    count = arguments.episodes * max(len(setup.tasks), 1) if arguments.env else 0
    progress = make_progress(len(replayed_episodes) + count)
    progress.start()
    replayed = _run_replay(arguments, loaded, replayed_episodes, progress) if selection else None
    rolled = _run_rollout(arguments, loaded, options, folder, progress) if arguments.env else None
    result = EvaluationResult(about=setup, replayed=replayed, rolled=rolled, threshold=arguments.success_threshold)
    progress.finish(result)
    return result


def _choose_episodes(arguments: argparse.Namespace) -> held_out.EpisodeSelection:
    try:
        selection = held_out.choose_episodes(arguments.replay_episodes, arguments.root, arguments.policy)
    except ValueError as error:
        raise SystemExit(f"error: {error}") from error
    if not selection.episodes:
        raise SystemExit(f"error: {arguments.dataset_name or arguments.root} has no episodes to replay")
    emit_event(Note(level="info", text=selection.why))
    return selection


def _run_replay(
    arguments: argparse.Namespace, loaded: LoadedPolicy, episodes: Sequence[int], progress: EvaluationProgress
) -> ReplayResult:
    options = {name: getattr(arguments, name) for name in ("root", "batch", "seed", "tolerance")}
    request = ReplayRequest(episodes=episodes, **options)
    recording = replay.open_recording(loaded, request)
    samples = replay.measure_latency(loaded, recording, episodes)
    started = time.perf_counter()
    replayed = replay.replay_episodes(loaded, recording, request, progress.add_episode, samples.seconds)
    seconds = time.perf_counter() - started
    return ReplayResult(episodes=replayed, latency=replay.summarize_latency(samples), seconds=seconds)


def _run_rollout(
    arguments: argparse.Namespace,
    loaded: LoadedPolicy,
    options: Sequence[str],
    folder: Path,
    progress: EvaluationProgress,
) -> RolloutResult:
    request = RolloutRequest(
        env=arguments.env,
        tasks=tuple(tasks.split_names(arguments.env_tasks)),
        description=task_texts.choose_description(
            loaded.kind, loaded.folder, arguments.env, arguments.task_description, arguments.root
        ),
        episodes=arguments.episodes,
        seed=arguments.seed,
        skip=arguments.skip,
        steps=arguments.env_steps,
        starts=arguments.starts,
        success_reward=arguments.success_reward,
        batch=arguments.batch,
        workers=arguments.workers,
        video_folder=folder / "videos" if arguments.record_video else None,
        env_options=tuple(option for option in options if option.startswith("--env.")),
    )
    return RolloutResult(
        episodes=importlib.import_module(ROLLOUT_MODULE).run_rollout(loaded, request, progress.add_episode)
    )


def _handle_stop(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second signal must not interrupt the cleanup
    raise SystemExit(STOPPED_STATUS)


if __name__ == "__main__":
    main(sys.argv[1:])
