"""Runs inside the run's environment: loads a policy, replays, rolls out, writes the results and judges.

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

from robotrain_runtime.emit import emit
from robotrain_runtime.event import Evaluated, Note, Track

from robotrain_workloads.lerobot_eval import digest, held_out, judging, keeping, launcher_options
from robotrain_workloads.lerobot_eval import loaded as loading
from robotrain_workloads.lerobot_eval.loaded import Loaded
from robotrain_workloads.lerobot_eval.replay import latency, replaying
from robotrain_workloads.lerobot_eval.replay.asked import ReplayAsked
from robotrain_workloads.lerobot_eval.results import conditions, scores, writing
from robotrain_workloads.lerobot_eval.results.found import About, Found, Replayed, Rolled
from robotrain_workloads.lerobot_eval.rollout.asked import RolloutAsked
from robotrain_workloads.lerobot_eval.telling import Telling
from robotrain_workloads.lerobot_train import dataset, device

ROLLING = "robotrain_workloads.lerobot_eval.rollout.rolling"
ASKED = ("seed", "batch", "starts", "success_reward", "env_steps", "replay_episodes")
"""What was given that the results say again."""
STOPPED = 128 + signal.SIGTERM


def main(arguments: Sequence[str]) -> None:
    """Evaluate. Raises SystemExit with a sentence, also when the policy is worse than demanded."""
    at = list(arguments).index("--")
    given, options = launcher_options.read(arguments[:at]), list(arguments[at + 1 :])
    signal.signal(signal.SIGTERM, _stop)
    if given.tag:
        emit(Track(tags=dict(tag.split("=", 1) for tag in given.tag)))
    print("loading LeRobot and PyTorch", flush=True)
    loaded = _load(given, device.choose(given.device, "evaluating"), options)
    with keeping.growing(given.results) as folder:
        found = _evaluate(given, loaded, options, folder)
        if not found.episodes:
            raise SystemExit("error: no episode was evaluated")
        writing.write(found, folder)
    if given.keep_policy:
        keeping.policy(loaded, given.keep_policy, linked=given.link_policy)
    emit(_evaluated(given, found))
    if sentence := judging.below(found):
        raise SystemExit(f"error: {sentence}")


def _load(given: argparse.Namespace, on: str, options: Sequence[str]) -> Loaded:
    overrides = [option for option in options if option.startswith(loading.OPTION)]
    if given.builtin:
        return loading.untrained(given.builtin, given.root, on, overrides, given.seed)
    return loading.load(given.policy, on, overrides)


def _evaluate(given: argparse.Namespace, loaded: Loaded, options: Sequence[str], folder: Path) -> Found:
    """Into the folder go the films."""
    chosen = _chosen(given) if given.root else None
    replayed_episodes = chosen.episodes[: given.episodes] if chosen else []
    about = _about(given, loaded, options, chosen.held_out if chosen else None)
    telling = Telling(len(replayed_episodes) + (given.episodes if given.env else 0))
    telling.begun()
    replayed = _replay(given, loaded, replayed_episodes, telling) if chosen else None
    rolled = _roll(given, loaded, options, folder, telling) if given.env else None
    found = Found(about=about, replayed=replayed, rolled=rolled, threshold=given.success_threshold)
    telling.ended(found)
    return found


def _chosen(given: argparse.Namespace) -> held_out.Chosen:
    try:
        chosen = held_out.chosen(given.replay_episodes, given.root, given.policy)
    except ValueError as error:
        raise SystemExit(f"error: {error}") from error
    if not chosen.episodes:
        raise SystemExit(f"error: {given.dataset_name or given.root} has no episodes to replay")
    emit(Note(level="info", text=chosen.why))
    return chosen


def _about(given: argparse.Namespace, loaded: Loaded, options: Sequence[str], is_held_out: bool | None) -> About:
    fps = float(dataset.info(given.root)["fps"]) if given.root else None
    known = {"policy_type": loaded.kind, "device": loaded.device, "fps": fps, "held_out": is_held_out}
    emit(Track(params={name: value for name, value in known.items() if value is not None}))
    policy = {
        "source": given.policy_source,
        "name": given.policy_name,
        "pin": given.policy_pin or None,
        "type": loaded.kind,
        "step": given.policy_step,
        "sha256": digest.of(loaded.folder) if loaded.folder else None,
    }
    asked = {name: getattr(given, name) for name in ASKED}
    return About(
        job_name=given.job_name,
        policy=policy,
        device=loaded.device,
        dataset=given.dataset_name,
        statistics=digest.of_statistics(given.root) if given.root else "",
        env=given.env,
        held_out=is_held_out,
        fps=fps,
        options=options,
        **asked,
    )


def _replay(given: argparse.Namespace, loaded: Loaded, episodes: Sequence[int], telling: Telling) -> Replayed:
    asked = ReplayAsked(
        root=given.root, episodes=episodes, batch=given.batch, seed=given.seed, tolerance=given.tolerance
    )
    recording = replaying.open_recording(loaded, asked)
    measured = latency.measure(loaded, recording, episodes)
    begun = time.perf_counter()
    found = replaying.replay(loaded, recording, asked, telling.replayed, measured.seconds)
    return Replayed(episodes=found, latency=latency.of(measured), seconds=time.perf_counter() - begun)


def _roll(given: argparse.Namespace, loaded: Loaded, options: Sequence[str], folder: Path, telling: Telling) -> Rolled:
    asked = RolloutAsked(
        env=given.env,
        episodes=given.episodes,
        seed=given.seed,
        steps=given.env_steps,
        starts=given.starts,
        success_reward=given.success_reward,
        batch=given.batch,
        workers=given.workers,
        video_folder=folder / "videos" if given.record_video else None,
        env_options=tuple(option for option in options if option.startswith("--env.")),
    )
    return Rolled(episodes=importlib.import_module(ROLLING).roll(loaded, asked, telling.rolled))


def _evaluated(given: argparse.Namespace, found: Found) -> Evaluated:
    return Evaluated(
        episodes=found.episodes,
        scores=scores.scores(found),
        results=str(given.results.absolute()),
        policy=str(given.keep_policy.absolute()) if given.keep_policy else "",
        step=given.policy_step,
        passed=found.passed,
        conditions=conditions.of(found),
    )


def _stop(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: nothing may stop the clearing up
    raise SystemExit(STOPPED)


if __name__ == "__main__":
    main(sys.argv[1:])
