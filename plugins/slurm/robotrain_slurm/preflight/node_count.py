"""The nodes of a job of several, compared with those of its partitions. Pure."""

from collections.abc import Iterator, Sequence

from robotrain.errors import Problem, Suggestion
from robotrain.messages import Messages
from robotrain.model.job import NODES_FLAG

from robotrain_slurm.client.cluster import NodeGroup, Partition, list_open_partitions
from robotrain_slurm.preflight.job_request import JobRequest

make_problem = Messages(__file__)


def check_node_count(
    request: JobRequest, chosen: Sequence[Partition], partitions: Sequence[Partition]
) -> Iterator[Problem]:
    """Check that one partition has so many nodes with what the job asks for of each, and that they are alike."""
    names = ", ".join(one.name for one in chosen)
    most = max((_count_fitting(request, one) for one in chosen), default=0)
    if 0 < most < request.nodes:  # with none, the resources are reported
        others = [one for one in partitions if _count_fitting(request, one) >= request.nodes]
        fixes = [Suggestion(f"--partition {one.name}") for one in list_open_partitions(others)][:3]
        given = str(request.nodes)
        yield make_problem(
            "nodes-too-few",
            f"{NODES_FLAG} {most}",
            *fixes,
            where=NODES_FLAG,
            given=given,
            names=names,
            most=most,
            value="s" * (most > 1),
            nodes=request.nodes,
        )
        return
    if request.gpus and not request.gpu_type:
        kinds = sorted({_name_kind(group) for one in chosen for group in one.nodes if request.fits(group)})
        if len(kinds) > 1:
            fixes = [Suggestion(f"--gpu-type {kind}") for kind in kinds if " " not in kind][:3]
            given = str(request.nodes)
            yield make_problem("slurm-nodes-differ", *fixes, where=NODES_FLAG, given=given, kinds=", ".join(kinds))


def _count_fitting(request: JobRequest, partition: Partition) -> int:
    return sum(group.count for group in partition.nodes if request.fits(group))


def _name_kind(group: NodeGroup) -> str:
    """Return the types of a node's GPUs: `a100`."""
    return " and ".join(sorted({kind or "a type without a name" for kind, _ in group.gpus}))
