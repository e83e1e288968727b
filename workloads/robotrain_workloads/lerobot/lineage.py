"""Lineage of a model: tags for its datasets, its start and its Azure ML job; what all model cards say."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract import document as contract_document
from robotrain_runtime.contract.checkpoint import CheckpointManifest
from robotrain_runtime.contract.document import Folders, JobDocument, JobSource

from robotrain_workloads.lerobot import adapter, policy, training_history, versions
from robotrain_workloads.lerobot.adapter import Base
from robotrain_workloads.lerobot.backbones import HUB_KIND
from robotrain_workloads.lerobot.dataset_shares import describe_shares
from robotrain_workloads.lerobot.episode_numbers import EXCLUDED

LIBRARY = "lerobot"
BASE_FOLDER = "FOLDER_OF_THE_BASE"
HUB_BASE = (
    "name, revision = adapter.base_model_name_or_path, adapter.revision",
    "base = get_policy_class(config.type).from_pretrained(name, revision=revision, config=config)",
)
FOLDER_BASE = (f'base = get_policy_class(config.type).from_pretrained("{BASE_FOLDER}", config=config)',)
"""How the base of an adapter is loaded: one that `adapter_config.json` names at the Hub, and another one."""
PATH_FILES = {
    "*/train_config.json": None,
    **{f"{policy.MODEL_FOLDER}/{name}": None for name in (policy.CONFIG_FILE, *policy.PROCESSOR_FILES)},
    f"*/{training_history.RECORD_FILE}": "",
}
"""Files of a checkpoint that hold folders of the machine: of its data, its outputs, its start and its tokenizer."""
COUNTED_KINDS = {"blob_url": ("blob_url", "blob URLs"), "data_asset": ("dataset_asset", "data assets")}
"""Kinds whose sources are counted and listed: the prefix of the tags, and the plural."""
AZUREML_RUN_VARIABLE = "AZUREML_RUN_ID"
"""Its value is the name of an Azure ML job."""
LONGEST_PIN = 64
"""The longest pin in a description; tags hold every pin."""
SOURCE_KIND_NAMES = {
    "local_path": "local-path",
    "huggingface": "huggingface",
    "blob_url": "azure-blob",
    "data_asset": "azureml-data-asset",
    "registered_model": "registered-model",
    "model_asset": "azureml-model",
    "mlflow_run": "mlflow-run",
}
StartMode = Literal["scratch", "policy", "weights", "checkpoint"]
START_MODES: Mapping[str, StartMode] = {"policy": "policy", "init_policy": "weights", "resume": "checkpoint"}
"""The start mode, by the role of the source."""


def make_dataset_tags(document: JobDocument) -> dict[str, str]:
    """Return the tags about the datasets; a value may be empty."""
    sources = list_dataset_sources(document)
    uris = [format_source_uri(source) for source in sources]
    counted: dict[str, str] = {}
    for kind, (name, plural) in COUNTED_KINDS.items():
        if own_uris := [source.uri for source in sources if source.kind == kind]:
            counted |= {f"{name}_count": str(len(own_uris)), f"{name}s": summarize_values(own_uris, plural)}
    return {
        "dataset_source": describe_dataset_kind(sources),
        "dataset_uri": summarize_values(uris, "sources"),
        "dataset_uri_count": str(len(uris)),
        "dataset_lineage_sha256": digest_json([[source.kind, source.uri, source.pin] for source in sources]),
        "dataset_repo_id": get_dataset_name(document),
        "dataset_pin": summarize_values([source.pin for source in sources if source.pin], "pins"),
        "dataset_shares": describe_shares(document.parameters, document.sources),
        "excluded_episodes": str(document.parameters.get(EXCLUDED) or ""),
        **counted,
    }


def list_choices(document: JobDocument) -> Iterator[str]:
    """Yield what a training reads of its datasets, for people; nothing if that is all of them."""
    if shares := describe_shares(document.parameters, document.sources):
        yield f"shares of the samples, in this order: {shares}"
    if excluded := document.parameters.get(EXCLUDED):
        yield f"without the episodes {excluded}"


def get_dataset_name(document: JobDocument) -> str:
    """Return the repository of the dataset, if that is one of the Hub; else `--dataset-id`, also of merged ones."""
    sources = list_dataset_sources(document)
    is_repository = len(sources) == 1 and sources[0].kind == "huggingface"
    return sources[0].uri if is_repository else str(document.parameters["dataset_id"])


def make_parent_tags(data: Folders) -> dict[str, str]:
    """Return tags of the run that made the starting checkpoint, when its manifest names one."""
    start = find_start_source(data)
    manifest = read_checkpoint_manifest(data[start]) if start else None
    if manifest is None:
        return {}
    return {
        "parent_run": manifest.run,
        "parent_job_digest": manifest.job,
        "parent_step": str(manifest.step),
        "parent_checkpoint_sha256": manifest.digest,
    }


def read_checkpoint_manifest(folder: Path) -> CheckpointManifest | None:
    """Return the manifest of a checkpoint, also when `folder` is the model inside it."""
    return checkpoint.read_manifest(folder) or checkpoint.read_manifest(folder.parent)


def list_dataset_sources(document: JobDocument) -> list[JobSource]:
    """Return the sources of datasets."""
    return [source for source in document.sources if source.role == "dataset"]


def make_azureml_tags(document: JobDocument) -> dict[str, str]:
    """Return the tag with the Azure ML job; nothing on other platforms."""
    is_azureml = document.placement.submission == AZUREML_RUN_VARIABLE
    job = contract_document.read_submission_id(document) if is_azureml else ""
    return {"azureml_run_id": job} if job else {}


def describe_pin(pin: str) -> str:
    """Return ` at PIN`; empty for none, and for one that is too long for a description."""
    return f" at {pin}" if 0 < len(pin) <= LONGEST_PIN else ""


def format_source_uri(source: JobSource) -> str:
    """Return the URI of a source, with `hf://` for Hugging Face."""
    return f"hf://{source.uri}" if source.kind == "huggingface" else source.uri


def summarize_values(texts: Sequence[str], plural: str) -> str:
    """Return one value itself, several as their count and digest."""
    if len(texts) < 2:
        return "".join(texts)
    return f"{len(texts)} {plural}; sha256:{digest_json(list(texts))[:16]}"


def digest_json(value: object) -> str:
    """Return the SHA-256 of a JSON value."""
    return hashlib.sha256(json.dumps(value, separators=(",", ":")).encode()).hexdigest()


def describe_dataset_kind(sources: Sequence[JobSource], names: Mapping[str, str] = SOURCE_KIND_NAMES) -> str:
    """Return where the datasets come from, in one word."""
    kinds = {names.get(source.kind, source.kind) for source in sources if source.role == "dataset"}
    return kinds.pop() if len(kinds) == 1 else "mixed"


def find_start_source(sources: Iterable[JobSource]) -> JobSource | None:
    """Return the source that a training starts from."""
    return next((source for source in sources if source.role in START_MODES), None)


def describe_use(document: JobDocument, base: Base | None = None) -> str:
    """Return how the policy is loaded. `base`: that of an adapter."""
    version = versions.get_version(document.parameters.get("lerobot_version")).name
    is_elsewhere = base is not None and base.kind != HUB_KIND
    lines = [
        f"With LeRobot {version}:",
        "",
        "```python",
        "from lerobot.policies.factory import get_policy_class",
        "from lerobot.configs.policies import PreTrainedConfig",
        "",
        'config = PreTrainedConfig.from_pretrained("{repository}", revision="{tag}")',
        *_list_loading(base),
        "```",
        "",
    ]
    if base and is_elsewhere:
        lines += [f"The base is no repository of the Hub: `{BASE_FOLDER}` holds {format_base(base)}.", ""]
    option = f" --backbone-path {BASE_FOLDER}" if is_elsewhere else ""
    lines.append(f"With robotrain: `robotrain submit lerobot-eval --policy-repo-id {{repository}}@{{tag}}{option} …`")
    return "\n".join(lines)


def _list_loading(base: Base | None) -> tuple[str, ...]:
    """Return the lines that load the policy, once its `config` is."""
    if base is None:
        return ('policy = get_policy_class(config.type).from_pretrained("{repository}", revision="{tag}")',)
    return (
        "from peft import PeftConfig, PeftModel",
        "",
        'adapter = PeftConfig.from_pretrained("{repository}", revision="{tag}")',
        *(HUB_BASE if base.kind == HUB_KIND else FOLDER_BASE),
        'policy = PeftModel.from_pretrained(base, "{repository}", revision="{tag}", config=adapter)',
    )


def format_base(base: Base) -> str:
    """Return the base of an adapter for people; its digest is often known only once the training has begun."""
    if str(base):
        return f"`{base}`"
    run = f" that the run `{base.run}` started from" if base.run else ""
    return f"the policy{run}, whose `model.safetensors` has the `sha256` of `{adapter.BASE_FILE}`"
