"""What the tracking run of a training is told: names of the contract, section D.4."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from robotrain_runtime.document import JobDocument, Scalar, Source
from robotrain_runtime.half import Tracked

from robotrain_workloads.lerobot_train import resuming

SOURCE_NAMES = {
    "local_path": "local-path",
    "huggingface": "huggingface",
    "blob_url": "azure-blob",
    "data_asset": "azureml-data-asset",
    "registered_model": "registered-model",
    "model_asset": "azureml-model",
    "mlflow_run": "mlflow-run",
}
MODELS = (
    r"models:/(?P<name>[^/@]+)/(?P<version>\d+)",
    r"azureml:(?P<name>[^:/]+):(?P<version>\d+)",
    r"azureml://.+/models/(?P<name>[^/]+)/versions/(?P<version>\d+)",
)


def tracked(document: JobDocument, output: Path) -> Tracked:
    """The experiment, the run's name, its parameters and its tags."""
    given = document.parameters
    return Tracked(
        experiment=experiment(given),
        run_name=str(given["job_name"]),
        params={**_params(given, output), **_policy(document.sources), **resuming.kept(document.sources)},
        tags=_tags(given, document.sources),
        machine=bool(given["system_metrics"]),
    )


def experiment(given: Mapping[str, Scalar]) -> str:
    """Its name, of the document's parameters."""
    return str(given["experiment_name"] or f"lerobot-{given['policy_type']}-{given['job_name']}")


def _params(given: Mapping[str, Scalar], output: Path) -> dict[str, Scalar]:
    batch, gpus = given["batch_size"], given["num_gpus"]
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
        "dataset_repo_id": given["dataset_id"],
        **{name: given[name] for name in (*same, "system_metrics", "num_gpus", "mixed_precision")},
        "distributed": gpus > 1,
        "effective_batch_size": batch * gpus,
        "output_dir": str(output),
    }


def _tags(given: Mapping[str, Scalar], sources: Sequence[Source]) -> dict[str, str]:
    gpus = given["num_gpus"]
    assert isinstance(gpus, int)
    registered = given["register_checkpoint"]
    return {
        "lerobot.framework": "lerobot",
        "lerobot.policy_type": str(given["policy_type"]),
        "lerobot.job_name": str(given["job_name"]),
        "lerobot.num_gpus": str(gpus),
        "lerobot.mixed_precision": str(given["mixed_precision"]),
        "lerobot.distributed": str(gpus > 1).lower(),
        "dataset.repo_id": str(given["dataset_id"]),
        "dataset.source": source_of(sources),
        **({"model.register_name": str(registered)} if registered else {}),
        **_warm_start(sources),
    }


def _policy(sources: Sequence[Source]) -> dict[str, Scalar]:
    started = next((source for source in sources if source.role == "policy"), None)
    return {"policy_repo_id": started.uri} if started else {}


def _warm_start(sources: Sequence[Source]) -> dict[str, str]:
    """Whose weights the training starts with; a checkpoint that it goes on from is no warm start."""
    for source in sources:
        if source.role in ("policy", "init_policy"):
            said = {
                "source": source.uri,
                "pin": source.pin,
                **{f"model_{name}": value for name, value in model(source).items()},
            }
            return {f"warm_start.{name}": value for name, value in said.items() if value}
        if source.role == "resume":
            return {"resumed_from": source.uri}
    return {}


def model(source: Source) -> dict[str, str]:
    """The name and the version of a registered model, as its printed form says them."""
    found = next((match for form in MODELS if (match := re.fullmatch(form, source.uri))), None)
    return found.groupdict() if found else {}


def source_of(sources: Sequence[Source]) -> str:
    """Where the datasets come from, in one word."""
    kinds = {SOURCE_NAMES.get(source.kind, source.kind) for source in sources if source.role == "dataset"}
    return kinds.pop() if len(kinds) == 1 else "mixed"
