"""Identity and lineage of a model: digests, version tags, scores, and the run that made it.

The lineage file is written beside a copy of the model, never into the sealed checkpoint.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.checkpoint import MANIFEST, CheckpointManifest, hash_file
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.event import Evaluated

LINEAGE_FILE = "azureml_lineage.json"


def format_lineage(lineage: Mapping[str, object], run_id: str, experiment_id: str) -> bytes:
    """Return the content of a lineage file: the workload's facts and the tracking run, each empty if unknown."""
    facts = {**lineage, "mlflow_run_id": run_id or None, "mlflow_experiment_id": experiment_id or None}
    return (json.dumps(facts, indent=2, sort_keys=True) + "\n").encode()


POLICY_FACTS = POLICY_RUN, POLICY_JOB, POLICY_STEP, POLICY_DIGEST = (
    "policy_run",
    "policy_job_digest",
    "policy_step",
    "policy_checkpoint_sha256",
)
"""The facts about a policy, as tags of models and tracking runs."""


MODEL_TAGS = "tags"
"""Under this name the lineage file of the cache has all tags of the model."""


def write_policy_lineage(
    cache: Path, folder: Path, facts: Mapping[str, str], tags: Mapping[str, str] | None = None
) -> None:
    """Record facts about the policy in `folder`, and the tags of its model or run, replacing earlier ones.

    They are kept in the cache. Raise OSError.
    """
    file = _get_policy_lineage_path(cache, folder)
    if not facts and not tags:
        file.unlink(missing_ok=True)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    lineage_facts = {**facts, **({MODEL_TAGS: dict(tags)} if tags else {})}
    file.write_text(json.dumps(lineage_facts, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def read_policy_lineage(cache: Path, folder: Path) -> dict[str, str]:
    """Return the recorded facts about the policy in `folder`; empty if there are none."""
    facts = _read_policy_file(cache, folder)
    return {name: str(facts[name]) for name in POLICY_FACTS if name in facts}


def read_model_tags(cache: Path, folder: Path) -> dict[str, str]:
    """Return the recorded tags of the model or run that the policy in `folder` came with; empty if there are none."""
    tags = _read_policy_file(cache, folder).get(MODEL_TAGS)
    return {str(name): str(tag_value) for name, tag_value in tags.items()} if isinstance(tags, dict) else {}


def _read_policy_file(cache: Path, folder: Path) -> dict[str, Any]:
    try:
        lineage_facts = json.loads(_get_policy_lineage_path(cache, folder).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return lineage_facts if isinstance(lineage_facts, dict) else {}


def _get_policy_lineage_path(cache: Path, folder: Path) -> Path:
    name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:32]
    return cache / "sources" / "parentage" / f"{name}.json"


ACCOMPANYING_FILES = frozenset({MANIFEST, LINEAGE_FILE, "README.md"})
"""Files beside a model that describe it, and that do not count for its digest."""


def hash_sealed_model(manifest: CheckpointManifest) -> str:
    """Return the digest (64 hex digits) of the model's files in a manifest; empty if there are none."""
    return _combine_digests(manifest.model_files)


def hash_model_files(files: Mapping[str, Path]) -> str:
    """Return the digest of a model, given its files by path; they may be links. Raise OSError."""
    return _combine_digests({path: hash_file(file) for path, file in files.items()})


def _combine_digests(files: Mapping[str, str]) -> str:
    model_digests = {
        path: digest
        for path, digest in files.items()
        if path not in ACCOMPANYING_FILES and "/." not in f"/{path}"  # hidden files are leftovers of downloads
    }
    return checkpoint.combine_digests(model_digests) if model_digests else ""


MAX_TAG_LENGTH = 256


def shorten_tag(tag_value: str) -> str:
    """Return a tag's value; if it is too long, cut, with its digest at the end."""
    if len(tag_value) <= MAX_TAG_LENGTH:
        return tag_value
    end = f"...sha256:{hashlib.sha256(tag_value.encode()).hexdigest()[:16]}"
    return tag_value[: MAX_TAG_LENGTH - len(end)] + end


RUN_TAG, CHECKPOINT_TAG = "robotrain_run", "checkpoint"
"""Tags of a version that identify its checkpoint by name."""
MODEL_DIGEST_TAG, CHECKPOINT_DIGEST_TAG = DIGEST_TAGS = ("model_sha256", "checkpoint_sha256")
"""Tags that identify it by content: the model's files, and all files of the checkpoint."""
TaggedVersion = tuple[str, Mapping[str, str]]
"""The number and the tags of a version."""


def find_same_model(
    versions: Iterable[TaggedVersion], tags: Mapping[str, str], *, by_name: bool
) -> TaggedVersion | None:
    """Return the newest version with the content that `tags` identify, else (with `by_name`) of the same run and step.

    An evaluation passes `by_name=False`: another policy may have the same run and step.
    """
    newest_first = sorted(versions, key=lambda version: int(version[0]) if version[0].isdecimal() else 0, reverse=True)
    keys: list[tuple[str, ...]] = [(digest,) for digest in DIGEST_TAGS if digest in tags]
    keys += [(RUN_TAG, CHECKPOINT_TAG)] if by_name or not keys else []
    for key in keys:
        for version in newest_first:
            if all(name in tags and version[1].get(name) == tags[name] for name in key):
                return version
    return None


SCORE_PREFIX, EVALUATED_ON_PREFIX = "score_", "evaluated_on_"
"""Prefixes of the tags for scores, and for what the policy was evaluated on."""
SCORED_BY_TAG, EVALUATED_IN_TAG = "scored_by", "evaluated_in"
"""Tags for the run that evaluated the policy, and for the conditions of its scores."""
COMPARED_PREFIX = "compared_"
"""Prefix of the tags for what a comparison found: with which policies, by which margin, the verdict, how many pairs."""
COMPARED_TAGS = {"with": "references", "margin": "margin", "verdict": "answer", "pairs": "pairs"}
"""Of these tags, the key of `Evaluated.compared` that each has."""


def make_score_tags(evaluated: Evaluated | None, run: str, evaluated_on: Mapping[str, str]) -> dict[str, str]:
    """Return the tags of an evaluation by `run`; none without scores.

    The tag of `rollout/success_rate` is `score_rollout_success_rate`.
    """
    if evaluated is None or not evaluated.scores:
        return {}
    scores = {
        SCORE_PREFIX + re.sub("[^A-Za-z0-9]", "_", name): f"{tag_value:.6g}"
        for name, tag_value in evaluated.scores.items()
    }
    origin = {
        SCORED_BY_TAG: run,
        EVALUATED_IN_TAG: evaluated.conditions,
        **{EVALUATED_ON_PREFIX + name: tag_value for name, tag_value in evaluated_on.items()},
        **{COMPARED_PREFIX + tag: _format_tag(evaluated.compared.get(key)) for tag, key in COMPARED_TAGS.items()},
    }
    return {**scores, **{name: shorten_tag(tag_value) for name, tag_value in origin.items() if tag_value}}


def _format_tag(score_value: Any) -> str:
    return "" if score_value is None else f"{score_value:g}" if isinstance(score_value, float) else str(score_value)


def replace_score_tags(existing_tags: Mapping[str, str], scores: Mapping[str, str]) -> dict[str, str]:
    """Return the new score tags, with an empty value for each existing one that must be removed."""
    old_score_tags = [
        name
        for name in existing_tags
        if name.startswith((SCORE_PREFIX, EVALUATED_ON_PREFIX, COMPARED_PREFIX))
        or name in (SCORED_BY_TAG, EVALUATED_IN_TAG)
    ]
    return {**dict.fromkeys(old_score_tags, ""), **scores}


def find_replaced_run(existing_tags: Mapping[str, str], scores: Mapping[str, str]) -> str:
    """Return the run whose scores are replaced by those of another run; empty for none."""
    old_run = existing_tags.get(SCORED_BY_TAG, "")
    new_run = scores.get(SCORED_BY_TAG, "")
    return old_run if new_run and old_run != new_run else ""


def make_version_tags(
    document: JobDocument, workload_tags: Mapping[str, str], folder: Path, manifest: CheckpointManifest
) -> dict[str, str]:
    """Return the tags of a model version, given the checkpoint's folder."""
    tags = {
        "source": f"{document.platform} {document.run}",
        **workload_tags,
        CHECKPOINT_TAG: folder.name,
        "job_digest": document.job,
        RUN_TAG: document.run,
        CHECKPOINT_DIGEST_TAG: manifest.digest,
    }
    model = {MODEL_DIGEST_TAG: digest} if (digest := hash_sealed_model(manifest)) else {}
    return {name: shorten_tag(tag_value) for name, tag_value in {**tags, **model}.items()}
