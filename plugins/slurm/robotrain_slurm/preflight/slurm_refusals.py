"""What Slurm itself says of the jobs of a plan, by `sbatch --test-only`, and the limits that it does not look at."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from robotrain.errors import Problem, Severity, Stage, Suggestion
from robotrain.messages import Messages
from robotrain.model.job import NODES_FLAG
from robotrain.model.plan import Plan
from robotrain.run_folder.scheduler_plan import SchedulerJob
from robotrain.run_folder.transport import Transport

from robotrain_slurm.client.cluster import (
    Partition,
    format_limit,
    list_open_partitions,
    query_memory_limits,
    select_partitions,
)
from robotrain_slurm.client.commands import SlurmRefused, run_slurm
from robotrain_slurm.client.failures import explain_refusal
from robotrain_slurm.client.job_request import JobRequest
from robotrain_slurm.client.shortfalls import describe_partitions, find_kinds, suggest_other_partitions
from robotrain_slurm.spec.script import read_options
from robotrain_slurm.spec.submission_spec import get_script

make_problem = Messages(__file__)

NOT_NOW = r"Requested node configuration is not available|Requested nodes are busy"
"""What `--test-only` says also of a job that would wait: it counts nodes out of service as absent, sbatch does not."""


def ask_slurm(transport: Transport, plan: Plan, job: SchedulerJob) -> str:
    """Return what sbatch prints that would refuse a job; empty if it would take it. Raise Rejected if Slurm is away.

    It gets the words of the submit, but for the file of the batch script, which is not there yet.
    """
    try:
        run_slurm(transport, "sbatch", "--test-only", *job.words[:-1], stdin=plan.files[get_script(job)])
    except SlurmRefused as refusal:
        return refusal.text
    return ""


def find_job_problems(
    transport: Transport, plan: Plan, job: SchedulerJob, refusal: str, partitions: Sequence[Partition]
) -> Iterator[Problem]:
    """Yield why Slurm refuses a job, or why it would never start.

    :param refusal: what `ask_slurm` returned.
    :param partitions: all of the cluster.
    """
    options = read_options(plan.files[get_script(job)].decode())
    request = JobRequest.parse(options, plan.job)
    job_partitions = select_partitions(partitions, request.partition)
    refused_options = set()
    if refusal and not (re.search(NOT_NOW, refusal) and can_wait(request, job_partitions)):
        for problem in explain_refusal(transport, refusal, options, plan.job, "`sbatch --test-only`"):
            refused_options.add(problem.where)
            yield replace(problem, stage=Stage.PREFLIGHT)
    elif job_partitions:
        yield from check_service(request, job_partitions, partitions, is_refused=bool(refusal))
    if job_partitions and "--time" not in refused_options:
        yield from check_time(request, job_partitions, partitions)
    if job_partitions and request.mib and "--memory" not in refused_options:
        yield from check_memory(request, job_partitions, partitions, query_memory_limits(transport))
    kinds = find_kinds(request, partitions)
    if len(kinds) > 1 and not refusal:
        suggestions = [Suggestion(f"--gpu-type {kind}") for kind in kinds if " " not in kind][:3]
        nodes = str(request.nodes)
        yield make_problem("slurm-nodes-differ", *suggestions, where=NODES_FLAG, given=nodes, kinds=", ".join(kinds))


def can_wait(request: JobRequest, job_partitions: Sequence[Partition]) -> bool:
    """Return whether a partition has enough nodes for a job once those that are out of service are back."""
    for partition in job_partitions:
        has_lost_nodes = any(request.fits(group) and not group.is_usable for group in partition.nodes)
        if has_lost_nodes and request.count_fitting(partition.nodes) >= request.nodes:
            return True
    return False


def check_service(
    request: JobRequest, job_partitions: Sequence[Partition], partitions: Sequence[Partition], *, is_refused: bool
) -> Iterator[Problem]:
    """Warn if a job that sbatch takes waits for somebody: for its partition, or for nodes that are out of service.

    :param is_refused: whether `--test-only` refused it.
    """
    other_partitions = [
        partition for partition in partitions if partition not in job_partitions and _can_start(request, partition)
    ]
    suggestions = suggest_other_partitions(other_partitions)
    partition_names = ",".join(partition.name for partition in job_partitions)
    if all(partition.state != "up" for partition in job_partitions):
        yield make_problem(
            "pool-closed.partition",
            *suggestions,
            given=partition_names,
            describe=describe_partitions(job_partitions),
            state=job_partitions[0].state.upper(),
        )
    elif is_refused:
        down_groups = [group for partition in job_partitions for group in partition.nodes if not group.is_usable]
        states = ", ".join(sorted({group.state for group in down_groups}))
        node_names = ", ".join(dict.fromkeys(group.names for group in down_groups))
        yield make_problem(
            "pool-closed.nodes-down", *suggestions, given=partition_names, names=node_names, states=states
        )


def _can_start(request: JobRequest, partition: Partition) -> bool:
    usable_nodes = [group for group in partition.nodes if group.is_usable]
    return request.count_fitting(usable_nodes) >= request.nodes


def check_time(
    request: JobRequest, job_partitions: Sequence[Partition], partitions: Sequence[Partition]
) -> Iterator[Problem]:
    """Check the time limit: above that of its partitions, Slurm lets a job wait for ever."""
    limit = max(partition.limit for partition in job_partitions)
    if request.seconds <= limit:
        return
    other_partitions = [
        partition for partition in partitions if partition.limit >= request.seconds and _can_start(request, partition)
    ]
    severity: Severity = "warning" if request.qos else "error"
    yield make_problem(
        "time-over-limit",
        Suggestion(f"--time {format_limit(limit)}", "the longest there"),
        *suggest_other_partitions(other_partitions),
        given="UNLIMITED" if math.isinf(request.seconds) else format_limit(request.seconds),
        severity=severity,
        describe=describe_partitions(job_partitions),
        limit=format_limit(limit),
        why=f"The quality of service {request.qos} may allow it." if request.qos else "The job would never start.",
    )


def check_memory(
    request: JobRequest,
    job_partitions: Sequence[Partition],
    partitions: Sequence[Partition],
    limits: Mapping[str, float],
) -> Iterator[Problem]:
    """Check the memory of a node: above what its partitions give a job, Slurm lets it wait for ever.

    :param limits: in MiB, by partition; one without a limit is absent.
    """
    limit = max(limits.get(partition.name, math.inf) for partition in job_partitions)
    if request.mib <= limit:
        return
    other_partitions = [
        partition
        for partition in list_open_partitions(partitions)
        if limits.get(partition.name, math.inf) >= request.mib and _can_start(request, partition)
    ]
    yield make_problem(
        "memory-over-limit",
        f"--memory {limit:g}M",
        *suggest_other_partitions(other_partitions),
        given=request.memory,
        describe=describe_partitions(job_partitions),
        limit=f"{limit:g}M",
    )
