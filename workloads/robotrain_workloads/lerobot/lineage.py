"""Where a model comes from: tags for its datasets, the checkpoint it started from, and its Azure ML job."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract import document as contract_document
from robotrain_runtime.contract.checkpoint import CheckpointManifest
from robotrain_runtime.contract.document import JobDocument, JobSource

COUNTED_KINDS = {"blob_url": ("blob_url", "blob URLs"), "data_asset": ("dataset_asset", "data assets")}
"""Kinds whose sources are counted and listed: the tags' beginning, and what several are called."""


AZUREML_RUN_VARIABLE = "AZUREML_RUN_ID"
"""The name of the environment that holds the name of an Azure ML job."""
LONGEST_PIN = 64
"""Of a pin that a person would read; the tags hold every one."""


def make_dataset_tags(document: JobDocument) -> dict[str, str]:
    """What is said of the datasets among the tags; a value may be empty."""
    sources = list_dataset_sources(document)
    uris = [format_source_uri(source) for source in sources]
    return {
        "dataset_source": describe_dataset_kind(sources),
        "dataset_uri": summarize_values(uris, "sources"),
        "dataset_uri_count": str(len(uris)),
        "dataset_lineage_sha256": digest_json([[one.kind, one.uri, one.pin] for one in sources]),
        "dataset_repo_id": get_dataset_name(document),
        "dataset_pin": summarize_values([one.pin for one in sources if one.pin], "pins"),
        **dict(_count_by_kind(sources)),
    }


def get_dataset_name(document: JobDocument) -> str:
    """What the datasets are called: the repository of the first that has one, else as the person says."""
    hub = (one.uri for one in list_dataset_sources(document) if one.kind == "huggingface")
    return next(hub, str(document.parameters["dataset_id"]))


def make_parent_tags(data: Mapping[JobSource, Path]) -> dict[str, str]:
    """The run that the training goes on from, where the checkpoint says which one that was."""
    begun = find_start_source(data)
    made = read_checkpoint_manifest(data[begun]) if begun else None
    if made is None:
        return {}
    return {
        "parent_run": made.run,
        "parent_job_digest": made.job,
        "parent_step": str(made.step),
        "parent_checkpoint_sha256": made.digest,
    }


def read_checkpoint_manifest(folder: Path) -> CheckpointManifest | None:
    """That of a checkpoint, also when only its model was named."""
    return checkpoint.read_manifest(folder) or checkpoint.read_manifest(folder.parent)


def _count_by_kind(sources: Sequence[JobSource]) -> Iterator[tuple[str, str]]:
    for kind, (name, plural) in COUNTED_KINDS.items():
        if uris := [source.uri for source in sources if source.kind == kind]:
            yield f"{name}_count", str(len(uris))
            yield f"{name}s", summarize_values(uris, plural)


def list_dataset_sources(document: JobDocument) -> list[JobSource]:
    return [source for source in document.sources if source.role == "dataset"]


def make_azureml_tags(document: JobDocument) -> dict[str, str]:
    """The job of Azure ML that it is; nothing elsewhere."""
    job = (
        contract_document.read_submission_id(document) if document.placement.submission == AZUREML_RUN_VARIABLE else ""
    )
    return {"azureml_run_id": job} if job else {}


def format_source_uri(source: JobSource) -> str:
    return f"hf://{source.uri}" if source.kind == "huggingface" else source.uri


def summarize_values(texts: Sequence[str], plural: str) -> str:
    if len(texts) < 2:
        return "".join(texts)
    return f"{len(texts)} {plural}; sha256:{digest_json(list(texts))[:16]}"


def digest_json(value: object) -> str:
    return hashlib.sha256(json.dumps(value, separators=(",", ":")).encode()).hexdigest()


SOURCE_KIND_NAMES = {
    "local_path": "local-path",
    "huggingface": "huggingface",
    "blob_url": "azure-blob",
    "data_asset": "azureml-data-asset",
    "registered_model": "registered-model",
    "model_asset": "azureml-model",
    "mlflow_run": "mlflow-run",
}


def describe_dataset_kind(sources: Sequence[JobSource]) -> str:
    """Where the datasets come from, in one word."""
    kinds = {SOURCE_KIND_NAMES.get(source.kind, source.kind) for source in sources if source.role == "dataset"}
    return kinds.pop() if len(kinds) == 1 else "mixed"


StartMode = Literal["scratch", "policy", "weights", "checkpoint"]
START_MODES: Mapping[str, StartMode] = {"policy": "policy", "init_policy": "weights", "resume": "checkpoint"}
"""By the role of the source."""


def find_start_source(sources: Iterable[JobSource]) -> JobSource | None:
    """The one that a training starts from."""
    return next((one for one in sources if one.role in START_MODES), None)
