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
from robotrain_runtime.contract.event import Note, emit_event

from robotrain_workloads.evaluation import result_files
from robotrain_workloads.evaluation.rollout_scores import RolloutEpisode, RolloutResult
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
    names = _make_names(request)
    digests = _digest_policies(request, names)
    plan = make_plan({name: getattr(request, name) for name in PARAMETERS})
    tasks = max(len(request.tasks), 1)
    earlier = select_continued(load_comparisons(request.earlier_comparisons), digests)
    counts = [sum_counts(earlier, digests[0], digest) for digest in digests[1:]]
    played_starts = {start for comparison in earlier for start in comparison.starts}
    limit = _count_starts(request)
    if limit < FRESH:
        limit -= sum(comparison.episodes for comparison in earlier)
    planned = plan_pairs(plan, len(request.references))
    limit = min(limit, max(1, (plan.at_most or planned.at_most) // tasks))
    if limit < 1:
        raise SystemExit(_explain_no_start(earlier))
    request = replace(request, skip=choose_skip(earlier, request.seed, FRESH, limit))
    plan = replace(plan, at_most=limit * tasks, block=tasks)
    if earlier:
        emit_event(Note(level="info", text=f"goes on from {record.name_runs(earlier)}, with new starts"))
    print(f"comparing {len(names)} policies in at most {limit * tasks} episodes of each", flush=True)
    rounds = list[int]()
    table = list[Observation]()
    while True:
        rounds.append(_choose_round(rounds, limit, request))
        played = _play_round(request, rounds, limit, names, evaluate)
        new = [observation for observation in played if observation.start not in played_starts]
        table += new
        repeats = len(new) < len(played) or any(find_repeated(table))
        if not table:
            raise SystemExit(_explain_no_start(earlier))
        is_last = repeats or sum(rounds) >= limit
        pairings = [pair_sides(table, Side(names[0]), Side(name)) for name in names[1:]]
        verdicts = _decide(pairings, plan, counts, is_last=is_last)
        _say_round(len(rounds), verdicts)
        if all(verdict.verdict != "continue" for verdict in verdicts):
            break
    undecided = any(verdict.verdict == "not decided" for verdict in verdicts)
    ended: record.Ending = "decided"
    if any(verdict.withheld in ("floor", "ceiling") for verdict in verdicts):
        ended = "floor"
    elif undecided:
        ended = "starts" if repeats else "at_most"
    own_comparison = EarlierComparison(
        run="",
        policies=digests,
        counts=[count_pairs(pairing.pairs) for pairing in pairings],
        seed=request.seed,
        skip=request.skip,
        episodes=sum(rounds),
        starts=sorted({observation.start for observation in table if NUMBERED.search(observation.start)}),
    )
    continuation = dump_continuation(request.conditions_digest, own_comparison, earlier)
    _finish(request, rounds, plan, verdicts, names, ended, earlier, continuation)


def _explain_no_start(earlier: Sequence[EarlierComparison]) -> str:
    return (
        f"error: {record.name_runs(earlier)} played all of the starts with the same policies: what they found is the"
        " answer, and other --starts ask again"
    )


def _digest_policies(request: EvaluationRequest, names: Sequence[str]) -> list[str]:
    """Return the digests. Raise SystemExit if a reference is the evaluated policy, whatever it is called."""
    folders = [policy.folder for policy in (request.policy, *request.references)]
    digests = [result_store.digest_policy(folder) if folder else "" for folder in folders]
    for name, digest in zip(names[1:], digests[1:], strict=True):
        if digest and digest == digests[0]:
            same = f"{names[0]} and {name} are the same policy (sha256:{digest[:12]})"
            raise SystemExit(f"error: {same}: there is nothing to compare")
    return digests


def _make_names(request: EvaluationRequest) -> list[str]:
    """Return a name for each policy, which no other has."""
    policies = (request.policy, *request.references)
    names = [f"{policy.run}@{policy.step}" if policy.run else policy.name for policy in policies]
    return [name if names.count(name) < 2 else f"{name} [{number}]" for number, name in enumerate(names)]


def _shuffle_states(request: EvaluationRequest) -> EvaluationRequest:
    """Return the request with its listed starts in another order: the easy ones may stand first."""
    states = json.loads(request.starts) if request.starts and request.starts.lstrip().startswith("[") else []
    if not states:
        return request
    order = shuffle_starts([json.dumps(state) for state in states])
    return replace(request, starts=json.dumps([states[index] for index in order]))


def _count_starts(request: EvaluationRequest) -> int:
    """Return how many different starts there are, as far as it is known before they are played."""
    starts = simulation.parse_starts(request.starts, request.env)
    return len(starts.states) if isinstance(starts, simulation.StartStates) else FRESH


def _choose_round(rounds: Sequence[int], limit: int, request: EvaluationRequest) -> int:
    """Return how many episodes of each task the next round has, whatever the size of a batch is."""
    played, tasks = sum(rounds), max(len(request.tasks), 1)
    pairs = choose_round(played * tasks, request.eval_episodes)
    return min(math.ceil(pairs / tasks), limit - played)


def _list_requests(request: EvaluationRequest) -> list[EvaluationRequest]:
    """Return the request of each policy, the evaluated one first."""
    return [replace(request, policy=policy, tags={}) for policy in (request.policy, *request.references)]


def _name_part(request: EvaluationRequest, number: int, policy: int) -> Path:
    return request.results.parent / PARTS_FOLDER / f"{number:03}-{policy}"


def _play_round(
    request: EvaluationRequest, rounds: Sequence[int], limit: int, names: Sequence[str], evaluate: Evaluate
) -> list[Observation]:
    """Roll each policy out in the last of the rounds, and return the episodes in the order of their starts."""
    size, before, tasks = rounds[-1], sum(rounds[:-1]), max(len(request.tasks), 1)
    films = request.record_video and before < MOST_FILMED
    rows: list[tuple[int, int, Observation]] = []
    for number, policy_request in enumerate(_list_requests(request)):
        round_request = replace(
            policy_request, references=(), eval_episodes=size, skip=request.skip + before, record_video=films
        )
        done = (before * len(names) + number * size) * tasks
        part = _name_part(request, len(rounds), number)
        what = f"round {len(rounds)} of {names[number]}"
        evaluated_parts.score_part(
            round_request,
            part,
            evaluate,
            lambda _, done=done: EvaluationProgress(limit * tasks * len(names), done=done, has_scores=False),  # type: ignore[misc]
            what,
        )
        rows += [
            (episode.seed, index, _observe(episode, names[number]))
            for index, episode in enumerate(_read_episodes(part))
        ]
    return [observation for _, _, observation in sorted(rows, key=lambda row: row[:2])]


def _observe(episode: RolloutEpisode, name: str) -> Observation:
    start = str(episode.seed) if episode.start is None else f"#{episode.start}"
    start_name = f"{episode.task}/{start}" if episode.task else start
    return Observation(policy=name, start=start_name, success=episode.success, score=episode.max_reward)


def _decide(
    pairings: Sequence[Pairing], plan: ComparisonPlan, earlier: Sequence[PairCounts], *, is_last: bool
) -> list[PairVerdict]:
    if is_last:
        plan = replace(plan, at_most=min(len(pairing.pairs) for pairing in pairings))
    return compare(pairings, plan, earlier)


def _say_round(number: int, verdicts: Sequence[PairVerdict]) -> None:
    """Send what is known after a round."""
    differences = []
    for verdict in verdicts:
        difference, low, high = (100 * (number or 0) for number in (verdict.difference, verdict.low, verdict.high))
        differences.append(f"{difference:+.0f} points ({low:.0f} to {high:.0f}) against {verdict.second}")
    emit_event(Note(level="info", text=f"round {number}: {verdicts[0].pairs} pairs, {'; '.join(differences)}"))


def _read_episodes(part: Path) -> list[RolloutEpisode]:
    return [RolloutEpisode(**row) for row in _read_part(part)["rollout"]["per_episode"]]


def _read_part(part: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((part / result_store.RESULTS_FILE).read_text(encoding="utf-8"))
    return data


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
        rows, results = [], []
        for number, policy_request in enumerate(_list_requests(request)):
            target = folder / REFERENCES_FOLDER / str(number) if number else folder
            target.mkdir(parents=True, exist_ok=True)
            parts = [_name_part(request, played + 1, number) for played in range(len(rounds))]
            result = _merge_parts(policy_request, parts, target)
            result_store.write_results(result, target)
            file = (target / result_store.RESULTS_FILE).relative_to(folder).as_posix()
            rows.append(
                {**_describe_policy(result, names[number]), "role": policy_request.policy.role, "results": file}
            )
            results.append(result)
        made = record.make_comparison_record(
            plan,
            plan_pairs(plan, len(verdicts)),
            rows,
            verdicts,
            [(0, number + 1) for number in range(len(verdicts))],
            conditions=_describe_conditions(results[0], sum(rounds)),
            ended=ended,
            rounds=rounds,
            earlier=earlier,
        )
        result_files.write_json(folder / COMPARISON_FILE, made)
    for row in made["verdicts"]:
        emit_event(Note(level="info", text=row["sentence"]))
    score = evaluated_parts.make_score(results[0])
    too_low = summary.explain_low_success(score, request.success_threshold)
    if gate := made["gate"]:
        score = replace(score, passed=gate["passed"] and score.passed is not False)
    summarized = {**record.summarize(made), KEY: continuation}
    evaluated_parts.report(request, score, request.policy.folder, request.kept_policy, summarized)
    refused = [row["sentence"] for row in made["verdicts"] if gate and row["verdict"] != "not worse"]
    if text := "; ".join(filter(None, [*refused, too_low])):
        raise SystemExit(f"error: {text}")


def _merge_parts(request: EvaluationRequest, parts: Sequence[Path], folder: Path) -> EvaluationResult:
    """Return the result of all rounds of a policy; its videos are linked into `folder`."""
    reports = [_read_part(part) for part in parts]
    played = [(part, episode) for part in parts for episode in _read_episodes(part)]
    order = {task: number for number, task in enumerate(request.tasks)}
    played.sort(key=lambda pair: (order.get(pair[1].task, 0), pair[1].seed))
    episodes = list[RolloutEpisode]()
    trials = dict[tuple[str, int], int | None]()
    for index, (part, episode) in enumerate(played):
        trial = episode.trial
        if episode.start is not None:
            trial = trials.setdefault((episode.task, episode.start), trial)
        video = _link_video(part, episode, index, folder) if episode.video else None
        episodes.append(replace(episode, index=index, trial=trial, video=video))
    first = reports[0]
    memory = [report["peak_memory_mib"] for report in reports if report["peak_memory_mib"] is not None]
    return EvaluationResult(
        request=request,
        policy=first["policy"],
        device=first["device"],
        rolled=RolloutResult(episodes=episodes, latency_ms=first["rollout"].get("latency_ms")),
        packages=first["packages"],
        peak_memory_mib=max(memory, default=None),
    )


def _link_video(part: Path, episode: RolloutEpisode, index: int, folder: Path) -> str:
    """Link the video of an episode under its number among all."""
    assert episode.video
    video = Path(episode.video).with_name(f"episode_{index:03d}.mp4")
    evaluated_parts.link_file(part / episode.video, folder / video)
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
    names = ("env", "starts", "success_reward", "env_steps", "seed")
    return {
        "text": summary.describe_conditions(result),
        **{name: getattr(request, name) for name in names},
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
