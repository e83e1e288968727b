"""What no node has of all that a job asks for, where Slurm refused it: with what the nodes have. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from robotrain.cluster.checks import suggest_names
from robotrain.errors import Problem, Suggestion
from robotrain.messages import Messages
from robotrain.model.job import GPUS_PARAMETER, NODES_FLAG

from robotrain_slurm.client.cluster import NodeGroup, Partition, list_open_partitions, select_partitions
from robotrain_slurm.client.job_request import JobRequest

make_problem = Messages(__file__)

MAX_PARTITIONS = 3
"""How many other partitions are suggested."""


def find_shortfalls(request: JobRequest, partitions: Sequence[Partition], reason: str) -> Iterator[Problem]:
    """Yield what no node of the partitions of a job has, or how few nodes have it; nothing if that is not why.

    :param partitions: all of the cluster.
    :param reason: what Slurm said.
    """
    job_partitions = select_partitions(partitions, request.partition)
    nodes = [group for partition in job_partitions for group in partition.nodes]
    if not nodes:
        return
    max_nodes = max(request.count_fitting(partition.nodes) for partition in job_partitions)
    if max_nodes:
        if max_nodes < request.nodes:
            yield _make_node_count_problem(request, job_partitions, partitions, max_nodes, reason)
        return
    other_partitions = [
        partition
        for partition in partitions
        if partition not in job_partitions and request.count_fitting(partition.nodes)
    ]
    problems = [
        *_check_gpus(request, job_partitions, partitions, other_partitions, reason),
        *_check_amount(request, job_partitions, other_partitions, "--cpus", max(group.cpus for group in nodes), reason),
        *_check_amount(
            request, job_partitions, other_partitions, "--memory", max(group.memory for group in nodes), reason
        ),
    ]
    yield from problems or [_make_combination_problem(request, job_partitions, other_partitions, reason)]


def describe_partitions(chosen: Sequence[Partition]) -> str:
    """Return `the partition gpu`, or `the partitions gpu, debug`."""
    return f"the partition{'s' if len(chosen) > 1 else ''} {', '.join(partition.name for partition in chosen)}"


def suggest_other_partitions(other_partitions: Iterable[Partition]) -> list[Suggestion]:
    """Return those partitions that take jobs of this user."""
    return [Suggestion(f"--partition {partition.name}") for partition in list_open_partitions(other_partitions)][
        :MAX_PARTITIONS
    ]


def _make_combination_problem(
    request: JobRequest, job_partitions: Sequence[Partition], other_partitions: Sequence[Partition], reason: str
) -> Problem:
    """Return the problem of nodes that have all that a job asks for, each a part of it."""
    nodes = [group for partition in job_partitions for group in partition.nodes]
    if not any(request.has_features(group) for group in nodes):
        return make_problem(
            "resource-unknown.features-together",
            *suggest_other_partitions(other_partitions),
            given=request.constraint,
            describe=describe_partitions(job_partitions),
            constraint="|".join(request.list_features()),
            why=reason,
        )
    amounts = {"GPUs": request.gpus, "cores": request.cpus, "MiB of memory": request.mib}
    requested_amounts = [f"{amount} {unit}" for unit, amount in amounts.items() if amount]
    requested_amounts += [f"the constraint {request.constraint}"] * bool(request.constraint)
    return make_problem(
        "machines-too-small.together",
        *suggest_other_partitions(other_partitions),
        describe=describe_partitions(job_partitions),
        requested=" and ".join(requested_amounts),
        why=reason,
    )


def _check_gpus(
    request: JobRequest,
    chosen: Sequence[Partition],
    partitions: Sequence[Partition],
    others: Sequence[Partition],
    reason: str,
) -> Iterator[Problem]:
    """Check the GPUs: that there are any, their type, and their number."""
    nodes = [group for partition in chosen for group in partition.nodes]
    max_gpus = max(group.count_gpus(request.gpu_type) for group in nodes)
    if request.gpus <= max_gpus:
        return
    all_nodes = [group for partition in partitions for group in partition.nodes]
    kinds = sorted({kind for group in all_nodes for kind, _ in group.gpus if kind})
    on_cpu = Suggestion("--gpus 0 --device cpu" if request.has_device else "--gpus 0", "computes on CPUs, slowly")
    flag = "--gpus"
    flag_value = str(request.gpus)
    suggestions = suggest_other_partitions(others)
    if not any(group.count_gpus() for group in all_nodes):
        title = "the cluster has no GPUs"
        suggestions = [on_cpu]
    elif request.gpu_type and request.gpu_type not in kinds:
        title = f"the cluster has no GPUs of the type {request.gpu_type}"
        flag = "--gpu-type"
        flag_value = request.gpu_type
        suggestions = [*suggest_names("--gpu-type {}", request.gpu_type, kinds, "sinfo --format='%P %G'")]
    elif not max_gpus:
        kind = f"{request.gpu_type} GPUs" if request.gpu_type else "GPUs"
        title = f"no node of {describe_partitions(chosen)} has {kind}"
        suggestions = [*suggestions, on_cpu]
    else:
        count = f"{request.gpus} GPU{'s' if request.gpus > 1 else ''}"
        title = f"no node of {describe_partitions(chosen)} has {count}: at most {max_gpus}"
        suggestions = [*_suggest_fewer_gpus(request, max_gpus), *suggestions]
    yield make_problem("machines-too-small.one", *suggestions, where=flag, given=flag_value, title=title, why=reason)


def _suggest_fewer_gpus(request: JobRequest, max_gpus: int) -> Iterator[Suggestion]:
    """Yield how a job asks for so many GPUs of a node, or for as many as before of several nodes."""
    option = f"--{GPUS_PARAMETER.replace('_', '-')}" if request.trains_on_gpus else "--gpus"
    yield Suggestion(f"{option} {max_gpus}", "of each node")
    if request.trains_on_gpus and request.takes_nodes and request.gpus % max_gpus == 0:
        count = request.nodes * request.gpus // max_gpus
        yield Suggestion(f"{NODES_FLAG} {count} {option} {max_gpus}", "as many GPUs on several nodes")


def _check_amount(
    request: JobRequest,
    job_partitions: Sequence[Partition],
    other_partitions: Sequence[Partition],
    flag: str,
    max_amount: int,
    reason: str,
) -> Iterator[Problem]:
    """Check the cores, or the memory in MiB, against those of the largest node."""
    is_cores = flag == "--cpus"
    if (request.cpus if is_cores else request.mib) <= max_amount:
        return
    max_value = str(max_amount) if is_cores else f"{max_amount}M"
    amount = "so many CPU cores" if is_cores else "so much memory"
    yield make_problem(
        "machines-too-small.one",
        f"{flag} {max_value}",
        *suggest_other_partitions(other_partitions),
        where=flag,
        given=str(request.cpus) if is_cores else request.memory,
        title=f"no node of {describe_partitions(job_partitions)} has {amount}: at most {max_value}",
        why=reason,
    )


def _make_node_count_problem(
    request: JobRequest,
    job_partitions: Sequence[Partition],
    partitions: Sequence[Partition],
    max_nodes: int,
    reason: str,
) -> Problem:
    """Return the problem of partitions that have fewer nodes with what the job asks for of each."""
    other_partitions = [
        partition for partition in partitions if request.count_fitting(partition.nodes) >= request.nodes
    ]
    return make_problem(
        "nodes-too-few",
        f"{NODES_FLAG} {max_nodes}",
        *suggest_other_partitions(other_partitions),
        where=NODES_FLAG,
        given=str(request.nodes),
        names=", ".join(partition.name for partition in job_partitions),
        most=max_nodes,
        value="s" * (max_nodes > 1),
        nodes=request.nodes,
        why=reason,
    )


def find_kinds(request: JobRequest, partitions: Sequence[Partition]) -> list[str]:
    """Return the kinds of GPUs of the nodes that a job on several nodes may get, unless it names one."""
    if request.nodes < 2 or not request.gpus or request.gpu_type:
        return []
    job_partitions = select_partitions(partitions, request.partition)
    return sorted(
        {_name_kind(group) for partition in job_partitions for group in partition.nodes if request.fits(group)}
    )


def _name_kind(group: NodeGroup) -> str:
    """Return the types of a node's GPUs: `a100`."""
    return " and ".join(sorted({kind or "a type without a name" for kind, _ in group.gpus}))
