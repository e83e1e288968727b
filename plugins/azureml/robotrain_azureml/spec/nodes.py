"""A job of several nodes as Azure ML starts it: once on each node, in the form of its PyTorch jobs.

Azure ML starts as many processes on a node as it is asked for: here one, which prepares the node as that of a job of
one node does, and then starts torchrun. So the environment and the data are there once for all GPUs of the node.
"""

from collections.abc import Mapping
from typing import Any

DISTRIBUTION: Mapping[str, Any] = {"type": "pytorch", "process_count_per_instance": 1}
RANK_VARIABLE, ADDRESS = "NODE_RANK", "${MASTER_ADDR}:${MASTER_PORT}"
"""What Azure ML sets on each node of such a job, as a job document names it.

The port is one that Azure ML chose on the first node for just this: it is free, and open between the nodes.
"""


def make_distribution(count: int) -> dict[str, Any]:
    """Return the distribution of a job with so many nodes; empty for one."""
    return dict(DISTRIBUTION) if count > 1 else {}
