"""A policy and those that it is compared with, rolled out from the same starts in rounds until the comparison decides.

Each policy plays a round as a part of its own, which an attempt that begins again in the same run's folder finds. The
starts are not those of an evaluation with the same seed: those may have chosen the policy.
"""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from robotrain_runtime.comparison import record
from robotrain_runtime.comparison.continuation import (
    KEY,
    EarlierComparison,
    PairCounts,
    choose_skip,
    count_pairs,
    dump_continuation,
    load_comparisons,
    select_continued,
    sum_counts,
)
from robotrain_runtime.comparison.decision import ComparisonPlan, PairVerdict, choose_round, compare, plan_pairs
from robotrain_runtime.comparison.observations import (
    Observation,
    Pairing,
    Side,
    find_repeated,
    pair_sides,
    shuffle_starts,
)
from robotrain_runtime.contract.event import emit_note

from robotrain_workloads.evaluation import result_files
from robotrain_workloads.evaluation.rollout_scores import RolloutEpisode, RolloutResult
from robotrain_workloads.exit_status import WorkFailed
from robotrain_workloads.lerobot_eval import evaluated_parts
from robotrain_workloads.lerobot_eval.evaluated_parts import Evaluate
from robotrain_workloads.lerobot_eval.inputs import simulation
from robotrain_workloads.lerobot_eval.inputs.request import EvaluationRequest
from robotrain_workloads.lerobot_eval.references import PARAMETERS, make_plan
from robotrain_workloads.lerobot_eval.results import result_store, summary
from robotrain_workloads.lerobot_eval.results.evaluation import EvaluationResult
from robotrain_workloads.lerobot_eval.results.progress import EvaluationProgress

PARTS_FOLDER = ".eval_comparison"
"""The folder, beside the results, of what is played already."""
COMPARISON_FILE, REFERENCES_FOLDER = "comparison.json", "references"
FRESH = 1_000_000
"""How many starts of the seed are left out: those are for evaluations that choose a policy."""
MOST_FILMED = 50
NUMBERED = re.compile(r"(?:^|/)#\d+$")
"""The name of a start that was listed or recorded, behind its task."""


def compare_policies(request: EvaluationRequest, evaluate: Evaluate) -> None:
    """Compare the policy with its references. Raise SystemExit with a sentence, also for a policy that is too bad."""
    request = _shuffle_states(request)
    policy_names = _make_names(request)
    digests = _digest_policies(request, policy_names)
    plan = make_plan({name: getattr(request, name) for name in PARAMETERS})
    tasks = max(len(request.tasks), 1)
    earlier_comparisons = select_continued(load_comparisons(request.earlier_comparisons), digests)
    counts = [sum_counts(earlier_comparisons, digests[0], digest) for digest in digests[1:]]
    played_starts = {start for comparison in earlier_comparisons for start in comparison.starts}
    start_limit = _count_starts(request)
    if start_limit < FRESH:
        start_limit -= sum(comparison.episodes for comparison in earlier_comparisons)
    planned_pairs = plan_pairs(plan, len(request.references))
    start_limit = min(start_limit, max(1, (plan.at_most or planned_pairs.at_most) // tasks))
    if start_limit < 1:
        raise WorkFailed(_explain_no_start(earlier_comparisons))
    request = replace(request, skip=choose_skip(earlier_comparisons, request.seed, FRESH, start_limit))
    plan = replace(plan, at_most=start_limit * tasks, block=tasks)
    if earlier_comparisons:
        emit_note(f"goes on from {record.name_runs(earlier_comparisons)}, with new starts")
    print(f"comparing {len(policy_names)} policies in at most {start_limit * tasks} episodes of each", flush=True)
    rounds = list[int]()
    table = list[Observation]()
    while True:
        rounds.append(_choose_round(rounds, start_limit, request))
        played_episodes = _play_round(request, rounds, start_limit, policy_names, evaluate)
        new_observations = [observation for observation in played_episodes if observation.start not in played_starts]
        table += new_observations
        repeats = len(new_observations) < len(played_episodes) or any(find_repeated(table))
        if not table:
            raise WorkFailed(_explain_no_start(earlier_comparisons))
        is_last = repeats or sum(rounds) >= start_limit
        pairings = [pair_sides(table, Side(policy_names[0]), Side(name)) for name in policy_names[1:]]
        verdicts = _decide(pairings, plan, counts, is_last=is_last)
        _say_round(len(rounds), verdicts)
        if all(verdict.verdict != "continue" for verdict in verdicts):
            break
    is_undecided = any(verdict.verdict == "not decided" for verdict in verdicts)
    ending: record.Ending = "decided"
    if any(verdict.withheld in ("floor", "ceiling") for verdict in verdicts):
        ending = "floor"
    elif is_undecided:
        ending = "starts" if repeats else "at_most"
    own_comparison = EarlierComparison(
        run="",
        policies=digests,
        counts=[count_pairs(pairing.pairs) for pairing in pairings],
        seed=request.seed,
        skip=request.skip,
        episodes=sum(rounds),
        starts=sorted({observation.start for observation in table if NUMBERED.search(observation.start)}),
    )
    continuation = dump_continuation(request.conditions_digest, own_comparison, earlier_comparisons)
    _finish(request, rounds, plan, verdicts, policy_names, ending, earlier_comparisons, continuation)


def _explain_no_start(earlier_comparisons: Sequence[EarlierComparison]) -> str:
    return (
        f"{record.name_runs(earlier_comparisons)} played all of the starts with the same policies: what they "
        "found is the"
        " answer, and other --starts ask again"
    )


def _digest_policies(request: EvaluationRequest, policy_names: Sequence[str]) -> list[str]:
    """Return the digests. Raise SystemExit if a reference is the evaluated policy, whatever it is called."""
    folders = [policy.folder for policy in (request.policy, *request.references)]
    digests = [result_store.digest_policy(folder) if folder else "" for folder in folders]
    for policy_name, digest in zip(policy_names[1:], digests[1:], strict=True):
        if digest and digest == digests[0]:
            same_policies = f"{policy_names[0]} and {policy_name} are the same policy (sha256:{digest[:12]})"
            raise WorkFailed(f"{same_policies}: there is nothing to compare")
    return digests


def _make_names(request: EvaluationRequest) -> list[str]:
    """Return a name for each policy, which no other has."""
    policies = (request.policy, *request.references)
    policy_names = [f"{policy.run}@{policy.step}" if policy.run else policy.name for policy in policies]
    return [
        policy_name if policy_names.count(policy_name) < 2 else f"{policy_name} [{number}]"
        for number, policy_name in enumerate(policy_names)
    ]


def _shuffle_states(request: EvaluationRequest) -> EvaluationRequest:
    """Return the request with its listed starts in another order: the easy ones may stand first."""
    states = json.loads(request.starts) if request.starts and request.starts.lstrip().startswith("[") else []
    if not states:
        return request
    shuffled_states = shuffle_starts([json.dumps(state) for state in states])
    return replace(request, starts=json.dumps([states[index] for index in shuffled_states]))


def _count_starts(request: EvaluationRequest) -> int:
    """Return how many different starts there are, as far as it is known before they are played."""
    starts = simulation.parse_starts(request.starts, request.env)
    return len(starts.states) if isinstance(starts, simulation.StartStates) else FRESH


def _choose_round(rounds: Sequence[int], start_limit: int, request: EvaluationRequest) -> int:
    """Return how many episodes of each task the next round has, whatever the size of a batch is."""
    played_episodes, tasks = sum(rounds), max(len(request.tasks), 1)
    pair_count = choose_round(played_episodes * tasks, request.eval_episodes)
    return min(math.ceil(pair_count / tasks), start_limit - played_episodes)


def _list_requests(request: EvaluationRequest) -> list[EvaluationRequest]:
    """Return the request of each policy, the evaluated one first."""
    return [replace(request, policy=policy, tags={}) for policy in (request.policy, *request.references)]


def _name_part(request: EvaluationRequest, number: int, policy: int) -> Path:
    return request.results.parent / PARTS_FOLDER / f"{number:03}-{policy}"


def _play_round(
    request: EvaluationRequest, rounds: Sequence[int], start_limit: int, policy_names: Sequence[str], evaluate: Evaluate
) -> list[Observation]:
    """Roll each policy out in the last of the rounds, and return the episodes in the order of their starts."""
    size, played_before, tasks = rounds[-1], sum(rounds[:-1]), max(len(request.tasks), 1)
    films = request.record_video and played_before < MOST_FILMED
    rows: list[tuple[int, int, Observation]] = []
    for number, policy_request in enumerate(_list_requests(request)):
        round_request = replace(
            policy_request, references=(), eval_episodes=size, skip=request.skip + played_before, record_video=films
        )
        done_episodes = (played_before * len(policy_names) + number * size) * tasks
        part_folder = _name_part(request, len(rounds), number)
        part_name = f"round {len(rounds)} of {policy_names[number]}"
        evaluated_parts.score_part(
            round_request,
            part_folder,
            evaluate,
            lambda _, done=done_episodes: EvaluationProgress(
                start_limit * tasks * len(policy_names), done=done, has_scores=False
            ),  # type: ignore[misc]
            part_name,
        )
        rows += [
            (episode.seed, index, _observe(episode, policy_names[number]))
            for index, episode in enumerate(_read_episodes(part_folder))
        ]
    return [observation for _, _, observation in sorted(rows, key=lambda row: row[:2])]


def _observe(episode: RolloutEpisode, name: str) -> Observation:
    start = str(episode.seed) if episode.start is None else f"#{episode.start}"
    start_name = f"{episode.task}/{start}" if episode.task else start
    return Observation(policy=name, start=start_name, success=episode.success, score=episode.max_reward)


def _decide(
    pairings: Sequence[Pairing], plan: ComparisonPlan, earlier_counts: Sequence[PairCounts], *, is_last: bool
) -> list[PairVerdict]:
    if is_last:
        plan = replace(plan, at_most=min(len(pairing.pairs) for pairing in pairings))
    return compare(pairings, plan, earlier_counts)


def _say_round(number: int, verdicts: Sequence[PairVerdict]) -> None:
    """Send what is known after a round."""
    differences = []
    for verdict in verdicts:
        difference, lower_bound, upper_bound = (
            100 * (number or 0) for number in (verdict.difference, verdict.low, verdict.high)
        )
        differences.append(
            f"{difference:+.0f} points ({lower_bound:.0f} to {upper_bound:.0f}) against {verdict.second}"
        )
    emit_note(f"round {number}: {verdicts[0].pairs} pairs, {'; '.join(differences)}")


def _read_episodes(part_folder: Path) -> list[RolloutEpisode]:
    return [RolloutEpisode(**row) for row in _read_part(part_folder)["rollout"]["per_episode"]]


def _read_part(part_folder: Path) -> dict[str, Any]:
    results: dict[str, Any] = json.loads((part_folder / result_store.RESULTS_FILE).read_text("utf-8"))
    return results


def _finish(
    request: EvaluationRequest,
    rounds: Sequence[int],
    plan: ComparisonPlan,
    verdicts: Sequence[PairVerdict],
    names: Sequence[str],
    ended: record.Ending,
    earlier: Sequence[EarlierComparison],
    continuation: str,
) -> None:
    """Write the results of all, and send those of the evaluated policy."""
    with result_files.fill_folder(request.results) as folder:
        rows, policy_results = [], []
        for number, policy_request in enumerate(_list_requests(request)):
            target = folder / REFERENCES_FOLDER / str(number) if number else folder
            target.mkdir(parents=True, exist_ok=True)
            part_folders = [_name_part(request, round_index + 1, number) for round_index in range(len(rounds))]
            policy_result = _merge_parts(policy_request, part_folders, target)
            result_store.write_results(policy_result, target)
            file = (target / result_store.RESULTS_FILE).relative_to(folder).as_posix()
            rows.append(
                {**_describe_policy(policy_result, names[number]), "role": policy_request.policy.role, "results": file}
            )
            policy_results.append(policy_result)
        comparison_record = record.make_comparison_record(
            plan,
            plan_pairs(plan, len(verdicts)),
            rows,
            verdicts,
            [(0, number + 1) for number in range(len(verdicts))],
            conditions=_describe_conditions(policy_results[0], sum(rounds)),
            ending=ended,
            rounds=rounds,
            earlier_comparisons=earlier,
        )
        result_files.write_json(folder / COMPARISON_FILE, comparison_record)
    for row in comparison_record["verdicts"]:
        emit_note(row["sentence"])
    score = evaluated_parts.make_score(policy_results[0])
    low_success_text = summary.explain_low_success(score, request.success_threshold)
    if gate := comparison_record["gate"]:
        score = replace(score, passed=gate["passed"] and score.passed is not False)
    summarized_record = {**record.summarize(comparison_record), KEY: continuation}
    evaluated_parts.report(request, score, request.policy.folder, request.kept_policy, summarized_record)
    refused_sentences = [
        row["sentence"] for row in comparison_record["verdicts"] if gate and row["verdict"] != "not worse"
    ]
    if error_text := "; ".join(filter(None, [*refused_sentences, low_success_text])):
        raise WorkFailed(error_text)


def _merge_parts(request: EvaluationRequest, part_folders: Sequence[Path], folder: Path) -> EvaluationResult:
    """Return the result of all rounds of a policy; its videos are linked into `folder`."""
    reports = [_read_part(part_folder) for part_folder in part_folders]
    played_episodes = [
        (part_folder, episode) for part_folder in part_folders for episode in _read_episodes(part_folder)
    ]
    task_order = {task: number for number, task in enumerate(request.tasks)}
    played_episodes.sort(key=lambda pair: (task_order.get(pair[1].task, 0), pair[1].seed))
    episodes = list[RolloutEpisode]()
    trials = dict[tuple[str, int], int | None]()
    for index, (part_folder, episode) in enumerate(played_episodes):
        trial = episode.trial
        if episode.start is not None:
            trial = trials.setdefault((episode.task, episode.start), trial)
        video = _link_video(part_folder, episode, index, folder) if episode.video else None
        episodes.append(replace(episode, index=index, trial=trial, video=video))
    first_report = reports[0]
    memory = [report["peak_memory_mib"] for report in reports if report["peak_memory_mib"] is not None]
    return EvaluationResult(
        request=request,
        policy=first_report["policy"],
        device=first_report["device"],
        rolled=RolloutResult(
            episodes=episodes,
            latency_ms=first_report["rollout"].get("latency_ms"),
            scaled_key_points=first_report["rollout"].get("scaled_key_points", False),
        ),
        packages=first_report["packages"],
        peak_memory_mib=max(memory, default=None),
    )


def _link_video(part_folder: Path, episode: RolloutEpisode, index: int, folder: Path) -> str:
    """Link the video of an episode under its number among all."""
    assert episode.video
    video = Path(episode.video).with_name(f"episode_{index:03d}.mp4")
    evaluated_parts.link_file(part_folder / episode.video, folder / video)
    return video.as_posix()


def _describe_policy(result: EvaluationResult, name: str) -> dict[str, Any]:
    """Return what a reader of a comparison wants to know of a policy."""
    rolled = result.rolled
    assert rolled
    return {
        **result.policy,
        "name": name,
        "run": result.request.policy.run or None,
        "episodes": len(rolled.episodes),
        "trials": rolled.trials,
        "successes": rolled.successes,
        "success_rate": rolled.success_rate,
        "success_interval": list(rolled.success_interval),
        "score": rolled.mean("max_reward"),
        "latency_ms": rolled.latency_ms,
        "peak_memory_mib": result.peak_memory_mib,
    }


def _describe_conditions(result: EvaluationResult, episodes: int) -> dict[str, Any]:
    """Return what all policies had in common."""
    request = result.request
    request_fields = ("env", "starts", "success_reward", "env_steps", "seed")
    return {
        "text": summary.describe_conditions(result),
        **{name: getattr(request, name) for name in request_fields},
        "tasks": list(request.tasks),
        "batch": request.eval_batch_size,
        "first_seed": request.seed + request.skip,
        "episodes": episodes,
        "options": list(request.options),
        "renames": dict(request.renames),
        "device": result.device,
        "packages": result.packages,
        "lerobot": result.packages.get("lerobot"),
        "lock": request.lock or None,
    }
