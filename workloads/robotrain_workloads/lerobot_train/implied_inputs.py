"""The sources that a training implies: `implied_sources` of its container plugin, without the rest of it.

What a new policy reads stands in the tables of its LeRobot: a plan of one imports no more.
"""

from collections.abc import Mapping, Sequence

from robotrain_runtime.contract.document import Folders, JobDocument

from robotrain_workloads.lerobot import image_weights, policy_repositories
from robotrain_workloads.lerobot.backbones import BACKBONE_ROLE
from robotrain_workloads.lerobot.job import LerobotJob


def implied_sources(document: JobDocument, described: Folders) -> Mapping[str, Sequence[str]]:
    """Return the backbones and tokenizers that the policy reads, and its weights, that no source brings."""
    job = LerobotJob(document, described)
    source_texts = [*policy_repositories.list_implied(job), *image_weights.list_implied(job)]
    return {BACKBONE_ROLE: source_texts} if source_texts else {}
