"""What a registered model is told of the policy that was evaluated, and of the data that it was evaluated on."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from robotrain_runtime import parentage
from robotrain_runtime.document import JobDocument, Source

from robotrain_workloads.lerobot_eval import evaluated
from robotrain_workloads.lerobot_train import lineage, policy


def description(document: JobDocument, data: Mapping[Source, Path]) -> str:
    """Some lines for people, who read them also when another evaluation has scored the model: nothing of this one."""
    means = evaluated.pin(document)
    at = f" at {means}" if 0 < len(means) <= lineage.LONGEST else ""
    lines = [
        f"LeRobot {_type(document, data)} policy: {evaluated.name(document)}{at}",
        f"Registered by: {document.parameters['job_name']} (run {document.run}), which evaluated it",
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
        **lineage.azureml_run(document),
    }
    return {name: value for name, value in found.items() if value}


def evaluated_on(document: JobDocument) -> dict[str, str]:
    """What its scores depend on, as tags beside them."""
    recorded = any(source.role == "dataset" for source in document.sources)
    world = {"env": str(document.parameters["env"] or "")}
    return {**(lineage.of_datasets(document) if recorded else {}), **{name: one for name, one in world.items() if one}}


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


def _type(document: JobDocument, data: Mapping[Source, Path]) -> str:
    """As the policy's files say, where they are here; else as the person expects."""
    with suppress(OSError, ValueError):
        if model := evaluated.model(data):
            return str(policy.settings(model).get("type") or "")
    given = document.parameters
    return evaluated.made(given) if given["builtin_policy"] else str(given["policy_type"] or "")
