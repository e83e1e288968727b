"""Metadata of a training: its tracking run, its registered model, the model's card. Names: contract, section D.4."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from robotrain_runtime.contract.container_plugin import TrackingSpec
from robotrain_runtime.contract.document import Folders, JobDocument, JobSource, Scalar
from robotrain_runtime.contract.job_node import NODES_PARAMETER, count_nodes

from robotrain_workloads import model_card, packages
from robotrain_workloads.dataset_check import statistics_needs
from robotrain_workloads.lerobot import dataset_preparation, episode_numbers, lineage, start
from robotrain_workloads.lerobot.adapter import Base
from robotrain_workloads.lerobot.backbones import HUB_KIND
from robotrain_workloads.lerobot.dataset_shares import MIXTURE
from robotrain_workloads.lerobot.job import LerobotJob
from robotrain_workloads.lerobot.options import format_options
from robotrain_workloads.lerobot_train import trainer_options
from robotrain_workloads.lerobot_train.parameters import TrainParameters

START_PHRASES = {"policy": "fine-tuned from", "init_policy": "started with the weights of", "resume": "resumed from"}
KIND_NAMES = {"huggingface": "hf", "blob_url": "blob", "data_asset": "asset", "local_path": "folder"}
"""Short names of dataset kinds, in the tag `source`."""
COPIED_PARAMETERS = (
    *("job_name", "training_steps", "batch_size", "learning_rate", "save_freq", "lr_warmup_steps"),
    *("system_metrics", "num_gpus", "mixed_precision", "seed", "num_workers", "eval_freq", "log_freq"),
    "image_normalization",
)
TAGGED_PARAMETERS = ("job_name", "num_gpus", "mixed_precision")
LINEAGE_TAGS = ("dataset_source", "dataset_repo_id", "dataset_shares", "excluded_episodes", "azureml_run_id")
MODEL_URI_FORMS = (
    r"models:/(?P<name>[^/@]+)/(?P<version>\d+)",
    r"azureml:(?P<name>[^:/]+):(?P<version>\d+)",
    r"azureml://.+/models/(?P<name>[^/]+)/versions/(?P<version>\d+)",
)


def describe_model(job: LerobotJob) -> str:
    """Return a description for people."""
    document, parameters, start = job.document, job.parameters, job.start_source
    tags = trainer_options.make_tags(job)
    adapter_words = (f"adapter ({tags['adapter']}, rank {tags['adapter_rank']}) of a",) if tags else ()
    kind = " ".join(
        (
            *adapter_words,
            *name_type(parameters).values(),
            "reward model" if parameters.get("reward_model") else "policy",
        )
    )
    lines = [
        f"LeRobot {kind}" + (f", {START_PHRASES[start.role]} {start.uri}" if start else ""),
        f"Job: {parameters['job_name']}, {parameters['training_steps']} steps (run {document.run})",
        *(f"Dataset: {dataset_line}" for dataset_line in describe_datasets(job.sources, job.folders)),
        *map(str.capitalize, lineage.list_choices(document)),
        *(f"Azure ML job: {name}" for name in lineage.make_azureml_tags(document).values()),
    ]
    return "\n".join(lines)


def make_model_tags(job: LerobotJob) -> dict[str, str]:
    """Return the searchable tags; the runtime adds checkpoint and run."""
    document, parameters = job.document, job.parameters
    base_tags = {}
    if start_source := job.start_source:
        kind = lineage.SOURCE_KIND_NAMES.get(start_source.kind, start_source.kind)
        base_tags = {"base_policy": start_source.uri, "base_policy_source": kind, "base_policy_pin": start_source.pin}
    tags = {
        "framework": "lerobot",
        **name_type(parameters),
        "job_name": str(parameters["job_name"]),
        "training_steps": str(parameters["training_steps"]),
        "source": f"{document.platform}-lerobot-{lineage.describe_dataset_kind(document.sources, KIND_NAMES)}",
        **lineage.make_dataset_tags(document),
        **lineage.make_azureml_tags(document),
        **base_tags,
        **packages.describe(document),
        **lineage.make_parent_tags(job.folders),
        **trainer_options.make_tags(job),
    }
    return {name: value for name, value in tags.items() if value}


def make_lineage(document: JobDocument) -> dict[str, object]:
    """Return in full what the tags shorten; None for unknown values. The runtime adds the tracking run."""
    sources = lineage.list_dataset_sources(document)
    all_tags = lineage.make_dataset_tags(document) | lineage.make_azureml_tags(document)
    tags = {name: value for name, value in all_tags.items() if value}
    return {
        "dataset_uri": " ".join(map(lineage.format_source_uri, sources)) or None,
        "dataset_summary": tags.get("dataset_uri"),
        **{
            f"{name}s": [source.uri for source in sources if source.kind == kind]
            for kind, (name, _) in lineage.COUNTED_KINDS.items()
        },
        **{name: tags.get(name) for name in LINEAGE_TAGS},
    }


def describe_datasets(sources: Sequence[JobSource], data: Folders) -> Iterator[str]:
    """Yield a line for each: its address, revision and size."""
    datasets = [source for source in sources if source.role == "dataset"]
    folders = [data.get(source) for source in datasets]
    for index, (source, folder) in enumerate(zip(datasets, folders, strict=True)):
        size = dataset_preparation.read_source_size(folder, index, folders.count(folder)) if folder else None
        extent = f" ({size[0]} episodes, {size[1]} frames)" if size else ""
        yield lineage.format_source_uri(source) + lineage.describe_pin(source.pin) + extent


def describe_tracking_run(document: JobDocument, output: Path) -> TrackingSpec:
    """Return the experiment, the run's name, parameters and tags."""
    parameters, sources = document.parameters, document.sources
    policies = [source.uri for source in sources if source.role == "policy"]
    batch = int(str(parameters["batch_size"]))
    ranks = int(str(parameters["num_gpus"])) * count_nodes(document)
    params = {
        "dataset_repo_id": parameters["dataset_id"],
        **name_type(parameters),
        **{name: parameters[name] for name in COPIED_PARAMETERS},
        "statistics": statistics_needs.choose_statistics(parameters, sources),
        "distributed": ranks > 1,
        "effective_batch_size": batch * ranks,
        "output_dir": str(output),
        **({NODES_PARAMETER: nodes} if (nodes := count_nodes(document)) > 1 else {}),
        **({"policy_repo_id": policies[0]} if policies else {}),
        **{name: parameters[name] for name in ("lora_rank", MIXTURE, episode_numbers.EXCLUDED) if parameters[name]},
        **({"options": format_options(document.trainer_args)} if document.trainer_args else {}),
        **packages.describe(document),
        **start.read_saved_parameters(sources),
    }
    tags = {
        "lerobot.framework": "lerobot",
        **{f"lerobot.{name}": kind for name, kind in name_type(parameters).items()},
        **{f"lerobot.{name}": str(parameters[name] or "no") for name in TAGGED_PARAMETERS},
        "lerobot.distributed": str(ranks > 1).lower(),
        "dataset.repo_id": str(parameters["dataset_id"]),
        "dataset.source": lineage.describe_dataset_kind(sources),
        **(
            {"model.register_name": str(parameters["register_checkpoint"])} if parameters["register_checkpoint"] else {}
        ),
        **{f"lerobot.{name}": value for name, value in packages.describe(document).items()},
        **_make_warm_start_tags(sources),
    }
    return TrackingSpec(
        experiment=get_experiment_name(parameters),
        run_name=str(parameters["job_name"]),
        params=params,
        tags=tags,
        machine=bool(parameters["system_metrics"]),
    )


def get_experiment_name(parameters: Mapping[str, Scalar]) -> str:
    """Return the experiment's name."""
    kind = next(iter(name_type(parameters).values()), "policy")
    return str(parameters["experiment_name"] or f"lerobot-{kind}-{parameters['job_name']}")


def name_type(parameters: Mapping[str, Scalar]) -> dict[str, str]:
    """Return what is trained as `policy_type` or `reward_model`; nothing if only what it starts from says it."""
    return {name: str(parameters[name]) for name in ("policy_type", "reward_model") if parameters[name]}


def _make_warm_start_tags(sources: Sequence[JobSource]) -> dict[str, str]:
    """Return whose weights the training starts with; a resumed training has no warm start."""
    for source in sources:
        if source.role in ("policy", "init_policy"):
            tags = {
                "source": source.uri,
                "pin": source.pin,
                **{f"model_{name}": value for name, value in parse_registered_model(source).items()},
            }
            return {f"warm_start.{name}": value for name, value in tags.items() if value}
        if source.role == "resume":
            return {"resumed_from": source.uri}
    return {}


def parse_registered_model(source: JobSource) -> dict[str, str]:
    """Return name and version of a registered model, from its URI; of the latest one that which it is pinned to."""
    uri = f"{source.uri.removesuffix('/latest')}/{source.pin}" if source.uri.endswith("/latest") else source.uri
    match = next((candidate for pattern in MODEL_URI_FORMS if (candidate := re.fullmatch(pattern, uri))), None)
    return match.groupdict() if match else {}


def describe_policy(job: LerobotJob) -> dict[str, object]:
    """Return the fields of the policy's description."""
    document, sources = job.document, job.sources
    kind = next(iter(name_type(job.parameters).values()), "policy")
    adapter_tags, base = trainer_options.make_tags(job), None
    if adapter_tags:
        base = Base()
        with suppress(OSError, ValueError):
            base = (trainer_options.find_base(job) or (base,))[0]
    sections = [("Use", lineage.describe_use(document, base)), ("Data", _describe_data(document))]
    if base:
        facts = f"{adapter_tags['adapter']}, rank {adapter_tags['adapter_rank']}"
        sections.append(
            ("Adapter", f"An adapter ({facts}), not a whole policy. Its base: {lineage.format_base(base)}.")
        )
    if start := job.start_source:
        sections.append(("Start", f"{START_PHRASES[start.role].capitalize()} {model_card.format_source(start)}."))
    sections.append(("Repeat the training", model_card.format_job(document, TrainParameters)))
    return {
        "title": f"{document.parameters['job_name']}: a LeRobot {kind}{' policy' * (kind != 'policy')}",
        "metadata": {
            "library_name": lineage.LIBRARY,
            "pipeline_tag": "robotics",
            **_name_base_model(document, base),
            "datasets": model_card.list_hub_names(sources, "dataset"),
            "tags": [lineage.LIBRARY, "robotics", kind],
        },
        "sections": [list(section) for section in sections],  # as JSON has them, for a later registration
        "metrics": {"train/loss": "training loss", "val/loss": "validation loss"},
    }


def _name_base_model(document: JobDocument, base: Base | None) -> dict[str, object]:
    """Return what the Hub shows as the origin of the model; an adapter has its base, not what it went on from."""
    if base is None:
        return {"base_model": model_card.list_hub_names(document.sources, "policy", "init_policy", "resume")}
    return {"base_model": [base.uri], "base_model_relation": "adapter"} if base.kind == HUB_KIND else {}


def _describe_data(document: JobDocument) -> str:
    lines = [f"- {model_card.format_source(source)}" for source in lineage.list_dataset_sources(document)]
    digest = lineage.make_dataset_tags(document)["dataset_lineage_sha256"]
    lines += [f"- {choice}" for choice in lineage.list_choices(document)]
    return "\n".join((*lines, f"- digest of kind, address and revision: `{digest}`"))
