"""What the tracking run and the registered model of a training are described with. Names: contract, section D.4."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from robotrain_runtime.contract.container_plugin import TrackingSpec
from robotrain_runtime.contract.document import JobDocument, JobSource, Scalar

from robotrain_workloads.lerobot import dataset_preparation, lineage
from robotrain_workloads.lerobot.lineage import (
    COUNTED_KINDS,
    LONGEST_PIN,
    SOURCE_KIND_NAMES,
    describe_dataset_kind,
    format_source_uri,
    list_dataset_sources,
    make_azureml_tags,
    make_dataset_tags,
    make_parent_tags,
)
from robotrain_workloads.lerobot_train import start

START_PHRASES = {"policy": "fine-tuned from", "init_policy": "begun with the weights of", "resume": "gone on from"}


KIND_NAMES = {"huggingface": "hf", "blob_url": "blob", "data_asset": "asset", "local_path": "folder"}
"""What the kinds of datasets are called where it is said what made a model."""


def describe_model(document: JobDocument, data: Mapping[JobSource, Path]) -> str:
    """Some lines for people."""
    given, begun = document.parameters, lineage.find_start_source(document.sources)
    lines = [
        f"LeRobot {given['policy_type']} policy" + (f", {START_PHRASES[begun.role]} {begun.uri}" if begun else ""),
        f"Job: {given['job_name']}, {given['training_steps']} steps (run {document.run})",
        *(f"Dataset: {line}" for line in describe_datasets(document.sources, data)),
        *(f"Azure ML job: {name}" for name in make_azureml_tags(document).values()),
    ]
    return "\n".join(lines)


def make_model_tags(document: JobDocument, data: Mapping[JobSource, Path]) -> dict[str, str]:
    """What can be searched for; the runtime adds which checkpoint of which run it is."""
    given = document.parameters
    found = {
        "framework": "lerobot",
        "policy_type": str(given["policy_type"]),
        "job_name": str(given["job_name"]),
        "training_steps": str(given["training_steps"]),
        "source": f"{document.platform}-lerobot-{_get_kind_name(list_dataset_sources(document))}",
        **make_dataset_tags(document),
        **make_azureml_tags(document),
        **_make_base_policy_tags(document.sources),
        **make_parent_tags(data),
    }
    return {name: value for name, value in found.items() if value}


def make_lineage(document: JobDocument) -> dict[str, object]:
    """What the tags shorten, in full; None for what is not known. The runtime adds which tracking run it is."""
    sources = list_dataset_sources(document)
    told = {name: value for name, value in (make_dataset_tags(document) | make_azureml_tags(document)).items() if value}
    return {
        "dataset_source": told["dataset_source"],
        "dataset_uri": " ".join(map(format_source_uri, sources)) or None,
        "dataset_summary": told.get("dataset_uri"),
        **{f"{name}s": [one.uri for one in sources if one.kind == kind] for kind, (name, _) in COUNTED_KINDS.items()},
        "dataset_repo_id": told.get("dataset_repo_id"),
        "azureml_run_id": told.get("azureml_run_id"),
    }


def describe_datasets(sources: Sequence[JobSource], data: Mapping[JobSource, Path]) -> Iterator[str]:
    """A line for each: its address, what it means now, and how much it is."""
    given = [source for source in sources if source.role == "dataset"]
    folders = [data.get(source) for source in given]
    for at, (source, folder) in enumerate(zip(given, folders, strict=True)):
        meant = f" at {source.pin}" if 0 < len(source.pin) <= LONGEST_PIN else ""
        yield format_source_uri(source) + meant + _describe_extent(folder, at, folders.count(folder))


def _describe_extent(folder: Path | None, index: int, merged: int) -> str:
    """merged: how many sources lie in the folder together."""
    found = dataset_preparation.read_source_size(folder, index, merged) if folder else None
    return f" ({found[0]} episodes, {found[1]} frames)" if found else ""


def _make_base_policy_tags(sources: Sequence[JobSource]) -> dict[str, str]:
    begun = lineage.find_start_source(sources)
    if begun is None:
        return {}
    return {
        "base_policy": begun.uri,
        "base_policy_source": SOURCE_KIND_NAMES.get(begun.kind, begun.kind),
        "base_policy_pin": begun.pin,
    }


def _get_kind_name(sources: Sequence[JobSource]) -> str:
    kinds = {KIND_NAMES.get(source.kind, source.kind) for source in sources}
    return kinds.pop() if len(kinds) == 1 else "mixed"


MODEL_URI_FORMS = (
    r"models:/(?P<name>[^/@]+)/(?P<version>\d+)",
    r"azureml:(?P<name>[^:/]+):(?P<version>\d+)",
    r"azureml://.+/models/(?P<name>[^/]+)/versions/(?P<version>\d+)",
)


def describe_tracking_run(document: JobDocument, output: Path) -> TrackingSpec:
    """The experiment, the run's name, its parameters and its tags."""
    given = document.parameters
    return TrackingSpec(
        experiment=get_experiment_name(given),
        run_name=str(given["job_name"]),
        params={
            **_make_params(given, output),
            **_make_policy_param(document.sources),
            **start.read_saved_parameters(document.sources),
        },
        tags=_make_run_tags(given, document.sources),
        machine=bool(given["system_metrics"]),
    )


def get_experiment_name(parameters: Mapping[str, Scalar]) -> str:
    """Its name, of the document's parameters."""
    return str(parameters["experiment_name"] or f"lerobot-{parameters['policy_type']}-{parameters['job_name']}")


def _make_params(parameters: Mapping[str, Scalar], output: Path) -> dict[str, Scalar]:
    batch, gpus = parameters["batch_size"], parameters["num_gpus"]
    assert isinstance(batch, int)
    assert isinstance(gpus, int)
    same = (
        "policy_type",
        "job_name",
        "training_steps",
        "batch_size",
        "learning_rate",
        "save_freq",
        "lr_warmup_steps",
    )
    return {
        "dataset_repo_id": parameters["dataset_id"],
        **{name: parameters[name] for name in (*same, "system_metrics", "num_gpus", "mixed_precision")},
        "distributed": gpus > 1,
        "effective_batch_size": batch * gpus,
        "output_dir": str(output),
    }


def _make_run_tags(parameters: Mapping[str, Scalar], sources: Sequence[JobSource]) -> dict[str, str]:
    gpus = parameters["num_gpus"]
    assert isinstance(gpus, int)
    registered = parameters["register_checkpoint"]
    return {
        "lerobot.framework": "lerobot",
        "lerobot.policy_type": str(parameters["policy_type"]),
        "lerobot.job_name": str(parameters["job_name"]),
        "lerobot.num_gpus": str(gpus),
        "lerobot.mixed_precision": str(parameters["mixed_precision"]),
        "lerobot.distributed": str(gpus > 1).lower(),
        "dataset.repo_id": str(parameters["dataset_id"]),
        "dataset.source": describe_dataset_kind(sources),
        **({"model.register_name": str(registered)} if registered else {}),
        **_make_warm_start_tags(sources),
    }


def _make_policy_param(sources: Sequence[JobSource]) -> dict[str, Scalar]:
    started = next((source for source in sources if source.role == "policy"), None)
    return {"policy_repo_id": started.uri} if started else {}


def _make_warm_start_tags(sources: Sequence[JobSource]) -> dict[str, str]:
    """Whose weights the training starts with; a checkpoint that it goes on from is no warm start."""
    for source in sources:
        if source.role in ("policy", "init_policy"):
            said = {
                "source": source.uri,
                "pin": source.pin,
                **{f"model_{name}": value for name, value in parse_registered_model(source).items()},
            }
            return {f"warm_start.{name}": value for name, value in said.items() if value}
        if source.role == "resume":
            return {"resumed_from": source.uri}
    return {}


def parse_registered_model(source: JobSource) -> dict[str, str]:
    """The name and the version of a registered model, as its printed form says them."""
    found = next((match for form in MODEL_URI_FORMS if (match := re.fullmatch(form, source.uri))), None)
    return found.groupdict() if found else {}
