"""The nodes of a job, and this one where the platform starts the job on each of several.

All nodes fetch, prepare and work; only the lead, the node of rank 0, publishes, tracks, registers and reports.
"""

import dataclasses
import os

from robotrain_runtime.contract.document import JobDocument, UnsetVariable, expand_variables
from robotrain_runtime.contract.failure import EXIT_REFUSED, JobFailed

NODES_PARAMETER = "num_nodes"
PROCESS_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
"""What tells torch that a process is one of a group, which it then waits for."""


def count_nodes(document: JobDocument) -> int:
    """Return how many nodes a job has; 1 if its workload has no such parameter."""
    count = document.parameters.get(NODES_PARAMETER)
    return count if isinstance(count, int) else 1


def is_started_on_each_node(document: JobDocument) -> bool:
    """Return whether the platform starts the job on each of several nodes."""
    return bool(document.placement.node_rank)


def read_node_rank(document: JobDocument) -> int:
    """Return the rank of this node; 0 where the platform starts the job once. Raise JobFailed."""
    variable = document.placement.node_rank
    if not variable:
        return 0
    try:
        rank_text = expand_variables(f"${{{variable}}}")
    except UnsetVariable as name:
        reason = f"{name} is not set: it should have the rank of this node"
        raise JobFailed(reason, EXIT_REFUSED, "configuration") from None
    if not (rank_text.isascii() and rank_text.isdecimal()):
        raise JobFailed(f"{variable} is not the rank of a node: {rank_text!r}", EXIT_REFUSED, "configuration")
    return int(rank_text)


def is_lead(document: JobDocument) -> bool:
    """Return whether this node does what only one of a job's nodes does. Raise JobFailed."""
    return read_node_rank(document) == 0


def drop_process_variables(document: JobDocument) -> None:
    """Remove the variables by which a platform describes the one process that it starts on each node.

    The ranks of the work have those of the launcher that starts them. Any other program of the run would take itself
    for one of a group, and wait for the others for ever, or leave to the first what each node has to do.
    """
    if is_started_on_each_node(document):
        for name in set(PROCESS_VARIABLES) - {document.placement.node_rank}:
            os.environ.pop(name, None)


def make_follower_document(document: JobDocument) -> JobDocument:
    """Return the document for another node than the lead: without tracking, and nothing for later steps."""
    placement = dataclasses.replace(document.placement, tracking_uri="", tracking_run="", handover="")
    return dataclasses.replace(document, placement=placement)
