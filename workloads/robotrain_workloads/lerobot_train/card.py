"""The model card of a policy that LeRobot trained: what the Hub finds it by, its data, its start, and how to use it."""

from contextlib import suppress

from robotrain_runtime.contract.document import JobDocument

from robotrain_workloads import model_card
from robotrain_workloads.lerobot import lineage, policy_card
from robotrain_workloads.lerobot.adapter import Base
from robotrain_workloads.lerobot.backbones import HUB_KIND
from robotrain_workloads.lerobot.job import LerobotJob
from robotrain_workloads.lerobot_train import adapter_options, tracking
from robotrain_workloads.lerobot_train.parameters import TrainParameters

START_PHRASES = {"policy": "Fine-tuned from", "init_policy": "Started with the weights of", "resume": "Resumed from"}


def describe_policy(job: LerobotJob) -> dict[str, object]:
    """Return the fields of the policy's description."""
    document, sources = job.document, job.sources
    kind = next(iter(tracking.name_type(job.parameters).values()), "policy")
    adapter_tags, base = adapter_options.make_tags(job), None
    if adapter_tags:
        base = Base()
        with suppress(OSError, ValueError):
            base = (adapter_options.find_base(job) or (base,))[0]
    sections = [("Use", policy_card.describe_use(document, base)), ("Data", _describe_data(document))]
    if base:
        facts = f"{adapter_tags['adapter']}, rank {adapter_tags['adapter_rank']}"
        adapter_text = f"An adapter ({facts}), not a whole policy. Its base: {policy_card.format_base(base)}."
        sections.append(("Adapter", adapter_text))
    if start := job.start_source:
        sections.append(("Start", f"{START_PHRASES[start.role]} {model_card.format_source(start)}."))
    sections.append(("Repeat the training", model_card.format_job(document, TrainParameters)))
    return {
        "title": f"{document.parameters['job_name']}: a LeRobot {kind}{' policy' * (kind != 'policy')}",
        "metadata": {
            "library_name": policy_card.LIBRARY,
            "pipeline_tag": "robotics",
            **_name_base_model(document, base),
            "datasets": model_card.list_hub_names(sources, "dataset"),
            "tags": [policy_card.LIBRARY, "robotics", kind],
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
    lines += [f"- shares of the samples, in this order: {shares}" for shares in lineage.list_shares(document)]
    lines += [f"- without the episodes {excluded}" for excluded in lineage.list_excluded(document)]
    return "\n".join((*lines, f"- digest of kind, address and revision: `{digest}`"))
