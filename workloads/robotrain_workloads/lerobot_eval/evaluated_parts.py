"""Parts of an evaluation of several policies: each is a folder that is complete whenever it exists.

An attempt that begins again in the same run's folder finds the parts of the earlier one. Standard library only.
"""

import dataclasses
import gc
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.document import collect_fields
from robotrain_runtime.contract.event import Evaluated, Scored, emit_event, emit_note

from robotrain_workloads.evaluation import result_files
from robotrain_workloads.exit_status import WorkFailed
from robotrain_workloads.lerobot_eval.inputs.request import EvaluationRequest
from robotrain_workloads.lerobot_eval.references import EARLIER, PARAMETERS
from robotrain_workloads.lerobot_eval.results import result_store, summary
from robotrain_workloads.lerobot_eval.results.evaluation import EvaluationResult
from robotrain_workloads.lerobot_eval.results.progress import EvaluationProgress

SCORES_FILE = "checkpoint.json"
OWN_FIELDS = (
    *("policy", "checkpoints", "checkpoints_folder", "confirm", "references"),
    *("results", "kept_policy", "link_policy", "tags", "conditions_digest", *PARAMETERS, EARLIER),
)
"""What of a request does not change the scores of a policy, besides its files."""

MakeProgress = Callable[[int], EvaluationProgress]
Evaluate = Callable[[EvaluationRequest, Path, MakeProgress], EvaluationResult]


def score_policy(request: EvaluationRequest, folder: Path, evaluate: Evaluate, make_progress: MakeProgress) -> Scored:
    """Evaluate a policy, and write its results to a new folder."""
    result = evaluate(request, folder, make_progress)
    if not result.episodes:
        raise WorkFailed("no episode was evaluated")
    result_store.write_results(result, folder)
    return make_score(result)


def make_score(result: EvaluationResult) -> Scored:
    """Return the score of an evaluated policy."""
    return Scored(
        step=result.request.policy.step,
        scores=summary.compute_scores(result),
        episodes=result.episodes,
        conditions=summary.describe_conditions(result),
        passed=result.passed,
    )


def report(
    request: EvaluationRequest,
    score: Scored,
    model: Path | None,
    kept_policy: Path | None,
    compared: Mapping[str, Any] | None = None,
) -> None:
    """Keep the policy of a score, whose results are written, and send the score, with what a comparison found."""
    results = json.loads((request.results / result_store.RESULTS_FILE).read_text("utf-8"))
    if kept_policy and model:
        result_store.copy_policy(model, kept_policy, link=request.link_policy)
    emit_event(
        Evaluated(
            episodes=score.episodes,
            scores=score.scores,
            results=str(request.results.absolute()),
            policy=str(kept_policy.absolute()) if kept_policy else "",
            step=score.step,
            passed=score.passed,
            conditions=score.conditions,
            compared=compared or {},
            digest=results["policy"].get("sha256") or "",
        )
    )


def score_part(
    request: EvaluationRequest, part_folder: Path, evaluate: Evaluate, make_progress: MakeProgress, name: str
) -> Scored:
    """Return the score of a policy, whose results are in the folder `part_folder` once it is complete.

    :param name: what is evaluated, for people.
    """
    key = _make_key(request)
    if earlier_score := _read_earlier(part_folder, key):
        emit_note(f"{name} was evaluated before")
        return earlier_score
    with result_files.fill_folder(part_folder) as folder:
        score = score_policy(request, folder, evaluate, make_progress)
        result_files.write_json(folder / SCORES_FILE, {"key": key, "score": collect_fields(score)})
    free_memory()
    return score


def _read_earlier(part_folder: Path, key: str) -> Scored | None:
    """Return what an earlier attempt of the same evaluation found; None if it found nothing."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        stored_part = json.loads((part_folder / SCORES_FILE).read_text("utf-8"))
        if stored_part["key"] == key:
            scores = {name: value for name, value in stored_part["score"]["scores"].items() if value is not None}
            return Scored(**{**stored_part["score"], "scores": scores})
    return None


def _make_key(request: EvaluationRequest) -> str:
    """Return what the scores depend on: the policy's files and all options. Raise OSError."""
    policy, fields = request.policy, dataclasses.asdict(request)
    shared_fields = {name: value for name, value in fields.items() if name not in OWN_FIELDS}
    digest = result_store.digest_policy(policy.folder) if policy.folder else ""
    key_parts = [digest, policy.base, policy.source, policy.pin, shared_fields]
    return hashlib.sha256(json.dumps(key_parts, sort_keys=True, default=str).encode()).hexdigest()


def free_memory() -> None:
    """Return the memory of a policy that is not needed any more to the GPU."""
    gc.collect()
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def link_files(source: Path, target: Path) -> None:
    """Link the files of a folder into another one."""
    for path in sorted(source.rglob("*")):
        if not path.is_dir() and path != source / SCORES_FILE:
            link_file(path, target / path.relative_to(source))


def link_file(path: Path, target: Path) -> None:
    """Link a file, or copy it where the disk has no links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path, target)
    except OSError:
        shutil.copyfile(path, target)
