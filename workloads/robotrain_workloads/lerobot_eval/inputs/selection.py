"""Selection of the policy and of recorded episodes for an evaluation. Standard library only."""

import re
from contextlib import suppress
from pathlib import Path

from robotrain_runtime.checkpoints import model_lineage

from robotrain_workloads.lerobot import episode_numbers, file_formats, lineage, policy, policy_repositories
from robotrain_workloads.lerobot.job import LerobotJob
from robotrain_workloads.lerobot.lineage import SOURCE_KIND_NAMES
from robotrain_workloads.lerobot_eval.inputs.request import EvaluatedPolicy

BUILTIN_SOURCE = "builtin"
STEP_PATTERN = re.compile(r"(?:/(?:checkpoints|policy)/([0-9]{1,12})|/(0[0-9]{5}))(?:/pretrained_model)?/?$")
HELD_OUT, ALL = "held-out", "all"


def find_policy(job: LerobotJob) -> EvaluatedPolicy:
    """Return the policy of a job, as far as its files are here."""
    if (source := job.start_source) is None:
        return EvaluatedPolicy(name=job.model.kind, source=BUILTIN_SOURCE)
    base = policy_repositories.find_base(job)
    return EvaluatedPolicy(
        name=source.uri,
        source=SOURCE_KIND_NAMES.get(source.kind, source.kind),
        pin=source.pin,
        run=_find_run(job),
        step=_find_step(job),
        folder=job.policy_folder,
        base=base[-1] if base else None,
    )


def _find_run(job: LerobotJob) -> str:
    manifest = lineage.read_checkpoint_manifest(job.policy_folder) if job.policy_folder else None
    return manifest.run if manifest else ""


def _find_step(job: LerobotJob) -> int:
    source, folder = job.start_source, job.policy_folder
    if source is None or folder is None:
        return 0
    if manifest := lineage.read_checkpoint_manifest(folder):
        return manifest.step
    with suppress(OSError, ValueError, TypeError):
        return int(file_formats.read_json_object(folder.parent / policy.STEP_FILE).get("step") or 0)
    policy_lineage = model_lineage.read_policy_lineage(Path(job.document.placement.cache), job.folders[source])
    if step := policy_lineage.get(model_lineage.POLICY_STEP, ""):
        return int(step) if step.isdecimal() else 0
    match = STEP_PATTERN.search(source.uri)
    return int(match[1] or match[2]) if match else 0


def parse_episodes(text: str) -> list[range] | None:
    """Return the ranges; None for `held-out` and `all`. Raise ValueError with a sentence."""
    return None if text in (HELD_OUT, ALL) else episode_numbers.parse_ranges(text)
