"""Evaluate inside the environment: `python -m robotrain_workloads.lerobot_eval.launcher REQUEST_FILE`."""

import importlib
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType

from robotrain_runtime.contract.event import Track, emit_event, emit_note
from robotrain_runtime.process.stop import STOPPED_STATUS

from robotrain_workloads.evaluation.rollout_scores import RolloutResult
from robotrain_workloads.exit_status import WorkFailed
from robotrain_workloads.lerobot import dataset, device, warm_up
from robotrain_workloads.lerobot import loaded_policy as loading
from robotrain_workloads.lerobot.loaded_policy import LoadedPolicy
from robotrain_workloads.lerobot.warm_up import quick_imports
from robotrain_workloads.lerobot_eval import checkpoint_scores, compared_policies, evaluated_parts, replay
from robotrain_workloads.lerobot_eval.inputs import compatibility, held_out
from robotrain_workloads.lerobot_eval.inputs.request import EvaluatedPolicy, EvaluationRequest, read_request
from robotrain_workloads.lerobot_eval.results import evaluation, result_store
from robotrain_workloads.lerobot_eval.results.evaluation import EvaluationResult, ReplayResult
from robotrain_workloads.lerobot_eval.results.progress import EvaluationProgress

Load = Callable[[EvaluationRequest], LoadedPolicy]
ROLLOUT_MODULE = "robotrain_workloads.lerobot_eval.rollout.rollout"


def main(arguments: Sequence[str]) -> None:
    """Evaluate. Raise SystemExit with a sentence, also when the success rate is below the threshold."""
    signal.signal(signal.SIGTERM, _handle_stop)
    (file,) = warm_up.wait_for_arguments(arguments, _prepare_evaluation)
    request = read_request(Path(file))
    if request.tags:
        emit_event(Track(tags=request.tags))
    if loading.FACTORY not in sys.modules:
        print(warm_up.LOADING, flush=True)
    if request.references:
        compared_policies.compare_policies(request, partial(evaluate, load=KeptPolicies(_load_policy)))
        return
    if request.checkpoints_folder is None:
        checkpoint_scores.evaluate_policy(request, evaluate)
        return
    checkpoint_scores.evaluate_checkpoints(request, request.checkpoints_folder, evaluate)


def _prepare_evaluation(arguments: Sequence[str]) -> None:
    """Import LeRobot, and check the policy's options if its configuration is known: FOLDER or TYPE, OPTIONS."""
    with quick_imports():
        importlib.import_module(loading.FACTORY)
        if arguments:
            loading.check_policy_configuration(*arguments)


def _load_policy(request: EvaluationRequest) -> LoadedPolicy:
    device_name = device.choose_device(request.device, "evaluating", leaves_core=True)
    overrides = [option for option in request.options if option.startswith(loading.POLICY_OPTION)]
    policy = request.policy
    if policy.folder is None:
        assert request.root  # an untrained policy needs its shapes
        return loading.make_untrained_policy(policy.name, request.root, device_name, overrides, request.seed)
    return loading.load_policy(policy.folder, device_name, overrides, policy.base, renames=request.renames)


def evaluate(
    request: EvaluationRequest,
    folder: Path,
    make_progress: evaluated_parts.MakeProgress,
    load: Callable[[EvaluationRequest], LoadedPolicy] = _load_policy,
) -> EvaluationResult:
    """Replay and roll out; videos go to `folder`. Raise SystemExit with a sentence."""
    with quick_imports():
        loaded = load(request)
    root = request.root
    policy = request.policy
    episodes = list[int]()
    is_held_out = None
    if root and not request.skip:  # a confirmation replays nothing: recorded episodes have no fresh starts
        selection = _choose_episodes(request, root)
        episodes, is_held_out = selection.episodes[: request.eval_episodes], selection.held_out
    fps = float(dataset.load_dataset_info(root)["fps"]) if root else None
    params = {"policy_type": loaded.kind, "device": loaded.device, "fps": fps, "held_out": is_held_out}
    if policy.role == EvaluatedPolicy().role:  # a tracking run has one value of each
        emit_event(Track(params={name: value for name, value in params.items() if value is not None}))
    facts = {
        "source": policy.source,
        "name": policy.name,
        "pin": policy.pin or None,
        "type": loaded.kind,
        "step": policy.step,
        "sha256": result_store.digest_policy(loaded.folder) if loaded.folder else None,
    }
    memory = evaluation.GpuMemory(loaded)
    statistics = result_store.digest_statistics(root) if root else ""
    progress = make_progress(len(episodes) + (request.eval_episodes * max(len(request.tasks), 1) if request.env else 0))
    progress.start()
    replayed = _run_replay(loaded, root, request, episodes, progress) if root and episodes else None
    rolled = _run_rollout(loaded, request, folder, progress) if request.env else None
    evaluation_result = EvaluationResult(
        request=request,
        policy=facts,
        device=loaded.device,
        statistics=statistics,
        held_out=is_held_out,
        fps=fps,
        replayed=replayed,
        rolled=rolled,
        packages=evaluation.list_packages(),
        peak_memory_mib=memory.measure_peak(),
    )
    progress.finish(evaluation_result)
    return evaluation_result


def _choose_episodes(request: EvaluationRequest, root: Path) -> held_out.EpisodeSelection:
    try:
        episodes, excluded = request.replay_episodes, request.exclude_episodes
        selection = held_out.choose_episodes(episodes, root, request.policy.folder, excluded)
    except ValueError as error:
        raise WorkFailed(error) from error
    if not selection.episodes:
        raise WorkFailed(f"{request.dataset or root} has no episodes to replay")
    emit_note(selection.why)
    return selection


def _run_replay(
    loaded: LoadedPolicy, root: Path, request: EvaluationRequest, episodes: Sequence[int], progress: EvaluationProgress
) -> ReplayResult:
    recording = replay.open_recording(loaded, root, request, episodes)
    samples = replay.measure_latency(loaded, recording, episodes)
    start_time = time.perf_counter()
    replayed = replay.replay_episodes(loaded, recording, request, progress.add_episode, samples)
    seconds = time.perf_counter() - start_time
    return ReplayResult(episodes=replayed, latency=replay.summarize_latency(samples), seconds=seconds)


def _run_rollout(
    loaded: LoadedPolicy, request: EvaluationRequest, folder: Path, progress: EvaluationProgress
) -> RolloutResult:
    words = compatibility.choose_description(
        loaded.kind, loaded.folder, request.env, request.task_description, request.root
    )
    video_folder = folder / "videos" if request.record_video else None
    task_request = replace(request, task_description=words, video_folder=video_folder)
    rollout = importlib.import_module(ROLLOUT_MODULE)
    rollout_result: RolloutResult = rollout.run_rollout(loaded, task_request, progress.add_episode)
    return rollout_result


def _handle_stop(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second signal must not interrupt the cleanup
    raise SystemExit(STOPPED_STATUS)


class KeptPolicies:
    """Loads each policy once; again only if the GPU had no room for all of them."""

    def __init__(self, load: Load) -> None:
        """Keep what `load` returns."""
        self._load, self._kept = load, dict[Path | None, LoadedPolicy]()

    def __call__(self, request: EvaluationRequest) -> LoadedPolicy:
        """Return the policy of a request."""
        folder = request.policy.folder
        if folder not in self._kept:
            if not _has_room():
                self._kept.clear()
                evaluated_parts.free_memory()
            self._kept[folder] = self._load(request)
        return self._kept[folder]


def _has_room() -> bool:
    """Return whether half of the GPU is free: as much as a policy may need in all."""
    import torch

    if not torch.cuda.is_available():
        return True
    free, total = torch.cuda.mem_get_info()
    return bool(2 * free > total)


if __name__ == "__main__":
    main(sys.argv[1:])
