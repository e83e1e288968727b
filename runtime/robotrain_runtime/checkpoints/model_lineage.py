"""Identity and lineage of a model: digests, version tags, scores, and which run made it.

It lies where the model was copied to, never in the checkpoint, which is sealed.

The folder itself may be somebody's artifacts, and is left as it is.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.checkpoint import MANIFEST, CheckpointManifest
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.event import Evaluated

LINEAGE_FILE = "azureml_lineage.json"


def format_lineage(lineage: Mapping[str, object], run_id: str, experiment_id: str) -> bytes:
    """The same for the same model. lineage: what its workload says. run_id, experiment_id: of its tracking; empty for
    what is not known.
    """
    told = {**lineage, "mlflow_run_id": run_id or None, "mlflow_experiment_id": experiment_id or None}
    return (json.dumps(told, indent=2, sort_keys=True) + "\n").encode()


POLICY_RUN, POLICY_JOB, POLICY_STEP, POLICY_DIGEST = (
    "policy_run",
    "policy_job_digest",
    "policy_step",
    "policy_checkpoint_sha256",
)
"""What is told, by the names that models and tracking runs have for it."""


def write_policy_lineage(cache: Path, folder: Path, facts: Mapping[str, str]) -> None:
    """Write down what is known of the policy in `folder`; what was written before is gone. Raises OSError."""
    file = _get_policy_lineage_path(cache, folder)
    if not facts:
        file.unlink(missing_ok=True)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(dict(facts), indent=1, sort_keys=True) + "\n", encoding="utf-8")


def read_policy_lineage(cache: Path, folder: Path) -> dict[str, str]:
    """What was written down; nothing when nobody did."""
    try:
        found = json.loads(_get_policy_lineage_path(cache, folder).read_text(encoding="utf-8"))
        return {
            name: str(found[name]) for name in (POLICY_RUN, POLICY_JOB, POLICY_STEP, POLICY_DIGEST) if name in found
        }
    except (OSError, ValueError, TypeError):
        return {}


def _get_policy_lineage_path(cache: Path, folder: Path) -> Path:
    name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:32]
    return cache / "sources" / "parentage" / f"{name}.json"


ACCOMPANYING_FILES = frozenset({MANIFEST, LINEAGE_FILE, "README.md"})
"""What lies beside a model to say something of it, and comes and goes as it is copied."""


def hash_sealed_model(manifest: CheckpointManifest) -> str:
    """64 hex digits over the files of the model in what is sealed; empty when it names none of them."""
    within = f"{manifest.model}/" if manifest.model else ""
    paths = {path.removeprefix(within): digest for path, digest in manifest.files.items() if path.startswith(within)}
    return _combine_digests(paths)


def hash_model_folder(folder: Path) -> str:
    """Likewise of a model that lies in a folder. Raises OSError."""
    return _combine_digests(checkpoint.hash_files(folder))


def hash_model_files(files: Mapping[str, Path]) -> str:
    """Likewise of files by their paths in the model; they may be links. Raises OSError."""
    return _combine_digests({path: checkpoint.hash_file(file) for path, file in files.items()})


def _combine_digests(files: Mapping[str, str]) -> str:
    own = {path: digest for path, digest in files.items() if _is_model_file(path)}
    total = hashlib.sha256()
    for path, digest in sorted(own.items()):
        total.update(f"{digest} {path}\n".encode())
    return total.hexdigest() if own else ""


def _is_model_file(path: str) -> bool:
    """Hidden files are left by whatever brought the model."""
    return path not in ACCOMPANYING_FILES and not any(part.startswith(".") for part in path.split("/"))


MAX_TAG_LENGTH = 256


def shorten_tag(value: str) -> str:
    """One that is too long ends with what identifies all of it."""
    if len(value) <= MAX_TAG_LENGTH:
        return value
    end = f"...sha256:{hashlib.sha256(value.encode()).hexdigest()[:16]}"
    return value[: MAX_TAG_LENGTH - len(end)] + end


RUN_TAG, CHECKPOINT_TAG = "robotrain_run", "checkpoint"
"""Tags of a version that say which checkpoint it is, by its name."""
MODEL_DIGEST_TAG, CHECKPOINT_DIGEST_TAG = DIGEST_TAGS = ("model_sha256", "checkpoint_sha256")
"""Tags that say it by its bytes: those of the model alone, and those of everything beside it too."""
TaggedVersion = tuple[str, Mapping[str, str]]
"""Its number, and its tags."""


def find_same_model(
    versions: Iterable[TaggedVersion], tags: Mapping[str, str], *, by_name: bool
) -> TaggedVersion | None:
    """The newest version that is this one by its bytes, else by its run and step. tags: of this one. by_name: whether
    run and step say enough where bytes are known: who evaluates a policy did not make it, and may meet another under
    its name.
    """
    found = sorted(versions, key=_get_version_number, reverse=True)
    keys: list[tuple[str, ...]] = [(digest,) for digest in DIGEST_TAGS if digest in tags]
    keys += [(RUN_TAG, CHECKPOINT_TAG)] if by_name or not keys else []
    return next((one for key in keys for one in found if _has_same_tags(one[1], tags, key)), None)


def _has_same_tags(existing: Mapping[str, str], tags: Mapping[str, str], key: tuple[str, ...]) -> bool:
    return all(name in tags and existing.get(name) == tags[name] for name in key)


def _get_version_number(version: TaggedVersion) -> int:
    return int(version[0]) if version[0].isdecimal() else 0


SCORE_PREFIX, EVALUATED_ON_PREFIX = "score_", "evaluated_on_"
"""Before the names of scores, and of what the policy was evaluated on."""
SCORED_BY_TAG, EVALUATED_IN_TAG = "scored_by", "evaluated_in"
"""Tags that say which run evaluated the policy, and under which conditions its scores hold."""


def make_score_tags(evaluated: Evaluated | None, run: str, evaluated_on: Mapping[str, str]) -> dict[str, str]:
    """The tags; none without scores. run: that which evaluated it. on: the data and the world that it did so with.

    `rollout/success_rate` is told as `score_rollout_success_rate`.
    """
    if evaluated is None or not evaluated.scores:
        return {}
    scores = {
        SCORE_PREFIX + re.sub("[^A-Za-z0-9]", "_", name): f"{value:.6g}" for name, value in evaluated.scores.items()
    }
    said = {
        SCORED_BY_TAG: run,
        EVALUATED_IN_TAG: evaluated.conditions,
        **{EVALUATED_ON_PREFIX + name: value for name, value in evaluated_on.items()},
    }
    return {**scores, **{name: shorten_tag(value) for name, value in said.items() if value}}


def replace_score_tags(existing: Mapping[str, str], scores: Mapping[str, str]) -> dict[str, str]:
    """What a version that has these tags is told: those of now, and an empty text for each that is to go."""
    earlier = [
        name
        for name in existing
        if name.startswith((SCORE_PREFIX, EVALUATED_ON_PREFIX)) or name in (SCORED_BY_TAG, EVALUATED_IN_TAG)
    ]
    return {**dict.fromkeys(earlier, ""), **scores}


def find_replaced_run(existing: Mapping[str, str], scores: Mapping[str, str]) -> str:
    """The run whose scores give way to those of another one; empty for none."""
    before, after = existing.get(SCORED_BY_TAG, ""), scores.get(SCORED_BY_TAG, "")
    return before if after and before != after else ""


def make_version_tags(
    document: JobDocument, workload_tags: Mapping[str, str], folder: Path, manifest: CheckpointManifest
) -> dict[str, str]:
    """What a version says of itself. given: what the workload has to say. folder: that of the checkpoint."""
    told = {
        "source": f"{document.platform} {document.run}",
        **workload_tags,
        CHECKPOINT_TAG: folder.name,
        "job_digest": document.job,
        RUN_TAG: document.run,
        CHECKPOINT_DIGEST_TAG: manifest.digest,
    }
    model = {MODEL_DIGEST_TAG: found} if (found := hash_sealed_model(manifest)) else {}
    return {name: shorten_tag(value) for name, value in {**told, **model}.items()}
