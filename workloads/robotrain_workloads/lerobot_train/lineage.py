"""What a registered model is told of where it comes from: tag names of the contract, section D.4."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from robotrain_runtime import checkpoint, surroundings
from robotrain_runtime.checkpoint import Manifest
from robotrain_runtime.document import JobDocument, Source

from robotrain_workloads.lerobot_train import extents, start
from robotrain_workloads.lerobot_train.tracked import SOURCE_NAMES, source_of

BEGUN = {"policy": "fine-tuned from", "init_policy": "begun with the weights of", "resume": "gone on from"}
LISTED = {"blob_url": ("blob_url", "blob URLs"), "data_asset": ("dataset_asset", "data assets")}
"""Kinds whose sources are counted and listed: the tags' beginning, and what several are called."""
SHORT = {"huggingface": "hf", "blob_url": "blob", "data_asset": "asset", "local_path": "folder"}
"""What the kinds of datasets are called where it is said what made a model."""
AZURE_ML_RUN = "AZUREML_RUN_ID"
"""The name of the environment that holds the name of an Azure ML job."""
LONGEST = 64
"""Of a pin that a person would read; the tags hold every one."""


def description(document: JobDocument, data: Mapping[Source, Path]) -> str:
    """Some lines for people."""
    given, begun = document.parameters, start.source(document.sources)
    lines = [
        f"LeRobot {given['policy_type']} policy" + (f", {BEGUN[begun.role]} {begun.uri}" if begun else ""),
        f"Job: {given['job_name']}, {given['training_steps']} steps (run {document.run})",
        *(f"Dataset: {line}" for line in datasets(document.sources, data)),
        *(f"Azure ML job: {name}" for name in azureml_run(document).values()),
    ]
    return "\n".join(lines)


def tags(document: JobDocument, data: Mapping[Source, Path]) -> dict[str, str]:
    """What can be searched for; the runtime adds which checkpoint of which run it is."""
    given = document.parameters
    found = {
        "framework": "lerobot",
        "policy_type": str(given["policy_type"]),
        "job_name": str(given["job_name"]),
        "training_steps": str(given["training_steps"]),
        "source": f"{document.platform}-lerobot-{_short(_given(document))}",
        **of_datasets(document),
        **azureml_run(document),
        **_begun(document.sources),
        **parent(data),
    }
    return {name: value for name, value in found.items() if value}


def of_datasets(document: JobDocument) -> dict[str, str]:
    """What is said of the datasets among the tags; a value may be empty."""
    sources = _given(document)
    uris = [_uri(source) for source in sources]
    return {
        "dataset_source": source_of(sources),
        "dataset_uri": _several(uris, "sources"),
        "dataset_uri_count": str(len(uris)),
        "dataset_lineage_sha256": _digest([[one.kind, one.uri, one.pin] for one in sources]),
        "dataset_repo_id": repository(document),
        "dataset_pin": _several([one.pin for one in sources if one.pin], "pins"),
        **dict(_counted(sources)),
    }


def repository(document: JobDocument) -> str:
    """What the datasets are called: the repository of the first that has one, else as the person says."""
    hub = (one.uri for one in _given(document) if one.kind == "huggingface")
    return next(hub, str(document.parameters["dataset_id"]))


def file(document: JobDocument) -> dict[str, object]:
    """What the tags shorten, in full; None for what is not known. The runtime adds which tracking run it is."""
    sources = _given(document)
    told = {name: value for name, value in (of_datasets(document) | azureml_run(document)).items() if value}
    return {
        "dataset_source": told["dataset_source"],
        "dataset_uri": " ".join(map(_uri, sources)) or None,
        "dataset_summary": told.get("dataset_uri"),
        **{f"{name}s": [one.uri for one in sources if one.kind == kind] for kind, (name, _) in LISTED.items()},
        "dataset_repo_id": told.get("dataset_repo_id"),
        "azureml_run_id": told.get("azureml_run_id"),
    }


def parent(data: Mapping[Source, Path]) -> dict[str, str]:
    """The run that the training goes on from, where the checkpoint says which one that was."""
    begun = start.source(data)
    made = manifest(data[begun]) if begun else None
    if made is None:
        return {}
    return {
        "parent_run": made.run,
        "parent_job_digest": made.job,
        "parent_step": str(made.step),
        "parent_checkpoint_sha256": made.digest,
    }


def datasets(sources: Sequence[Source], data: Mapping[Source, Path]) -> Iterator[str]:
    """A line for each: its address, what it means now, and how much it is."""
    given = [source for source in sources if source.role == "dataset"]
    folders = [data.get(source) for source in given]
    for at, (source, folder) in enumerate(zip(given, folders, strict=True)):
        meant = f" at {source.pin}" if 0 < len(source.pin) <= LONGEST else ""
        yield _uri(source) + meant + _extent(folder, at, folders.count(folder))


def _extent(folder: Path | None, at: int, merged: int) -> str:
    """merged: how many sources lie in the folder together."""
    found = extents.of(folder, at, merged) if folder else None
    return f" ({found[0]} episodes, {found[1]} frames)" if found else ""


def manifest(folder: Path) -> Manifest | None:
    """That of a checkpoint, also when only its model was named."""
    return checkpoint.read(folder) or checkpoint.read(folder.parent)


def _begun(sources: Sequence[Source]) -> dict[str, str]:
    begun = start.source(sources)
    if begun is None:
        return {}
    return {
        "base_policy": begun.uri,
        "base_policy_source": SOURCE_NAMES.get(begun.kind, begun.kind),
        "base_policy_pin": begun.pin,
    }


def _counted(sources: Sequence[Source]) -> Iterator[tuple[str, str]]:
    for kind, (name, plural) in LISTED.items():
        if uris := [source.uri for source in sources if source.kind == kind]:
            yield f"{name}_count", str(len(uris))
            yield f"{name}s", _several(uris, plural)


def _given(document: JobDocument) -> list[Source]:
    return [source for source in document.sources if source.role == "dataset"]


def _short(sources: Sequence[Source]) -> str:
    kinds = {SHORT.get(source.kind, source.kind) for source in sources}
    return kinds.pop() if len(kinds) == 1 else "mixed"


def azureml_run(document: JobDocument) -> dict[str, str]:
    """The job of Azure ML that it is; nothing elsewhere."""
    job = surroundings.submission(document) if document.placement.submission == AZURE_ML_RUN else ""
    return {"azureml_run_id": job} if job else {}


def _uri(source: Source) -> str:
    return f"hf://{source.uri}" if source.kind == "huggingface" else source.uri


def _several(texts: Sequence[str], plural: str) -> str:
    if len(texts) < 2:
        return "".join(texts)
    return f"{len(texts)} {plural}; sha256:{_digest(list(texts))[:16]}"


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, separators=(",", ":")).encode()).hexdigest()
