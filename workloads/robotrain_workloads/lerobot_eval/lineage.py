"""What a registered model is told of the policy that was evaluated, and of the data that it was evaluated on."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from robotrain_runtime import parentage
from robotrain_runtime.document import JobDocument, Source

from robotrain_workloads.lerobot_eval import evaluated
from robotrain_workloads.lerobot_train import lineage, policy

EVALUATED = "evaluated_on_"
"""Before the names of tags of a dataset: those without it are of what a model was trained on."""


def description(document: JobDocument, data: Mapping[Source, Path]) -> str:
    """Some lines for people."""
    given, means = document.parameters, evaluated.pin(document)
    at = f" at {means}" if 0 < len(means) <= lineage.LONGEST else ""
    lines = [
        f"LeRobot {_type(document, data)} policy: {evaluated.name(document)}{at}",
        f"Evaluated by: {given['job_name']} (run {document.run})",
        *(f"Replayed: {line}" for line in lineage.datasets(document.sources, data)),
        *([f"Rolled out in: {given['env']}"] if given["env"] else []),
        *(f"Azure ML job: {name}" for name in lineage.azureml_run(document).values()),
    ]
    return "\n".join(lines)


def tags(document: JobDocument, data: Mapping[Source, Path]) -> dict[str, str]:
    """What can be searched for; the runtime adds the run, and the scores."""
    given = document.parameters
    found = {
        "framework": "lerobot",
        "policy_type": _type(document, data),
        "job_name": str(given["job_name"]),
        "source": f"{document.platform}-lerobot-inference",
        "policy_uri": evaluated.name(document),
        "policy_source": evaluated.origin(document),
        "policy_pin": evaluated.pin(document),
        **trained(document, data),
        **dict(_datasets(document)),
        f"{EVALUATED}env": str(given["env"] or ""),
        **lineage.azureml_run(document),
    }
    return {name: value for name, value in found.items() if value}


def file(document: JobDocument, data: Mapping[Source, Path]) -> dict[str, object]:
    """What the tags shorten, in full; None for what is not known. The runtime adds which tracking run it is."""
    return {
        "policy_uri": evaluated.name(document),
        "policy_source": evaluated.origin(document),
        "policy_pin": evaluated.pin(document) or None,
        **{name: trained(document, data).get(name) for name in ("policy_run", "policy_step")},
        "evaluated_on": [[one.kind, one.uri, one.pin] for one in document.sources if one.role == "dataset"],
        "azureml_run_id": lineage.azureml_run(document).get("azureml_run_id"),
    }


def trained(document: JobDocument, data: Mapping[Source, Path]) -> dict[str, str]:
    """The run that trained the policy, where its checkpoint says which one that was, or whoever kept it knows."""
    if told := {name.replace("parent", "policy", 1): value for name, value in lineage.parent(data).items()}:
        return told
    found = evaluated.source(data)
    return parentage.of(Path(document.placement.cache), data[found]) if found else {}


def _datasets(document: JobDocument) -> Iterator[tuple[str, str]]:
    if any(source.role == "dataset" for source in document.sources):
        for name, value in lineage.of_datasets(document).items():
            yield f"{EVALUATED}{name}", value


def _type(document: JobDocument, data: Mapping[Source, Path]) -> str:
    """As the policy's files say, where they are here; else as the person expects."""
    with suppress(OSError, ValueError):
        if model := evaluated.model(data):
            return str(policy.settings(model).get("type") or "")
    given = document.parameters
    return evaluated.made(given) if given["builtin_policy"] else str(given["policy_type"] or "")
