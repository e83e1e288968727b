"""Rules on jobs without a shared disk: nothing of this machine is on the node, nor the other way round. Pure."""

import os
from collections.abc import Iterator

from robotrain.cluster.checks import make_unsupported_problem, make_warning
from robotrain.errors import Problem
from robotrain.model.job import Job

from robotrain_slurm.settings import SlurmSettings

SHARED = "--storage shared"


def check_node_storage(job: Job, settings: SlurmSettings) -> Iterator[Problem]:
    """Check what a job with `--storage node` would look for in vain."""
    if settings.storage != "node":
        return
    if settings.continuation in ("node", "login"):
        title = f"a job with --storage node is not continued with --continuation {settings.continuation}"
        why = "This machine does not see which job would continue it. One that is requeued stays the same job."
        fixes = ("--continuation requeue", SHARED)
        yield make_unsupported_problem("options-conflict", title, "--continuation", settings.continuation, why, *fixes)
    for source in job.sources:
        if not os.path.isabs(source.uri):
            continue
        title = f"the {source.role} is a folder of this machine, and the node has another disk"
        if source.role == "code":
            why = "With --storage node only the job itself is sent."
            fixes = ("--code git+https://HOST/OWNER/REPO", SHARED)
            yield make_unsupported_problem("slurm-folder-on-node", title, "", source.uri, why, *fixes)
        else:
            why = "The job fails unless each node has the same folder at this path."
            yield make_warning("slurm-folder-on-node", title, "", source.uri, why, "an address", SHARED)
